// Lets the parent process call functions in this one by name, and tells it what happens here.
'use strict'

/**
 * parent → child  { id, do, ...arguments }
 * child → parent  { id, result } or { id, error: { message, name, code } }, and { event, ...details } at any time
 */
exports.serve = function serve (commands) {
  process.on('message', async ({ id, do: name, ...args }) => {
    try {
      if (!commands[name]) throw new Error(`no such command: ${name}`)
      send({ id, result: (await commands[name](args)) ?? null })
    } catch (err) {
      send({ id, error: exports.describe(err) })
    }
  })
  // The parent is gone or has let go of us.
  process.on('disconnect', () => process.exit(0))
  exports.report('ready', { node: process.version })
}

exports.report = function report (event, details) {
  send({ event, ...details })
}

exports.describe = function describe (err) {
  if (err instanceof Error) return { name: err.name, message: err.message, code: err.code }
  return { name: typeof err, message: typeof err === 'string' ? err : JSON.stringify(err) }
}

/** Calls a function that wants a node-style callback as its last argument. */
exports.call = function call (fn) {
  return new Promise((resolve, reject) => fn((err, ...values) => {
    if (err) reject(err)
    else resolve(values.length > 1 ? values : values[0])
  }))
}

function send (message) {
  if (process.connected) process.send(message)
}
