// Drives a race: owns its wires, its dials and its timer, and hands the path that is nominated to whoever wants one.
import { StarError } from '../src/errors.ts'
import { CloseCode } from '../src/rendezvous/close.ts'
import { toFrame } from '../src/rendezvous/frame.ts'
import { Race } from '../src/rendezvous/race.ts'
import { Drive } from './drive.ts'
import type { Entry, RaceEvent, RaceOptions, RaceOutput } from '../src/rendezvous/race.ts'
import type { PathKind } from '../src/rendezvous/select.ts'
import type { Connect, Wire, WireOwner } from './paths/wire.ts'

/** The longest frame that is taken: longer ones would have to be held as a whole. */
const MAX_FRAME = 1_048_576 + 16
/** Milliseconds for Nominate: as long as the other end takes to find all of its paths. */
const NOMINATE_TIMEOUT = 60_000

/** The path that was nominated, as what runs on top sees it. */
export interface Channel {
  readonly kind: PathKind
  /** What it runs to or through, for people. */
  readonly via: string
  /** Milliseconds from a message of its handshake to the answer. */
  readonly roundTrip: number
  /**
   * The hash of the path, 32 bytes, the same at both ends unless somebody who had the authentication key sits between them.
   */
  readonly rph: Uint8Array
  /** Bytes that the system has not taken yet. */
  readonly queued: number
  /** Sends parts as one, sealed unless `plain` is true. Nothing when the path is gone. */
  send (parts: readonly Uint8Array[], plain?: boolean): void
  pause (): void
  resume (): void
  /** Ends everything behind what was sent; the owner is told with `fail`. */
  end (reason?: unknown): void
  /** Resolves when nothing is open any more. */
  readonly closed: Promise<void>
}

/** Who has the path that was nominated. */
export interface ChannelOwner {
  /** What came: `plain` when it was not sealed. */
  deliver (bytes: Uint8Array, plain: boolean): void
  /** The system has taken some of what was sent. */
  drained (): void
  /** The path is no more. */
  fail (error: StarError): void
}

/** What became of one of the paths that are tried. */
export interface Tried {
  readonly kind: PathKind
  readonly via: string
  /** Milliseconds, where the other end was there. */
  readonly roundTrip?: number
  /** Why it came to nothing. */
  readonly error?: StarError
}

/** How a race is driven. */
export interface RaceDriverInit<Owner extends ChannelOwner>
  extends Omit<RaceOptions, 'maxFrame' | 'nominateTimeout' | 'plain'>, Partial<Pick<RaceOptions, 'plain'>> {
  readonly signal?: AbortSignal | undefined
  /** Makes the owner of the path that is nominated. */
  connect (channel: Channel): Owner
  /** Called once, when there is a path, or there won't be one: nobody is to be waited for any more. */
  onSettled (): void
  /** Called for each path that was tried, as it turns out. */
  onTried? (tried: Tried, path: number): void
}

/** A path that is tried. */
interface Attempt {
  readonly kind: PathKind
  readonly via: string
  wire: Wire | undefined
  timer: ReturnType<typeof setTimeout> | undefined
  roundTrip: number
  /** Whether it was told why nothing came of it. */
  failed: boolean
}

/** One race. */
export class RaceDriver<Owner extends ChannelOwner> {
  /** Rejects with {@link StarError}, or with the signal's reason. */
  readonly connected: Promise<Owner>
  /** Resolves when the race is over and nothing of it is open. */
  readonly closed: Promise<void>
  readonly #init: RaceDriverInit<Owner>
  readonly #race: Race
  readonly #drive: Drive<RaceEvent, RaceOutput>
  readonly #attempts = new Map<number, Attempt>()
  #owner: Owner | undefined
  #reason: unknown
  #settled = false
  readonly #resolve: (owner: Owner) => void
  readonly #reject: (reason: unknown) => void
  readonly #onClosed: () => void

  constructor (init: RaceDriverInit<Owner>) {
    this.#init = init
    this.#race = new Race({ plain: false, ...init, maxFrame: MAX_FRAME, nominateTimeout: NOMINATE_TIMEOUT })
    this.#drive = new Drive(this.#race, output => { this.#perform(output) })
    const { promise, resolve, reject } = Promise.withResolvers<Owner>()
    const closing = Promise.withResolvers<void>()
    this.connected = promise
    this.closed = closing.promise
    this.#resolve = resolve
    this.#reject = reject
    this.#onClosed = closing.resolve
    promise.catch(() => {}) // who waits for it is told
    init.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** There is a path that the other end may open: it is waited for. */
  await (path: number, entry: Entry, via: string): void {
    this.#attempts.set(path, { kind: entry.kind, via, wire: undefined, timer: undefined, roundTrip: 0, failed: false })
    this.#drive.tell({ type: 'add', path, entry })
  }

  /** Dials a path after so many milliseconds. */
  dial (path: number, entry: Entry, via: string, { after, connect }: { after: number, connect: Connect }): void {
    this.await(path, entry, via)
    const attempt = this.#attempts.get(path)
    if (attempt != null) {
      attempt.timer = setTimeout(() => {
        attempt.timer = undefined
        attempt.wire = connect(this.#ownerOf(path))
      }, after)
    }
  }

  /** The other end has opened the path: this is its wire, on which these bytes came. */
  attach (path: number, wire: Wire, bytes: readonly Uint8Array[]): void {
    const attempt = this.#attempts.get(path)
    if (attempt == null) {
      return wire.close(CloseCode.normal)
    }
    attempt.wire = wire
    const owner = this.#ownerOf(path)
    wire.own(owner)
    owner.onOpen()
    bytes.forEach(each => { owner.onBytes(each) })
  }

  /** No more paths will be added. */
  complete (): void {
    this.#drive.tell({ type: 'complete' })
  }

  /** Ends everything, for this reason. */
  stop (reason: unknown): void {
    this.#reason ??= reason
    this.#drive.tell({ type: 'close', code: CloseCode.normal })
  }

  readonly #onAbort = (): void => { this.stop(this.#init.signal?.reason) }

  #ownerOf (path: number): WireOwner {
    return {
      onOpen: () => { this.#drive.tell({ type: 'open', path }) },
      onBytes: bytes => { this.#drive.tell({ type: 'bytes', path, bytes }) },
      onTaken: () => {
        if (path === this.#race.nominated) {
          this.#owner?.drained()
        } else if (!this.#race.over) {
          this.#drive.tell({ type: 'written', path })
        }
      },
      onClose: (code, error) => {
        this.#drive.tell({ type: 'lost', path, ...code == null ? {} : { code }, ...error == null ? {} : { error } })
        this.#attempts.delete(path) // and not before: it is told what became of it
        this.#look()
      }
    }
  }

  #perform (output: RaceOutput): void {
    switch (output.do) {
      case 'send': return this.#attempts.get(output.path)?.wire?.send(output.frame)
      case 'deliver': return this.#owner?.deliver(output.bytes, output.plain)
      case 'established': return this.#tried(output.path, { roundTrip: output.roundTrip })
      case 'warning': return this.#tried(output.path, { error: output.error })
      case 'nominated': {
        this.#owner = this.#init.connect(this.#channel(output.path, output.rph))
        this.#settle()
        return this.#resolve(this.#owner)
      }
      case 'close': return this.#close(output.path, output.code)
      case 'over': return this.#over(output.error)
      case 'refused':
    }
  }

  #tried (path: number, result: Pick<Tried, 'roundTrip' | 'error'>): void {
    const attempt = this.#attempts.get(path)
    if (attempt != null) {
      attempt.failed ||= result.error != null
      attempt.roundTrip = result.roundTrip ?? attempt.roundTrip
      this.#init.onTried?.({ kind: attempt.kind, via: attempt.wire?.via ?? attempt.via, ...result }, path)
    }
  }

  #close (path: number, code: number): void {
    const attempt = this.#attempts.get(path)
    clearTimeout(attempt?.timer)
    if (attempt?.wire == null) {
      this.#attempts.delete(path) // there was no connection yet
    } else {
      attempt.wire.close(code)
    }
  }

  #over (error: StarError | undefined): void {
    this.#drive.clear()
    if (error?.code === 'ERR_RENDEZVOUS_FAILED') {
      this.#tellLast(error)
    }
    const reason = this.#reason ?? error ?? new StarError('ERR_PATH_LOST')
    this.#reject(reason)
    this.#owner?.fail(reason instanceof StarError ? reason : new StarError('ERR_STREAM_CLOSED', { cause: reason }))
    this.#settle()
    this.#look()
  }

  /** The last paths of a race that has failed are worth no warning, but a word. */
  #tellLast (error: StarError): void {
    for (const [path, { wire, failed }] of this.#attempts) {
      if (wire != null && !failed) {
        this.#tried(path, { error: error.cause instanceof StarError ? error.cause : error })
      }
    }
  }

  #channel (path: number, rph: Uint8Array): Channel {
    const { kind, via, wire, roundTrip } = this.#attempts.get(path) as Attempt
    return {
      kind,
      via: wire?.via ?? via,
      roundTrip,
      rph,
      get queued () { return wire?.queued ?? 0 },
      // at once, also from within what is delivered: nothing that is still to be performed then has to go out before it
      send: (parts, plain = false) => {
        if (plain && this.#init.plain === true && !this.#race.over) {
          wire?.send(toFrame(parts, true)) // what isn't sealed changes nothing in the race
        } else {
          this.#race.input({ type: 'send', bytes: parts, plain }, performance.now()).forEach(output => { this.#perform(output) })
        }
      },
      pause: () => { wire?.pause() },
      resume: () => { wire?.resume() },
      end: reason => { this.stop(reason) },
      closed: this.closed
    }
  }

  /** There is a path, or there won't be one. */
  #settle (): void {
    if (!this.#settled) {
      this.#settled = true
      this.#init.signal?.removeEventListener('abort', this.#onAbort)
      this.#init.onSettled()
    }
  }

  #look (): void {
    if (this.#race.over && this.#attempts.size === 0) {
      this.#onClosed()
    }
  }
}
