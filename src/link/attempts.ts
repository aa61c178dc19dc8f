// The attempts of two peers to make a link or to give it a new path: our own one and the other peer's, up to where they are
// proved, and the election between them.
import { concatBytes } from '@noble/hashes/utils.js'
import { StarError } from '../errors.ts'
import { decide, inOrder, judge } from './election.ts'
import { Acceptor, Dialler } from './handshake.ts'
import { Adopted, Path } from './path.ts'
import type { Reason } from '../errors.ts'
import type { Link, PairOptions, PairOutput, PairPorts } from './contract.ts'
import type { Standing } from './election.ts'
import type { HandshakeEvent, HandshakePorts, Outcome } from './handshake.ts'
import type { LinkState, Tidings } from './path.ts'

/** Our own attempt. */
export interface Own {
  readonly purpose: 'new' | 'resume'
  /** None while it is being opened. */
  path: Path | undefined
  /** The link that is handed out before the other peer has proved itself. */
  link: LinkState | undefined
  /** When the other peer's last word is due. */
  dueAt: number | undefined
}

/** Whose attempts they are: who is told what comes of them. */
export interface AttemptsOwner {
  /** The link that counts. */
  link (): LinkState | undefined
  emit (...outputs: readonly PairOutput[]): void
  /** Our reply is out, and data may follow it, to whoever will prove to be there. */
  ready (own: Own, path: Path, outcome: Outcome, now: number): void
  /** Our attempt has come to something, and is no attempt any more. */
  proved (own: Own, path: Path, outcome: Outcome, now: number): void
  /** Our attempt has come to nothing; `stays` is the link that the other peer keeps instead, or 0. */
  failed (own: Own, error: StarError, stays: bigint, now: number): void
  /** An attempt of the other peer has come to something. */
  up (path: Path, outcome: Outcome, now: number): void
}

/** Attempts of the other peer at one time; the oldest that has proved nothing is dropped for another. */
const MAX_ATTEMPTS = 8
/** Bytes that frames may cost beside their own, and beside two windows, before it is clear whose they are. */
const MAX_BACKLOG_COST = 65_536

/** All attempts between two peers, and the paths that they have led to. */
export class Attempts {
  readonly #options: PairOptions
  readonly #ports: PairPorts
  readonly #owner: AttemptsOwner
  readonly #handshakePorts: HandshakePorts
  readonly #paths = new Map<number, Path>()
  #own: Own | undefined
  #admitting: Path | undefined

  constructor (options: PairOptions, ports: PairPorts, owner: AttemptsOwner) {
    const { random, outstanding, secret } = ports
    this.#options = options
    this.#ports = ports
    this.#owner = owner
    this.#handshakePorts = {
      random,
      outstanding,
      // a link that is gone meanwhile can't be proved
      secret: resumed => resumed === 0n ? secret : concatBytes(secret, this.#secretOf(resumed) ?? random(32))
    }
  }

  get own (): Own | undefined {
    return this.#own
  }

  /** True while an attempt of the other peer is just being let in. */
  get admitting (): boolean {
    return this.#admitting != null
  }

  /** True while an attempt of the other peer has only to be checked, or to be let in. */
  get expecting (): boolean {
    return [...this.#paths.values()].some(({ knocking, said }) => knocking && said)
  }

  /** True when there is no path, nor any on its way. */
  get idle (): boolean {
    return this.#own == null && this.#paths.size === 0
  }

  get wakeAt (): number {
    let least = this.#own?.dueAt ?? Infinity
    for (const { handshake } of this.#paths.values()) {
      least = Math.min(least, handshake.wakeAt ?? Infinity)
    }
    return least
  }

  path (id: number): Path | undefined {
    return this.#paths.get(id)
  }

  /** The path that carries a link. */
  pathOf ({ path }: Link): Path | undefined {
    return path == null ? undefined : this.#paths.get(path)
  }

  /** Closes the paths of a link beside the one that carries it, or the one that it has left alone. */
  closeSpare (link: LinkState, error?: StarError, which: ReadonlyArray<'next' | 'former'> = ['next', 'former']): void {
    for (const id of which.map(part => link[part])) {
      const path = id == null ? undefined : this.#paths.get(id)
      if (path != null) {
        this.close(path, error)
      }
    }
  }

  /** Begins an attempt of our own. */
  open (purpose: 'new' | 'resume'): void {
    this.#own = { purpose, path: undefined, link: undefined, dueAt: undefined }
    this.#owner.emit({ do: 'open' })
  }

  opened (id: number, now: number): void {
    const own = this.#own
    if (own == null || own.path != null) {
      return this.#owner.emit({ do: 'close', path: id, error: undefined })
    }
    const random = this.#ports.random(8)
    const handshake = new Dialler(this.#options, this.#handshakePorts, {
      connectionId: new DataView(random.buffer, random.byteOffset, 8).getBigUint64(0) || 1n,
      resume: own.purpose === 'resume' ? this.#owner.link()?.id ?? 0n : 0n,
      holds: link => this.#owner.link()?.id === link
    })
    own.path = this.#enter(id, handshake)
    this.shake(own.path, { type: 'start' }, now)
  }

  unopened (error: StarError, now: number): void {
    if (this.#own != null && this.#own.path == null) {
      this.#ownFailed(this.#own, error, 0n, now)
    }
  }

  incoming (id: number, now: number): void {
    const attempts = [...this.#paths.values()].filter(({ knocking }) => knocking)
    if (attempts.length >= MAX_ATTEMPTS) {
      const error = new StarError('ERR_TOO_MANY_IN_FLIGHT')
      const oldest = attempts.find(({ said }) => !said)
      this.#owner.emit({ do: 'note', link: 0n, what: 'attempt', error })
      if (oldest == null) {
        return this.#owner.emit({ do: 'close', path: id, error })
      }
      this.close(oldest, error)
    }
    const handshake = new Acceptor(this.#options, this.#handshakePorts, { decide: name => decide(this.#standing(), name) })
    this.shake(this.#enter(id, handshake), { type: 'start' }, now)
  }

  /** A path that was proved elsewhere. */
  adopt (id: number, direct: boolean, roundTrip: number): Path {
    return this.#enter(id, new Adopted(direct, roundTrip))
  }

  /** Leads the handshake of a path on. */
  shake (path: Path, event: HandshakeEvent, now: number): void {
    const outputs: PairOutput[] = []
    const tidings = path.shake(event, now, outputs)
    this.#owner.emit(...outputs)
    for (const each of tidings) {
      this.#hear(path, each, now)
    }
  }

  /** Lets in whoever may come in, and sends away who may not, until the rest have to wait. */
  settle (now: number): void {
    for (let path = this.#next(); path != null; path = this.#next()) {
      const { outcome, late } = path
      const verdict = outcome == null ? 'hold' : judge(this.#standing(), { ...outcome, late })
      path.outcome = undefined
      if (verdict === 'admit') {
        this.#admitting = path
        if (outcome?.resume === 0n && this.#own?.path == null) {
          this.abandon('new', 'ERR_LINK_EXISTS') // it waits for what becomes of this one
        } else if (outcome?.resumed === true && this.#options.greater) {
          this.#giveWay(now)
        }
        this.shake(path, { type: 'admit' }, now)
      } else if (verdict !== 'hold') {
        this.shake(path, { type: 'refuse', link: verdict.refuse }, now)
      }
    }
  }

  /** Our own attempt to resume is given up for one of the other peer that is further; there is another if nothing comes of it. */
  #giveWay (now: number): void {
    const error = new StarError('ERR_LINK_EXISTS')
    const own = this.abandon('resume', 'ERR_LINK_EXISTS')
    if (own != null) {
      this.#owner.failed(own, error, 0n, now)
    }
  }

  /** A link has been given this path: what the other peer had begun before is late. */
  outdate (path: Path): void {
    for (const other of this.#paths.values()) {
      if (other === path && path.handshake instanceof Acceptor) {
        break // what comes after it was begun later
      }
      other.late = true
    }
  }

  /** Gives our own attempt up, if it is for that. */
  abandon (purpose: 'new' | 'resume', reason: Reason): Own | undefined {
    const own = this.#own
    if (own?.purpose !== purpose) {
      return undefined
    }
    this.#own = undefined
    if (own.path == null) {
      this.#owner.emit({ do: 'abandon' })
    } else {
      this.close(own.path, new StarError(reason))
    }
    return own
  }

  /** An attempt has come to nothing, and its path is gone or is closed; `stays` is the link that the other peer keeps instead. */
  over (path: Path, error: StarError, now: number, stays = 0n): void {
    this.leave(path)
    if (path === this.#own?.path) {
      this.#ownFailed(this.#own, error, stays, now)
    } else {
      this.#owner.emit({ do: 'note', link: 0n, what: 'attempt', error })
    }
  }

  close (path: Path, error?: StarError): void {
    this.leave(path)
    if (path.gone == null) {
      this.#owner.emit({ do: 'close', path: path.id, error })
    }
  }

  leave (path: Path): void {
    if (this.#admitting === path) {
      this.#admitting = undefined
    }
    path.drop()
    this.#paths.delete(path.id)
  }

  wake (now: number): void {
    for (const path of this.#paths.values()) {
      this.shake(path, { type: 'wake' }, now)
    }
    const own = this.#own
    if (own?.path != null && own.dueAt != null && own.dueAt <= now) {
      this.#giveUp(own.path, new StarError('ERR_LINK_TIMEOUT'), now)
    }
  }

  #enter (id: number, handshake: Dialler | Acceptor | Adopted): Path {
    const path = new Path(id, handshake, 2 * this.#options.window + MAX_BACKLOG_COST)
    this.#paths.set(id, path)
    return path
  }

  #hear (path: Path, tidings: Tidings, now: number): void {
    const own = path === this.#own?.path ? this.#own : undefined
    switch (tidings.do) {
      case 'ready':
        if (own != null) {
          this.#ready(own, path, tidings.outcome, now)
        }
        break
      case 'proved':
        if (own == null) {
          path.outcome = tidings.outcome
        } else {
          this.#proved(own, path, tidings.outcome, now)
        }
        break
      case 'up':
        this.#admitting = undefined
        this.#owner.up(path, tidings.outcome, now)
        break
      case 'over':
        this.#giveUp(path, tidings.error, now, tidings.link)
        break
    }
  }

  #giveUp (path: Path, error: StarError, now: number, stays?: bigint): void {
    this.close(path, error)
    this.over(path, error, now, stays)
  }

  /** What is written now goes with our reply. Not where the other peer's dial may yet come first. */
  #ready (own: Own, path: Path, outcome: Outcome, now: number): void {
    const { greater, stepTimeout } = this.#options
    const rivals = [...this.#paths.values()].some(other => other !== path && !other.handshake.over)
    if (greater) {
      own.dueAt = now + stepTimeout // the lesser one lets us in at once, and may itself be waiting for us
    }
    if (outcome.resume === 0n && this.#owner.link() == null && (greater || !rivals)) {
      this.#owner.ready(own, path, outcome, now)
    }
  }

  #proved (own: Own, path: Path, outcome: Outcome, now: number): void {
    this.#own = undefined
    if (outcome.resume === 0n && this.#admitting != null) {
      this.close(this.#admitting, new StarError('ERR_LINK_EXISTS')) // who took our dial has given that one up
    }
    this.#owner.proved(own, path, outcome, now)
  }

  #ownFailed (own: Own, error: StarError, stays: bigint, now: number): void {
    const link = own.purpose === 'new' ? undefined : this.#owner.link()
    this.#own = undefined
    this.#owner.emit({ do: 'note', link: link?.id ?? 0n, what: 'attempt', error })
    this.#owner.failed(own, error, stays, now)
  }

  /** The first attempt of the other peer that has proved itself and doesn't have to wait. */
  #next (): Path | undefined {
    const waiting: Array<Outcome & { readonly path: Path }> = []
    for (const path of this.#paths.values()) {
      if (path.outcome != null) {
        waiting.push({ ...path.outcome, path })
      }
    }
    return waiting.length === 0 ? undefined
      : inOrder(waiting).find(({ path: { late }, ...outcome }) => judge(this.#standing(), { ...outcome, late }) !== 'hold')?.path
  }

  #standing (): Standing {
    const { id, secret, session } = this.#owner.link() ?? {}
    return {
      greater: this.#options.greater,
      link: id == null || session == null ? undefined : { id, resumable: secret != null, complete: session.complete },
      own: this.#standingOwn,
      admitting: this.admitting
    }
  }

  /**
   * What our own attempt is for, if it counts: one that has not got to a path yet has not said anything to anybody, and one to
   * resume can't have been let in before we have proved ourselves. Held back for that, the other peer would wait for an answer
   * that may never come: who resumes has just lost a path, and what that ran through may be dead.
   */
  get #standingOwn (): Own['purpose'] | undefined {
    const { path, purpose, dueAt } = this.#own ?? {}
    return path == null || (purpose === 'resume' && dueAt == null) ? undefined : purpose
  }

  #secretOf (id: bigint): Uint8Array | undefined {
    const link = this.#owner.link()
    return link?.id === id ? link.secret : undefined
  }
}
