// What a browser adds to a socket.io connection: nothing, it sees to certificates and compression itself.
import type { ManagerOptions, SocketOptions } from 'socket.io-client'

/** The same as in Node, where there are options to set. */
export function platformOptions (_ca: string | string[] | undefined): Partial<ManagerOptions & SocketOptions> {
  return {}
}
