/**
 * @packageDocumentation
 *
 * A libp2p transport whose connections start at once through a star server, with peer discovery, and a client for those
 * who don't use libp2p.
 *
 * ```ts
 * import { createLibp2p } from 'libp2p'
 * import { noise } from '@libp2p/noise'
 * import { yamux } from '@libp2p/yamux'
 * import { star } from 'libp2p-star'
 *
 * const s = star()
 * const node = await createLibp2p({
 *   addresses: { listen: ['/dns4/star.example/tcp/443/wss/p2p-websocket-star'] },
 *   transports: [s.transport],
 *   peerDiscovery: [s.discovery],
 *   connectionEncrypters: [noise()],
 *   streamMuxers: [yamux()]
 * })
 * ```
 */
import { StarDiscovery } from './discovery.ts'
import { Hub } from './hub.ts'
import { Journal } from './journal.ts'
import { resolve } from './options.ts'
import { LINK_PROTOCOL } from './peer.ts'
import { StarTransport } from './transport.ts'
import type { Connection, PeerId, TypedEventTarget } from '@libp2p/interface'
import type { Explanation, JournalEvents } from './journal.ts'
import type { StarInit } from './options.ts'
import type { StarComponents } from './transport.ts'

export { StarClient, StarStream, connect } from './client.ts'
export { StarError } from '../src/errors.ts'
export type { Reason } from '../src/errors.ts'
export type { ByteSource } from '../src/pump.ts'
export type { ConnectOptions, StarClientEvents } from './client.ts'
export type { Explanation, JournalEvents, LinkEvent, LinkStatus, PathStatus } from './journal.ts'
export type { StarInit } from './options.ts'
export type { StarComponents, StarDialEvents } from './transport.ts'

/** What {@link star} gives: a factory each for `transports` and for `peerDiscovery`, and what there is to know of links. */
export interface Star {
  readonly transport: (components: StarComponents) => StarTransport
  readonly discovery: (components: object) => StarDiscovery
  /**
   * For `connectionMonitor` of `createLibp2p`: pings rarely and patiently enough not to take a connection that waits for another
   * path for a dead one. Links find out about dead paths by themselves.
   */
  readonly connectionMonitor: {
    readonly pingInterval: number
    readonly pingTimeout: { readonly minTimeout: number, readonly maxTimeout: number }
  }
  /** Tells of each `link` event as it happens. */
  readonly events: TypedEventTarget<JournalEvents>
  /** Where links stand, what happened to them, and why: to one peer, over one connection, or all. */
  explain (who?: PeerId | Connection | string): Explanation
}

/**
 * Makes a star transport and its discovery. One call may serve several nodes: what belongs to one node never meets what
 * belongs to another.
 *
 * Throws {@link StarError} `ERR_OPTIONS` for options that make no sense.
 */
export function star (init?: StarInit): Star {
  const options = resolve(init)
  // libp2p gives the same components to every factory of a node
  const hubs = new WeakMap<object, Hub>()
  const hubOf = (components: object): Hub => {
    const hub = hubs.get(components) ?? new Hub(options, [LINK_PROTOCOL])
    hubs.set(components, hub)
    return hub
  }
  const journal = new Journal()
  const pingInterval = options.resumeTimeout + 5_000
  return {
    transport: components => new StarTransport(components, options, hubOf(components), journal),
    discovery: components => new StarDiscovery(hubOf(components)),
    connectionMonitor: { pingInterval, pingTimeout: { minTimeout: 2 * pingInterval, maxTimeout: 2 * pingInterval } },
    events: journal,
    explain: who => {
      const peer = typeof who === 'object' && 'remotePeer' in who ? who.remotePeer : who
      return journal.explain(peer?.toString())
    }
  }
}
