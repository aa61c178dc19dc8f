// A bare socket.io 4 server and clients that only stay connected: the floor for memory per idle peer.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import type { Rival } from './types.ts'

export const socketIo: Rival = {
  name: 'socket.io',
  about: 'a bare socket.io 4 server: connections only, no peers, no challenge',
  like: 'star-raw',

  startServer: async () => {
    const http = createServer()
    const server = new Server(http, { transports: ['websocket'], serveClient: false })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    return { address: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, close: async () => await server.close() }
  },

  startEnd: async server => {
    const socket = io(server, { transports: ['websocket'], forceNew: true, reconnection: false })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', reject)
    })
    return {
      address: socket.id!,
      dial: async () => { throw new Error('the bare socket.io server relays nothing') },
      close: async () => { socket.disconnect() }
    }
  }
}
