// js-libp2p's DCUtR: a connection through a circuit relay over TCP gives way to a direct one, again over TCP.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr as dcutrService } from '@libp2p/dcutr'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { common, directConnection, end } from './libp2p.ts'
import { startRelay } from './relay-node.ts'
import type { AddressInfo } from 'node:net'
import type { Rival } from './types.ts'

const MANY = 100_000

/**
 * js-libp2p offers and dials for DCUtR what is a public IP address or any name, and nothing else: on one machine a name that
 * leads to it is the only way. Without it there is never a direct connection.
 */
const NAME = '/dns4/localhost'

/** `reachable`: the dialler listens at the address that it announces; where it doesn't, dialling it fails at once. */
function contender (name: string, about: string, reachable: boolean): Rival {
  return {
    name,
    about,
    like: 'star',

    startServer: async () => await startRelay(tcp(), '/ip4/127.0.0.1/tcp/0'),

    startEnd: async (server, options) => {
      const isDialler = options.listen === false
      const port = await freePort()
      const own = isDialler && !reachable ? [] : [`/ip4/127.0.0.1/tcp/${port}`]
      const node = await createLibp2p({
        ...await common(options),
        addresses: {
          listen: [...own, ...isDialler ? [] : [`${server}/p2p-circuit`]],
          appendAnnounce: [`${NAME}/tcp/${port}`]
        },
        transports: [tcp(), circuitRelayTransport({ maxInboundStopStreams: MANY, maxOutboundStopStreams: MANY })],
        services: { identify: identify(), dcutr: dcutrService() }
      })
      // A node that has no reservation still holds its connection to the relay, so that a warm dial is warm.
      if (isDialler) await node.dial(multiaddr(server))
      return {
        ...await end(node, `${server}/p2p-circuit/p2p/${node.peerId.toString()}`, options),
        direct: async (peer, signal) => await directConnection(node, peer, signal)
      }
    }
  }
}

export const dcutr: Rival = contender(
  'dcutr',
  'js-libp2p circuit relay v2 and @libp2p/dcutr, both over TCP, limits off; the dialler can be reached, so that the other peer ' +
  'dials it back. A new connection beside the relayed one, which is closed: streams don\'t move',
  true
)

export const dcutrPunch: Rival = contender(
  'dcutr-punch',
  'the same, but the dialler can\'t be reached, of which the other peer learns at once (behind most NATs: after five seconds); ' +
  'then both exchange addresses and dial each other, and the dialler gets through',
  false
)

/** A port that nobody listens on. */
async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}
