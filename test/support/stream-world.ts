// Two ends of a stream, a relay or none between them, and a network that takes its time: one step at a time, in any order.
import { StarError } from '../../src/errors.ts'
import { Endpoint } from '../../src/pull-stream/endpoint.ts'
import { Relay } from '../../src/pull-stream/relay.ts'
import { chunkCost, eventName, otherSide } from '../../src/pull-stream/protocol.ts'
import type { EndpointOutput } from '../../src/pull-stream/endpoint.ts'
import type { Kind, Side } from '../../src/pull-stream/protocol.ts'
import type { RelayOptions, RelayOutput } from '../../src/pull-stream/relay.ts'
import type { Random } from './random.ts'

/** What the halves are made of; each byte tells its place. */
const PATTERN = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 251)

/** An event on its way. */
interface Frame {
  readonly kind: Kind
  readonly side: Side
  readonly payload: unknown
  readonly half?: (RelayOutput & { do: 'emit' })['half']
}

/** Puts a frame on an end's way out. */
type Post = (frame: Frame) => void

/** How much an end has to say, and how. */
export interface EndPlan {
  readonly original: boolean
  /** Bytes to send in all. */
  readonly bytes: number
  /** Bytes, the largest chunk. */
  readonly chunk: number
  /** Bytes, the window of a star reader. */
  readonly window: number
  /** How often a reader reads when it could: from 0 to 1. */
  readonly diligence: number
}

/** One end of a stream, of either generation: it writes what it has to say, reads, and keeps account. */
abstract class End {
  readonly side: Side
  readonly plan: EndPlan
  protected readonly post: Post
  sent = 0
  received = 0
  /** The other half has ended, in good order. */
  heardEnd = false
  /** Its own half has been ended. */
  saidEnd = false
  readonly faults: string[] = []

  constructor (side: Side, plan: EndPlan, post: Post) {
    this.side = side
    this.plan = plan
    this.post = post
  }

  abstract open (): void
  abstract receive (frame: Frame): void
  abstract get canWrite (): boolean
  abstract write (size: number): void
  abstract get canRead (): boolean
  abstract read (): void
  abstract get over (): boolean

  protected next (size: number): Uint8Array {
    const bytes = PATTERN.subarray(this.sent, this.sent + size)
    this.sent += bytes.length
    return bytes
  }

  protected take (bytes: Uint8Array): void {
    if (Buffer.compare(bytes, PATTERN.subarray(this.received, this.received + bytes.length)) !== 0) {
      this.faults.push(`${this.side} read other bytes than were sent after ${this.received}`)
    }
    this.received += bytes.length
  }
}

/** An end with credit. */
class StarEnd extends End {
  readonly endpoint: Endpoint
  readonly #unread: Uint8Array[] = []
  #waiting = 0

  constructor (side: Side, plan: EndPlan, post: Post) {
    super(side, plan, post)
    this.endpoint = new Endpoint({ side, window: plan.window })
  }

  open (): void {
    this.#perform(this.endpoint.accept())
  }

  receive ({ kind, side, payload }: Frame): void {
    this.#perform(this.endpoint.receive(kind, side, payload))
  }

  get canWrite (): boolean {
    return this.endpoint.writable && (this.sent === this.plan.bytes || this.endpoint.credit > 0)
  }

  write (size: number): void {
    if (this.sent === this.plan.bytes) {
      this.saidEnd = true
      this.#perform(this.endpoint.end())
    } else {
      this.#perform(this.endpoint.write(this.next(Math.min(size, this.endpoint.credit, this.plan.bytes - this.sent))))
    }
  }

  get canRead (): boolean {
    return this.#unread.length > 0
  }

  read (): void {
    const bytes = this.#unread.shift() ?? new Uint8Array()
    this.#waiting -= chunkCost(bytes.length)
    this.take(bytes)
    this.#perform(this.endpoint.consumed(bytes.length))
  }

  get over (): boolean {
    return this.endpoint.closed
  }

  /** What waits for the reader, chunk costs included. */
  get waiting (): number {
    return this.#waiting
  }

  reset (): void {
    this.#perform(this.endpoint.reset(new StarError('ERR_STREAM_RESET')))
  }

  stopReading (): void {
    this.#perform(this.endpoint.stopReading())
  }

  lose (): void {
    this.#perform(this.endpoint.lose(new StarError('ERR_STAR_LOST')))
  }

  #perform (outputs: readonly EndpointOutput[]): void {
    for (const output of outputs) {
      if (output.do === 'send') {
        this.post({ kind: output.kind, side: output.side, payload: output.payload })
      } else if (output.do === 'deliver') {
        this.#unread.push(output.bytes)
        this.#waiting += chunkCost(output.bytes.length)
      } else if (output.do === 'ended') {
        this.heardEnd = true
      }
    }
  }
}

/** An original peer: socket.io-pull-stream 0.1.5, which knows accept, queue and error and reads at once. */
class OriginalEnd extends End {
  #accepted = false
  #heardError = false

  open (): void {
    this.post({ kind: 'accept', side: otherSide(this.side), payload: undefined })
  }

  receive ({ kind, side, payload }: Frame): void {
    if (kind === 'accept' && side === this.side) {
      this.#accepted = true
    } else if (kind === 'queue' && side !== this.side && payload instanceof Uint8Array) {
      if (!this.over) {
        this.take(payload)
      }
    } else if (kind === 'error' && side !== this.side) {
      this.heardEnd ||= payload === true
      this.#heardError ||= payload !== true
    } else {
      this.faults.push(`an original end got ${kind}.${side}`)
    }
  }

  get canWrite (): boolean {
    return this.#accepted && !this.saidEnd
  }

  write (size: number): void {
    if (this.sent === this.plan.bytes) {
      this.fail(true)
    } else {
      this.post({ kind: 'queue', side: this.side, payload: this.next(Math.min(size, this.plan.bytes - this.sent)) })
    }
  }

  /** Ends its own half, with whatever reason: an Error comes as an empty object. */
  fail (reason: unknown): void {
    this.saidEnd = true
    this.post({ kind: 'error', side: this.side, payload: reason })
  }

  get canRead (): boolean {
    return false
  }

  read (): void {
    // has read already
  }

  get over (): boolean {
    return this.heardEnd || this.#heardError
  }
}

/** An end and its two ways through the network. */
interface Place {
  readonly name: string
  readonly end: StarEnd | OriginalEnd
  readonly up: Frame[]
  readonly down: Frame[]
  paused: boolean
  /** Frames that had been read of its socket when it was stopped. */
  overshoot: number
  gone: boolean
}

/** How the two ends are joined, and how much they have to say. */
export interface StreamPlan {
  readonly dialer: EndPlan
  readonly listener: EndPlan
  /** Bounds of the relay; without them the ends are joined directly. */
  readonly relay?: RelayOptions
}

/** A stream and the network that carries it. */
export class StreamWorld {
  readonly relay: Relay | undefined
  readonly dialer: Place
  readonly listener: Place
  readonly faults: string[] = []
  readonly #random: Random
  #now = 0

  constructor (random: Random, plan: StreamPlan) {
    this.#random = random
    this.relay = plan.relay == null ? undefined : new Relay(plan.relay)
    this.dialer = makePlace('a', 'dialer', plan.dialer)
    this.listener = makePlace('b', 'listener', plan.listener)
    this.relay?.open('id', { socket: 'a', original: plan.dialer.original }, { socket: 'b', original: plan.listener.original })
    for (const { end } of this.#places) {
      end.open()
    }
  }

  /** Takes one step that is possible, picked at random; false when none is. */
  step (): boolean {
    const actions = this.#places.flatMap(place => this.#actions(place))
    if (actions.length === 0) {
      return false
    }
    this.#random.pick(actions)()
    this.#check()
    return true
  }

  /** Takes steps until none is possible. */
  settle (): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps > 200_000) {
        throw new Error('the stream never comes to rest')
      }
    }
  }

  /** Something goes wrong at an end: it breaks the stream off, reads no more, fails, or is gone altogether. */
  mishap (place: Place, kind: 'reset' | 'stopReading' | 'disconnect'): void {
    const { end } = place
    if (kind === 'disconnect') {
      place.gone = true
      place.up.length = 0
      place.down.length = 0
      if (end instanceof StarEnd) {
        end.lose()
      }
      this.#carry(this.relay?.input({ type: 'disconnect', socket: place.name }, this.#now) ?? [])
    } else if (end instanceof StarEnd) {
      end[kind]()
    } else if (!end.saidEnd) {
      end.fail({}) // all that an original can do
    }
  }

  get #places (): readonly Place[] {
    return [this.dialer, this.listener]
  }

  #actions (place: Place): Array<() => void> {
    const { end, up, down } = place
    const actions: Array<() => void> = []
    if (place.gone) {
      return actions
    }
    if (up.length > 0 && (!place.paused || place.overshoot > 0)) {
      actions.push(() => { this.#arriveUp(place) })
    }
    if (down.length > 0) {
      actions.push(() => { this.#arriveDown(place) })
    }
    if (end.canWrite && up.length < 50) {
      actions.push(() => { end.write(this.#random.chance(0.1) ? 0 : this.#random.between(1, end.plan.chunk)) })
    }
    if (end.canRead) {
      actions.push(() => {
        if (this.#random.chance(end.plan.diligence)) {
          end.read()
        }
      })
    }
    return actions
  }

  #arriveUp (place: Place): void {
    const frame = place.up.shift()
    if (frame == null) {
      return
    }
    place.overshoot--
    if (this.relay == null) {
      (place === this.dialer ? this.listener : this.dialer).down.push(frame)
      return
    }
    const name = eventName(frame.kind, 'id', frame.side)
    this.#carry(this.relay.input({ type: 'frame', socket: place.name, name, payload: frame.payload }, this.#now))
  }

  #arriveDown (place: Place): void {
    const frame = place.down.shift()
    if (frame?.half != null && frame.payload instanceof Uint8Array) {
      this.#carry(this.relay?.input({ type: 'flushed', half: frame.half, bytes: frame.payload.byteLength }, this.#now) ?? [])
    }
    if (frame != null) {
      place.end.receive(frame)
    }
  }

  #carry (outputs: readonly RelayOutput[]): void {
    for (const output of outputs) {
      const place = this.#places.find(({ name }) => 'socket' in output && name === output.socket)
      if (output.do === 'broken') {
        this.faults.push(`the relay has broken the stream: ${output.reason}`)
      } else if (place != null && output.do === 'emit') {
        if (!place.gone) {
          place.down.push({ payload: undefined, ...output })
        }
        const { half } = output
        if (half != null && !half.writer.original && half.inFlight > half.window) {
          this.faults.push(`${half.inFlight} bytes are in flight in a window of ${half.window}`)
        }
      } else if (place != null) {
        place.paused = output.do === 'pause'
        place.overshoot = this.#random.between(0, 2)
      }
    }
  }

  #check (): void {
    for (const { end } of this.#places) {
      const writer = end === this.dialer.end ? this.listener.end : this.dialer.end
      if (end instanceof StarEnd && writer instanceof StarEnd && end.waiting > Math.max(65_536, end.plan.window)) {
        this.faults.push(`${end.waiting} bytes wait for a reader with a window of ${end.plan.window}`)
      }
    }
    this.#now++
  }
}

function makePlace (name: string, side: Side, plan: EndPlan): Place {
  const up: Frame[] = []
  const post: Post = frame => { up.push(frame) }
  const end = plan.original ? new OriginalEnd(side, plan, post) : new StarEnd(side, plan, post)
  return { name, end, up, down: [], paused: false, overshoot: 0, gone: false }
}
