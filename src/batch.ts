// One write for all that is sent in one turn of the event loop, over an Engine.IO connection of either side.

/** The part of a TCP socket that gathers writes. */
export interface Corkable {
  cork (): void
  uncork (): void
}

/**
 * Puts a connection's flushes off to the end of the turn, and makes one write of each.
 *
 * An event with bytes is two packets, and Engine.IO flushes after the first: two writes for each event, and the second waits for
 * the first. One write a turn took a quarter of the CPU time off a relay. `flush` and the TCP socket are private
 * parts of Engine.IO: where they aren't there, nothing is changed.
 *
 * @param connection - an Engine.IO socket of the server or of the client
 * @param carrier - the TCP socket under it, if there is one to be had
 * @param soon - runs something at the end of the turn: `process.nextTick`, which comes before anything is read
 */
export function batchFlushes (
  connection: object, carrier: () => Corkable | undefined, soon: (run: () => void) => void
): void {
  const flush: unknown = Reflect.get(connection, 'flush')
  if (typeof flush !== 'function') {
    return
  }
  let due = false
  Reflect.set(connection, 'flush', () => {
    if (due) {
      return
    }
    due = true
    soon(() => {
      due = false
      const tcp = carrier()
      tcp?.cork()
      Reflect.apply(flush, connection, [])
      tcp?.uncork()
    })
  })
}

/** The TCP socket under a transport of Engine.IO: under `socket.` on the server, `ws.` in the client, and then `_socket`. */
export function carrierOf (transport: object, webSocket: 'socket' | 'ws'): Corkable | undefined {
  const under: unknown = Reflect.get(transport, webSocket)
  const tcp: unknown = typeof under === 'object' && under !== null ? Reflect.get(under, '_socket') : undefined
  return isCorkable(tcp) ? tcp : undefined
}

function isCorkable (value: unknown): value is Corkable {
  return typeof value === 'object' && value !== null && 'cork' in value && 'uncork' in value
}
