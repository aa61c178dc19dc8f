// One path of a pair: the handshake on it, what comes behind that before it is through, and the link that it carries then.
import { StarError } from '../errors.ts'
import { FrameReader, encodeFrame } from './frame.ts'
import { Session } from './session.ts'
import type { Reason } from '../errors.ts'
import type { Link, PairOptions, PairOutput } from './contract.ts'
import type { Frame } from './frame.ts'
import type { Acceptor, Dialler, HandshakeEvent, HandshakeOutput, Outcome } from './handshake.ts'

/** Frames of a session. */
type SessionFrame = Exclude<Frame, { type: 'handshake' }>

/** Bytes that a frame costs beside its own while it waits, and how much these may come to beside two windows. */
const FRAME_COST = 64
const MAX_BACKLOG_COST = 65_536

/** What a handshake says that changes something for the pair. */
export type Verdict = Extract<HandshakeOutput, { do: 'ready' | 'proved' | 'up' | 'over' }>

/** One path. */
export class Path {
  readonly id: number
  readonly handshake: Dialler | Acceptor
  readonly #reader = new FrameReader()
  readonly #window: number
  #backlog: SessionFrame[] = []
  #backlogBytes = 0
  /** True when the other peer has said its last word of the handshake, right as far as that could be seen at once. */
  said = false
  /** Why the path is gone, while the last word that came on it is still being checked. */
  gone: StarError | undefined
  link: LinkState | undefined
  /** An attempt of the other peer that has proved itself and waits. */
  outcome: Outcome | undefined

  constructor (id: number, handshake: Dialler | Acceptor, window: number) {
    this.id = id
    this.handshake = handshake
    this.#window = window
  }

  /** The frames that a chunk completes; throws {@link StarError} when it can't be read. */
  read (chunk: Uint8Array): Frame[] {
    return this.#reader.read(chunk)
  }

  /**
   * Keeps a frame until it is clear what it belongs to: the other peer may go on at once when it has said its last word, but
   * isn't believed before it is checked. Throws {@link StarError} for what comes too early, or too much of it.
   */
  keep (frame: SessionFrame): void {
    if (!this.said) {
      throw new StarError('ERR_PROTOCOL', { detail: `${frame.type} before the handshake was through` })
    }
    this.#backlog.push(frame)
    this.#backlogBytes += FRAME_COST + (frame.type === 'data' ? frame.bytes.byteLength : 0)
    if (this.#backlogBytes > 2 * this.#window + MAX_BACKLOG_COST) {
      throw new StarError('ERR_BUDGET')
    }
  }

  /** Gives what was kept, once. */
  release (): SessionFrame[] {
    const frames = this.#backlog
    this.#backlog = []
    return frames
  }

  /** Puts an event into the handshake: what is to be sent, signed or verified goes to `outputs`, the rest comes back. */
  shake (event: HandshakeEvent, now: number, outputs: PairOutput[]): Verdict[] {
    const verdicts: Verdict[] = []
    for (const output of this.handshake.input(event, now)) {
      if (output.do === 'send') {
        outputs.push({ do: 'send', path: this.id, bytes: encodeFrame({ type: 'handshake', bytes: output.bytes }) })
      } else if (output.do === 'sign' || output.do === 'verify') {
        this.said ||= output.do === 'verify'
        outputs.push({ ...output, path: this.id })
      } else {
        this.said ||= output.do === 'proved'
        verdicts.push(output)
      }
    }
    return verdicts
  }

  /** Nothing that still comes on it counts. */
  leave (): void {
    if (this.link?.path === this.id) {
      this.link.path = undefined
    }
    this.handshake.drop()
    this.outcome = undefined
    this.#backlog = []
  }
}

/** A link as its pair knows it. */
export class LinkState implements Link {
  readonly id: bigint
  readonly dialled: boolean
  readonly incarnation: bigint
  readonly session: Session
  path: number | undefined
  secret: Uint8Array | undefined

  constructor (path: Path, { connectionId, incarnation, flags }: Outcome, dialled: boolean, options: PairOptions) {
    this.id = connectionId
    this.dialled = dialled
    this.incarnation = incarnation
    this.session = new Session({ ...options, initialLimit: flags.window })
    this.path = path.id
    path.link = this
  }

  /**
   * Why it is over when the other peer has proved that it no longer has it: because that is another process now, or for the given
   * reason; without an error when all that was missing is the last word.
   */
  goneFor (outcome: Outcome, otherwise: Reason): StarError | undefined {
    if (this.session.complete) {
      return undefined
    }
    return new StarError(this.incarnation === outcome.incarnation ? otherwise : 'ERR_PEER_RESTARTED')
  }
}
