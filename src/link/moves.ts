// How a link moves to a path that was made beside it: the new one is entered before the old one is left.
//
//   adopt            `next`: our greeting goes there, everything else goes on on the path that there is
//   its first word   the link enters it; the one before is `former`, and what still comes there counts
//   the second one   the other end has entered it too: `former` is closed
//
// A path that is lost before that costs nothing: who has left the former one goes back to it, who still waits stays where it is.
import { StarError } from '../errors.ts'
import { Adopted } from './path.ts'
import type { Attempts } from './attempts.ts'
import type { PairEvent, PairOutput } from './contract.ts'
import type { LinkState, Path, SessionFrame } from './path.ts'
import type { Search } from './search.ts'
import type { Attachment, SessionOutput } from './session.ts'

/** What a path is to its link. */
export type PathRole = 'path' | 'next' | 'former'

export function roleOf ({ id, link }: Path): PathRole | undefined {
  return (['path', 'next', 'former'] as const).find(role => link?.[role] === id)
}

/** Whose paths they are. */
export interface MovesOwner {
  emit (...outputs: readonly PairOutput[]): void
  /** A path is no good any more. */
  giveUp (path: Path, error: StarError, now: number): void
}

/** Milliseconds that the other end has for its first word on a path that the link is to move to. */
const MOVE_TIME = 2_000
/** What is known of a path that was proved by a handshake of ours. */
const RELAYED = { direct: false, roundTrip: 0 }

/** The moves of the one link that counts. */
export class Moves {
  readonly #attempts: Attempts
  readonly #search: Search
  readonly #owner: MovesOwner
  /** The path that the link is to move to, and when the first word there is due. */
  #due: { readonly path: Path, readonly at: number } | undefined

  constructor (attempts: Attempts, search: Search, owner: MovesOwner) {
    this.#attempts = attempts
    this.#search = search
    this.#owner = owner
  }

  get wakeAt (): number | undefined {
    return this.#next?.at
  }

  /** The two have made another path for a link. */
  adopt (link: LinkState | undefined, event: PairEvent & { readonly type: 'adopt' }, now: number): void {
    if (link?.id !== event.link || link.session.state === 'closed') {
      this.#owner.emit({ do: 'close', path: event.path, error: new StarError('ERR_LINK_UNKNOWN') })
      return
    }
    this.#attempts.closeSpare(link, undefined, ['next']) // the other end may not have left the former one yet
    const path = this.#attempts.adopt(event.path, event.direct, event.roundTrip ?? 0)
    path.link = link
    if (link.path == null) {
      return this.enter(link, path, {}, now)
    }
    link.next = path.id
    this.#due = { path, at: now + MOVE_TIME }
    this.#owner.emit({ do: 'send', path: path.id, bytes: link.session.greeting() })
  }

  /** A frame came on one of a link's paths. */
  hear (link: LinkState, path: Path, frame: SessionFrame, now: number): void {
    const role = roleOf(path)
    if (role === 'next') {
      return this.#meet(link, path, frame, now)
    }
    if (frame.type === 'data' && path.handshake instanceof Adopted && !link.session.fits(frame)) {
      // it may not be the other end's
      return this.#owner.giveUp(path, new StarError('ERR_PROTOCOL', { detail: 'data out of its place' }), now)
    }
    if (role === 'path' && link.former != null) {
      this.#attempts.closeSpare(link, undefined, ['former']) // the other end has moved too: it says more than the first word
    }
    this.#session(link, link.session.receive(frame, now, role === 'former'))
  }

  /** From now on this path carries the link. */
  enter (link: LinkState, path: Path, attachment: Attachment, now: number): void {
    const { direct, roundTrip } = path.handshake instanceof Adopted ? path.handshake : RELAYED
    this.#attempts.outdate(path)
    link.path = path.id
    this.#search.found(now)
    this.#owner.emit({ do: 'note', link: link.id, what: 'path', path: path.id })
    this.#session(link, link.session.attach(now, { ...attachment, direct, roundTrip }))
    this.#attempts.abandon('resume', 'ERR_LINK_EXISTS')
  }

  /**
   * The path that carried the link is gone: there is the one that it came from, the one that it was to move to, or none, and then
   * false is returned.
   */
  fallBack (link: LinkState, now: number): boolean {
    const role = link.former == null ? 'next' : 'former'
    const path = this.#attempts.path(link[role] ?? -1)
    if (path == null) {
      return false
    }
    link[role] = undefined
    this.enter(link, path, { synced: role === 'former' }, now) // who comes back to a path has lost nothing there
    return true
  }

  wake (link: LinkState, now: number): void {
    const next = this.#next
    if (next != null && next.at <= now && next.path.link === link) {
      this.#owner.giveUp(next.path, new StarError('ERR_PATH_TIMEOUT'), now)
    }
  }

  /** The first frame on the path that the link is to move to: the other end is there, and says what it has. */
  #meet (link: LinkState, path: Path, frame: SessionFrame, now: number): void {
    if (frame.type !== 'ack' && frame.type !== 'reset') {
      return this.#owner.giveUp(path, new StarError('ERR_PROTOCOL', { detail: `${frame.type} as the first word on a path` }), now)
    }
    this.#session(link, link.session.receive(frame, now, true))
    if (link.session.state !== 'closed') {
      this.#attempts.closeSpare(link, undefined, ['former'])
      link.former = link.path
      link.next = undefined
      this.enter(link, path, { synced: true }, now)
    }
  }

  /** What is waited for, if it still is. */
  get #next (): { readonly path: Path, readonly at: number } | undefined {
    return this.#due != null && roleOf(this.#due.path) === 'next' ? this.#due : undefined
  }

  #session (link: LinkState, outputs: readonly SessionOutput[]): void {
    if (outputs.length > 0) {
      this.#owner.emit({ do: 'session', link, outputs })
    }
  }
}
