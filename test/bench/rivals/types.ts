// What each contender implements: a server, and ends that dial each other through it; adding a contender is one file.

/** A byte stream between two ends, the same face for every contender. */
export interface Channel {
  /** Sends; a promise comes back when the contender asks its caller to wait. */
  write: (chunk: Uint8Array) => Promise<void> | undefined
  /** Hands over what arrives; has to be called in the same turn in which the channel was given. */
  onData: (listener: (chunk: Uint8Array) => void) => void
  /** Ends both directions. */
  close: () => Promise<void>
}

/** A connection to one peer; where a contender knows only streams, each `open` after the first one dials again. */
export interface Link {
  open: () => Promise<Channel>
  /** Moves the connection past the server, resolves when it is there; where it can't move, there is none. */
  move?: () => Promise<void>
  /** Gives the path under the connection up; where a connection doesn't outlive its path, there is none. */
  cut?: () => void
  close: () => Promise<void>
}

/** One peer. */
export interface End {
  /** What others pass to `dial`. */
  readonly address: string
  dial: (peer: string) => Promise<Link>
  /**
   * Resolves when bytes go directly to a peer that is dialled after this was called; rejects when the signal is aborted. Where a
   * contender has no direct connections, there is none.
   */
  direct?: (peer: string, signal: AbortSignal) => Promise<void>
  close: () => Promise<void>
}

/** A running star server, relay, or whatever stands between the ends. */
export interface Server {
  /** What ends pass to `startEnd`. */
  readonly address: string
  close: () => Promise<void>
}

/** What a bench may ask of a server. */
export interface ServerOptions {
  /** Milliseconds between two announcements of a peer. @default 10_000 */
  announceEvery?: number
}

/** What a bench may ask of an end. */
export interface EndOptions {
  /** Called with each channel that another end opens. */
  onChannel: (channel: Channel) => void
  /** Whether others dial this end; a circuit relay's dialler needs no reservation. @default true */
  listen?: boolean
  /** The private key as libp2p protobuf; made up when absent. */
  key?: Uint8Array
}

/** A contender. */
export interface Rival {
  /** What it is called in tables and on the command line. */
  readonly name: string
  /** What it is, and what it leaves out, in one sentence for the legend. */
  readonly about: string
  /** Which of our contenders it is compared with, like for like. */
  readonly like: 'star' | 'star-raw' | 'star-relay' | 'star-direct'
  /** The most bytes that a flood may offer at once; for those that queue everything they are given. */
  readonly maxFlood?: number
  /** Says how to get it, when it isn't installed. */
  missing?: () => string | undefined
  startServer: (options: ServerOptions) => Promise<Server>
  startEnd: (server: string, options: EndOptions) => Promise<End>
}
