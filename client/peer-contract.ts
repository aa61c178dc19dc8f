// What a peer's driver is made of and whom it deals with: routes, callers, hosts.
import type { Connection, CounterGroup, Logger } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { StarError } from '../src/errors.ts'
import type { HandshakeOutput } from '../src/link/handshake.ts'
import type { Link, Note, PairOptions, PairPorts } from '../src/link/pair.ts'
import type { LinkConnection } from './link-connection.ts'
import type { Path } from './paths/path.ts'
import type { Member } from './star.ts'

/** A way to a peer: through this star, to this address. */
export interface Route {
  readonly member: Member
  readonly address: string
}

/** Makes libp2p's connection of a link: the one who dials with `initiator` true where the link is its own. */
type Upgrade = (connection: LinkConnection, initiator: boolean, signal: AbortSignal) => Promise<Connection>

/** Somebody who dials. */
export interface Caller {
  readonly route: Route
  readonly remoteAddr: Multiaddr
  readonly signal: AbortSignal
  readonly upgrade: Upgrade
}

/** What is done with a link that the other peer dialled and nobody waits for here. */
export interface Host {
  readonly remoteAddr: Multiaddr
  readonly upgrade: Upgrade
}

/** What happened to a link, as a peer tells it. */
export interface PeerNote {
  readonly what: Note
  readonly link: bigint
  readonly path: Path | undefined
  readonly error: StarError | undefined
}

/** What a peer's driver needs. */
export interface PeerInit {
  readonly options: PairOptions
  readonly ports: PairPorts
  readonly log: Logger
  readonly metrics: { dialer: CounterGroup, listener: CounterGroup } | undefined
  sign (message: Uint8Array): Uint8Array | Promise<Uint8Array>
  verify (proof: HandshakeOutput & { do: 'verify' }): Promise<boolean>
  /** Keeps a star that is needed, until the returned function is called. */
  hold (member: Member): () => void
  /** The two have a connection: exchange the link's secret in it. */
  exchange (connection: Connection, link: bigint): Promise<Uint8Array>
  /** A link that we dialled outlives its path from now on. */
  onResumable (link: Link, connection: Connection): void
  onNote (note: PeerNote): void
  /** There is nothing to keep any more. */
  onIdle (): void
}

/** A path that is there, and where it came from. */
export interface PathRecord {
  readonly path: Path
  /** The star whose stream it is; none for a path that came of a rendezvous. */
  readonly member: Member | undefined
  readonly host: Host | undefined
}

/** A link that is there, and libp2p's connection over it. */
export interface LinkRecord {
  readonly connection: LinkConnection
  readonly upgraded: Promise<Connection>
  /** The same, when it is there. */
  libp2p: Connection | undefined
  /** Gives the upgrade up. */
  readonly upgrading: AbortController
  /** How many dials wait for the connection. */
  waiting: number
  flushing: boolean
  /** Why the link is over. */
  error: StarError | undefined
}

/** Somebody who waits for a link. */
export interface Waiting {
  readonly caller: Caller
  resolve (link: Link): void
  reject (error: unknown): void
}
