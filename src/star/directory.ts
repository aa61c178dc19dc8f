// Who can be dialled under which address: found by any spelling of the address, or by the peer in it.
import { canonicalAddress, peerOfAddress } from '../address.ts'
import { isAddress, isIntroduction } from './protocol.ts'
import type { Generation } from './protocol.ts'

/** One joined address. */
export interface Registration {
  /** Canonical: with `/p2p/`. */
  readonly address: string
  readonly socket: string
  readonly generation: Generation
  /** Whether others may discover and dial it; only then it stands in the directory. */
  readonly listed: boolean
  /** What can be spoken on streams to it, beside plain bytes. */
  readonly speaks: readonly string[]
}

/** How a client wants to stand in the directory. */
export type Listing = Pick<Registration, 'listed' | 'speaks'>

/** An original client says nothing of itself: it is listed, and plain bytes are all it speaks. */
export function listingOf (proof: unknown): Listing {
  return isIntroduction(proof) ? { listed: proof.listed, speaks: proof.speaks ?? [] } : { listed: true, speaks: [] }
}

/** All addresses of a star that can be dialled. */
export class Directory {
  readonly #table = new Map<string, Registration>()
  readonly #byPeer = new Map<string, Set<Registration>>()

  get size (): number {
    return this.#table.size
  }

  /** All of them, in the order in which they joined. */
  all (): Registration[] {
    return [...this.#table.values()]
  }

  add (entry: Registration): void {
    this.#table.set(entry.address, entry)
    const peer = peerOfAddress(entry.address)
    if (peer != null) {
      this.#byPeer.set(peer, (this.#byPeer.get(peer) ?? new Set()).add(entry))
    }
  }

  /** Removes an address; returns its peer when that was the last address it had. */
  remove (entry: Registration): string | undefined {
    this.#table.delete(entry.address)
    const peer = peerOfAddress(entry.address)
    const entries = this.#byPeer.get(peer ?? '')
    if (peer == null || entries == null) {
      return undefined
    }
    entries.delete(entry)
    if (entries.size > 0) {
      return undefined
    }
    this.#byPeer.delete(peer)
    return peer
  }

  /** What is registered under that address, in whatever spelling. */
  find (spelling: unknown): Registration | undefined {
    const address = isAddress(spelling) ? canonicalAddress(spelling) : undefined
    return address == null ? undefined : this.#table.get(address)
  }

  /** What is registered under that address, else the newest address of the peer in it: a star may go by several names. */
  findPeer (spelling: unknown): Registration | undefined {
    const found = this.find(spelling)
    if (found != null) {
      return found
    }
    const peer = isAddress(spelling) ? peerOfAddress(canonicalAddress(spelling) ?? '') : undefined
    return [...this.#byPeer.get(peer ?? '') ?? []].at(-1)
  }
}
