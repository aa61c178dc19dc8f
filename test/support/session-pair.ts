// Two sessions joined without delay, and an account of what they say: for tests that look at single frames and single moments.
import { concatBytes } from '@noble/hashes/utils.js'
import { FrameReader } from '../../src/link/frame.ts'
import { Session } from '../../src/link/session.ts'
import type { StarError } from '../../src/errors.ts'
import type { Frame } from '../../src/link/frame.ts'
import type { SessionOptions, SessionOutput } from '../../src/link/session.ts'

/** Options of a session that is set up with nothing else. */
export const SESSION: SessionOptions = {
  window: 1_048_576, initialLimit: 1_048_576, resumeTimeout: 30_000, keepAlive: 15_000, probeAfter: 1_000, probeTimeout: 3_000
}

type SessionFrame = Exclude<Frame, { type: 'handshake' }>

/** One end, and all that was heard of it. */
export class SessionEnd {
  readonly session: Session
  readonly options: SessionOptions
  /** What its session says it is to be done, but for `deliver` and `flush`. */
  readonly said: string[] = []
  /** The frames that it has sent, and their bytes. */
  readonly frames: Frame[] = []
  sentBytes = 0
  received = 0
  unread = 0
  error: StarError | undefined
  /** Whether its user reads whatever comes at once, and whether its path takes anything. */
  reads = true
  open = true
  /** Of what it sends, and of what comes. */
  #sent = new FrameReader()
  #came = new FrameReader()

  constructor (options: Partial<SessionOptions> = {}) {
    this.options = { ...SESSION, ...options }
    this.session = new Session(this.options)
  }

  /** Performs what its session puts out. */
  obey (outputs: readonly SessionOutput[]): void {
    for (const output of outputs) {
      if (output.do === 'deliver') {
        this.received += output.bytes.byteLength
        this.unread += output.bytes.byteLength
        if (this.reads) {
          this.read()
        }
      } else if (output.do !== 'flush') {
        this.said.push(output.do)
        this.error ??= output.do === 'closed' ? output.error : undefined
      }
    }
  }

  read (bytes: number = this.unread): void {
    this.unread -= bytes
    this.obey(this.session.consumed(bytes))
  }

  /** All that it has to send now. */
  flush (now: number, budget = Infinity): Uint8Array[] {
    const chunks: Uint8Array[] = []
    const next = (): readonly Uint8Array[] | undefined => this.open ? this.session.flush(budget, now) : undefined
    for (let parts = next(); parts != null; parts = next()) {
      const chunk = concatBytes(...parts)
      chunks.push(chunk)
      this.sentBytes += chunk.byteLength
      this.frames.push(...this.#sent.read(chunk))
    }
    return chunks
  }

  /** Takes a frame that nobody had to send. */
  hear (frame: SessionFrame, now = 0): void {
    this.obey(this.session.receive(frame, now))
  }

  /** Takes what comes on its path. */
  take (chunk: Uint8Array, now: number): void {
    for (const frame of this.#came.read(chunk)) {
      this.hear(frame as SessionFrame, now)
    }
  }

  count (type: Frame['type']): number {
    return this.frames.filter(frame => frame.type === type).length
  }

  /** There is another path. */
  attach (now: number, first = false): void {
    this.#sent = new FrameReader()
    this.#came = new FrameReader()
    this.obey(this.session.attach(now, { first }))
  }
}

/** Two ends with their first path. */
export function sessionPair (one: Partial<SessionOptions> = {}, other: Partial<SessionOptions> = one): [SessionEnd, SessionEnd] {
  const ends: [SessionEnd, SessionEnd] = [
    new SessionEnd({ ...one, initialLimit: other.window ?? SESSION.window }),
    new SessionEnd({ ...other, initialLimit: one.window ?? SESSION.window })
  ]
  ends.forEach(end => { end.attach(0, true) })
  return ends
}

/** Carries what both have to send, until they have nothing. */
export function carry ([one, other]: readonly [SessionEnd, SessionEnd], now: number): void {
  for (let more = true; more;) {
    more = false
    for (const [from, to] of [[one, other], [other, one]] as const) {
      for (const chunk of from.flush(now)) {
        more = true
        to.take(chunk, now)
      }
    }
  }
}

/** Lets both wake, as often as they want to, up to that moment. */
export function wake (ends: readonly [SessionEnd, SessionEnd], until: number): void {
  for (let times = 0; times < 10_000; times++) {
    const at = Math.min(...ends.map(({ session }) => session.wakeAt ?? Infinity))
    if (at > until) {
      return
    }
    ends.forEach(end => { end.obey(end.session.wake(at)) })
    carry(ends, at)
  }
  throw new Error('wants to be woken for ever')
}
