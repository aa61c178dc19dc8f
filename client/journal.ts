// What happened to links, for users who want to know: which path carries a connection, when it moved, why a path was lost.
import { TypedEventEmitter } from 'main-event'
import type { StarError } from '../src/errors.ts'
import type { Note } from '../src/link/pair.ts'
import type { PathKind } from './paths/path.ts'

/** Something that happened to a link, or to an attempt to make one. */
export interface LinkEvent {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The peer's id. */
  readonly peer: string
  /** The link's id, 16 hex digits; empty for an attempt that came to nothing. */
  readonly link: string
  /**
   * `path`: the link has its first path, or another one. `suspended`: its path is gone, it waits for another. `attempt`: an
   * attempt to make it, or to find it a path, came to nothing. `tried`: the other peer was there on a path beside that of the
   * link, or `error` says why not. `over`: it ended.
   */
  readonly what: Note | 'tried'
  /** The path that carries the link from now on, or that was tried. */
  readonly path?: PathStatus
  /** Milliseconds that the other peer's first answer took on the path that was tried. */
  readonly roundTrip?: number
  /** The one cause; absent for what went well. */
  readonly error?: StarError
}

/** A path, for people. */
export interface PathStatus {
  readonly kind: PathKind
  /** A star's URL, or the address of the other end. */
  readonly via: string
}

/** Where a link stands. */
export interface LinkStatus {
  readonly peer: string
  /** 16 hex digits, the same at both ends. */
  readonly link: string
  readonly dialled: boolean
  /** `suspended`: has no path for now. */
  readonly state: 'open' | 'suspended' | 'closed'
  /** Whether it outlives its path: true a round trip after it was made. */
  readonly resumable: boolean
  /** What carries it now. */
  readonly path?: PathStatus
  /** Bytes written to it, read from it, and sent again on another path. */
  readonly written: number
  readonly received: number
  readonly resent: number
  /** Milliseconds, of the last probe that was answered. */
  readonly roundTrip?: number
}

/** What {@link Star.explain} tells. */
export interface Explanation {
  /** The links that are there. */
  readonly links: readonly LinkStatus[]
  /** What happened, oldest first: the last 64 events of each of the last 256 peers. */
  readonly events: readonly LinkEvent[]
}

/** The events of a {@link Journal}. */
export interface JournalEvents {
  link: CustomEvent<LinkEvent>
}

/** So many events of a peer are remembered, of so many peers: a stranger's attempts don't push out what happened to others. */
const MAX_EVENTS = 64
const MAX_PEERS = 256

/** The last events of the links of a node, and a place to hear of new ones. */
export class Journal extends TypedEventEmitter<JournalEvents> {
  /** By peer; the one that something happened to last stands last. */
  readonly #events = new Map<string, LinkEvent[]>()
  /** Whoever knows where links stand now: the nodes that run. */
  readonly sources = new Set<{ status (peer?: string): LinkStatus[] }>()

  /** Adds an event and tells of it. */
  add (event: LinkEvent): void {
    const events = this.#events.get(event.peer) ?? []
    this.#events.delete(event.peer)
    this.#events.set(event.peer, [...events.slice(1 - MAX_EVENTS), event])
    const [oldest = ''] = this.#events.keys()
    if (this.#events.size > MAX_PEERS) {
      this.#events.delete(oldest)
    }
    this.safeDispatchEvent('link', { detail: event })
  }

  /** What there is to know of the links to one peer, or to all. */
  explain (peer?: string): Explanation {
    return {
      links: [...this.sources].flatMap(source => source.status(peer)),
      events: (peer == null ? [...this.#events.values()] : [this.#events.get(peer) ?? []]).flat()
        .toSorted((one, other) => one.at - other.at)
    }
  }
}
