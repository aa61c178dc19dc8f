// What Node adds to a socket.io connection: certificate authorities of one's own, and fewer writes.
import { batchFlushes, carrierOf } from '../src/batch.ts'
import type { ManagerOptions, Socket, SocketOptions } from 'socket.io-client'

/** Options of this platform for a connection to a star; the browser's twin has none. */
export function platformOptions (ca: string | string[] | undefined): Partial<ManagerOptions & SocketOptions> {
  // compression costs a relay 250 KiB a connection, and ciphertext doesn't shrink; false is missing in the type
  const deflate = { perMessageDeflate: false } as unknown as Partial<ManagerOptions>
  return ca == null ? deflate : { ...deflate, ca: Array.isArray(ca) ? ca.join('\n') : ca }
}

/** Makes one write of what is sent in one turn of the event loop; to be called when the connection is open. */
export function gatherWrites ({ io: { engine } }: Socket): void {
  batchFlushes(engine, () => carrierOf(engine.transport, 'ws'), run => { process.nextTick(run) })
}
