// The stars of one node: one membership for each star, whoever listens or dials through it, kept as long as anybody needs it.
import { Member } from './star.ts'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import type { StarAddress } from '../src/address.ts'
import type { ResolvedStarInit } from './options.ts'
import type { Answerer, MemberInit } from './star.ts'

/** Is told of each peer that a star announces: its id, and the star. */
export type PeerListener = (peer: string, star: StarAddress) => void

interface Entry {
  readonly member: Member
  listeners: number
  /** How many links may need the star for another path. */
  holds: number
  lingering: ReturnType<typeof setTimeout> | undefined
}

/** All memberships of one node. */
export class Hub {
  readonly #options: ResolvedStarInit
  readonly #speaks: readonly string[]
  readonly #entries = new Map<string, Entry>()
  readonly #peerListeners = new Set<PeerListener>()

  /** `speaks` are the protocols that are announced as spoken on streams. */
  constructor (options: ResolvedStarInit, speaks: readonly string[]) {
    this.#options = options
    this.#speaks = speaks
  }

  /** The membership in a star; one that only dials is made where there is none. It is let go some time after its last use. */
  member (star: StarAddress, identity: { peerId: PeerId, privateKey: PrivateKey }): Member {
    const entry = this.#entries.get(star.url) ?? this.#enter({
      star,
      privateKey: identity.privateKey,
      self: identity.peerId.toString(),
      options: this.#options,
      speaks: this.#speaks
    })
    this.#lingerIfUnused(entry)
    return entry.member
  }

  /** Makes a membership one that others can discover and dial. */
  listen (member: Member, answer: Answerer): void {
    const entry = this.#entryOf(member)
    if (entry != null) {
      entry.listeners++
      clearTimeout(entry.lingering)
      member.answer = answer
      member.list(true)
    }
  }

  /** Takes one {@link listen} back. Connections through the star live on. */
  unlisten (member: Member): void {
    const entry = this.#entryOf(member)
    if (entry != null && entry.listeners > 0) {
      entry.listeners--
      if (entry.listeners === 0) {
        member.answer = undefined
        member.list(false)
        this.#lingerIfUnused(entry)
      }
    }
  }

  /** Keeps a membership, whoever uses it, until the returned function is called. */
  hold (member: Member): () => void {
    const entry = this.#entryOf(member)
    if (entry == null) {
      return () => {}
    }
    entry.holds++
    return () => {
      entry.holds--
      if (this.#entryOf(member) != null) {
        this.#lingerIfUnused(entry)
      }
    }
  }

  /** Tells of every peer that is announced from now on, and of those that are known already. */
  onPeer (listener: PeerListener): void {
    this.#peerListeners.add(listener)
    for (const { member } of this.#entries.values()) {
      member.peers.forEach(peer => { listener(peer, member.star) })
    }
  }

  /** Tells no more. */
  offPeer (listener: PeerListener): void {
    this.#peerListeners.delete(listener)
  }

  /** Nobody can discover or dial us any more; what is connected stays. */
  unlistAll (): void {
    for (const { member } of this.#entries.values()) {
      member.answer = undefined
      member.list(false)
    }
  }

  /** Leaves every star. */
  close (): void {
    for (const entry of this.#entries.values()) {
      this.#leave(entry)
    }
  }

  #enter (init: MemberInit): Entry {
    const entry: Entry = { member: new Member(init), listeners: 0, holds: 0, lingering: undefined }
    this.#entries.set(init.star.url, entry)
    entry.member.addEventListener('peer', event => {
      this.#peerListeners.forEach(listener => { listener(event.detail, entry.member.star) })
    })
    entry.member.addEventListener('idle', () => {
      if (this.#entries.has(init.star.url)) {
        this.#lingerIfUnused(entry)
      }
    })
    return entry
  }

  #entryOf (member: Member): Entry | undefined {
    const entry = this.#entries.get(member.star.url)
    return entry?.member === member ? entry : undefined
  }

  #lingerIfUnused (entry: Entry): void {
    clearTimeout(entry.lingering)
    entry.lingering = setTimeout(() => {
      if (entry.listeners === 0 && entry.holds === 0 && entry.member.streams === 0) {
        this.#leave(entry)
      }
    }, this.#options.linger)
  }

  #leave (entry: Entry): void {
    clearTimeout(entry.lingering)
    this.#entries.delete(entry.member.star.url)
    entry.member.stop()
  }
}
