// Which path an incoming connection is. Several addresses, and several rendezvous, share one port, and a Hello doesn't say which
// of them was dialled: so it is tried as the Hello of each path that nobody has taken yet, and is that of one at most. What never
// says a Hello is closed by itself: a stranger who finds the port ends no rendezvous, and uses up no path.
import { StarError } from '../errors.ts'
import { unmapped } from '../ip.ts'
import { FrameReader } from './frame.ts'
import type { Machine } from '../machine.ts'
import type { Rendezvous } from './keys.ts'

/** What is told about connections; each has a number that its driver gives it. */
export type AcceptEvent =
  /** Somebody has connected, to this address of ours. */
  | { readonly type: 'connected', readonly connection: number, readonly localAddress: string }
  | { readonly type: 'bytes', readonly connection: number, readonly bytes: Uint8Array }
  | { readonly type: 'lost', readonly connection: number }
  | { readonly type: 'wake' }
  /** The other device of this rendezvous is waited for, too; an offer has a number that the driver gives it. */
  | { readonly type: 'offer', readonly offer: number, readonly rendezvous: Rendezvous, readonly offered: readonly Offered[] }
  /** It isn't any more. */
  | { readonly type: 'withdraw', readonly offer: number }

/** What the driver is to do. */
export type AcceptOutput =
  /**
   * The connection is this path of this offer: open the path and put in these bytes, all that came so far. What comes from now on
   * is the path's.
   */
  | {
    readonly do: 'claim', readonly connection: number, readonly offer: number, readonly pathId: number,
    readonly bytes: readonly Uint8Array[]
  }
  /** Close the connection; nothing else has changed. No error when it is only that nobody is waited for any more. */
  | { readonly do: 'close', readonly connection: number, readonly error?: StarError }

/** An address that was offered. */
export interface Offered {
  readonly pathId: number
  readonly ip: string
}

/**
 * Connections of which nothing is known yet, for each offer. When there are more, the oldest has to go: it has had its time to
 * say a Hello.
 */
export const MAX_STRANGERS = 8
/** So many in all, however many offers there are. */
const MOST_STRANGERS = 64
/** Milliseconds that a connection has for its Hello. */
export const STRANGER_TIME = 10_000
/** The longest Hello that a stranger may send, in bytes: it has 68, and a later version may have some more. */
export const MAX_HELLO = 1_024

/** A connection that has not said who it is. */
interface Stranger {
  readonly localAddress: string
  readonly deadline: number
  readonly reader: FrameReader
  readonly bytes: Uint8Array[]
}

/** Whom somebody may turn out to be. */
interface Offer {
  readonly rendezvous: Rendezvous
  readonly offered: readonly Offered[]
  /** Paths that connections were found to be: also before the path has claimed its keys. */
  readonly taken: Set<number>
}

/** A path that a connection may be. */
interface Candidate extends Offered {
  readonly offer: number
  readonly of: Offer
}

/** The port at which RID waits, in any number of rendezvous. */
export class Acceptor implements Machine<AcceptEvent, AcceptOutput> {
  readonly #offers = new Map<number, Offer>()
  /** In the order in which they came. */
  readonly #strangers = new Map<number, Stranger>()

  get wakeAt (): number | undefined {
    const [first] = this.#strangers.values()
    return first?.deadline
  }

  /** Connections of which nothing is known yet. */
  get strangers (): number {
    return this.#strangers.size
  }

  input (event: AcceptEvent, now: number): readonly AcceptOutput[] {
    switch (event.type) {
      case 'connected': return this.#connected(event.connection, event.localAddress, now)
      case 'bytes': return this.#bytes(event.connection, event.bytes)
      case 'lost': {
        this.#strangers.delete(event.connection)
        return []
      }
      case 'wake': {
        const late = [...this.#strangers].filter(([, { deadline }]) => deadline <= now)
        return late.map(([connection]) => this.#close(connection, new StarError('ERR_PATH_TIMEOUT', { detail: 'no Hello came' })))
      }
      case 'offer': {
        this.#offers.set(event.offer, { rendezvous: event.rendezvous, offered: event.offered, taken: new Set() })
        return []
      }
      case 'withdraw': {
        this.#offers.delete(event.offer)
        return this.#offers.size > 0 ? [] : [...this.#strangers.keys()].map(connection => this.#close(connection))
      }
    }
  }

  #connected (connection: number, localAddress: string, now: number): AcceptOutput[] {
    if (this.#candidates(localAddress).length === 0) {
      return [this.#close(connection)]
    }
    const outputs: AcceptOutput[] = []
    const [oldest] = this.#strangers.keys()
    if (oldest != null && this.#strangers.size >= Math.min(MOST_STRANGERS, MAX_STRANGERS * this.#offers.size)) {
      outputs.push(this.#close(oldest, new StarError('ERR_PATH_TIMEOUT', { detail: 'too many others came before its Hello' })))
    }
    this.#strangers.set(connection, { localAddress, deadline: now + STRANGER_TIME, reader: new FrameReader(), bytes: [] })
    return outputs
  }

  #bytes (connection: number, bytes: Uint8Array): AcceptOutput[] {
    const stranger = this.#strangers.get(connection)
    if (stranger == null) {
      return []
    }
    const { reader, localAddress } = stranger
    stranger.bytes.push(bytes)
    reader.push(bytes)
    let hello: Uint8Array | undefined
    try {
      hello = reader.next({ maxFrame: MAX_HELLO, plain: false })?.bytes
    } catch (error) {
      return [this.#close(connection, error instanceof StarError ? error : new StarError('ERR_PROTOCOL', { cause: error }))]
    }
    if (hello == null) {
      return []
    }
    const sealed = hello
    const found = this.#candidates(localAddress).find(({ of, pathId }) => of.rendezvous.isHello(pathId, sealed))
    if (found == null) {
      return [this.#close(connection, new StarError('ERR_PATH_PROOF', { detail: 'this is no Hello' }))]
    }
    const { offer, of, pathId } = found
    of.taken.add(pathId)
    this.#strangers.delete(connection)
    return [{ do: 'claim', connection, offer, pathId, bytes: stranger.bytes }]
  }

  /**
   * The paths that a connection to this address may be: those that were offered with it first, then all others that nobody has
   * taken, for between the two devices addresses may be translated.
   */
  #candidates (localAddress: string): Candidate[] {
    const local = unmapped(localAddress)
    const free = [...this.#offers].flatMap(([offer, of]) => of.offered
      .filter(({ pathId }) => !of.taken.has(pathId) && !of.rendezvous.isClaimed(pathId))
      .map(one => ({ ...one, offer, of })))
    return [...free.filter(({ ip }) => ip === local), ...free.filter(({ ip }) => ip !== local)]
  }

  #close (connection: number, error?: StarError): AcceptOutput {
    this.#strangers.delete(connection)
    return { do: 'close', connection, ...(error == null ? {} : { error }) }
  }
}
