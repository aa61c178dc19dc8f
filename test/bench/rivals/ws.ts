// A forwarder on bare `ws`: a WebSocket per stream and end, joined message by message, with back-pressure; the floor for relays.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import type { Channel, Rival } from './types.ts'
import { channelOf } from './web-socket.ts'

const HIGH = 2 * 1024 * 1024
const LOW = 1024 * 1024

/** Sends everything that arrives on one socket over another, and stops reading while too much is under way. */
function forward (from: WebSocket, to: WebSocket): void {
  let underWay = 0
  from.on('message', (data: Buffer) => {
    underWay += data.length
    if (underWay > HIGH) from.pause()
    to.send(data, () => {
      underWay -= data.length
      if (underWay < LOW && from.isPaused) from.resume()
    })
  })
  from.on('close', () => to.close())
  from.on('error', () => to.terminate())
}

/** Opens a paired socket: the server says `ready` when both sides are there, and what follows at once is kept until `onData`. */
async function pair (url: string): Promise<Channel> {
  const socket = new WebSocket(url, { perMessageDeflate: false })
  return await new Promise<Channel>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the forwarder closed the socket')))
    socket.once('message', () => { resolve(channelOf(socket)) })
  })
}

export const ws: Rival = {
  name: 'ws',
  about: 'a forwarder on bare ws, a WebSocket per stream; no peers, no challenge, no encryption',
  like: 'star-raw',

  startServer: async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
    const listeners = new Map<string, WebSocket>()
    const dialling = new Map<string, WebSocket>()
    server.on('connection', (socket, request) => {
      socket.on('error', () => socket.terminate())
      const [, what, id = ''] = (request.url ?? '').split('/')
      if (what === 'listen') {
        listeners.set(id, socket)
        socket.on('close', () => listeners.delete(id))
      } else if (what === 'dial' && listeners.has(id)) {
        const name = randomUUID()
        dialling.set(name, socket)
        listeners.get(id)!.send(name)
      } else if (what === 'accept' && dialling.has(id)) {
        const dialler = dialling.get(id)!
        dialling.delete(id)
        forward(dialler, socket)
        forward(socket, dialler)
        dialler.send('ready')
        socket.send('ready')
      } else socket.close()
    })
    await once(server, 'listening')
    return { address: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, close: async () => server.close() }
  },

  startEnd: async (server, options) => {
    const address = randomUUID()
    const listener = new WebSocket(`${server}/listen/${address}`, { perMessageDeflate: false })
    listener.on('message', (id: Buffer) => {
      pair(`${server}/accept/${id.toString()}`).then(options.onChannel, () => {})
    })
    await once(listener, 'open')
    return {
      address,
      dial: async peer => {
        let first: Channel | undefined = await pair(`${server}/dial/${peer}`)
        return {
          open: async () => {
            const opened = first ?? await pair(`${server}/dial/${peer}`)
            first = undefined
            return opened
          },
          close: async () => await first?.close()
        }
      },
      close: async () => listener.close()
    }
  }
}
