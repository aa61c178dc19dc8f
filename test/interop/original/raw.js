// Runs bare socket.io 2 clients that say whatever the parent process tells them, as the original server's own tests do.
'use strict'

const io = require('socket.io-client')
const pullStreams = require('socket.io-pull-stream')
const { report, serve } = require('./drive')
const { Stream } = require('./stream')

const sockets = []
const streams = []
const acks = new Map()

serve({
  connect ({ url, answer = 'accept' }) {
    const socket = io.connect(url, { transports: ['websocket'], 'force new connection': true, reconnection: false })
    pullStreams(socket, { codec: 'buffer' })
    const number = sockets.push(socket) - 1
    for (const event of ['ws-peer', 'disconnect']) socket.on(event, (value) => report(event, { socket: number, value }))
    socket.on('ss-incomming', (dial, from, ack, ...rest) => {
      report('ss-incomming', { socket: number, dial, from, surplus: rest.length })
      if (answer === 'accept') ack()
      else if (answer === 'later') acks.set(dial, ack)
      else ack(answer)
    })
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(number))
      socket.once('connect_error', reject)
    })
  },

  // Sends an event and tells all arguments of the acknowledgement.
  ask: ({ socket, event, args }) => new Promise((resolve) => sockets[socket].emit(event, ...args, (...answer) => resolve(answer))),
  tell: ({ socket, event, args }) => { sockets[socket].emit(event, ...args) },
  ack: ({ dial, args = [] }) => acks.get(dial)(...args),
  disconnect: ({ socket }) => { sockets[socket].disconnect() },

  // The two halves of one connection, made by the original socket.io-pull-stream.
  stream ({ socket, read, write }) {
    const sio = sockets[socket]
    const half = { sink: () => {}, source: () => {} }
    if (write) half.sink = sio.createSink(write)
    if (read) half.source = sio.createSource(read)
    return streams.push(new Stream(half)) - 1
  },
  write: ({ stream, text }) => streams[stream].write(Buffer.from(text)),
  end: ({ stream, reason }) => streams[stream].end(reason),
  until: ({ stream, bytes }) => streams[stream].until(bytes)
})
