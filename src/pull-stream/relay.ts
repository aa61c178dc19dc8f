// The star's side of streams: which two sockets a stream joins, who may send what, and how many bytes may be on the
// way. A machine without I/O.
import { INITIAL_CREDIT, chunkCost, isCredit, otherSide, parseEventName } from './protocol.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { Kind, Side } from './protocol.ts'

/** What the relay is told. */
export type RelayEvent =
  /** An event came from a client; `name` is the whole event name. */
  | { readonly type: 'frame', readonly socket: string, readonly name: unknown, readonly payload: unknown }
  /** A chunk of that half, of so many bytes, has left the process for its reader's socket. */
  | { readonly type: 'flushed', readonly half: Half, readonly bytes: number }
  | { readonly type: 'disconnect', readonly socket: string }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type RelayOutput =
  /** Emit to that socket. Bytes carry their half: report it as `flushed` when they have left the process. */
  | {
    readonly do: 'emit'
    readonly socket: string
    readonly kind: Kind
    readonly id: string
    readonly side: Side
    readonly payload?: unknown
    readonly half?: Half
  }
  /** Stop, or go on, reading from that socket. */
  | { readonly do: 'pause' | 'resume', readonly socket: string }
  /** A stream was ended by the star, for this reason. */
  | { readonly do: 'broken', readonly reason: Reason }

/** The relay's bounds. */
export interface RelayOptions {
  /** Bytes that may be on the way in each direction of a stream. */
  readonly pairBudget: number
  /** Milliseconds for which an original writer is braked by a reader that doesn't read, before its stream is ended. */
  readonly stallTimeout: number
  readonly streamsPerSocket: number
  readonly streamsPerPair: number
}

/** The generation of each end decides who keeps count: star clients grant credit themselves, the star speaks for originals. */
export interface RelayEnd {
  readonly socket: string
  readonly original: boolean
}

/** One direction of a stream; opaque to the driver. */
export interface Half {
  readonly pair: Pair
  readonly side: Side
  readonly writer: RelayEnd
  readonly reader: RelayEnd
  /** What the writer may have on the way. */
  window: number
  /** What is on the way: sent, and neither granted again nor flushed. */
  inFlight: number
  /** Flushed to an original reader and not yet granted to the writer. */
  ungranted: number
  accepted: boolean
  over: boolean
  /** When an original writer was stopped. */
  braked: boolean
}

interface Pair {
  readonly id: string
  readonly dialer: Half
  readonly listener: Half
}

/** An original writer may overshoot by what had been read of its socket already: so many budgets end its stream. */
const OVERSHOOT = 2

/** Credit is passed on in parts of the window no smaller than this; readers grant larger ones. */
const GRANT_FRACTION = 8

/** The longest reason passed on, in characters. */
const MAX_REASON = 256

/** All streams of one star. */
export class Relay implements Machine<RelayEvent, RelayOutput> {
  readonly #options: RelayOptions
  /** Streams by socket and id: nobody reaches a stream that isn't its own. */
  readonly #sockets = new Map<string, Map<string, Pair>>()
  readonly #pairCounts = new Map<string, number>()
  /** Halves whose original writer is stopped, with the time at which that must end, oldest first. */
  readonly #stalled = new Map<Half, number>()
  readonly #brakes = new Map<string, number>()
  #size = 0
  #outputs: RelayOutput[] = []

  constructor (options: RelayOptions) {
    this.#options = options
  }

  get wakeAt (): number | undefined {
    const [oldest] = this.#stalled.values()
    return oldest
  }

  /** How many streams are open. */
  get size (): number {
    return this.#size
  }

  /** Bytes on the way in all streams. */
  get inFlight (): number {
    let sum = 0
    for (const pairs of this.#sockets.values()) {
      for (const pair of pairs.values()) {
        for (const half of [pair.dialer, pair.listener]) {
          sum += half.over ? 0 : half.inFlight
        }
      }
    }
    return sum / 2 // each stream stands under both of its sockets
  }

  /** Joins two sockets by a stream; tells why not when it can't. */
  open (id: string, dialer: RelayEnd, listener: RelayEnd): Reason | undefined {
    const atDialer = this.#sockets.get(dialer.socket)
    const atListener = this.#sockets.get(listener.socket)
    if (atDialer?.has(id) === true || atListener?.has(id) === true) {
      return 'ERR_DIAL_ID'
    }
    const { streamsPerSocket, streamsPerPair } = this.#options
    const key = pairKey(dialer.socket, listener.socket)
    const count = this.#pairCounts.get(key) ?? 0
    if (count >= streamsPerPair || Math.max(atDialer?.size ?? 0, atListener?.size ?? 0) >= streamsPerSocket) {
      return 'ERR_TOO_MANY_STREAMS'
    }
    const pair = makePair(id, dialer, listener)
    this.#streamsOf(dialer.socket).set(id, pair)
    this.#streamsOf(listener.socket).set(id, pair)
    this.#pairCounts.set(key, count + 1)
    this.#size++
    return undefined
  }

  /** Ends a stream whose dial came to nothing; both ends are told why. */
  cancel (socket: string, id: string, reason: Reason): readonly RelayOutput[] {
    this.#outputs = []
    const pair = this.#sockets.get(socket)?.get(id)
    if (pair != null) {
      this.#break(pair, reason)
    }
    return this.#outputs
  }

  input (event: RelayEvent, now: number): readonly RelayOutput[] {
    this.#outputs = []
    switch (event.type) {
      case 'frame':
        this.#frame(event.socket, event.name, event.payload, now)
        break
      case 'flushed':
        this.#flushed(event.half, event.bytes, now)
        break
      case 'disconnect':
        this.#disconnect(event.socket)
        break
      case 'wake':
        this.#wake(now)
        break
    }
    return this.#outputs
  }

  #frame (socket: string, name: unknown, payload: unknown, now: number): void {
    const event = parseEventName(name)
    const pair = event == null ? undefined : this.#sockets.get(socket)?.get(event.id)
    if (event == null || pair == null) {
      return // a stream that is over, or never was: late events are no fault
    }
    const half = pair[event.side]
    const fromWriter = half.writer.socket === socket
    if (half.over || fromWriter !== (event.kind === 'queue' || event.kind === 'error')) {
      return
    }
    switch (event.kind) {
      case 'queue':
        return this.#queue(half, payload, now)
      case 'error':
        this.#toReader(half, 'error', endReason(payload, half.reader))
        return this.#end(half)
      case 'accept':
        return this.#accept(half, payload)
      case 'credit':
        return isCredit(payload) && !half.reader.original ? this.#arrived(half, payload, now) : undefined
      case 'abort':
        if (!half.writer.original) {
          this.#toWriter(half, 'abort', endReason(payload, half.writer))
        }
        return this.#end(half)
    }
  }

  #queue (half: Half, payload: unknown, now: number): void {
    if (!(payload instanceof Uint8Array)) {
      return this.#break(half.pair, 'ERR_PROTOCOL')
    }
    half.inFlight += chunkCost(payload.byteLength)
    const limit = half.writer.original ? OVERSHOOT * this.#options.pairBudget : half.window
    if (half.inFlight > limit) {
      return this.#break(half.pair, 'ERR_BUDGET')
    }
    this.#toReader(half, 'queue', payload)
    if (half.writer.original && !half.braked && half.inFlight >= this.#options.pairBudget / 2) {
      this.#brake(half, now)
    }
  }

  #accept (half: Half, wish: unknown): void {
    if (half.accepted) {
      return
    }
    half.accepted = true
    if (half.writer.original) {
      return this.#toWriter(half, 'accept')
    }
    const window = half.reader.original || !isCredit(wish) ? this.#options.pairBudget : Math.min(wish, this.#options.pairBudget)
    half.window = Math.max(window, INITIAL_CREDIT)
    this.#toWriter(half, 'accept', half.window)
  }

  /** Bytes of a half have come to their reader, by its own word or, for an original one, by being flushed. */
  #arrived (half: Half, bytes: number, now: number): void {
    const granted = Math.min(bytes, half.inFlight) // nobody can grant what was never sent
    half.inFlight -= granted
    if (half.writer.original) {
      if (half.braked && half.inFlight <= this.#options.pairBudget / 4) {
        this.#release(half)
      } else if (half.braked && granted > 0) {
        this.#expectBy(half, now) // slow is not stalled
      }
    } else if (granted > 0) {
      half.ungranted += granted
      if (half.ungranted >= half.window / GRANT_FRACTION) {
        this.#toWriter(half, 'credit', half.ungranted)
        half.ungranted = 0
      }
    }
  }

  #flushed (half: Half, bytes: number, now: number): void {
    if (half.reader.original && !half.over) {
      this.#arrived(half, chunkCost(bytes), now)
    }
  }

  #brake (half: Half, now: number): void {
    half.braked = true
    this.#expectBy(half, now)
    const { socket } = half.writer
    const brakes = this.#brakes.get(socket) ?? 0
    this.#brakes.set(socket, brakes + 1)
    if (brakes === 0) {
      this.#outputs.push({ do: 'pause', socket })
    }
  }

  /** From now on the reader has its full time again to read something. */
  #expectBy (half: Half, now: number): void {
    this.#stalled.delete(half) // so that they stand in the order of their deadlines
    this.#stalled.set(half, now + this.#options.stallTimeout)
  }

  #release (half: Half): void {
    if (!half.braked) {
      return
    }
    half.braked = false
    this.#stalled.delete(half)
    const { socket } = half.writer
    const brakes = (this.#brakes.get(socket) ?? 1) - 1
    if (brakes > 0) {
      this.#brakes.set(socket, brakes)
    } else {
      this.#brakes.delete(socket)
      this.#outputs.push({ do: 'resume', socket })
    }
  }

  #wake (now: number): void {
    for (const [half, deadline] of this.#stalled) {
      if (deadline > now) {
        break
      }
      this.#break(half.pair, 'ERR_STALLED')
    }
  }

  #disconnect (socket: string): void {
    for (const pair of this.#sockets.get(socket)?.values() ?? []) {
      for (const half of [pair.dialer, pair.listener]) {
        if (!half.over && half.writer.socket === socket) {
          // an original end hears what the original server says: the end, in good order
          this.#toReader(half, 'error', half.reader.original ? true : 'ERR_PEER_GONE')
        } else if (!half.over && !half.writer.original) {
          this.#toWriter(half, 'abort', 'ERR_PEER_GONE')
        }
      }
      this.#forget(pair)
    }
  }

  #break (pair: Pair, reason: Reason): void {
    for (const half of [pair.dialer, pair.listener]) {
      if (!half.over) {
        this.#toReader(half, 'error', reason)
        if (!half.writer.original) {
          this.#toWriter(half, 'abort', reason)
        }
      }
    }
    this.#forget(pair)
    this.#outputs.push({ do: 'broken', reason })
  }

  #end (half: Half): void {
    half.over = true
    this.#release(half)
    if (half.pair.dialer.over && half.pair.listener.over) {
      this.#forget(half.pair)
    }
  }

  #forget (pair: Pair): void {
    for (const half of [pair.dialer, pair.listener]) {
      half.over = true
      this.#release(half)
      const streams = this.#sockets.get(half.writer.socket)
      streams?.delete(pair.id)
      if (streams?.size === 0) {
        this.#sockets.delete(half.writer.socket)
      }
    }
    const key = pairKey(pair.dialer.writer.socket, pair.listener.writer.socket)
    const count = (this.#pairCounts.get(key) ?? 1) - 1
    if (count > 0) {
      this.#pairCounts.set(key, count)
    } else {
      this.#pairCounts.delete(key)
    }
    this.#size--
  }

  #toReader (half: Half, kind: Kind, payload: unknown): void {
    const { pair: { id }, side, reader: { socket } } = half
    this.#outputs.push({ do: 'emit', socket, kind, id, side, payload, ...(kind === 'queue' ? { half } : {}) })
  }

  #toWriter (half: Half, kind: Kind, payload?: unknown): void {
    const { pair: { id }, side, writer: { socket } } = half
    this.#outputs.push({ do: 'emit', socket, kind, id, side, ...(payload === undefined ? {} : { payload }) })
  }

  #streamsOf (socket: string): Map<string, Pair> {
    const streams = this.#sockets.get(socket) ?? new Map<string, Pair>()
    this.#sockets.set(socket, streams)
    return streams
  }
}

function makePair (id: string, dialer: RelayEnd, listener: RelayEnd): Pair {
  const ends = { dialer, listener }
  const half = (side: Side): Half => ({
    // set below: a half and its pair know each other
    pair: undefined as unknown as Pair,
    side,
    writer: ends[side],
    reader: ends[otherSide(side)],
    window: INITIAL_CREDIT,
    inFlight: 0,
    ungranted: 0,
    accepted: false,
    over: false,
    braked: false
  })
  const pair: Pair = { id, dialer: half('dialer'), listener: half('listener') }
  return Object.assign(pair, { dialer: Object.assign(pair.dialer, { pair }), listener: Object.assign(pair.listener, { pair }) })
}

/**
 * What a peer gave as reason, made harmless: `true` is an end in good order; an original's Error comes as an empty
 * object anyway.
 */
function endReason (reason: unknown, to: RelayEnd): unknown {
  if (reason === true) {
    return true
  }
  return typeof reason === 'string' ? reason.slice(0, MAX_REASON) : to.original ? {} : 'ERR_STREAM_RESET'
}

/** The same for both orders. */
function pairKey (one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}
