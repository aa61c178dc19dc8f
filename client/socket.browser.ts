// What a browser adds to a socket.io connection: nothing, it sees to certificates and compression itself.
import type { ManagerOptions, Socket, SocketOptions } from 'socket.io-client'

/** The same as in Node, where there are options to set. */
export function platformOptions (_ca: string | string[] | undefined): Partial<ManagerOptions & SocketOptions> {
  return {}
}

/** The same as in Node, where there is a TCP socket to gather for. */
export function gatherWrites (_socket: Socket): void {
  // a browser does so by itself
}
