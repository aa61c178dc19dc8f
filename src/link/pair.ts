// All that two peers have to do with each other: the one link between them, from the dial to its end, and the paths that carry
// it. A machine without I/O; paths are numbers that the driver gives out.
import { StarError } from '../errors.ts'
import { Attempts } from './attempts.ts'
import { Moves, roleOf } from './moves.ts'
import { Adopted } from './path.ts'
import { Search } from './search.ts'
import { Session } from './session.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { Own } from './attempts.ts'
import type { Link, PairEvent, PairOptions, PairOutput, PairPorts } from './contract.ts'
import type { Frame } from './frame.ts'
import type { Outcome } from './handshake.ts'
import type { PathRole } from './moves.ts'
import type { LinkState, Path, SessionFrame } from './path.ts'
import type { SessionOutput } from './session.ts'

export type { Link, Note, PairEvent, PairOptions, PairOutput, PairPorts } from './contract.ts'

/** Tries to make a link when the other peer refuses for one that we don't hold. */
const MAX_TRIES = 3
/** Milliseconds that a link which is being closed has for its last words, when another is wanted. */
const LAST_WORDS = 1_000

/** One peer, seen from another. */
export class Pair implements Machine<PairEvent, PairOutput> {
  readonly #options: PairOptions
  readonly #attempts: Attempts
  readonly #search: Search
  readonly #moves: Moves
  #link: LinkState | undefined
  #wanted = false
  /** Attempts of our own for what is wanted, and why the last one came to nothing. */
  #tries = 0
  #failure: StarError | undefined
  #closeBy: number | undefined
  #outputs: PairOutput[] = []

  constructor (options: PairOptions, ports: PairPorts) {
    this.#options = options
    this.#attempts = new Attempts(options, ports, {
      link: () => this.#link,
      emit: (...outputs) => { this.#outputs.push(...outputs) },
      ready: (own, path, outcome, now) => { own.link = this.#newLink(path, outcome, true, now) },
      proved: (own, path, outcome, now) => { this.#proved(own, path, outcome, now) },
      failed: (own, error, stays, now) => { this.#failed(own, error, stays, now) },
      up: (path, outcome, now) => { this.#up(path, outcome, now) }
    })
    this.#search = new Search(options)
    this.#moves = new Moves(this.#attempts, this.#search, {
      emit: (...outputs) => { this.#outputs.push(...outputs) },
      giveUp: (path, error, now) => { this.#giveUp(path, error, now) }
    })
  }

  /** The link that both have proved, if there is one that isn't being closed. */
  get link (): Link | undefined {
    return this.#link?.session.closing === true ? undefined : this.#link
  }

  /** True when the link has a secret, and so outlives its path. */
  get resumable (): boolean {
    return this.link != null && this.#link?.secret != null
  }

  /** True when there is nothing to keep. */
  get idle (): boolean {
    return this.#link == null && this.#attempts.idle
  }

  get wakeAt (): number | undefined {
    const resumeAt = this.#attempts.own == null ? this.#search.at : undefined
    const ofLink = Math.min(this.#link?.session.wakeAt ?? Infinity, resumeAt ?? Infinity, this.#closeBy ?? Infinity)
    const least = Math.min(this.#attempts.wakeAt, this.#moves.wakeAt ?? Infinity, ofLink)
    return least === Infinity ? undefined : least
  }

  input (event: PairEvent, now: number): readonly PairOutput[] {
    this.#outputs = []
    this.#take(event, now)
    this.#attempts.settle(now)
    this.#resume(now)
    this.#pursue(now)
    return this.#outputs
  }

  #take (event: PairEvent, now: number): void {
    switch (event.type) {
      case 'dial':
        return this.#dial()
      case 'cancel':
        return this.#cancel()
      case 'opened':
        return this.#attempts.opened(event.path, now)
      case 'unopened':
        return this.#attempts.unopened(event.error, now)
      case 'incoming':
        return this.#attempts.incoming(event.path, now)
      case 'adopt':
        return this.#moves.adopt(this.#link, event, now)
      case 'secret':
        return this.#learn(event.link, event.secret)
      case 'seen':
        return this.#search.seen(now)
      case 'dead':
        return this.#dead(event.link, now)
      case 'closed':
        return this.#over(event.link, now)
      case 'wake':
        return this.#wake(now)
      case 'bytes':
      case 'lost':
      case 'signed':
      case 'verified':
        return this.#onPath(this.#attempts.path(event.path), event, now)
    }
  }

  #onPath (path: Path | undefined, event: PairEvent & { readonly path: number }, now: number): void {
    if (path == null) {
      return // closed meanwhile
    }
    if (event.type === 'bytes') {
      this.#bytes(path, event, now)
    } else if (event.type === 'lost') {
      this.#lost(path, event.error, now)
    } else if (event.type === 'signed' || event.type === 'verified') {
      this.#attempts.shake(path, event, now)
      if (path.gone != null && this.#attempts.path(path.id) === path) {
        this.#gone(path, path.gone, now)
      }
    }
  }

  #lost (path: Path, error: StarError, now: number): void {
    if (path === this.#attempts.own?.path && path.said && !path.handshake.over) {
      path.gone = error // who has nothing to add closes behind its last word, which counts all the same
    } else {
      this.#gone(path, error, now)
    }
  }

  #dial (): void {
    if (!this.#wanted) {
      this.#answer()
      this.#wanted = true
    }
  }

  #cancel (): void {
    if (this.#wanted) {
      this.#answer()
      this.#abandon('new', 'ERR_STOPPED')
    }
  }

  /** What was dialled for is answered. */
  #answer (output?: PairOutput): void {
    this.#wanted = false
    this.#tries = 0
    this.#failure = undefined
    if (output != null) {
      this.#outputs.push(output)
    }
  }

  #learn (id: bigint, secret: Uint8Array): void {
    if (this.#link?.id === id) {
      this.#link.secret ??= secret
    }
  }

  #bytes (path: Path, { chunk, bare = false }: PairEvent & { readonly type: 'bytes' }, now: number): void {
    let frames: Frame[]
    try {
      frames = path.read(chunk, bare)
    } catch (cause) {
      return this.#broken(path, cause instanceof StarError ? cause : new StarError('ERR_PROTOCOL', { cause }), now)
    }
    for (const frame of frames) {
      if (this.#attempts.path(path.id) !== path) {
        return // an earlier frame has ended it
      }
      if (frame.type !== 'handshake') {
        this.#receive(path, frame, now)
      } else if (path.handshake.over) {
        this.#broken(path, new StarError('ERR_PROTOCOL', { detail: 'a handshake that goes on' }), now)
      } else {
        this.#attempts.shake(path, { type: 'message', bytes: frame.bytes }, now)
      }
    }
  }

  #receive (path: Path, frame: SessionFrame, now: number): void {
    const { carried } = path
    if (carried != null) {
      return this.#moves.hear(carried, path, frame, now)
    }
    const error = path.keep(frame)
    if (error != null) {
      this.#giveUp(path, error, now)
    }
  }

  #session (link: LinkState, outputs: readonly SessionOutput[]): void {
    if (outputs.length > 0) {
      this.#outputs.push({ do: 'session', link, outputs })
    }
  }

  #newLink (path: Path, outcome: Outcome, dialled: boolean, now: number): LinkState {
    const session = new Session({ ...this.#options, initialLimit: outcome.flags.window })
    const { connectionId: id, incarnation } = outcome
    const none = { next: undefined, former: undefined, secret: undefined }
    const link: LinkState = { id, dialled, incarnation, session, path: path.id, ...none }
    path.link = link
    this.#outputs.push({ do: 'link', link })
    this.#session(link, session.attach(now, { first: true }))
    return link
  }

  /** Our own attempt has come to something. */
  #proved (own: Own, path: Path, outcome: Outcome, now: number): void {
    if (outcome.resume === 0n) {
      own.link?.session.start(now)
      this.#elect(own.link ?? this.#newLink(path, outcome, true, now), path, outcome, now)
    } else if (outcome.resumed && this.#link?.id === outcome.resume) {
      this.#attach(this.#link, path, now)
    } else {
      this.#attempts.close(path)
      this.#unknown(outcome)
    }
  }

  /** An attempt of the other peer has come to something. */
  #up (path: Path, outcome: Outcome, now: number): void {
    if (outcome.resume === 0n) {
      this.#elect(this.#newLink(path, outcome, false, now), path, outcome, now)
    } else if (outcome.resumed && this.#link?.id === outcome.resume) {
      this.#attach(this.#link, path, now)
    } else {
      this.#attempts.close(path) // all that was wanted is the proof that the link is gone
    }
  }

  #failed (own: Own, error: StarError, stays: bigint, now: number): void {
    if (own.link != null) {
      this.#session(own.link, own.link.session.lose(error))
    }
    if (own.purpose === 'new') {
      // a link that stays is news to us as long as we don't have it: it will be asked for again, and replaced
      this.#failure = stays !== 0n && this.#tries < MAX_TRIES ? undefined : error
    } else if (this.#link != null && this.#link.path == null) {
      this.#search.failed(now)
    }
  }

  /** The other peer has proved that it no longer holds the link that we wanted to resume. */
  #unknown (outcome: Outcome): void {
    const link = this.#link
    if (link?.id === outcome.resume) {
      this.#end(link, link.session.complete ? undefined : new StarError(goneReason(link, outcome, 'ERR_LINK_UNKNOWN')))
    }
  }

  /** Makes a link that is proved the one that counts. */
  #elect (link: LinkState, path: Path, outcome: Outcome, now: number): void {
    const former = this.#link
    if (former != null) {
      this.#end(former, former.session.complete ? undefined : new StarError(goneReason(former, outcome, 'ERR_LINK_REPLACED')))
    }
    this.#link = link
    this.#outputs.push({ do: 'note', link: link.id, what: 'path', path: path.id })
    if (this.#wanted) {
      this.#answer({ do: 'dialled', link }) // whatever becomes of it: what came with it may end it at once
    }
    this.#release(link, path, now)
  }

  /** Gives a link that both hold another path, by a handshake. */
  #attach (link: LinkState, path: Path, now: number): void {
    const before = this.#attempts.pathOf(link)
    if (before != null) {
      this.#attempts.close(before)
    }
    this.#attempts.closeSpare(link)
    path.link = link
    this.#moves.enter(link, path, {}, now)
    this.#release(link, path, now)
  }

  /** What came before it was clear whose it is. */
  #release (link: LinkState, path: Path, now: number): void {
    for (const frame of path.release()) {
      this.#session(link, link.session.receive(frame, now))
    }
  }

  /** Looks for a new path when it is time. */
  #resume (now: number): void {
    if (this.#attempts.own == null && this.#link != null && (this.#search.at ?? Infinity) <= now) {
      this.#search.begin()
      this.#attempts.open('resume')
    }
  }

  /** Goes on with what is dialled for. */
  #pursue (now: number): void {
    const { link } = this
    if (!this.#wanted) {
      return
    }
    if (link != null) {
      this.#answer({ do: 'dialled', link })
    } else if (this.#link != null) {
      this.#closeBy ??= now + LAST_WORDS // what is being closed is closed in good order first
    } else if (this.#attempts.own != null || this.#attempts.admitting) {
      // that comes first
    } else if (this.#failure == null) {
      this.#tries++
      this.#attempts.open('new')
    } else if (!this.#attempts.expecting) {
      this.#answer({ do: 'failed', error: this.#failure })
    }
  }

  /** The other peer broke the protocol on a path. */
  #broken (path: Path, error: StarError, now: number): void {
    const { carried } = path
    if (carried != null && !(path.handshake instanceof Adopted)) {
      this.#session(carried, carried.session.reset(error))
    } else {
      this.#giveUp(path, error, now) // what comes on an adopted path may be somebody else's
    }
  }

  /** A path is no good any more. */
  #giveUp (path: Path | undefined, error: StarError, now: number): void {
    if (path != null) {
      const role = roleOf(path)
      this.#attempts.close(path, error)
      this.#gone(path, error, now, role)
    }
  }

  #dead (link: Link, now: number): void {
    if (link.session.dead) {
      this.#giveUp(this.#attempts.pathOf(link), new StarError('ERR_PATH_DEAD'), now)
    }
  }

  #gone (path: Path, error: StarError, now: number, role: PathRole | undefined = roleOf(path)): void {
    const { link } = path
    if (link == null || link !== this.#link) {
      return this.#attempts.over(path, error, now)
    }
    this.#attempts.leave(path)
    if (role === 'next') {
      this.#outputs.push({ do: 'note', link: link.id, what: 'attempt', error })
    } else if (role === 'path' && !this.#moves.fallBack(link, now)) {
      this.#suspend(link, error, now)
    }
  }

  #suspend (link: LinkState, error: StarError, now: number): void {
    const { session } = link
    if (link.secret == null || this.#options.resumeTimeout === 0 || session.state === 'closed') {
      return this.#end(link, session.complete ? undefined : error)
    }
    session.detach(now)
    this.#outputs.push({ do: 'note', link: link.id, what: 'suspended', error })
    const { written, kept, received } = session.figures
    // the other end may know nothing of a path that died in one direction
    this.#search.lost(now, link.dialled || error.code === 'ERR_PATH_DEAD', written - kept + received)
  }

  /** Ends a link that counted. */
  #end (link: LinkState, error: StarError | undefined): void {
    this.#session(link, link.session.lose(error))
    this.#forget(link)
  }

  /** A session is over, as its driver says. */
  #over (link: Link, now: number): void {
    const { own } = this.#attempts
    if (own?.link != null && own.link === link) {
      own.link = undefined
      this.#giveUp(own.path, link.session.error ?? new StarError('ERR_STREAM_CLOSED'), now)
    } else if (this.#link === link) {
      this.#forget(this.#link)
    }
  }

  /** What a link that is over leaves is cleared away. */
  #forget (link: LinkState): void {
    const { error } = link.session
    const path = this.#attempts.pathOf(link)
    if (path != null) {
      this.#attempts.close(path, error)
    }
    this.#attempts.closeSpare(link, error)
    this.#link = undefined
    this.#closeBy = undefined
    this.#search.over()
    this.#abandon('resume', 'ERR_STREAM_CLOSED')
    this.#outputs.push({ do: 'note', link: link.id, what: 'over', ...(error == null ? {} : { error }) })
  }

  #abandon (purpose: 'new' | 'resume', reason: Reason): void {
    const { link } = this.#attempts.abandon(purpose, reason) ?? {}
    if (link != null) {
      this.#session(link, link.session.lose(new StarError(reason)))
    }
  }

  #wake (now: number): void {
    this.#attempts.wake(now)
    if (this.#link == null) {
      return
    }
    const { session } = this.#link
    this.#moves.wake(this.#link, now)
    this.#session(this.#link, session.wake(now))
    if (this.#closeBy != null && this.#closeBy <= now) {
      this.#closeBy = undefined
      this.#session(this.#link, session.reset(new StarError('ERR_STREAM_CLOSED')))
    }
  }
}

/** Why a link is gone at the other peer: because that is another process now, or for the given reason. */
function goneReason (link: LinkState, outcome: Outcome, otherwise: Reason): Reason {
  return link.incarnation === outcome.incarnation ? otherwise : 'ERR_PEER_RESTARTED'
}
