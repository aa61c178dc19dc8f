// Every option of the star server with its unit and default, and the check that refuses nonsense at the door.
import { StarError } from '../src/errors.ts'
import { checkOptions } from '../src/options.ts'

/** Options of a star server. The first ten are those of the original server, under their old names. */
export interface ServerOptions {
  /**
   * The address to listen on. Loopback unless told otherwise: a star that the world can reach is a decision.
   *
   * @default 127.0.0.1
   */
  host?: string
  /**
   * TCP port; 0 takes any that is free.
   *
   * @default 9090
   */
  port?: number
  /** Path of a PEM file with the TLS key; with `cert`. */
  key?: string
  /** Path of a PEM file with the TLS certificate chain; with `key`. */
  cert?: string
  /** Path of a PKCS#12 file with key and certificate, instead of `key` and `cert`. */
  pfx?: string
  /** The passphrase of `key` or `pfx`. */
  passphrase?: string
  /**
   * Peers must prove with their libp2p key that an address is theirs. Without it anybody can take anybody's address.
   *
   * @default true
   */
  cryptoChallenge?: boolean
  /**
   * Only star addresses may be joined, not just any multiaddr.
   *
   * @default true
   */
  strictMultiaddr?: boolean
  /**
   * Serve Prometheus metrics at `/metrics`.
   *
   * @default true
   */
  metrics?: boolean
  /**
   * Milliseconds between two announcements of the same peer to original clients, and of two samples in a large star.
   *
   * @default 10_000
   */
  refreshPeerListIntervalMS?: number

  /**
   * Names by which clients may dial this star (`star.example`, or `star.example:443`). A proof made for another name is
   * refused, so that nobody can pass this star's challenge on to a peer of theirs. Default: the names in the TLS
   * certificate, or any name where there is none.
   */
  names?: string[]
  /**
   * The origins of the web pages that may connect, `https://app.example`, with commas between several; peers in browsers
   * come from anywhere, so any may.
   *
   * @default *
   */
  corsOrigin?: string
  /**
   * Take the client's network address from the last entry of `X-Forwarded-For`. Only behind a proxy that sets it: the
   * limits for each network address depend on it.
   *
   * @default false
   */
  trustProxy?: boolean

  /**
   * Joined addresses in all.
   *
   * @default 10_000
   */
  maxPeers?: number
  /**
   * Open sockets in all, joined or not.
   *
   * @default 20_000
   */
  maxConnections?: number
  /**
   * Addresses that one socket may have joined at once.
   *
   * @default 8
   */
  maxAddressesPerSocket?: number
  /**
   * New connections a second from one network address; ten times as many in a burst.
   *
   * @default 20
   */
  connectionsPerSecond?: number
  /**
   * Joins a second from one network address, each of which costs a signature check; ten times as many in a burst.
   *
   * @default 20
   */
  joinsPerSecond?: number
  /**
   * Dials a second from one network address; ten times as many in a burst.
   *
   * @default 100
   */
  dialsPerSecond?: number
  /**
   * Dials of one socket that may wait for their answer at once.
   *
   * @default 64
   */
  dialsInFlight?: number
  /**
   * Milliseconds that a dialled peer may take to answer.
   *
   * @default 10_000
   */
  dialTimeout?: number
  /**
   * Milliseconds that a challenge may be answered in.
   *
   * @default 20_000
   */
  challengeTimeout?: number
  /**
   * Streams that one socket may have open at once.
   *
   * @default 1_024
   */
  streamsPerSocket?: number
  /**
   * Streams that two sockets may have between them at once.
   *
   * @default 128
   */
  streamsPerPair?: number
  /**
   * Bytes on the way in each direction of a stream: what a reader that stops costs this star. 65,536 at least.
   *
   * @default 1_048_576
   */
  pairBudget?: number
  /**
   * Milliseconds for which an original client is braked by a reader that doesn't read, before its stream is ended; also
   * for which a socket may take nothing while something waits for it.
   *
   * @default 20_000
   */
  stallTimeout?: number
  /**
   * Serve the raw relay: two WebSockets meet at `/relay/PATH`, and what the one sends goes to the other.
   *
   * @default true
   */
  relay?: boolean
  /**
   * Serve relay paths that no joined peer has announced, too: whoever can reach this star may use its relay.
   *
   * @default false
   */
  openRelay?: boolean
  /**
   * Milliseconds for which a relay path waits for its pair, from when it was announced, or first entered in an open relay.
   *
   * @default 60_000
   */
  relayWait?: number
  /**
   * Pairs at once in the raw relay, sockets that wait for their other end included.
   *
   * @default 1_000
   */
  relayPairs?: number
  /**
   * Sockets in the raw relay from one network address, waiting or paired.
   *
   * @default 128
   */
  relayPairsPerAddress?: number
  /**
   * Bytes buffered in each direction of a relay pair before its sender is braked: with one message more, at most
   * 1,114,112 bytes, what a reader that stops costs this star.
   *
   * @default 1_048_576
   */
  relayBudget?: number
  /**
   * Bytes in all that one relay pair may carry, both directions together; then it is closed. 0 is no limit.
   *
   * @default 0
   */
  relayBytes?: number
  /**
   * TCP port of the contact exchange, with TLS where the star has a certificate; 0 takes any that is free. Without it there is
   * no contact exchange.
   */
  contactPort?: number
  /**
   * Milliseconds for which a room of the contact exchange waits for both of its peers.
   *
   * @default 600_000
   */
  contactRoomTime?: number
  /**
   * Milliseconds for which a connection to the contact exchange may say nothing while it waits for nobody.
   *
   * @default 60_000
   */
  contactIdle?: number
  /**
   * Connections to the contact exchange at once. Each may hold 128 KiB of what it has sent.
   *
   * @default 1_000
   */
  contactConnections?: number
  /**
   * Connections to the contact exchange from one network address.
   *
   * @default 64
   */
  contactConnectionsPerAddress?: number
  /**
   * Rooms of the contact exchange at once.
   *
   * @default 10_000
   */
  contactRooms?: number
  /**
   * Rooms of the contact exchange made from one network address.
   *
   * @default 64
   */
  contactRoomsPerAddress?: number
  /**
   * Rooms made, and requests refused, in a minute from one network address, before more of them end the connection.
   *
   * @default 10
   */
  contactRequestsPerMinute?: number
  /**
   * Milliseconds for which joins and leaves are gathered before star clients hear of them.
   *
   * @default 200
   */
  announceDelay?: number
  /**
   * In a star with more peers than this, each is told of a rotating sample of that size instead of everybody.
   *
   * @default 1_000
   */
  announceSample?: number
  /**
   * Milliseconds after which clients are asked to come back when this star stops.
   *
   * @default 1_000
   */
  restartDelay?: number
  /**
   * Milliseconds between two heartbeats.
   *
   * @default 25_000
   */
  pingInterval?: number
  /**
   * Milliseconds that a heartbeat may stay unanswered.
   *
   * @default 20_000
   */
  pingTimeout?: number
}

/** Options that have no default. */
type Optional = 'key' | 'cert' | 'pfx' | 'passphrase' | 'names' | 'contactPort'

/** All options, filled in. */
export type ResolvedOptions = Required<Omit<ServerOptions, Optional>> & Pick<ServerOptions, Optional>

/** What an option is when it is not given. */
export const defaults: Required<Omit<ServerOptions, Optional>> = {
  host: '127.0.0.1',
  port: 9_090,
  cryptoChallenge: true,
  strictMultiaddr: true,
  metrics: true,
  refreshPeerListIntervalMS: 10_000,
  corsOrigin: '*',
  trustProxy: false,
  maxPeers: 10_000,
  maxConnections: 20_000,
  maxAddressesPerSocket: 8,
  connectionsPerSecond: 20,
  joinsPerSecond: 20,
  dialsPerSecond: 100,
  dialsInFlight: 64,
  dialTimeout: 10_000,
  challengeTimeout: 20_000,
  streamsPerSocket: 1_024,
  streamsPerPair: 128,
  pairBudget: 1_048_576,
  stallTimeout: 20_000,
  relay: true,
  openRelay: false,
  relayWait: 60_000,
  relayPairs: 1_000,
  relayPairsPerAddress: 128,
  relayBudget: 1_048_576,
  relayBytes: 0,
  contactRoomTime: 600_000,
  contactIdle: 60_000,
  contactConnections: 1_000,
  contactConnectionsPerAddress: 64,
  contactRooms: 10_000,
  contactRoomsPerAddress: 64,
  contactRequestsPerMinute: 10,
  announceDelay: 200,
  announceSample: 1_000,
  restartDelay: 1_000,
  pingInterval: 25_000,
  pingTimeout: 20_000
}

/** The least that a number may be, where that isn't 1. */
const LEAST: Partial<Record<keyof ServerOptions, number>> = {
  port: 0, announceDelay: 0, restartDelay: 0, relayBytes: 0, pairBudget: 65_536
}

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolve (options: ServerOptions = {}): ResolvedOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const resolved: ResolvedOptions = { ...defaults, ...given }
  checkOptions(resolved, defaults, LEAST, 1)
  for (const name of ['key', 'cert', 'pfx', 'passphrase'] as const) {
    if (resolved[name] != null && typeof resolved[name] !== 'string') {
      throw new StarError('ERR_OPTIONS', { detail: `${name} must be a string` })
    }
  }
  if (resolved.names != null && (!Array.isArray(resolved.names) || resolved.names.some(name => typeof name !== 'string'))) {
    throw new StarError('ERR_OPTIONS', { detail: 'names must be a list of strings' })
  }
  // the one option that is a number and has no default
  const { contactPort = 0 } = resolved
  checkOptions({ contactPort }, { contactPort: 0 }, {}, 0)
  for (const [name, port] of Object.entries({ port: resolved.port, contactPort })) {
    if (port > 65_535) {
      throw new StarError('ERR_OPTIONS', { detail: `${name} must be at most 65535` })
    }
  }
  if ((resolved.key == null) !== (resolved.cert == null) || (resolved.pfx != null && resolved.key != null)) {
    throw new StarError('ERR_OPTIONS', { detail: 'TLS needs key and cert together, or pfx alone' })
  }
  return resolved
}
