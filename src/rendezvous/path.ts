// One path at one of its ends: who holds the key shakes hands, and then waits whether this is the path that is taken.
//
//   RRD   new ─▸ awaitAuthHello ─▸ awaitNominate ─▸ nominated        sends Hello as it opens, Auth for AuthHello
//   RID   new ─▸ awaitHello ─▸ awaitAuth ─▸ awaitNominate ─▸ nominated   sends AuthHello for Hello
//
// A path is established in `awaitNominate`. The nominator, one of the two, sends Nominate when it is told to, data right behind
// it; the other one takes Nominate for the word that this is the path. What comes when it isn't due, can't be opened or is too
// long closes the path with 4000. `disregarded` is a path whose nominator has nominated another one: it is kept for a while, so
// that the other end is the one that closes it, and what comes on it counts for nothing.
import { equalBytes } from '@noble/ciphers/utils.js'
import { concat } from 'uint8arrays/concat'
import { StarError } from '../errors.ts'
import { CloseCode, lostError } from './close.ts'
import { FrameReader, MAX_FRAME, MAX_HANDSHAKE_FRAME, TAG, toFrame } from './frame.ts'
import { CHALLENGE, KEY, decodeMessage, encodeMessage } from './wire.ts'
import type { Machine } from '../machine.ts'
import type { PathKeys } from './keys.ts'
import type { PathMessages } from './wire.ts'

/** What a path is told. */
export type PathEvent =
  /** There is a connection. */
  | { readonly type: 'open' }
  /**
   * What was sent last has left for the network: the round trip is timed from here. Said or not, and of the handshake at most.
   */
  | { readonly type: 'written' }
  /** Bytes came. */
  | { readonly type: 'bytes', readonly bytes: Uint8Array }
  /** At the nominator: this is the path. */
  | { readonly type: 'nominate' }
  /**
   * Send this on a nominated path, or these parts, in one frame; not sealed when `plain` is true and both ends have agreed to
   * that.
   */
  | { readonly type: 'send', readonly bytes: Uint8Array | readonly Uint8Array[], readonly plain?: boolean }
  /** At the nominator: another path is it. */
  | { readonly type: 'disregard' }
  /** Close it, for this reason. */
  | { readonly type: 'close', readonly code: number }
  /** The connection is gone; with the code with which it was closed, where there are codes. */
  | { readonly type: 'lost', readonly code?: number }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type PathOutput =
  /** Send a frame: its parts, one after the other. On a WebSocket they are one binary message, for some take nothing else. */
  | { readonly do: 'send', readonly frame: readonly Uint8Array[] }
  /** The other end's data: of one sealed frame, or the next part of what was sent `plain`. */
  | { readonly do: 'deliver', readonly bytes: Uint8Array, readonly plain: boolean }
  /** The other end holds the key; milliseconds from our message to its answer. */
  | { readonly do: 'established', readonly roundTrip: number }
  /** This is the path. */
  | { readonly do: 'nominated', readonly rph: Uint8Array }
  /** Close the connection, with this code where there are codes. Nothing follows. An error when it was not to end like this. */
  | { readonly do: 'close', readonly code: number, readonly error?: StarError }
  /** The connection is gone, and the path with it. Nothing follows. No error when the other end says that all was said. */
  | { readonly do: 'lost', readonly error?: StarError }
  /** What we ourselves wanted is not possible; nothing has changed. */
  | { readonly do: 'refused', readonly error: StarError }

/** How paths are set up; times are milliseconds. */
export interface PathOptions {
  /** Whether it is we who nominate. Exactly one of the two ends does. */
  readonly nominator: boolean
  /** The longest data of a frame that is taken after the nomination, in bytes. */
  readonly maxFrame: number
  /** Whether frames that aren't sealed are taken and sent after the nomination: only for data that is sealed already. */
  readonly plain: boolean
  /**
   * From our first message to the end of the handshake. For its first message RID may have to wait for as long as the race
   * lasts.
   */
  readonly handshakeTimeout: number
  /** From the end of the handshake to Nominate, for who waits for it. */
  readonly nominateTimeout: number
}

/** A path's state, with what belongs to it alone. */
type State =
  | { readonly name: 'new' | 'awaitHello' | 'nominated' | 'disregarded' | 'closed' }
  | { readonly name: 'awaitAuthHello', readonly challenge: Uint8Array, readonly secret: Uint8Array }
  | { readonly name: 'awaitAuth', readonly challenge: Uint8Array, readonly secret: Uint8Array, readonly theirs: Uint8Array }
  | { readonly name: 'awaitNominate', readonly rph: Uint8Array }

/** The name of a path's state. */
export type PathState = State['name']

/** Milliseconds for which the nominator keeps the paths that it did not nominate. */
export const DISREGARDED_TIME = 15_000

const NONE = new Uint8Array()
const CLOSED: State = { name: 'closed' }

/** One path at one end. */
export class Path implements Machine<PathEvent, PathOutput> {
  readonly #options: PathOptions
  readonly #keys: PathKeys
  readonly #reader = new FrameReader()
  #state: State = { name: 'new' }
  #outputs: PathOutput[] = []
  #deadline: number | undefined
  /** When the message left whose answer is timed, and whether that was said or is only assumed. */
  #sentAt = 0
  #written = true

  /** Throws {@link StarError} `ERR_OPTIONS` for frames longer than anybody takes. */
  constructor (keys: PathKeys, options: PathOptions) {
    if (options.maxFrame < TAG || options.maxFrame > MAX_FRAME) {
      throw new StarError('ERR_OPTIONS', { detail: `frames of up to ${options.maxFrame} bytes` })
    }
    this.#keys = keys
    this.#options = options
  }

  get state (): PathState {
    return this.#state.name
  }

  get wakeAt (): number | undefined {
    return this.#deadline
  }

  input (event: PathEvent, now: number): readonly PathOutput[] {
    this.#outputs = []
    if (this.#state.name !== 'closed') {
      this.#enter(this.#attempt(event, now), now)
    }
    return this.#outputs
  }

  /** The state after an event, whatever it throws. */
  #attempt (event: PathEvent, now: number): State {
    try {
      return this.#follow(event, now)
    } catch (error) {
      if (!(error instanceof StarError)) {
        throw error
      }
      this.#outputs.push({ do: 'close', code: CloseCode.protocol, error })
      return CLOSED
    }
  }

  #follow (event: PathEvent, now: number): State {
    switch (event.type) {
      case 'open': return this.#open(now)
      case 'written': return this.#leave(now)
      case 'bytes': return this.#read(event.bytes, now)
      case 'nominate': return this.#nominate()
      case 'send': return this.#send('byteLength' in event.bytes ? [event.bytes] : event.bytes, event.plain === true)
      case 'disregard': return this.#disregard()
      case 'close': return this.#close(event.code)
      case 'lost': return this.#lost(event.code)
      case 'wake': return this.#wake(now)
    }
  }

  /** The one place where the state changes: with it goes the time that the next one may last. */
  #enter (next: State, now: number): void {
    const before = this.#state.name
    this.#state = next
    if (before === next.name) {
      return
    }
    const { nominator, handshakeTimeout, nominateTimeout } = this.#options
    switch (next.name) {
      case 'awaitAuthHello':
      case 'awaitAuth':
        this.#deadline = now + handshakeTimeout
        break
      case 'awaitNominate':
        this.#deadline = nominator ? undefined : now + nominateTimeout
        break
      case 'disregarded':
        this.#deadline = now + DISREGARDED_TIME
        break
      case 'nominated':
      case 'closed':
        this.#deadline = undefined
        break
      case 'new':
      case 'awaitHello':
        break // RID may be at a relay long before anybody has read its init
    }
  }

  #open (now: number): State {
    if (this.#state.name !== 'new') {
      return this.#refuse('it is open already')
    }
    if (this.#keys.role === 'rid') {
      return { name: 'awaitHello' }
    }
    const challenge = this.#random(CHALLENGE)
    const secret = this.#random(KEY)
    this.#say(this.#sealed('hello', { challenge, etk: this.#keys.crypto.publicKey(secret) }), now)
    return { name: 'awaitAuthHello', challenge, secret }
  }

  #read (bytes: Uint8Array, now: number): State {
    if (this.#state.name === 'new') {
      return this.#refuse('it is not open yet')
    }
    if (this.#state.name === 'disregarded') {
      return this.#state
    }
    this.#reader.push(bytes)
    for (;;) {
      const nominated = this.#state.name === 'nominated'
      const { maxFrame, plain } = this.#options
      const frame = this.#reader.next(nominated ? { maxFrame, plain } : { maxFrame: MAX_HANDSHAKE_FRAME, plain: false })
      if (frame == null) {
        return this.#state
      }
      if (frame.plain) {
        this.#outputs.push({ do: 'deliver', bytes: frame.bytes, plain: true })
      } else {
        this.#enter(this.#frame(this.#keys.open(frame.bytes), now), now)
      }
    }
  }

  /** The state after what was in a sealed frame. */
  #frame (plaintext: Uint8Array, now: number): State {
    const state = this.#state
    switch (state.name) {
      case 'awaitHello': {
        const { challenge: response, etk: theirs } = decodeMessage('hello', plaintext)
        const challenge = this.#random(CHALLENGE)
        const secret = this.#random(KEY)
        this.#say(this.#sealed('authHello', { response, challenge, etk: this.#keys.crypto.publicKey(secret) }), now)
        return { name: 'awaitAuth', challenge, secret, theirs }
      }
      case 'awaitAuthHello': {
        const { response, challenge, etk } = decodeMessage('authHello', plaintext)
        this.#check(response, state.challenge)
        const auth = this.#sealed('auth', { response: challenge }) // with the key that `agree` replaces
        const rph = this.#keys.agree(state.secret, etk)
        this.#outputs.push({ do: 'send', frame: auth })
        return this.#establish(rph, now)
      }
      case 'awaitAuth': {
        this.#check(decodeMessage('auth', plaintext).response, state.challenge)
        return this.#establish(this.#keys.agree(state.secret, state.theirs), now)
      }
      case 'awaitNominate': {
        if (this.#options.nominator) {
          throw new StarError('ERR_PROTOCOL', { detail: 'something came before we had nominated the path' })
        }
        decodeMessage('nominate', plaintext)
        this.#outputs.push({ do: 'nominated', rph: state.rph })
        return { name: 'nominated' }
      }
      case 'nominated': {
        this.#outputs.push({ do: 'deliver', bytes: plaintext, plain: false })
        return state
      }
      case 'new':
      case 'disregarded':
      case 'closed':
        return state
    }
  }

  #establish (rph: Uint8Array, now: number): State {
    this.#written = true
    this.#outputs.push({ do: 'established', roundTrip: Math.max(0, now - this.#sentAt) })
    return { name: 'awaitNominate', rph }
  }

  #nominate (): State {
    if (!this.#options.nominator) {
      return this.#refuse('it is the other end that nominates')
    }
    if (this.#state.name !== 'awaitNominate') {
      return this.#refuse(`the path cannot be nominated: ${this.#state.name}`)
    }
    const { rph } = this.#state
    this.#outputs.push({ do: 'send', frame: this.#sealed('nominate', {}) }, { do: 'nominated', rph })
    return { name: 'nominated' }
  }

  #lost (code: number | undefined): State {
    const isEnd = this.#state.name === 'nominated' && code === CloseCode.normal
    this.#outputs.push({ do: 'lost', ...(isEnd ? {} : { error: lostError(code) }) })
    return CLOSED
  }

  #disregard (): State {
    if (!this.#options.nominator || this.#state.name === 'nominated') {
      return this.#refuse('a path is disregarded by who has nominated another one')
    }
    return this.#state.name === 'new' ? this.#close(CloseCode.normal) : { name: 'disregarded' }
  }

  #send (parts: readonly Uint8Array[], plain: boolean): State {
    if (this.#state.name !== 'nominated') {
      return this.#refuse('it is not nominated')
    }
    if (plain && !this.#options.plain) {
      return this.#refuse('all that is sent on it is to be sealed')
    }
    const size = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
    if (size > MAX_FRAME - TAG || (plain && size === 0)) {
      return this.#refuse(`${size} bytes are no frame`)
    }
    const [first = NONE] = parts
    const frame = plain ? toFrame(parts, true) : toFrame(this.#keys.seal(parts.length === 1 ? first : concat([...parts])), false)
    this.#outputs.push({ do: 'send', frame })
    return this.#state
  }

  #wake (now: number): State {
    if (this.#deadline == null || now < this.#deadline) {
      return this.#state
    }
    if (this.#state.name === 'disregarded') {
      return this.#close(CloseCode.normal)
    }
    const waited = this.#state.name === 'awaitNominate'
    const detail = waited ? 'it was not nominated' : 'the handshake was not finished'
    const error = new StarError('ERR_PATH_TIMEOUT', { detail })
    this.#outputs.push({ do: 'close', code: waited ? CloseCode.normal : CloseCode.protocol, error })
    return CLOSED
  }

  #leave (now: number): State {
    if (!this.#written) {
      this.#written = true
      this.#sentAt = now
    }
    return this.#state
  }

  /** Sends a message whose answer is timed. */
  #say (frame: readonly Uint8Array[], now: number): void {
    this.#outputs.push({ do: 'send', frame })
    this.#sentAt = now
    this.#written = false
  }

  #sealed<Type extends keyof PathMessages> (type: Type, message: PathMessages[Type]): readonly Uint8Array[] {
    return toFrame(this.#keys.seal(encodeMessage(type, message)), false)
  }

  #check (response: Uint8Array, challenge: Uint8Array): void {
    if (!equalBytes(response, challenge)) {
      throw new StarError('ERR_PATH_PROOF', { detail: 'the answer is not to our challenge' })
    }
  }

  #close (code: number): State {
    this.#outputs.push({ do: 'close', code })
    return CLOSED
  }

  #refuse (detail: string): State {
    this.#outputs.push({ do: 'refused', error: new StarError('ERR_PATH_STATE', { detail }) })
    return this.#state
  }

  #random (bytes: number): Uint8Array {
    return this.#keys.crypto.random(bytes)
  }
}
