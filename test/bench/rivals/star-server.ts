// Our server, as all of our contenders run it.
import { startStar } from '../../../server/index.ts'
import type { Server, ServerOptions } from './types.ts'

const MANY = 1_000_000

/**
 * Starts our server; all is default but how often one network address may come, since a bench is one address, and who may
 * use the raw relay.
 */
export async function startServer (options: ServerOptions): Promise<Server> {
  const server = await startStar({
    port: 0,
    refreshPeerListIntervalMS: options.announceEvery ?? 10_000,
    maxPeers: MANY,
    maxConnections: MANY,
    connectionsPerSecond: MANY,
    joinsPerSecond: MANY,
    dialsPerSecond: MANY,
    openRelay: true,
    relayPairs: MANY,
    relayPairsPerAddress: MANY
  })
  return { address: server.addresses[0]!, close: async () => await server.close() }
}
