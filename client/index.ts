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
import { resolve } from './options.ts'
import { StarTransport } from './transport.ts'
import type { StarInit } from './options.ts'
import type { StarComponents } from './transport.ts'

export { StarClient, StarStream, connect } from './client.ts'
export { StarError } from '../src/errors.ts'
export type { Reason } from '../src/errors.ts'
export type { ByteSource } from '../src/pull-stream/duplex.ts'
export type { ConnectOptions, StarClientEvents } from './client.ts'
export type { StarInit } from './options.ts'
export type { StarComponents, StarDialEvents } from './transport.ts'

/** What {@link star} gives: a factory each for `transports` and for `peerDiscovery`. */
export interface Star {
  readonly transport: (components: StarComponents) => StarTransport
  readonly discovery: (components: object) => StarDiscovery
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
    const hub = hubs.get(components) ?? new Hub(options)
    hubs.set(components, hub)
    return hub
  }
  return {
    transport: components => new StarTransport(components, options, hubOf(components)),
    discovery: components => new StarDiscovery(hubOf(components))
  }
}
