// What a session puts out, and how it is set up.
import type { StarError } from '../errors.ts'
import type { PulseOptions } from './pulse.ts'

/** What the driver is to do. */
export type SessionOutput =
  /** There is something to send: call {@link Session.flush} soon, and again whenever the path takes more. */
  | { readonly do: 'flush' }
  /** Hand these bytes to the reader, and say `consumed` when it has taken them. */
  | { readonly do: 'deliver', readonly bytes: Uint8Array }
  /** There is room again for a writer that ran out of it. */
  | { readonly do: 'writable' }
  /** The other end has ended its half. */
  | { readonly do: 'ended' }
  /** The path is open but carries nothing any more: drop it. */
  | { readonly do: 'dead' }
  /** The stream is over: with an error, or because both halves have ended. Flush once more; nothing follows. */
  | { readonly do: 'closed', readonly error?: StarError }

/** How a session is set up; times are milliseconds. */
export interface SessionOptions extends PulseOptions {
  /** Bytes that each direction may have on the way, whatever the other end allows. */
  readonly window: number
  /** The same on a path past the star, where nothing is kept but at the two ends. As much as anywhere by default. */
  readonly directWindow?: number
  /** Bytes that the other end allows before it says more. */
  readonly initialLimit: number
  /** How long a session lives without a path. */
  readonly resumeTimeout: number
}

/** A path that a session is given. */
export interface Attachment {
  /** It is the first one. */
  readonly first?: boolean
  /** What the other end has of former paths is known, or will come on this one anyway: nothing is waited for. */
  readonly synced?: boolean
  /** It goes past the star: it is given up sooner, for there is another way beside it, and may carry more. */
  readonly direct?: boolean
  /** Milliseconds that an answer took on it before; 0 by default. */
  readonly roundTrip?: number
}
