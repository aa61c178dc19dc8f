// A client's membership in one star: connect, introduce, prove, stay, come back. A machine without I/O.
import { StarError } from '../errors.ts'
import { challengeMessage } from './challenge.ts'
import { decodeError, isChallengeOffer, isWelcome } from './protocol.ts'
import type { Machine } from '../machine.ts'
import type { Answer, Introduction, Welcome } from './protocol.ts'

/** Where a session stands. */
export type SessionState = 'stopped' | 'connecting' | 'introducing' | 'signing' | 'proving' | 'joined' | 'replaced' | 'waiting'

/** What the session is told. */
export type SessionEvent =
  /** `start` connects, also when the next try is not due yet. */
  | { readonly type: 'start' | 'stop' | 'wake' }
  /** Whether others may discover and dial us, from now on. */
  | { readonly type: 'list', readonly listed: boolean }
  /** The socket is open; `socket` is the id that the star gave it. */
  | { readonly type: 'open', readonly socket: string }
  /** The socket closed, or could not be opened. */
  | { readonly type: 'lost', readonly error: StarError }
  /** The star acknowledged the latest join, with whatever arguments. */
  | { readonly type: 'reply', readonly args: readonly unknown[] }
  | { readonly type: 'signed', readonly signature: string }
  /** The star says that another connection has proved our identity. */
  | { readonly type: 'replaced' }
  /** The star says that the connection which replaced us is gone. */
  | { readonly type: 'vacant' }
  /** The star goes down and wants its clients back after so many milliseconds. */
  | { readonly type: 'restarting', readonly reconnectIn: number }

/** What the driver is to do. */
export type SessionOutput =
  | { readonly do: 'connect' | 'disconnect' }
  /** Emit `ss-join` with this proof and hand the acknowledgement back as `reply`. */
  | { readonly do: 'join', readonly proof: Introduction | Answer }
  /** Sign these bytes with the identity's key and hand the hex back as `signed`. */
  | { readonly do: 'sign', readonly message: Uint8Array }
  /** Joined: these peers are there, and that is the star's window. */
  | { readonly do: 'joined', readonly welcome: Welcome }
  /** No longer joined, or not yet: for this reason. The session tries again by itself unless it was stopped or replaced. */
  | { readonly do: 'down', readonly error: StarError }

/** A session's identity and patience. */
export interface SessionOptions {
  /** The canonical address to join: the star's with `/p2p/ID`. */
  readonly address: string
  /** The star's URL as it is dialled. */
  readonly origin: string
  /** The libp2p protobuf public key, hex. */
  readonly key: string
  /** What is spoken on streams beside plain bytes. */
  readonly speaks: readonly string[]
  /** Milliseconds that the star may take for each answer. */
  readonly timeout: number
  /** Milliseconds before the first try to come back; doubled for each further one. */
  readonly retryMin: number
  /** Milliseconds, the longest pause between two tries. */
  readonly retryMax: number
}

/** One client's membership in one star. */
export class Session implements Machine<SessionEvent, SessionOutput> {
  readonly #options: SessionOptions
  readonly #random: () => number
  #state: SessionState = 'stopped'
  #socket = ''
  #listed = false
  #introducedAs = false
  #attempts = 0
  #restartingIn = 0
  #wakeAt: number | undefined

  /** `random` gives numbers from 0 to 1 for the jitter. */
  constructor (options: SessionOptions, random: () => number) {
    this.#options = options
    this.#random = random
  }

  get state (): SessionState {
    return this.#state
  }

  get wakeAt (): number | undefined {
    return this.#wakeAt
  }

  input (event: SessionEvent, now: number): readonly SessionOutput[] {
    switch (event.type) {
      case 'start':
        return this.#state === 'stopped' || this.#state === 'waiting' ? this.#connect(now) : []
      case 'stop':
        return this.#stop()
      case 'wake':
        return this.#wake(now)
      case 'list':
        return this.#list(event.listed, now)
      case 'open':
        return this.#state === 'connecting' ? this.#introduce(event.socket, now) : []
      case 'lost':
        return this.#state === 'stopped' || this.#state === 'waiting' ? [] : this.#retry(event.error, now)
      case 'reply':
        return this.#reply(event.args, now)
      case 'signed':
        return this.#state === 'signing' ? this.#enter('proving', now, { do: 'join', proof: { signature: event.signature } }) : []
      case 'replaced':
        return this.#replaced()
      case 'vacant':
        return this.#state === 'replaced' ? this.#introduce(this.#socket, now) : []
      case 'restarting':
        this.#restartingIn = this.#state === 'stopped' || this.#state === 'waiting' ? 0 : event.reconnectIn
        return []
    }
  }

  #list (listed: boolean, now: number): SessionOutput[] {
    const changed = listed !== this.#listed
    this.#listed = listed
    // what was said before a proof can't be taken back within it, so the join is made anew
    return changed && this.#state === 'joined' ? this.#introduce(this.#socket, now) : []
  }

  #connect (now: number): SessionOutput[] {
    return this.#enter('connecting', now, { do: 'connect' })
  }

  #introduce (socket: string, now: number): SessionOutput[] {
    const { key, origin, speaks } = this.#options
    this.#socket = socket
    this.#introducedAs = this.#listed
    return this.#enter('introducing', now, { do: 'join', proof: { key, origin, listed: this.#listed, speaks } })
  }

  /** Goes to a state in which the star, or the signer, owes us something. */
  #enter (state: SessionState, now: number, output: SessionOutput): SessionOutput[] {
    this.#state = state
    this.#wakeAt = now + this.#options.timeout
    return [output]
  }

  #reply (args: readonly unknown[], now: number): readonly SessionOutput[] {
    if (this.#state !== 'introducing' && this.#state !== 'proving') {
      return []
    }
    const [error, offer, welcome] = args
    if (error != null) {
      return this.#fail(decodeError(error, 'ERR_PROTOCOL'), now)
    }
    if (offer == null && isWelcome(welcome)) {
      if (this.#listed !== this.#introducedAs) {
        return this.#introduce(this.#socket, now)
      }
      this.#state = 'joined'
      this.#attempts = 0
      this.#restartingIn = 0
      this.#wakeAt = undefined
      return [{ do: 'joined', welcome }]
    }
    if (this.#state === 'introducing' && isChallengeOffer(offer)) {
      const { origin, address } = this.#options
      const message = challengeMessage({ origin, socket: this.#socket, address }, offer)
      return this.#enter('signing', now, { do: 'sign', message })
    }
    return this.#fail(new StarError('ERR_PROTOCOL'), now)
  }

  #wake (now: number): readonly SessionOutput[] {
    if (this.#wakeAt == null || this.#wakeAt > now) {
      return []
    }
    return this.#state === 'waiting' ? this.#connect(now) : this.#fail(new StarError('ERR_STAR_TIMEOUT'), now)
  }

  #replaced (): readonly SessionOutput[] {
    if (this.#state !== 'joined') {
      return []
    }
    this.#state = 'replaced'
    this.#wakeAt = undefined
    return [{ do: 'down', error: new StarError('ERR_REPLACED') }]
  }

  #fail (error: StarError, now: number): SessionOutput[] {
    return [{ do: 'disconnect' }, ...this.#retry(error, now)]
  }

  #retry (error: StarError, now: number): SessionOutput[] {
    const { retryMin, retryMax } = this.#options
    const backoff = Math.min(retryMax, retryMin * 2 ** Math.min(this.#attempts++, 30))
    // half of the pause is left to chance, so that the clients of a star that comes back don't come back all at once
    const asked = Math.max(this.#restartingIn, error.retryAfter ?? 0) * (1 + this.#random() / 2)
    this.#state = 'waiting'
    this.#wakeAt = now + asked + backoff * (0.5 + this.#random() / 2)
    this.#restartingIn = 0
    return [{ do: 'down', error }]
  }

  #stop (): readonly SessionOutput[] {
    const connected = this.#state !== 'stopped' && this.#state !== 'waiting'
    this.#state = 'stopped'
    this.#attempts = 0
    this.#restartingIn = 0
    this.#wakeAt = undefined
    return connected ? [{ do: 'disconnect' }] : []
  }
}
