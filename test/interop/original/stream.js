// A pull-stream connection that can be steered from afar: write, end, abort, and wait for what comes in.
'use strict'

const { createHash, randomBytes } = require('node:crypto')
const { EventEmitter, once } = require('node:events')

/** Kept so that a test can look at short answers; longer ones are only counted and hashed. */
const KEPT = 4096

exports.Stream = class Stream extends EventEmitter {
  constructor (conn) {
    super()
    this.conn = conn
    this.queue = []
    this.finished = null // what the writing side is to end with, once the queue is empty
    this.wanted = null // the reader of the writing side, when it waits
    this.hash = createHash('sha256')
    this.bytes = 0
    this.chunks = []
    this.kept = []
    this.ended = false
    this.error = null
    conn.sink((abort, cb) => this.#give(abort, cb))
    this.#take()
  }

  /** Writes `size` random bytes in chunks and tells their checksum. */
  async fill (size, chunk) {
    const hash = createHash('sha256')
    for (let left = size; left > 0; left -= chunk) {
      const data = randomBytes(Math.min(chunk, left))
      hash.update(data)
      this.write(data)
      // The original's sink recurses once for each chunk that is there at once.
      await new Promise(setImmediate)
    }
    return hash.digest('hex')
  }

  write (data) {
    this.queue.push(data)
    this.#wake()
  }

  end (reason = true) {
    this.finished = reason
    this.#wake()
  }

  /** Stops reading; the original does not tell the writer. */
  stop () {
    this.stopped = true
  }

  /** Resolves when `bytes` have come in, or without a number at the end. */
  async until (bytes) {
    while (!this.ended && (bytes === undefined || this.bytes < bytes)) await once(this, 'progress')
    const kept = Buffer.concat(this.kept)
    return {
      bytes: this.bytes,
      sha256: this.hash.copy().digest('hex'),
      text: kept.length === this.bytes ? kept.toString() : undefined,
      chunks: this.chunks.slice(0, 64),
      ended: this.ended,
      error: this.error
    }
  }

  #give (abort, cb) {
    if (abort) {
      this.finished ??= abort
      return cb(abort)
    }
    if (this.queue.length > 0) cb(null, this.queue.shift())
    else if (this.finished !== null) cb(this.finished)
    else this.wanted = cb
  }

  #wake () {
    const cb = this.wanted
    if (!cb) return
    this.wanted = null
    this.#give(null, cb)
  }

  #take () {
    this.conn.source(this.stopped ? true : null, (end, data) => {
      if (end) {
        this.ended = true
        if (end !== true) this.error = end instanceof Error ? end.message : end
      } else {
        this.bytes += data.length
        this.hash.update(data)
        this.chunks.push(data.length)
        if (this.bytes <= KEPT) this.kept.push(data)
      }
      this.emit('progress')
      if (!end) setImmediate(() => this.#take())
    })
  }
}
