// What waits on one socket: gathers it, tells when bytes have left the process, and for how long nothing has.
import { batchFlushes, carrierOf } from '../src/batch.ts'
import type { Socket } from 'socket.io'
import type { Half } from '../src/pull-stream/relay.ts'

/** A chunk on its way out. */
interface Parcel {
  readonly half: Half
  readonly bytes: number
}

/**
 * Watches one socket's way out. Engine.IO hands everything that has gathered to the WebSocket at once (`flush` of the
 * connection) and is told when the kernel has taken it (`drain` of the transport); until then more gathers.
 */
export class Outbox {
  readonly #conn: Socket['conn']
  readonly #gathering: Parcel[] = []
  #leaving: Parcel[] = []
  #lastProgress: number

  constructor (socket: Socket, now: number, onFlushed: (half: Half, bytes: number) => void) {
    this.#conn = socket.conn
    this.#lastProgress = now
    batchFlushes(socket.conn, () => carrierOf(socket.conn.transport, 'socket'), run => { process.nextTick(run) })
    socket.conn.on('flush', () => {
      this.#leaving.push(...this.#gathering.splice(0))
    })
    socket.conn.transport.on('drain', () => {
      const left = this.#leaving
      this.#leaving = []
      for (const { half, bytes } of left) {
        onFlushed(half, bytes)
      }
    })
  }

  /** To be called before a chunk is emitted whose flushing matters. */
  expect (half: Half, bytes: number): void {
    this.#gathering.push({ half, bytes })
  }

  /** Milliseconds for which something has waited and nothing has gone out, as far as the latest calls saw. */
  stalledFor (now: number): number {
    if (this.#conn.transport.writable) {
      this.#lastProgress = now
    }
    return now - this.#lastProgress
  }
}
