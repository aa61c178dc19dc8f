// The contact server's side: connections, rooms in which two peers meet, and who is told of whom. A machine without I/O.
//
//   CreateRoom ──▸ room ──RecordPublicAddr, ReadyToShare of one peer──▸ it waits ──ReadyToShare of the other──▸ both are told
//                   └──────────────────────── its time is over: who waits is told so ────────────────────────┘
//
// While a connection waits nothing of it is read, so nothing that comes behind ReadyToShare is answered before that.
import { familyOf } from './address.ts'
import { Deadlines, Tally } from './bounds.ts'
import { FrameReader, decodeRequest, roomKey } from './wire.ts'
import type { Machine } from '../machine.ts'
import type { Family, SocketAddress } from './address.ts'
import type { Contact, FullContact, Reply, Request, Version } from './wire.ts'

/** What the rooms are told. `connection` is the driver's name for a connection, never used again for another one. */
export type RoomsEvent =
  /** A connection is there. `key` stands for the network that its address is in: limits go by it. */
  | { readonly type: 'open', readonly connection: number, readonly address: SocketAddress, readonly key: string }
  /** The connection isn't encrypted where others are: it may ask where it comes from, and has no rooms. */
  | { readonly type: 'bare', readonly connection: number }
  | { readonly type: 'bytes', readonly connection: number, readonly bytes: Uint8Array }
  /** The other end sends no more. */
  | { readonly type: 'end', readonly connection: number }
  /** The connection is gone, whoever closed it. */
  | { readonly type: 'close', readonly connection: number }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type RoomsOutput =
  | { readonly do: 'send', readonly connection: number, readonly version: Version, readonly reply: Reply }
  /** Close, after all that the connection still has to be sent; what comes from it counts for nothing any more. */
  | { readonly do: 'close', readonly connection: number }
  /** Cut it off at once: there are too many. It is not counted, and there is no need to tell that it is gone. */
  | { readonly do: 'refuse', readonly connection: number }
  /** Read no more of it, since enough has come that can't be answered yet; and go on. */
  | { readonly do: 'pause' | 'resume', readonly connection: number }

/** The rooms' bounds; the server's options say what each is for. */
export interface RoomsOptions {
  /** Milliseconds. */
  readonly contactRoomTime: number
  /** Milliseconds. */
  readonly contactIdle: number
  readonly contactConnections: number
  readonly contactConnectionsPerAddress: number
  readonly contactRooms: number
  readonly contactRoomsPerAddress: number
  readonly contactRequestsPerMinute: number
}

/** Milliseconds that a frame may take, from its first byte to its last. */
const FRAME_TIME = 10_000
/** Bytes kept of a connection that waits, before it is not read any more. */
const MAX_HELD = 65_536

/** The time over which requests are counted, the same one for all. */
const MINUTE = 60_000
/** At most so many networks are counted: one more begins a new minute. */
const MAX_COUNTED = 65_536
const VERSIONS = [1, 2, 3] as const

/** A connection, from when it is there until it is gone. */
interface Guest {
  readonly connection: number
  readonly address: SocketAddress
  readonly key: string
  reader: FrameReader
  /** Rooms are not for it. */
  bare: boolean
  /** False once it is being closed, or is gone. */
  open: boolean
  /** The other end sends no more. */
  ended: boolean
  paused: boolean
  /** How many public addresses of living rooms were recorded on it. */
  records: number
  /** In which role it waits for the other peer. */
  waits: Role | undefined
}

/** One of the two peers in a room. */
interface Role {
  /** Whose public addresses were recorded. */
  owners: Partial<Record<Family, Guest>>
  local: Contact
  /** The connection on which it waits for the other peer. */
  waiter: Guest | undefined
}

interface Room {
  readonly name: string
  /** Who made it: limits go by it. */
  readonly key: string
  readonly creator: Role
  readonly joiner: Role
}

/** All rooms of one contact server. */
export class Rooms implements Machine<RoomsEvent, RoomsOutput> {
  readonly #options: RoomsOptions
  readonly #guests = new Map<number, Guest>()
  readonly #rooms = new Map<string, Room>()
  readonly #guestsOf = new Tally()
  readonly #roomsOf = new Tally()
  readonly #requestsOf = new Tally()
  #minuteEnds = -Infinity
  readonly #roomTimes: Deadlines<Room>
  readonly #idleTimes: Deadlines<Guest>
  readonly #frameTimes = new Deadlines<Guest>(FRAME_TIME)
  /** Connections of which something may have to be read. */
  #unread: Guest[] = []
  #outputs: RoomsOutput[] = []

  constructor (options: RoomsOptions) {
    this.#options = options
    this.#roomTimes = new Deadlines(options.contactRoomTime)
    this.#idleTimes = new Deadlines(options.contactIdle)
  }

  get wakeAt (): number | undefined {
    const moments = [this.#roomTimes.next, this.#idleTimes.next, this.#frameTimes.next].filter(moment => moment != null)
    return moments.length === 0 ? undefined : Math.min(...moments)
  }

  /** How many connections there are, those included that are being closed. */
  get connections (): number {
    return this.#guests.size
  }

  get rooms (): number {
    return this.#rooms.size
  }

  /** How many peers wait for their other one. */
  get waiting (): number {
    return [...this.#rooms.values()].flatMap(rolesOf).filter(role => role.waiter != null).length
  }

  input (event: RoomsEvent, now: number): readonly RoomsOutput[] {
    this.#outputs = []
    this.#expire(now)
    if (event.type === 'open') {
      this.#enter(event.connection, event.address, event.key, now)
    } else if (event.type !== 'wake') {
      const guest = this.#guests.get(event.connection)
      if (guest != null) {
        this.#hear(guest, event)
      }
    }
    // one that has waited may bring others to the end of their waiting, and so on
    for (let guest = this.#unread.shift(); guest != null; guest = this.#unread.shift()) {
      this.#read(guest, now)
    }
    return this.#outputs
  }

  #enter (connection: number, address: SocketAddress, key: string, now: number): void {
    const { contactConnections, contactConnectionsPerAddress } = this.#options
    if (this.#guests.size >= contactConnections || this.#guestsOf.of(key) >= contactConnectionsPerAddress) {
      this.#outputs.push({ do: 'refuse', connection })
      return
    }
    const state = { bare: false, open: true, ended: false, paused: false, records: 0, waits: undefined }
    const guest: Guest = { connection, address, key, reader: new FrameReader(VERSIONS), ...state }
    this.#guests.set(connection, guest)
    this.#guestsOf.add(key)
    this.#idleTimes.set(guest, now)
  }

  #hear (guest: Guest, event: Exclude<RoomsEvent, { readonly type: 'open' | 'wake' }>): void {
    if (event.type === 'close') {
      this.#guests.delete(guest.connection)
      this.#guestsOf.remove(guest.key)
      return this.#forget(guest)
    }
    if (!guest.open) {
      return
    }
    if (event.type === 'bare') {
      guest.bare = true
    } else if (event.type === 'end') {
      guest.ended = true
    } else {
      guest.reader.push(event.bytes)
    }
    if (guest.waits != null && !guest.paused && guest.reader.size > MAX_HELD) {
      guest.paused = true
      this.#outputs.push({ do: 'pause', connection: guest.connection })
    }
    this.#unread.push(guest)
  }

  /** Answers all that a connection has said, up to where it has to wait. */
  #read (guest: Guest, now: number): void {
    while (guest.open && guest.waits == null) {
      const request = this.#next(guest)
      if (request == null) {
        break
      }
      this.#frameTimes.delete(guest)
      this.#answer(guest, request, now)
      this.#restart(guest, now)
    }
    if (guest.open && guest.waits == null) {
      if (guest.ended) {
        this.#fault(guest)
      } else if (guest.reader.size > 0) {
        this.#frameTimes.start(guest, now)
      }
    }
  }

  /** From now on it may be silent for a while; as long as it likes while it waits, or a room has an address of it. */
  #restart (guest: Guest, now: number): void {
    if (guest.open && guest.waits == null && guest.records === 0) {
      this.#idleTimes.set(guest, now)
    } else {
      this.#idleTimes.delete(guest)
    }
  }

  /** The next request, if it is there; a connection that says what is none is closed. */
  #next (guest: Guest): Request | undefined {
    try {
      const frame = guest.reader.next()
      return frame && decodeRequest(frame)
    } catch {
      this.#fault(guest)
      return undefined
    }
  }

  #answer (guest: Guest, request: Request, now: number): void {
    if (request.type === 'ReflectAddr') {
      const seen = { v4: undefined, v6: undefined, [familyOf(guest.address)]: guest.address }
      return this.#send(guest, { type: 'ReflectedAddr', seen })
    }
    if (guest.bare) {
      return this.#fault(guest)
    }
    const name = roomKey(request.room)
    const room = this.#rooms.get(name)
    if (request.type === 'CreateRoom') {
      return this.#create(guest, name, now)
    }
    if (room == null) {
      return this.#reject(guest, 'ErrorNoSuchRoomCode', now)
    }
    const role = request.isCreator ? room.creator : room.joiner
    if (!isFreeFor(guest, role, request.type)) {
      return this.#reject(guest, 'ErrorUnexpectedMsg', now)
    }
    const owners = Object.entries(role.owners)
    if (!owners.some(([, owner]) => owner === guest)) {
      // what those have recorded who are gone is not mixed with what comes from somebody else
      role.owners = Object.fromEntries(owners.filter(([, owner]) => owner.open))
    }
    if (request.type === 'RecordPublicAddr') {
      guest.records += role.owners[familyOf(guest.address)] === guest ? 0 : 1
      role.owners[familyOf(guest.address)] = guest
      return this.#send(guest, { type: 'ReceivedAddr' })
    }
    role.local = request.local
    role.waiter = guest
    guest.waits = role
    this.#send(guest, { type: 'ClientContact', contact: contactOf(role) })
    const other = request.isCreator ? room.joiner : room.creator
    if (other.waiter != null) {
      this.#send(other.waiter, { type: 'PeerContact', contact: contactOf(role) })
      this.#send(guest, { type: 'PeerContact', contact: contactOf(other) })
      this.#end(room, now)
    }
  }

  #create (guest: Guest, name: string, now: number): void {
    const { contactRooms, contactRoomsPerAddress } = this.#options
    if (this.#isTooMany(guest, now)) {
      return this.#turnAway(guest)
    }
    if (this.#rooms.has(name)) {
      return this.#send(guest, { type: 'ErrorRoomTaken' })
    }
    if (this.#rooms.size >= contactRooms || this.#roomsOf.of(guest.key) >= contactRoomsPerAddress) {
      return this.#turnAway(guest)
    }
    const room: Room = { name, key: guest.key, creator: newRole(), joiner: newRole() }
    this.#rooms.set(name, room)
    this.#roomsOf.add(room.key)
    this.#roomTimes.set(room, now)
    this.#send(guest, { type: 'RoomCreated' })
  }

  /** Counts a request; true when it is one too many. */
  #isTooMany ({ key }: Guest, now: number): boolean {
    if (now >= this.#minuteEnds || this.#requestsOf.size >= MAX_COUNTED) {
      this.#requestsOf.clear()
      this.#minuteEnds = now + MINUTE
    }
    const isTooMany = this.#requestsOf.of(key) >= this.#options.contactRequestsPerMinute
    if (!isTooMany) {
      this.#requestsOf.add(key)
    }
    return isTooMany
  }

  /** Refuses a request of a kind that is counted: who guesses has few tries. */
  #reject (guest: Guest, type: 'ErrorNoSuchRoomCode' | 'ErrorUnexpectedMsg', now: number): void {
    if (this.#isTooMany(guest, now)) {
      this.#turnAway(guest)
    } else {
      this.#send(guest, { type })
    }
  }

  #turnAway (guest: Guest): void {
    this.#send(guest, { type: 'ErrorTooManyRequests' })
    this.#close(guest)
  }

  #fault (guest: Guest): void {
    this.#send(guest, { type: 'ErrorSyntax' })
    this.#close(guest)
  }

  #send (guest: Guest, reply: Reply): void {
    this.#outputs.push({ do: 'send', connection: guest.connection, version: guest.reader.version, reply })
  }

  #close (guest: Guest): void {
    this.#forget(guest)
    this.#outputs.push({ do: 'close', connection: guest.connection })
  }

  /** A connection counts for nothing any more. A role in which it waits is free again; what it has recorded stays until then. */
  #forget (guest: Guest): void {
    guest.open = false
    guest.reader = new FrameReader(VERSIONS) // a room may still know the guest, and should not keep its bytes
    this.#idleTimes.delete(guest)
    this.#frameTimes.delete(guest)
    if (guest.waits != null) {
      guest.waits.waiter = undefined
      guest.waits = undefined
    }
  }

  /** A room ends: who has waited in it waits no more, and is read again. */
  #end (room: Room, now: number): void {
    this.#rooms.delete(room.name)
    this.#roomsOf.remove(room.key)
    this.#roomTimes.delete(room)
    for (const { owners, waiter } of rolesOf(room)) {
      for (const owner of Object.values(owners)) {
        owner.records--
        this.#restart(owner, now)
      }
      if (waiter != null) {
        waiter.waits = undefined
        this.#restart(waiter, now)
        this.#unread.push(waiter)
        if (waiter.paused) {
          waiter.paused = false
          this.#outputs.push({ do: 'resume', connection: waiter.connection })
        }
      }
    }
  }

  #expire (now: number): void {
    for (const room of this.#roomTimes.due(now)) {
      for (const { waiter } of rolesOf(room)) {
        if (waiter != null) {
          this.#send(waiter, { type: 'ErrorPeerTimedOut' })
        }
      }
      this.#end(room, now)
    }
    for (const guest of this.#frameTimes.due(now)) {
      this.#fault(guest)
    }
    for (const guest of this.#idleTimes.due(now)) {
      this.#close(guest)
    }
  }
}

function newRole (): Role {
  return { owners: {}, local: { v4: undefined, v6: undefined }, waiter: undefined }
}

function rolesOf ({ creator, joiner }: Room): Role[] {
  return [creator, joiner]
}

/**
 * Nothing but the room's code proves a role. So it is whose came first: as long as that connection is there, no other one changes
 * the address that it has recorded, or says that the role is ready; and nobody changes a role that waits.
 */
function isFreeFor (guest: Guest, { owners, waiter }: Role, type: Request['type']): boolean {
  if (waiter != null) {
    return false
  }
  const contested = type === 'RecordPublicAddr' ? [owners[familyOf(guest.address)]] : Object.values(owners)
  const living = contested.filter(owner => owner?.open === true)
  return living.length === 0 || living.includes(guest)
}

function contactOf ({ owners, local }: Role): FullContact {
  return { local, public: { v4: owners.v4?.address, v6: owners.v6?.address } }
}
