// The peer's side of a contact exchange, over one connection or two, one of each family. A machine without I/O.
//
//   connecting ─▸ creating (the creator) ─▸ recording ─▸ sharing ─▸ waiting ─▸ over
//
// What is said to the server once goes over IPv6 where that is there. The server is not trusted: whatever it says that is not
// due ends the exchange.
import { StarError } from '../errors.ts'
import { FrameReader, VERSION, decodeReply, encodeRequest } from './wire.ts'
import type { Reason, StarErrorOptions } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { Family, SocketAddress } from './address.ts'
import type { Contact, FullContact, Reply, Request } from './wire.ts'

/** What the exchange is told. A connection is known by its family. */
export type ExchangeEvent =
  /** A connection is there, from that address of this device. */
  | { readonly type: 'open', readonly family: Family, readonly local: SocketAddress | undefined }
  | { readonly type: 'bytes', readonly family: Family, readonly bytes: Uint8Array }
  /** A connection could not be made, or has ended. */
  | { readonly type: 'lost', readonly family: Family, readonly cause?: Error }
  | { readonly type: 'wake' }

/** What the driver is to do. Nothing follows `done` and `fail`. */
export type ExchangeOutput =
  | { readonly do: 'send', readonly family: Family, readonly bytes: Uint8Array }
  /** It took too long to connect. */
  | { readonly do: 'close', readonly family: Family }
  /** The creator's room is there: the other peer may come. */
  | { readonly do: 'created' }
  | { readonly do: 'done', readonly own: FullContact, readonly peer: FullContact }
  | { readonly do: 'fail', readonly error: StarError }

/** What is exchanged, and for how long. */
export interface ExchangeOptions {
  readonly room: string
  readonly creator: boolean
  /** What the other peer is told of our own network; by default from where the connections were made. */
  readonly local: Contact | undefined
  /** The connections that are being made. */
  readonly families: readonly Family[]
  /** Milliseconds for all of it. */
  readonly timeout: number
}

/** Milliseconds in which a connection is to be made. */
export const CONNECT_TIME = 5_000
/** Milliseconds for which the second connection is waited for when there is the first one. */
export const SECOND_TIME = 1_000
/** Milliseconds for each answer of the server, but for the one that the other peer has to come for. */
export const ANSWER_TIME = 10_000
/** Milliseconds after which who has asked too often may ask again. */
const RATE_TIME = 60_000

const ERRORS: Readonly<Partial<Record<Reply['type'], Reason>>> = {
  ErrorRoomTaken: 'ERR_ROOM_TAKEN',
  ErrorPeerTimedOut: 'ERR_ROOM_TIMEOUT',
  ErrorNoSuchRoomCode: 'ERR_NO_ROOM',
  ErrorUnexpectedMsg: 'ERR_ROOM_ROLE',
  ErrorTooManyRequests: 'ERR_TOO_MANY_REQUESTS'
}

/** What makes the longest request. */
const LONGEST: Contact = {
  v4: { ip: '255.255.255.255', port: 65_535 },
  v6: { ip: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295', port: 65_535 }
}

interface Line {
  readonly reader: FrameReader
  local: SocketAddress | undefined
  open: boolean
}

/** One peer's exchange of contacts. */
export class Exchange implements Machine<ExchangeEvent, ExchangeOutput> {
  readonly #options: ExchangeOptions
  /** Connections that are there, and those being made; in the order in which they are used. */
  readonly #lines = new Map<Family, Line>()
  readonly #end: number
  #phase: 'connecting' | 'creating' | 'recording' | 'sharing' | 'waiting' | 'over' = 'connecting'
  #deadline: number
  /** The connection over which all goes that is said once. */
  #first: Family = 'v6'
  /** Connections that have told the server where they come from, and of those the ones that have no answer yet. */
  readonly #recorded = new Set<Family>()
  readonly #due = new Set<Family>()
  #own: FullContact | undefined
  /** Why connections could not be made. */
  readonly #causes: Error[] = []
  #outputs: ExchangeOutput[] = []

  /** Throws {@link StarError} `ERR_ARGUMENTS` for a room code that is too long. */
  constructor (options: ExchangeOptions, now: number) {
    this.#options = options
    encodeRequest(VERSION, { type: 'ReadyToShare', room: options.room, isCreator: false, local: LONGEST })
    for (const family of (['v6', 'v4'] as const).filter(one => options.families.includes(one))) {
      this.#lines.set(family, { reader: new FrameReader([VERSION]), local: undefined, open: false })
    }
    this.#end = now + options.timeout
    this.#deadline = now + CONNECT_TIME
  }

  get wakeAt (): number | undefined {
    return this.#phase === 'over' ? undefined : Math.min(this.#deadline, this.#end)
  }

  input (event: ExchangeEvent, now: number): readonly ExchangeOutput[] {
    this.#outputs = []
    if (event.type === 'wake') {
      this.#wake(now)
      return this.#outputs
    }
    const line = this.#lines.get(event.family)
    if (line == null || this.#phase === 'over') {
      return this.#outputs
    }
    if (event.type === 'lost') {
      this.#lose(event.family, event.cause, now)
    } else if (event.type === 'open') {
      this.#open(line, event.local, now)
    } else {
      this.#hear(event.family, line.reader, event.bytes, now)
    }
    return this.#outputs
  }

  #open (line: Line, local: SocketAddress | undefined, now: number): void {
    if (!line.open) {
      line.open = true
      line.local = local
      this.#deadline = Math.min(this.#deadline, now + SECOND_TIME)
      this.#beginIfReady(now)
    }
  }

  #hear (family: Family, reader: FrameReader, bytes: Uint8Array, now: number): void {
    reader.push(bytes)
    try {
      for (let frame = reader.next(); frame != null && this.#phase !== 'over'; frame = reader.next()) {
        this.#take(family, decodeReply(frame), now)
      }
    } catch (error) {
      this.#fail(error instanceof StarError ? error : new StarError('ERR_PROTOCOL', { cause: error }))
    }
  }

  /** Goes on when each connection is there or is lost. */
  #beginIfReady (now: number): void {
    const lines = [...this.#lines.values()]
    if (this.#phase !== 'connecting' || !lines.every(line => line.open)) {
      return
    }
    const [first] = this.#lines.keys()
    if (first == null) {
      return this.#fail(new StarError('ERR_STAR_UNREACHABLE', particulars(this.#causes)))
    }
    this.#first = first
    if (this.#options.creator) {
      this.#enter('creating', now)
      this.#say(first, { type: 'CreateRoom', room: this.#options.room })
    } else {
      this.#record(now)
    }
  }

  #record (now: number): void {
    this.#enter('recording', now)
    for (const family of this.#lines.keys()) {
      this.#recorded.add(family)
      this.#due.add(family)
      this.#say(family, { type: 'RecordPublicAddr', room: this.#options.room, isCreator: this.#options.creator })
    }
  }

  #shareIfReady (now: number): void {
    if (this.#phase === 'recording' && this.#due.size === 0) {
      this.#enter('sharing', now)
      const seen = { v4: this.#lines.get('v4')?.local, v6: this.#lines.get('v6')?.local }
      const { room, creator: isCreator, local = seen } = this.#options
      this.#say(this.#first, { type: 'ReadyToShare', room, isCreator, local })
    }
  }

  #take (family: Family, reply: Reply, now: number): void {
    const reason = ERRORS[reply.type]
    const isFirst = family === this.#first
    if (reason != null) {
      this.#fail(new StarError(reason, reason === 'ERR_TOO_MANY_REQUESTS' ? { retryAfter: RATE_TIME } : {}))
    } else if (reply.type === 'RoomCreated' && isFirst && this.#phase === 'creating') {
      this.#outputs.push({ do: 'created' })
      this.#record(now)
    } else if (reply.type === 'ReceivedAddr' && this.#due.delete(family)) {
      this.#shareIfReady(now)
    } else if (reply.type === 'ClientContact' && isFirst && this.#phase === 'sharing') {
      this.#takeOwn(reply.contact)
    } else if (reply.type === 'PeerContact' && isFirst && this.#own != null) {
      this.#phase = 'over'
      this.#outputs.push({ do: 'done', own: this.#own, peer: reply.contact })
    } else {
      this.#fail(new StarError('ERR_PROTOCOL', { detail: `the contact server said ${reply.type}` }))
    }
  }

  #takeOwn (own: FullContact): void {
    if ((['v4', 'v6'] as const).some(family => own.public[family] != null && !this.#recorded.has(family))) {
      return this.#fail(new StarError('ERR_ROOM_ROLE', { detail: 'an address was recorded that we have not come from' }))
    }
    this.#own = own
    this.#phase = 'waiting'
    this.#deadline = this.#end
  }

  #lose (family: Family, cause: Error | undefined, now: number): void {
    const causes = cause == null ? [] : [cause]
    this.#lines.delete(family)
    this.#due.delete(family)
    if (this.#phase === 'connecting') {
      this.#causes.push(...causes)
      this.#beginIfReady(now)
    } else if (family === this.#first) {
      this.#fail(new StarError('ERR_STAR_LOST', particulars(causes)))
    } else {
      this.#shareIfReady(now)
    }
  }

  #wake (now: number): void {
    if (now < (this.wakeAt ?? Infinity)) {
      return
    }
    if (this.#phase !== 'connecting' || now >= this.#end) {
      return this.#fail(new StarError(this.#phase === 'waiting' ? 'ERR_ROOM_TIMEOUT' : 'ERR_STAR_TIMEOUT'))
    }
    for (const [family, { open }] of this.#lines) {
      if (!open) {
        this.#lines.delete(family)
        this.#outputs.push({ do: 'close', family })
      }
    }
    if (this.#lines.size === 0) {
      return this.#fail(new StarError('ERR_STAR_TIMEOUT', particulars(this.#causes)))
    }
    this.#beginIfReady(now)
  }

  #enter (phase: 'creating' | 'recording' | 'sharing', now: number): void {
    this.#phase = phase
    this.#deadline = now + ANSWER_TIME
  }

  #say (family: Family, request: Request): void {
    this.#outputs.push({ do: 'send', family, bytes: encodeRequest(VERSION, request) })
  }

  #fail (error: StarError): void {
    this.#phase = 'over'
    this.#outputs.push({ do: 'fail', error })
  }
}

/** What an error says of its causes: a name may have no address of one family, which says little of why the other one failed. */
function particulars (causes: readonly Error[]): StarErrorOptions {
  return causes.length === 0 ? {} : { detail: causes.map(({ message }) => message).join('; '), cause: causes.at(-1) }
}
