// A port that listens and dials at once: every socket says that it shares the port, and the system tells connections apart by
// their other end.
import net from 'node:net'
import type { Server, Socket } from 'node:net'
import type { Place, Sharing } from './port.ts'

/** Makes the sockets of one port. */
export function shared (): Sharing {
  let servers: readonly Server[] = []
  return {
    listen: async (place, port, onSocket) => {
      if (port !== 0) {
        // somebody else who listens there and shares the port, too, would get half of those who come
        bind(place, port, false).close()
      }
      const server = net.createServer(onSocket)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(bind(place, port, true), () => {
          server.off('error', reject)
          server.on('error', () => {}) // one connection could not be accepted; the next one may
          resolve()
        })
      })
      return server
    },
    begin: all => { servers = all },
    dial: ({ ip, port, family }, place, own) => {
      let socket: Socket | undefined
      try {
        socket = new net.Socket({ handle: bind(place, own, true) })
        return socket.connect({ host: ip, port, family })
      } catch (error) {
        return (socket ?? new net.Socket()).destroy(error instanceof Error ? error : new Error(String(error)))
      }
    },
    close: () => { servers.forEach(server => server.close()) }
  }
}

function bind ({ host, family }: Place, port: number, reusePort: boolean): net.BoundSocket {
  return new net.BoundSocket({ host, port, reusePort, ipv6Only: family === 6 })
}
