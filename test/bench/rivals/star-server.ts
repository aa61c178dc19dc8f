// Our server, as all of our contenders run it. It is loaded where it runs: what an end has in its heap costs it time at each
// collection.
import type { Server, ServerOptions } from './types.ts'

const MANY = 1_000_000

/**
 * Starts our server; all is default but how often one network address may come, since a bench is one address, and who may
 * use the raw relay.
 */
export async function startServer (options: ServerOptions): Promise<Server> {
  const { startStar } = await import('../../../server/index.ts')
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
