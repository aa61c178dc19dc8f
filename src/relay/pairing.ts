// The raw relay's paths: who may enter one, which two sockets it joins, and with which code each is closed. A machine
// without I/O; the bytes themselves never come here.
//
//   announced ──enter──▸ waiting ──enter──▸ paired ──leave──▸ the other end is closed with what `reflect` makes of it
//       └──── too late, or its owner is gone ────┘
//
// A path is good for one pair. In an open relay a path that nobody announced may be entered too.
import { RelayCode, reflect } from './close.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'

/** What the pairing is told. `socket` is the driver's name for one WebSocket, `owner` its name for one client of the star. */
export type PairingEvent =
  /** A WebSocket was opened, which {@link Pairing.admits} let in right before; without a path where its URL has none. */
  | { readonly type: 'enter', readonly socket: number, readonly path: string | undefined, readonly address: string }
  /** A WebSocket broke the rules. */
  | { readonly type: 'fault', readonly socket: number }
  /** The pair of that WebSocket has carried as much as it may. */
  | { readonly type: 'exhausted', readonly socket: number }
  /** A WebSocket is gone, whoever closed it, with that code. */
  | { readonly type: 'leave', readonly socket: number, readonly code: number }
  /** A client that may have announced paths is gone. */
  | { readonly type: 'drop', readonly owner: string }
  /** The star goes down. */
  | { readonly type: 'stop' }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type PairingOutput =
  /** From now on what one of the two sends goes to the other, with what the first one has sent already. */
  | { readonly do: 'pair', readonly first: number, readonly second: number }
  /** Close with that code, after all that the socket still has to be sent; what it sends from now on counts for nothing. */
  | { readonly do: 'close', readonly socket: number, readonly code: number }

/** The pairing's bounds; the server's options say what each is for. */
export interface PairingOptions {
  readonly openRelay: boolean
  /** Milliseconds. */
  readonly relayWait: number
  readonly relayPairs: number
  readonly relayPairsPerAddress: number
}

/** Why a socket isn't even let in: the relay is full, or there are as many from its address as there may be. */
export type Turned = 'full' | 'address'

/** At most so many paths announced by one client may be without a pair. */
export const MAX_ANNOUNCED = 1_024

/** A path that has no pair yet. */
interface Place {
  readonly path: string
  /** Who announced it; nobody in an open relay. */
  readonly owner: string | undefined
  readonly deadline: number
  /** Who waits there. */
  first: number | undefined
}

/** A path that has its pair; it stays until both sockets are gone. */
interface Pair {
  readonly path: string
  readonly ends: Set<number>
}

/** A WebSocket, from when it is opened until it is gone. */
interface Guest {
  readonly address: string
  /** Where it waits. */
  place: Place | undefined
  pair: Pair | undefined
  closing: boolean
}

/** All paths of one star's raw relay. */
export class Pairing implements Machine<PairingEvent, PairingOutput> {
  readonly #options: PairingOptions
  /** Paths without a pair, in the order of their deadlines: each had the same time when it was put here. */
  readonly #places = new Map<string, Place>()
  readonly #pairs = new Map<string, Pair>()
  readonly #guests = new Map<number, Guest>()
  readonly #announced = new Map<string, Set<Place>>()
  readonly #addresses = new Map<string, number>()
  #waiting = 0
  #outputs: PairingOutput[] = []

  constructor (options: PairingOptions) {
    this.#options = options
  }

  get wakeAt (): number | undefined {
    const [next] = this.#places.values()
    return next?.deadline
  }

  /** How many pairs there are, those included of which one end is not gone yet. */
  get pairs (): number {
    return this.#pairs.size
  }

  /** How many sockets wait for their other end. */
  get waiting (): number {
    return this.#waiting
  }

  /** Takes the announcement of a path, which has been checked to be one; tells why not when it can't. */
  announce (owner: string, path: string, now: number): Reason | undefined {
    if (this.#places.has(path) || this.#pairs.has(path)) {
      return 'ERR_RELAY_PATH'
    }
    const announced = this.#announced.get(owner) ?? new Set()
    if (announced.size >= MAX_ANNOUNCED) {
      return 'ERR_TOO_MANY_PATHS'
    }
    announced.add(this.#place(path, owner, now))
    this.#announced.set(owner, announced)
    return undefined
  }

  /** To be asked right before `enter`: why that socket can't be let in, if it can't. */
  admits (path: string | undefined, address: string): Turned | undefined {
    const { relayPairs, relayPairsPerAddress } = this.#options
    if ((this.#addresses.get(address) ?? 0) >= relayPairsPerAddress) {
      return 'address'
    }
    const place = path == null ? undefined : this.#places.get(path)
    const first = path != null && !this.#pairs.has(path) && (place == null ? this.#options.openRelay : place.first == null)
    // who waits has a pair's room already: a second socket never finds the relay full
    return first && this.#pairs.size + this.#waiting >= relayPairs ? 'full' : undefined
  }

  input (event: PairingEvent, now: number): readonly PairingOutput[] {
    this.#outputs = []
    switch (event.type) {
      case 'enter':
        this.#enter(event.socket, event.path, event.address, now)
        break
      case 'fault':
        this.#fault(event.socket, RelayCode.left)
        break
      case 'exhausted':
        this.#fault(event.socket, RelayCode.refused)
        break
      case 'leave':
        this.#leave(event.socket, event.code)
        break
      case 'drop':
        this.#announced.get(event.owner)?.forEach(place => { this.#miss(place) })
        break
      case 'stop':
        this.#stop()
        break
      case 'wake':
        this.#wake(now)
        break
    }
    return this.#outputs
  }

  #place (path: string, owner: string | undefined, now: number): Place {
    const place: Place = { path, owner, deadline: now + this.#options.relayWait, first: undefined }
    this.#places.set(path, place)
    return place
  }

  #enter (socket: number, path: string | undefined, address: string, now: number): void {
    const guest: Guest = { address, place: undefined, pair: undefined, closing: false }
    this.#guests.set(socket, guest)
    this.#addresses.set(address, (this.#addresses.get(address) ?? 0) + 1)
    const place = path == null || this.#pairs.has(path) ? undefined : this.#placeOf(path, now)
    if (place == null) {
      return this.#close(socket, RelayCode.refused)
    }
    if (place.first == null) {
      place.first = socket
      guest.place = place
      this.#waiting++
      return
    }
    const { first } = place
    const pair: Pair = { path: place.path, ends: new Set([first, socket]) }
    this.#vacate(place)
    this.#forget(place)
    this.#pairs.set(pair.path, pair)
    for (const end of pair.ends) {
      Object.assign(this.#guests.get(end) ?? guest, { pair })
    }
    this.#outputs.push({ do: 'pair', first, second: socket })
  }

  #placeOf (path: string, now: number): Place | undefined {
    const place = this.#places.get(path)
    if (place != null && place.deadline <= now) {
      this.#miss(place) // the wake is late
      return this.#placeOf(path, now)
    }
    return place ?? (this.#options.openRelay ? this.#place(path, undefined, now) : undefined)
  }

  /** Closes a socket for what it did, and the other end of its pair with the code for that. */
  #fault (socket: number, others: number): void {
    const pair = this.#guests.get(socket)?.pair
    this.#close(socket, RelayCode.refused)
    pair?.ends.forEach(end => { this.#close(end, others) })
  }

  #leave (socket: number, code: number): void {
    const guest = this.#guests.get(socket)
    if (guest == null) {
      return
    }
    this.#stopWaiting(guest)
    this.#guests.delete(socket)
    const count = (this.#addresses.get(guest.address) ?? 1) - 1
    if (count > 0) {
      this.#addresses.set(guest.address, count)
    } else {
      this.#addresses.delete(guest.address)
    }
    const { pair } = guest
    pair?.ends.delete(socket)
    pair?.ends.forEach(end => { this.#close(end, reflect(code)) })
    if (pair?.ends.size === 0) {
      this.#pairs.delete(pair.path)
    }
  }

  #close (socket: number, code: number): void {
    const guest = this.#guests.get(socket)
    if (guest != null && !guest.closing) {
      this.#stopWaiting(guest)
      guest.closing = true
      this.#outputs.push({ do: 'close', socket, code })
    }
  }

  /** Takes a socket from where it waits; another may wait there if the path was announced. */
  #stopWaiting ({ place }: Guest): void {
    if (place != null) {
      this.#vacate(place)
      if (place.owner == null) {
        this.#forget(place)
      }
    }
  }

  #vacate (place: Place): void {
    const guest = place.first == null ? undefined : this.#guests.get(place.first)
    if (guest != null) {
      guest.place = undefined
      this.#waiting--
    }
    place.first = undefined
  }

  #forget (place: Place): void {
    this.#places.delete(place.path)
    const announced = place.owner == null ? undefined : this.#announced.get(place.owner)
    announced?.delete(place)
    if (place.owner != null && announced?.size === 0) {
      this.#announced.delete(place.owner)
    }
  }

  /** Nobody came: the path is no longer good, and who waits there is told. */
  #miss (place: Place): void {
    const { first } = place
    this.#vacate(place)
    this.#forget(place)
    if (first != null) {
      this.#close(first, RelayCode.missing)
    }
  }

  #stop (): void {
    for (const place of this.#places.values()) {
      this.#vacate(place)
      this.#forget(place)
    }
    for (const socket of this.#guests.keys()) {
      this.#close(socket, RelayCode.goingDown)
    }
  }

  #wake (now: number): void {
    for (const place of this.#places.values()) {
      if (place.deadline > now) {
        break
      }
      this.#miss(place)
    }
  }
}
