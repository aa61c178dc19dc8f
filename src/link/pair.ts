// All that two peers have to do with each other: the one link between them, the attempts to make it or to give it a new path, of either
// side, and the election between them. A machine without I/O; paths are numbers that the driver gives out.
import { concatBytes } from '@noble/hashes/utils.js'
import { StarError } from '../errors.ts'
import { decide, inOrder, judge } from './election.ts'
import { FrameReader, encodeFrame } from './frame.ts'
import { Acceptor, Dialler } from './handshake.ts'
import { Session } from './session.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { Standing } from './election.ts'
import type { Frame } from './frame.ts'
import type { HandshakeEvent, HandshakeOptions, HandshakeOutput, HandshakePorts, Outcome } from './handshake.ts'
import type { SessionOptions, SessionOutput } from './session.ts'

/** One link: what its driver knows it by. */
export interface Link {
  /** The connection id of the attempt that it came of. */
  readonly id: bigint
  /** Whether we dialled it. */
  readonly dialled: boolean
  readonly session: Session
  /** The path that carries it; none while it waits for one. */
  readonly path: number | undefined
}

/** What a pair is told. */
export type PairEvent =
  /** Somebody wants a link. */
  | { readonly type: 'dial' }
  /** Nobody wants one any more. */
  | { readonly type: 'cancel' }
  /** The answer to `open`: this path is open. */
  | { readonly type: 'opened', readonly path: number }
  /** The answer to `open`: none could be opened. */
  | { readonly type: 'unopened', readonly error: StarError }
  /** The other peer has opened this path. */
  | { readonly type: 'incoming', readonly path: number }
  | { readonly type: 'bytes', readonly path: number, readonly chunk: Uint8Array }
  /** A path is gone; one that we closed may be reported or not. */
  | { readonly type: 'lost', readonly path: number, readonly error: StarError }
  /** The answers to `sign` and `verify`. */
  | { readonly type: 'signed', readonly path: number, readonly signature: Uint8Array }
  | { readonly type: 'verified', readonly path: number, readonly valid: boolean }
  /** The two have exchanged a link's secret where nobody else reads: from now on the link outlives its path. */
  | { readonly type: 'secret', readonly link: bigint, readonly secret: Uint8Array }
  /** A link's session says that its path is dead, or that it is over. */
  | { readonly type: 'dead' | 'closed', readonly link: Link }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type PairOutput =
  /** Open a path to the other peer, and answer with `opened` or `unopened`. */
  | { readonly do: 'open' }
  /** Open none after all. */
  | { readonly do: 'abandon' }
  | { readonly do: 'send', readonly path: number, readonly bytes: Uint8Array }
  /** Close a path behind what was sent; its bytes aren't wanted any more. */
  | { readonly do: 'close', readonly path: number, readonly error: StarError | undefined }
  | { readonly do: 'sign', readonly path: number, readonly message: Uint8Array }
  | ({ readonly do: 'verify', readonly path: number } & Omit<HandshakeOutput & { do: 'verify' }, 'do'>)
  /** There is a new link. One that we dialled may still come to nothing: its session then ends with the reason. */
  | { readonly do: 'link', readonly link: Link }
  /** Its session says so. */
  | { readonly do: 'session', readonly link: Link, readonly outputs: readonly SessionOutput[] }
  /** What was dialled for is this link. */
  | { readonly do: 'dialled', readonly link: Link }
  /** What was dialled for has come to nothing. */
  | { readonly do: 'failed', readonly error: StarError }
  /** Something that users may want to know; `error` is the cause. */
  | { readonly do: 'note', readonly link: bigint, readonly what: Note, readonly error?: StarError }

/** `path`: has its first path or another one; `suspended`: lost it; `attempt`: an attempt to make or resume it came to nothing; `over`: ended. */
export type Note = 'path' | 'suspended' | 'attempt' | 'over'

/** How a pair is set up. */
export interface PairOptions extends SessionOptions, Omit<HandshakeOptions, 'peer'> {
  /** The other peer's name. */
  readonly peer: string
  /** Whether our id is the greater one, byte by byte. */
  readonly greater: boolean
  /** Milliseconds that the one who was dialled waits before it looks for a new path itself. */
  readonly grace: number
  /** Milliseconds before the second try to resume; doubled for each further one, up to {@link MAX_RETRY}. */
  readonly retry: number
}

/** What a pair needs from outside. */
export interface PairPorts extends Pick<HandshakePorts, 'random' | 'outstanding'> {
  /** The secret of a private star; empty for a public one. */
  readonly secret: Uint8Array
}

/** Attempts of the other peer at one time; the oldest is dropped for another. */
const MAX_ATTEMPTS = 8
/** Tries to make a link when the other peer refuses for one that we don't hold. */
const MAX_TRIES = 3
const MAX_RETRY = 4_000
/** Bytes that a frame costs beside its own while it waits, and how much these may come to beside two windows. */
const FRAME_COST = 64
const MAX_BACKLOG_COST = 65_536
/** Milliseconds that a link which is being closed has for its last words, when another is wanted. */
const LAST_WORDS = 1_000

interface Path {
  readonly id: number
  readonly reader: FrameReader
  readonly handshake: Dialler | Acceptor
  /** Frames that came before it was clear what they belong to. */
  readonly backlog: Array<Exclude<Frame, { type: 'handshake' }>>
  backlogBytes: number
  /** True when the other peer has said its last word of the handshake, right as far as that could be seen at once. */
  said: boolean
  link: LinkState | undefined
  /** An attempt of the other peer that has proved itself and waits. */
  outcome: Outcome | undefined
  /** True when another attempt, begun by us or later, has given the link a path since. */
  late: boolean
}

interface LinkState extends Link {
  readonly incarnation: bigint
  path: number | undefined
  secret: Uint8Array | undefined
}

interface Own {
  readonly purpose: 'new' | 'resume'
  path: Path | undefined
  /** The link that is handed out before the other peer has proved itself. */
  link: LinkState | undefined
  /** When the other peer's last word is due. */
  dueAt: number | undefined
}

/** One peer, seen from another. */
export class Pair implements Machine<PairEvent, PairOutput> {
  readonly #options: PairOptions
  readonly #ports: PairPorts
  readonly #paths = new Map<number, Path>()
  #link: LinkState | undefined
  #own: Own | undefined
  #admitting: Path | undefined
  #wanted = false
  /** Attempts of our own for what is wanted, and why the last one came to nothing. */
  #tries = 0
  #failure: StarError | undefined
  #resumeAt: number | undefined
  #closeBy: number | undefined
  #failures = 0
  #outputs: PairOutput[] = []

  constructor (options: PairOptions, ports: PairPorts) {
    this.#options = options
    this.#ports = ports
  }

  /** The link that both have proved, if there is one that isn't being closed. */
  get link (): Link | undefined {
    return this.#link?.session.closing === true ? undefined : this.#link
  }

  /** True when there is nothing to keep. */
  get idle (): boolean {
    return this.#link == null && this.#own == null && this.#paths.size === 0
  }

  get wakeAt (): number | undefined {
    let least = Math.min(this.#link?.session.wakeAt ?? Infinity, this.#own?.dueAt ?? Infinity, this.#closeBy ?? Infinity)
    if (this.#own == null) {
      least = Math.min(least, this.#resumeAt ?? Infinity)
    }
    for (const { handshake } of this.#paths.values()) {
      least = Math.min(least, handshake.wakeAt ?? Infinity)
    }
    return least === Infinity ? undefined : least
  }

  input (event: PairEvent, now: number): readonly PairOutput[] {
    this.#outputs = []
    this.#take(event, now)
    this.#settle(now)
    return this.#outputs
  }

  #take (event: PairEvent, now: number): void {
    switch (event.type) {
      case 'dial':
        this.#dial()
        break
      case 'cancel':
        this.#cancel()
        break
      case 'opened':
        this.#opened(event.path, now)
        break
      case 'unopened':
        if (this.#own != null && this.#own.path == null) {
          this.#ownFailed(this.#own, event.error, now)
        }
        break
      case 'incoming':
        this.#incoming(event.path, now)
        break
      case 'bytes':
        this.#bytes(event.path, event.chunk, now)
        break
      case 'lost':
        this.#lost(event.path, event.error, now)
        break
      case 'signed':
      case 'verified':
        this.#shake(this.#paths.get(event.path), event, now)
        break
      case 'secret':
        if (this.#link?.id === event.link && this.#link.secret == null) {
          this.#link.secret = event.secret
        }
        break
      case 'dead':
        if (event.link.session.dead) {
          this.#giveUp(this.#pathOf(event.link), new StarError('ERR_PATH_DEAD'), now)
        }
        break
      case 'closed':
        this.#over(event.link, now)
        break
      case 'wake':
        this.#wake(now)
        break
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
  #answer (): void {
    this.#wanted = false
    this.#tries = 0
    this.#failure = undefined
  }

  #attempt (purpose: 'new' | 'resume'): void {
    this.#own = { purpose, path: undefined, link: undefined, dueAt: undefined }
    this.#outputs.push({ do: 'open' })
  }

  #opened (id: number, now: number): void {
    const own = this.#own
    if (own == null || own.path != null) {
      this.#outputs.push({ do: 'close', path: id, error: undefined })
      return
    }
    const resume = own.purpose === 'resume' ? this.#link?.id ?? 0n : 0n
    const handshake = new Dialler(this.#options, this.#handshakePorts(), {
      connectionId: this.#newId(),
      resume,
      holds: link => this.#link?.id === link
    })
    own.path = this.#enter(id, handshake)
    this.#shake(own.path, { type: 'start' }, now)
  }

  #incoming (id: number, now: number): void {
    const attempts = [...this.#paths.values()].filter(path => path.handshake instanceof Acceptor && !path.handshake.over)
    if (attempts.length >= MAX_ATTEMPTS) {
      const error = new StarError('ERR_TOO_MANY_IN_FLIGHT')
      const oldest = attempts.find(path => !path.said)
      this.#outputs.push({ do: 'note', link: 0n, what: 'attempt', error })
      if (oldest == null) {
        this.#outputs.push({ do: 'close', path: id, error })
        return
      }
      this.#close(oldest, error)
    }
    const handshake = new Acceptor(this.#options, this.#handshakePorts(), {
      decide: name => decide(this.#standing(), name)
    })
    this.#shake(this.#enter(id, handshake), { type: 'start' }, now)
  }

  #enter (id: number, handshake: Dialler | Acceptor): Path {
    const path: Path = {
      id,
      handshake,
      reader: new FrameReader(),
      backlog: [],
      backlogBytes: 0,
      said: false,
      link: undefined,
      outcome: undefined,
      late: false
    }
    this.#paths.set(id, path)
    return path
  }

  #handshakePorts (): HandshakePorts {
    const { random, outstanding, secret } = this.#ports
    return {
      random,
      outstanding,
      secret: resumed => resumed === 0n ? secret : concatBytes(secret, this.#secretOf(resumed) ?? random(32))
    }
  }

  #secretOf (id: bigint): Uint8Array | undefined {
    return this.#link?.id === id ? this.#link.secret : undefined
  }

  #pathOf (link: Link): Path | undefined {
    return link.path == null ? undefined : this.#paths.get(link.path)
  }

  #newId (): bigint {
    const bytes = this.#ports.random(8)
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) || 1n
  }

  #bytes (id: number, chunk: Uint8Array, now: number): void {
    const path = this.#paths.get(id)
    if (path == null) {
      return
    }
    let frames: Frame[]
    try {
      frames = path.reader.read(chunk)
    } catch (error) {
      return this.#broken(path, error instanceof StarError ? error : new StarError('ERR_PROTOCOL', { cause: error }), now)
    }
    for (const frame of frames) {
      if (!this.#paths.has(id)) {
        return // an earlier frame has ended it
      }
      if (frame.type === 'handshake') {
        this.#shake(path, { type: 'message', bytes: frame.bytes }, now)
      } else {
        this.#receive(path, frame, now)
      }
    }
  }

  #receive (path: Path, frame: Exclude<Frame, { type: 'handshake' }>, now: number): void {
    if (path.link != null && path.handshake.over) {
      return this.#session(path.link, path.link.session.receive(frame, now))
    }
    if (!path.said) {
      return this.#broken(path, new StarError('ERR_PROTOCOL', { detail: `${frame.type} before the handshake was through` }), now)
    }
    // the other peer may go on at once when it has said its last word, but isn't believed before it is checked
    path.backlog.push(frame)
    path.backlogBytes += FRAME_COST + (frame.type === 'data' ? frame.bytes.byteLength : 0)
    if (path.backlogBytes > 2 * this.#options.window + MAX_BACKLOG_COST) {
      this.#broken(path, new StarError('ERR_BUDGET'), now)
    }
  }

  #session (link: LinkState, outputs: readonly SessionOutput[]): void {
    if (outputs.length > 0) {
      this.#outputs.push({ do: 'session', link, outputs })
    }
  }

  #shake (path: Path | undefined, event: HandshakeEvent, now: number): void {
    if (path == null) {
      return
    }
    if (path.handshake.over && event.type === 'message') {
      return this.#broken(path, new StarError('ERR_PROTOCOL', { detail: 'a handshake that goes on' }), now)
    }
    for (const output of path.handshake.input(event, now)) {
      switch (output.do) {
        case 'send':
          this.#outputs.push({ do: 'send', path: path.id, bytes: encodeFrame({ type: 'handshake', bytes: output.bytes }) })
          break
        case 'sign':
          this.#outputs.push({ ...output, path: path.id })
          break
        case 'verify':
          path.said = true
          this.#outputs.push({ ...output, path: path.id })
          break
        case 'ready':
          this.#ready(path, output.outcome, now)
          break
        case 'proved':
          path.said = true
          if (path === this.#own?.path) {
            this.#ownProved(this.#own, path, output.outcome, now)
          } else {
            path.outcome = output.outcome
          }
          break
        case 'up':
          this.#up(path, output.outcome, now)
          break
        case 'over':
          this.#close(path, output.error)
          this.#attemptOver(path, output.error, now, output.link)
          break
      }
    }
  }

  /** Our reply is out: what is written now goes with it. Not where the other peer's dial may yet come first. */
  #ready (path: Path, outcome: Outcome, now: number): void {
    const own = this.#own
    if (own?.path !== path) {
      return
    }
    if (this.#options.greater) {
      own.dueAt = now + this.#options.stepTimeout // the lesser one lets us in at once, and may itself be waiting for us
    }
    const rivals = [...this.#paths.values()].some(other => other !== path && !other.handshake.over)
    if (outcome.resume === 0n && this.#link == null && (this.#options.greater || !rivals)) {
      own.link = this.#newLink(path, outcome, true, now)
    }
  }

  #newLink (path: Path, outcome: Outcome, dialled: boolean, now: number): LinkState {
    const session = new Session({ ...this.#options, initialLimit: outcome.flags.window })
    const { connectionId: id, incarnation } = outcome
    const link: LinkState = { id, dialled, incarnation, session, path: path.id, secret: undefined }
    path.link = link
    this.#outputs.push({ do: 'link', link })
    this.#session(link, session.attach(now, true))
    return link
  }

  #ownProved (own: Own, path: Path, outcome: Outcome, now: number): void {
    this.#own = undefined
    this.#failures = 0
    if (outcome.resume === 0n) {
      if (this.#admitting != null) {
        this.#close(this.#admitting, new StarError('ERR_LINK_EXISTS')) // who took our dial has given that one up
      }
      own.link?.session.start(now)
      this.#elect(own.link ?? this.#newLink(path, outcome, true, now), path, outcome, now)
    } else if (outcome.resumed && this.#link?.id === outcome.resume) {
      this.#attach(this.#link, path, now)
    } else {
      this.#close(path)
      this.#unknown(outcome)
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
    if (this.#own?.path == null) {
      this.#abandon('new', 'ERR_LINK_EXISTS')
    }
    this.#outputs.push({ do: 'note', link: link.id, what: 'path' })
    this.#replay(path, now)
  }

  /** Gives a link that both hold another path. */
  #attach (link: LinkState, path: Path, now: number): void {
    const former = this.#pathOf(link)
    if (former != null) {
      this.#close(former)
    }
    for (const other of this.#paths.values()) {
      if (other === path && path.handshake instanceof Acceptor) {
        break // what comes after it was begun later
      }
      other.late = true
    }
    path.link = link
    link.path = path.id
    this.#resumeAt = undefined
    this.#failures = 0
    this.#outputs.push({ do: 'note', link: link.id, what: 'path' })
    this.#session(link, link.session.attach(now, false))
    this.#abandon('resume', 'ERR_LINK_EXISTS')
    this.#replay(path, now)
  }

  #replay (path: Path, now: number): void {
    for (const frame of path.backlog.splice(0)) {
      if (path.link != null) {
        this.#session(path.link, path.link.session.receive(frame, now))
      }
    }
  }

  #up (path: Path, outcome: Outcome, now: number): void {
    this.#admitting = undefined
    if (outcome.resume === 0n) {
      this.#elect(this.#newLink(path, outcome, false, now), path, outcome, now)
    } else if (outcome.resumed && this.#link?.id === outcome.resume) {
      this.#attach(this.#link, path, now)
    } else {
      this.#close(path) // all that was wanted is the proof that the link is gone
    }
  }

  /** After each event: judges the attempts that wait, goes on with our own, and answers what was dialled for. */
  #settle (now: number): void {
    while (this.#judge(now)) {
      // until the rest have to wait
    }
    if (this.#own == null && this.#link != null && this.#resumeAt != null && this.#resumeAt <= now) {
      this.#resumeAt = undefined
      this.#attempt('resume')
    }
    if (this.#wanted) {
      this.#pursue(now)
    }
  }

  /** Goes on with what is dialled for. */
  #pursue (now: number): void {
    const error = this.#failure
    if (this.link != null) {
      this.#answer()
      this.#outputs.push({ do: 'dialled', link: this.link })
    } else if (this.#link != null) {
      this.#closeBy ??= now + LAST_WORDS // what is being closed is closed in good order first
    } else if (this.#own != null || this.#admitting != null) {
      // that comes first
    } else if (error == null) {
      this.#tries++
      this.#attempt('new')
    } else {
      this.#answer()
      this.#outputs.push({ do: 'failed', error })
    }
  }

  /** Judges the first attempt that does not have to wait on. */
  #judge (now: number): boolean {
    const waiting = [...this.#paths.values()].flatMap(path => path.outcome == null ? [] : [{ path, ...path.outcome }])
    for (const { path, ...outcome } of waiting.length > 0 ? inOrder(waiting) : waiting) {
      const verdict = judge(this.#standing(), { ...outcome, late: path.late })
      if (verdict === 'hold') {
        continue
      }
      path.outcome = undefined
      if (verdict === 'admit') {
        this.#admitting = path
        if (outcome.resume === 0n && this.#own?.path == null) {
          this.#abandon('new', 'ERR_LINK_EXISTS') // it waits for what becomes of this one
        }
      }
      this.#shake(path, verdict === 'admit' ? { type: 'admit' } : { type: 'refuse', link: verdict.refuse }, now)
      return true
    }
    return false
  }

  #standing (): Standing {
    const link = this.#link == null ? undefined
      : { id: this.#link.id, resumable: this.#link.secret != null, complete: this.#link.session.complete }
    // an attempt that has not got to a path yet has not said anything to anybody
    const own = this.#own?.path == null ? undefined : this.#own.purpose
    return { greater: this.#options.greater, link, own, admitting: this.#admitting != null }
  }

  /** An attempt of whichever side has come to nothing, and its path is gone; `stays` is the link that the other peer keeps instead. */
  #attemptOver (path: Path, error: StarError, now: number, stays?: bigint): void {
    if (path === this.#own?.path) {
      this.#ownFailed(this.#own, error, now, stays)
    } else {
      this.#outputs.push({ do: 'note', link: 0n, what: 'attempt', error })
    }
  }

  #ownFailed (own: Own, error: StarError, now: number, stays = 0n): void {
    const link = this.#link
    this.#own = undefined
    this.#outputs.push({ do: 'note', link: own.purpose === 'new' ? 0n : link?.id ?? 0n, what: 'attempt', error })
    if (own.link != null) {
      this.#session(own.link, own.link.session.lose(error))
    }
    if (own.purpose === 'new') {
      // a link that stays is news to us as long as we don't have it: it will be asked for again, and replaced
      this.#failure = stays !== 0n && this.#tries < MAX_TRIES ? undefined : error
    } else if (link != null && link.path == null) {
      this.#resumeAt = now + Math.min(MAX_RETRY, this.#options.retry * 2 ** this.#failures++)
    }
  }

  #lost (id: number, error: StarError, now: number): void {
    const path = this.#paths.get(id)
    if (path != null) {
      this.#gone(path, error, now)
    }
  }

  /** The other peer broke the protocol on a path. */
  #broken (path: Path, error: StarError, now: number): void {
    if (path.link != null && path.handshake.over) {
      return this.#session(path.link, path.link.session.reset(error))
    }
    this.#giveUp(path, error, now)
  }

  /** A path is no good any more. */
  #giveUp (path: Path | undefined, error: StarError, now: number): void {
    if (path != null) {
      this.#outputs.push({ do: 'close', path: path.id, error })
      this.#gone(path, error, now)
    }
  }

  #gone (path: Path, error: StarError, now: number): void {
    const { link } = path
    this.#leave(path)
    if (link != null && link === this.#link) {
      this.#suspend(link, error, now)
    } else {
      this.#attemptOver(path, error, now)
    }
  }

  #suspend (link: LinkState, error: StarError, now: number): void {
    const { session } = link
    if (link.secret == null || this.#options.resumeTimeout === 0 || session.state === 'closed') {
      return this.#end(link, session.complete ? undefined : error)
    }
    session.detach(now)
    this.#outputs.push({ do: 'note', link: link.id, what: 'suspended', error })
    this.#resumeAt = now + (link.dialled ? 0 : this.#options.grace)
  }

  /** Ends a link that counted. */
  #end (link: LinkState, error: StarError | undefined): void {
    this.#session(link, link.session.lose(error))
    this.#forget(link)
  }

  /** A session is over, as its driver says. */
  #over (link: Link, now: number): void {
    const own = this.#own
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
    const path = this.#pathOf(link)
    if (path != null) {
      this.#close(path, error)
    }
    this.#link = undefined
    this.#resumeAt = undefined
    this.#closeBy = undefined
    this.#abandon('resume', 'ERR_STREAM_CLOSED')
    this.#outputs.push({ do: 'note', link: link.id, what: 'over', ...(error == null ? {} : { error }) })
  }

  #abandon (purpose: 'new' | 'resume', reason: Reason): void {
    const own = this.#own
    if (own?.purpose !== purpose) {
      return
    }
    const error = new StarError(reason)
    this.#own = undefined
    if (own.path == null) {
      this.#outputs.push({ do: 'abandon' })
    } else {
      this.#close(own.path, error)
    }
    if (own.link != null) {
      this.#session(own.link, own.link.session.lose(error))
    }
  }

  #close (path: Path, error?: StarError): void {
    this.#leave(path)
    this.#outputs.push({ do: 'close', path: path.id, error })
  }

  /** Nothing that still comes on a path counts. */
  #leave (path: Path): void {
    if (this.#admitting === path) {
      this.#admitting = undefined
    }
    if (path.link?.path === path.id) {
      path.link.path = undefined
    }
    path.handshake.drop()
    path.outcome = undefined
    path.backlog.length = 0
    this.#paths.delete(path.id)
  }

  #wake (now: number): void {
    for (const path of this.#paths.values()) {
      this.#shake(path, { type: 'wake' }, now)
    }
    if (this.#own?.dueAt != null && this.#own.dueAt <= now) {
      this.#giveUp(this.#own.path, new StarError('ERR_LINK_TIMEOUT'), now)
    }
    if (this.#link == null) {
      return
    }
    const { session } = this.#link
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
