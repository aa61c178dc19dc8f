// js-libp2p's circuit relay v2 over WebSockets, with all its limits switched off.
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { common, end } from './libp2p.ts'
import { startRelay } from './relay-node.ts'
import type { Rival } from './types.ts'

const MANY = 100_000

export const circuitRelay: Rival = {
  name: 'circuit-relay',
  about: 'js-libp2p circuit relay v2 over WebSockets, limits off; libp2p nodes with Noise and Yamux',
  like: 'star',

  startServer: async () => await startRelay(webSockets(), '/ip4/127.0.0.1/tcp/0/ws'),

  startEnd: async (server, options) => {
    const node = await createLibp2p({
      ...await common(options),
      addresses: { listen: options.listen === false ? [] : [`${server}/p2p-circuit`] },
      transports: [webSockets(), circuitRelayTransport({ maxInboundStopStreams: MANY, maxOutboundStopStreams: MANY })],
      services: { identify: identify() }
    })
    // A node that doesn't listen still holds its connection to the relay, so that a warm dial is warm.
    if (options.listen === false) await node.dial(multiaddr(server))
    return await end(node, `${server}/p2p-circuit/p2p/${node.peerId.toString()}`, options)
  }
}
