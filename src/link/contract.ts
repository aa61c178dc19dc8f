// What a pair is told and what it says: events, outputs, options and ports.
import type { StarError } from '../errors.ts'
import type { HandshakeOptions, HandshakeOutput, HandshakePorts } from './handshake.ts'
import type { SearchOptions } from './search.ts'
import type { Session, SessionOptions, SessionOutput } from './session.ts'

/** One link: what its driver knows it by. */
export interface Link {
  /** The connection id of the attempt that it came of. */
  readonly id: bigint
  /** Whether we dialled it. */
  readonly dialled: boolean
  readonly session: Session
  /** The path that carries it; none while it waits for one, and when it is over. */
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
  /** The other peer has been seen where it can be reached: a link that waits for a path need not wait longer. */
  | { readonly type: 'seen' }
  /** The other peer has opened this path. */
  | { readonly type: 'incoming', readonly path: number }
  /** `bare` when nothing on the path itself proves who sent these bytes. */
  | { readonly type: 'bytes', readonly path: number, readonly chunk: Uint8Array, readonly bare?: boolean }
  /** A path is gone; one that we closed may be reported or not. */
  | { readonly type: 'lost', readonly path: number, readonly error: StarError }
  /** The answers to `sign` and `verify`. */
  | { readonly type: 'signed', readonly path: number, readonly signature: Uint8Array }
  | { readonly type: 'verified', readonly path: number, readonly valid: boolean }
  /**
   * The two have made this path beside the link, and have proved on it that they are its ends: the link is to move there.
   * `direct` when it goes past the star; `roundTrip` in milliseconds, where it was measured. Both ends are told, each before
   * anything can come on the path.
   */
  | {
    readonly type: 'adopt', readonly path: number, readonly link: bigint, readonly direct: boolean, readonly roundTrip?: number
  }
  /** The two have exchanged a link's secret where nobody else reads: from now on the link outlives its path. */
  | { readonly type: 'secret', readonly link: bigint, readonly secret: Uint8Array }
  /** A link's session says that its path is dead, or that it is over. */
  | { readonly type: 'dead' | 'closed', readonly link: Link }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type PairOutput =
  /** Open a path to the other peer, and answer with `opened` or `unopened`. */
  | { readonly do: 'open' }
  /** Open none after all; nothing is to be answered any more. */
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
  | { readonly do: 'note', readonly link: bigint, readonly what: Note, readonly path?: number, readonly error?: StarError }

/**
 * `path`: a link has its first path or another one. `suspended`: it has lost it. `over`: it has ended. `attempt`: an attempt to
 * make or to resume a link came to nothing; 0 is the link's id where there is none.
 */
export type Note = 'path' | 'suspended' | 'attempt' | 'over'

/** How a pair is set up. */
export interface PairOptions extends SessionOptions, SearchOptions, Omit<HandshakeOptions, 'peer'> {
  /** The other peer's name. */
  readonly peer: string
  /** Whether our id is the greater one, byte by byte. */
  readonly greater: boolean
}

/** What a pair needs from outside. */
export interface PairPorts extends Pick<HandshakePorts, 'random' | 'outstanding'> {
  /** The secret of a private star; empty for a public one. */
  readonly secret: Uint8Array
}
