// Stars that mean harm: bare socket.io servers which do what a test tells them to.
import { Server } from 'socket.io'
import type { AddressInfo } from 'node:net'
import type { Socket } from 'socket.io'

/**
 * Gives a function that starts such stars and returns their address; they are closed after each test. To be called in a
 * suite.
 */
export function evilStars (): (onConnection: (socket: Socket) => void) => string {
  const open: Server[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map(async server => { await server.close() }))
  })
  return onConnection => {
    const server = new Server(0, { transports: ['websocket'] })
    open.push(server)
    server.on('connection', onConnection)
    const { port } = (server as unknown as { httpServer: { address (): AddressInfo } }).httpServer.address()
    return `/ip4/127.0.0.1/tcp/${port}/ws/p2p-websocket-star`
  }
}
