// libp2p's ping, measured to a fraction of a millisecond, what many of them tell, and over which path they go.
import { randomBytes } from 'node:crypto'
import { Failure } from './failure.ts'
import { Guard } from './transfer/guard.ts'
import { StreamReader, endedEarly, write } from './transfer/stream.ts'
import type { Connection } from '@libp2p/interface'
import type { LinkEvent, PathStatus, Star } from '../client/index.ts'

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

/** What a path is called when there is none. */
const NO_PATH = 'none'

/** One path of a link gave way to another, or to none. */
export interface PathChange {
  /** The kinds of path, `none` where there is no path. */
  readonly from: string
  readonly to: string
  /** What the new one runs through or to. */
  readonly via?: string
  /** Why there is none. */
  readonly code?: string
  readonly message?: string
}

/** Follows the path to a peer from before the first one. */
export class PathWatch implements Disposable {
  readonly #events: Star['events']
  readonly #peer: string
  readonly #onChange: (change: PathChange) => void
  /** The link that had a path last. */
  #link: string | undefined
  #path: PathStatus | undefined

  /** Tells of each change, but not of the first path. */
  constructor (events: Star['events'], peer: string, onChange: (change: PathChange) => void) {
    this.#events = events
    this.#peer = peer
    this.#onChange = onChange
    events.addEventListener('link', this.#onEvent)
  }

  /** What carries the link now. */
  get path (): PathStatus | undefined {
    return this.#path
  }

  [Symbol.dispose] (): void {
    this.#events.removeEventListener('link', this.#onEvent)
  }

  readonly #onEvent = ({ detail }: CustomEvent<LinkEvent>): void => {
    const { peer, link, what, path } = detail
    const isFirst = this.#link == null
    // attempts, paths that are tried, and links that others have replaced change nothing
    if (peer !== this.#peer || what === 'attempt' || what === 'tried' || (what !== 'path' && link !== this.#link)) {
      return
    }
    const before = this.#path
    this.#link = link
    this.#path = path
    if (!isFirst && (before?.kind !== path?.kind || before?.via !== path?.via)) {
      this.#onChange(changeOf(before, detail))
    }
  }
}

/** A change of path in a line. */
export function formatChange ({ from, to, via, message }: PathChange): string {
  return `path ${from} → ${to}${via == null ? '' : ` via ${via}`}${message == null ? '' : ` (${message})`}`
}

function changeOf (before: PathStatus | undefined, { path, error }: LinkEvent): PathChange {
  const from = before?.kind ?? NO_PATH
  if (path != null) {
    return { from, to: path.kind, via: path.via }
  }
  const why = error == null ? { message: 'the connection was closed' } : { code: error.code, message: error.message }
  return { from, to: NO_PATH, ...why }
}
