// The path that a rendezvous has nominated, as one that carries a link.
//
// What libp2p sends is sealed already, so the bytes of a `data` frame go as they are; all else, and so what they are and where
// they belong, is sealed: who sits on the way can end the connection, as any TCP connection, and nothing else.
import { dataStart } from '../../src/link/frame.ts'
import type { StarError } from '../../src/errors.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'
import type { Channel, ChannelOwner } from '../race-driver.ts'
import type { Path, PathOwner } from './path.ts'

/** The most that is sent in one piece. */
const CHUNK = 524_288
/** Bytes that may wait for the system before there is no budget. */
const MAX_QUEUED = 524_288
/** Data shorter than this is sealed: that costs less than a frame of its own. */
const MIN_BARE = 1_024

/** One end of a nominated path. */
export class NominatedPath implements Path, ChannelOwner {
  readonly kind: PathKind
  readonly via: string
  /** Resolves when nothing of it is open any more. */
  readonly closed: Promise<void>
  readonly #channel: Channel
  readonly #sealed: () => boolean
  #owner: PathOwner | undefined
  #full = false

  /** `sealed` says whether everything is to be sealed. */
  constructor (channel: Channel, sealed: () => boolean) {
    this.kind = channel.kind
    this.via = channel.via
    this.closed = channel.closed
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

  send (bytes: Uint8Array): void {
    const start = this.#sealed() ? bytes.byteLength : dataStart(bytes)
    if (bytes.byteLength - start < MIN_BARE) {
      this.#channel.send(bytes)
    } else {
      this.#channel.send(bytes.subarray(0, start))
      this.#channel.send(bytes.subarray(start), true)
    }
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
