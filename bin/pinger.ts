// libp2p's ping, measured to a fraction of a millisecond, and what many of them tell.
import { randomBytes } from 'node:crypto'
import { Failure } from './failure.ts'
import { Guard } from './transfer/guard.ts'
import { StreamReader, endedEarly, write } from './transfer/stream.ts'
import type { Connection } from '@libp2p/interface'

const PING_PROTOCOL = '/ipfs/ping/1.0.0'
const SIZE = 32

/** Milliseconds that 32 bytes take to a peer and back. */
export async function ping (connection: Connection, signal: AbortSignal): Promise<number> {
  const stream = await connection.newStream(PING_PROTOCOL, { signal })
  using guard = new Guard(stream, signal)
  const reader = new StreamReader(stream)
  const question = randomBytes(SIZE)
  try {
    const start = performance.now()
    await write(stream, question)
    const answer = await reader.exactly(SIZE)
    const time = performance.now() - start
    guard.moved()
    if (!question.equals(answer.subarray())) {
      throw new Failure('ERR_WRONG_ANSWER', 'the peer answered with other bytes')
    }
    await stream.close({ signal })
    return Math.round(time * 1000) / 1000
  } catch (error) {
    stream.abort(error instanceof Error ? error : endedEarly())
    throw error
  }
}

/** What ping(8) says at its end. */
export class Statistics {
  sent = 0
  readonly #times: number[] = []

  add (ms: number): void {
    this.#times.push(ms)
  }

  get received (): number {
    return this.#times.length
  }

  /** Milliseconds: the least, the mean, the most, and the mean deviation from the mean. */
  get figures (): { sent: number, received: number, min?: number, avg?: number, max?: number, mdev?: number } {
    const { sent, received } = this
    if (received === 0) {
      return { sent, received }
    }
    const avg = this.#mean(time => time)
    const mdev = Math.sqrt(this.#mean(time => (time - avg) ** 2))
    const [min, max] = this.#times.reduce(([low, high], time) => [Math.min(low, time), Math.max(high, time)], [Infinity, 0])
    return { sent, received, min, avg, max, mdev }
  }

  /** The same in two lines, as ping(8) has it. */
  get text (): string {
    const { sent, received, min = 0, avg = 0, max = 0, mdev = 0 } = this.figures
    const loss = sent === 0 ? 0 : Math.round(100 * (sent - received) / sent)
    const times = [min, avg, max, mdev].map(ms => ms.toFixed(3)).join('/')
    return `${sent} sent, ${received} received, ${loss}% loss${received === 0 ? '' : `\nrtt min/avg/max/mdev = ${times} ms`}`
  }

  #mean (of: (time: number) => number): number {
    return this.#times.reduce((sum, time) => sum + of(time), 0) / this.received
  }
}
