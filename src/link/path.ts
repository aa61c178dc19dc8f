// One path between two peers: takes apart what comes on it, leads its handshake, and keeps what comes before it is proved.
import { StarError } from '../errors.ts'
import { FrameReader, encodeFrame } from './frame.ts'
import { Acceptor } from './handshake.ts'
import type { Link, PairOutput } from './contract.ts'
import type { Frame } from './frame.ts'
import type { Dialler, HandshakeEvent, HandshakeOutput, Outcome } from './handshake.ts'

/** A link with what is nobody else's business. */
export interface LinkState extends Link {
  /** The other peer's incarnation. */
  readonly incarnation: bigint
  path: number | undefined
  /** The path that it is to move to, once the other end has spoken there. */
  next: number | undefined
  /** The path that it has moved from, until the other end has moved too: what still comes there counts. */
  former: number | undefined
  secret: Uint8Array | undefined
}

/** A frame of a session. */
export type SessionFrame = Exclude<Frame, { type: 'handshake' }>

/** What a handshake has come to. */
export type Tidings = HandshakeOutput & { readonly do: 'ready' | 'proved' | 'up' | 'over' }

/** What stands where a handshake would, on a path that was proved elsewhere. */
export class Adopted {
  readonly over = true
  readonly wakeAt = undefined
  /** Whether it goes past the star. */
  readonly direct: boolean
  /** Milliseconds, as measured when it was made; 0 where that isn't known. */
  readonly roundTrip: number

  constructor (direct: boolean, roundTrip: number) {
    this.direct = direct
    this.roundTrip = roundTrip
  }

  input (): readonly HandshakeOutput[] {
    return []
  }

  drop (): void {
    // there is nothing to be dropped
  }
}

/** Bytes that a frame costs beside its own while it waits. */
const FRAME_COST = 64

/** A path, opened by either side. */
export class Path {
  readonly id: number
  readonly handshake: Dialler | Acceptor | Adopted
  link: LinkState | undefined
  /** An attempt of the other peer that has proved itself and waits. */
  outcome: Outcome | undefined
  /** Why the path is gone, while the last word that came on it is still being checked. */
  gone: StarError | undefined
  /** True when another attempt, begun by us or later, has given the link a path since. */
  late = false
  readonly #reader = new FrameReader()
  readonly #most: number
  #said = false
  #backlog: SessionFrame[] = []
  #backlogBytes = 0

  /** `most`: bytes that may come before it is clear whose they are. */
  constructor (id: number, handshake: Dialler | Acceptor | Adopted, most: number) {
    this.id = id
    this.handshake = handshake
    this.#most = most
  }

  /** True for an attempt of the other peer that has not come to anything yet. */
  get knocking (): boolean {
    return this.handshake instanceof Acceptor && !this.handshake.over
  }

  /** True when the other peer has said its last word of the handshake, right as far as that can be seen at once. */
  get said (): boolean {
    return this.#said
  }

  /** The link whose bytes come on it, when all is proved. */
  get carried (): LinkState | undefined {
    return this.handshake.over ? this.link : undefined
  }

  /** The frames that a chunk completes; throws {@link StarError} when they are none, and must not be used any more then. */
  read (chunk: Uint8Array, bare: boolean): Frame[] {
    return this.#reader.read(chunk, bare)
  }

  /** Leads the handshake on: what it asks of the driver goes to `outputs`, what has come of it is returned. */
  shake (event: HandshakeEvent, now: number, outputs: PairOutput[]): Tidings[] {
    const tidings: Tidings[] = []
    for (const output of this.handshake.input(event, now)) {
      this.#said ||= output.do === 'verify' || output.do === 'proved'
      if (output.do === 'send') {
        outputs.push({ do: 'send', path: this.id, bytes: encodeFrame({ type: 'handshake', bytes: output.bytes }) })
      } else if (output.do === 'sign' || output.do === 'verify') {
        outputs.push({ ...output, path: this.id })
      } else {
        tidings.push(output)
      }
    }
    return tidings
  }

  /**
   * Keeps a frame: the other peer may go on at once when it has said its last word, but isn't believed before that is checked.
   * Returns what is wrong with it.
   */
  keep (frame: SessionFrame): StarError | undefined {
    if (!this.#said) {
      return new StarError('ERR_PROTOCOL', { detail: `${frame.type} before the handshake was through` })
    }
    this.#backlog.push(frame)
    this.#backlogBytes += FRAME_COST + (frame.type === 'data' ? frame.bytes.byteLength : 0)
    return this.#backlogBytes > this.#most ? new StarError('ERR_BUDGET') : undefined
  }

  /** What was kept, to be handed on. */
  release (): readonly SessionFrame[] {
    const frames = this.#backlog
    this.#backlog = []
    return frames
  }

  /** Nothing that still comes counts. */
  drop (): void {
    for (const part of ['path', 'next', 'former'] as const) {
      if (this.link?.[part] === this.id) {
        this.link[part] = undefined
      }
    }
    this.handshake.drop()
    this.outcome = undefined
    this.#backlog = []
  }
}
