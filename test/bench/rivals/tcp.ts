// js-libp2p over TCP: nothing between two nodes.
import { tcp as tcpTransport } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { common, directConnection, end } from './libp2p.ts'
import type { Rival } from './types.ts'

export const tcp: Rival = {
  name: 'tcp',
  about: 'libp2p nodes with Noise and Yamux over @libp2p/tcp, directly: what stands for the server is idle',
  like: 'star-direct',

  startServer: async () => ({ address: '', close: async () => {} }),

  startEnd: async (_, options) => {
    const node = await createLibp2p({
      ...await common(options),
      addresses: { listen: options.listen === false ? [] : ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcpTransport()]
    })
    return {
      ...await end(node, node.getMultiaddrs().map(String)[0] ?? '', options),
      direct: async (peer, signal) => await directConnection(node, peer, signal)
    }
  }
}
