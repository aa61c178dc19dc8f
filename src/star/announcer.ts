// Who is told of whom, and when: original clients of every address each period, star clients of what changed, in batches.
import type { Generation, PeerChanges } from './protocol.ts'

/** How often and how much is announced. */
export interface AnnouncerOptions {
  /** Milliseconds between two announcements of the same address to original clients; also of two samples in a large star. */
  readonly refreshPeerListIntervalMS: number
  /** Milliseconds for which changes are gathered before star clients hear of them. */
  readonly announceDelay: number
  /** Above this number of peers a star client hears of a rotating sample of that size, not of everybody. */
  readonly announceSample: number
}

/** At most so many addresses are announced to original clients at one wake, and the rest this many milliseconds later. */
const BURST = 64
const BURST_PAUSE = 20

/** The announcements of one star; part of its register. */
export class Announcer {
  readonly #options: AnnouncerOptions
  /** Peers that star clients are told of, oldest first; taken from the front and put back at the end for samples. */
  readonly #peers = new Set<string>()
  readonly #joined = new Set<string>()
  readonly #left = new Set<string>()
  /** When each address is next announced to original clients; in that order. */
  readonly #due = new Map<string, number>()
  readonly #clients: Record<Generation, number> = { original: 0, star: 0 }
  #changesAt: number | undefined
  #sampleAt = 0
  #burstAt = 0

  constructor (options: AnnouncerOptions) {
    this.#options = options
  }

  get wakeAt (): number | undefined {
    const times: number[] = []
    const [due] = this.#due.values()
    if (due != null && this.#clients.original > 0) {
      times.push(Math.max(due, this.#burstAt))
    }
    if (this.#changesAt != null) { // also with nobody to tell: what has gathered is dropped
      times.push(this.#changesAt)
    }
    if (this.#clients.star > 0 && this.#isLarge) {
      times.push(this.#sampleAt)
    }
    return times.length === 0 ? undefined : Math.min(...times)
  }

  connected (generation: Generation): void {
    this.#clients[generation]++
  }

  disconnected (generation: Generation): void {
    this.#clients[generation]--
  }

  /** Notes a new address; true when original clients are to be told at once. */
  joined (address: string, peer: string | undefined, now: number): boolean {
    this.#due.delete(address)
    this.#due.set(address, now + this.#options.refreshPeerListIntervalMS)
    if (peer != null && !this.#peers.has(peer)) {
      this.#peers.add(peer)
      this.#change(this.#joined, this.#left, peer, now)
    }
    return this.#clients.original > 0
  }

  /** Notes that an address is gone, and with it the peer when it was its last one. */
  left (address: string, peer: string | undefined, now: number): void {
    this.#due.delete(address)
    if (peer != null && this.#peers.delete(peer)) {
      this.#change(this.#left, this.#joined, peer, now)
    }
  }

  /** The peers that a newcomer is told of: all, or in a large star a sample, never itself. */
  sample (except: string | undefined): string[] {
    const names = this.#isLarge ? this.#rotate() : [...this.#peers]
    return names.filter(name => name !== except)
  }

  /** The addresses that original clients are to be told of now; they are due again after the period. */
  dueForOriginals (now: number): string[] {
    if (this.#clients.original === 0 || now < this.#burstAt) {
      return []
    }
    const addresses: string[] = []
    for (const [address, at] of this.#due) {
      if (at > now || addresses.length === BURST) {
        break
      }
      addresses.push(address)
    }
    for (const address of addresses) {
      this.#due.delete(address)
      this.#due.set(address, now + this.#options.refreshPeerListIntervalMS)
    }
    this.#burstAt = addresses.length === BURST ? now + BURST_PAUSE : now
    return addresses
  }

  /** What star clients are to be told of now; `undefined` when nothing is due. */
  dueForStars (now: number): PeerChanges | undefined {
    const changed = this.#changesAt != null && this.#changesAt <= now
    const sampled = this.#isLarge && this.#sampleAt <= now
    if (!changed && !sampled) {
      return undefined
    }
    const joined = new Set([...this.#joined].slice(0, this.#options.announceSample))
    if (sampled) {
      this.#sampleAt = now + this.#options.refreshPeerListIntervalMS
      this.#rotate().forEach(name => joined.add(name))
    }
    const changes = { joined: [...joined], left: [...this.#left] }
    this.#joined.clear()
    this.#left.clear()
    this.#changesAt = undefined
    return this.#clients.star > 0 && changes.joined.length + changes.left.length > 0 ? changes : undefined
  }

  get #isLarge (): boolean {
    return this.#peers.size > this.#options.announceSample
  }

  /** Takes the next names in turn. */
  #rotate (): string[] {
    const names: string[] = []
    for (const name of this.#peers) {
      if (names.length === this.#options.announceSample) {
        break
      }
      names.push(name)
    }
    for (const name of names) {
      this.#peers.delete(name)
      this.#peers.add(name)
    }
    return names
  }

  #change (to: Set<string>, from: Set<string>, peer: string, now: number): void {
    // a peer that left and came back within one batch is told as joined: its friends may have lost it
    from.delete(peer)
    to.add(peer)
    this.#changesAt ??= now + this.#options.announceDelay
  }
}
