// A node of js-libp2p that is a circuit relay v2 and nothing else, with all its limits switched off.
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { createLibp2p } from 'libp2p'
import { common } from './libp2p.ts'
import type { Libp2pOptions } from 'libp2p'
import type { Server } from './types.ts'

const MANY = 100_000

/** Starts one with that transport, listening there. */
export async function startRelay (
  transport: NonNullable<Libp2pOptions['transports']>[number], listen: string
): Promise<Server> {
  const node = await createLibp2p({
    ...await common({}),
    addresses: { listen: [listen] },
    transports: [transport],
    services: {
      identify: identify(),
      relay: circuitRelayServer({
        maxInboundHopStreams: MANY,
        maxOutboundHopStreams: MANY,
        maxOutboundStopStreams: MANY,
        reservations: { maxReservations: MANY, applyDefaultLimit: false }
      })
    }
  })
  return { address: node.getMultiaddrs().map(String)[0]!, close: async () => await node.stop() }
}
