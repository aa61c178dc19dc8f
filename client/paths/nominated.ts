// The path that a rendezvous has nominated, as one that carries a link.
//
// What libp2p sends is sealed already, so `data` frames go as they are, and all others sealed: who sits on the way can end the
// connection, as they can end any TCP connection, and nothing else.
import { DATA_HEADER } from '../../src/link/frame.ts'
import type { StarError } from '../../src/errors.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'
import type { Channel, ChannelOwner } from '../race-driver.ts'
import type { Path, PathOwner } from './path.ts'

/** The most that is sent in one piece. */
const CHUNK = 524_288
/** Bytes that may wait for the system before there is no budget. */
const MAX_QUEUED = 524_288

/** One end of a nominated path. */
export class NominatedPath implements Path, ChannelOwner {
  readonly kind: PathKind
  readonly via: string
  readonly roundTrip: number
  readonly prompt = true
  readonly #channel: Channel
  readonly #sealed: () => boolean
  #owner: PathOwner | undefined
  #full = false

  /** `sealed` says whether everything is to be sealed. */
  constructor (channel: Channel, sealed: () => boolean) {
    this.kind = channel.kind
    this.via = channel.via
    this.roundTrip = channel.roundTrip
    this.#channel = channel
    this.#sealed = sealed
  }

  own (owner: PathOwner): void {
    this.#owner = owner
  }

  get budget (): number {
    this.#full = this.#channel.queued >= MAX_QUEUED
    return this.#full ? 0 : CHUNK
  }

  get reserve (): number {
    return CHUNK
  }

  send (parts: readonly Uint8Array[]): void {
    const [head] = parts
    if (head == null || parts.length === 1 || this.#sealed()) {
      return this.#channel.send(parts)
    }
    const start = head.byteLength - DATA_HEADER
    if (start === 0) {
      return this.#channel.send(parts, true)
    }
    this.#channel.send([head.subarray(0, start)])
    this.#channel.send([head.subarray(start), ...parts.slice(1)], true)
  }

  release (): void {
    // what may come is bounded by the link's window
  }

  close (): void {
    this.#owner = undefined
    this.#channel.end()
  }

  lose (error: StarError): void {
    this.#channel.end(error)
  }

  deliver (bytes: Uint8Array, plain: boolean): void {
    this.#owner?.onBytes(bytes, plain)
  }

  drained (): void {
    if (this.#full && this.#channel.queued < MAX_QUEUED / 2) {
      this.#full = false
      this.#owner?.onRoom()
    }
  }

  fail (error: StarError): void {
    const owner = this.#owner
    this.#owner = undefined
    owner?.onGone(error)
  }
}
