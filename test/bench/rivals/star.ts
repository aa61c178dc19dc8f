// Ours: libp2p nodes through our star, with Noise and Yamux.
import { createLibp2p } from 'libp2p'
import { star as createStar } from '../../../client/index.ts'
import { common, end, happened, isPeer } from './libp2p.ts'
import { startServer } from './star-server.ts'
import type { LinkEvent } from '../../../client/index.ts'
import type { Links } from '../../../client/links.ts'
import type { Rival } from './types.ts'

export const star: Rival = {
  name: 'star',
  about: 'libp2p nodes with Noise and Yamux through our star, relayed; defaults, but an address may come as often as it likes',
  like: 'star',
  startServer,

  startEnd: async (server, options) => {
    const { transport, discovery, events } = createStar()
    let links: Links | undefined
    const node = await createLibp2p({
      ...await common(options),
      addresses: { listen: options.listen === false ? [] : [server] },
      transports: [components => {
        const made = transport(components)
        links = made.links
        return made
      }],
      peerDiscovery: [discovery]
    })
    return {
      ...await end(node, `${server}/p2p/${node.peerId.toString()}`, options, peer => links?.drop(peer.toString())),
      direct: async (peer, signal) => {
        await happened<LinkEvent>(listener => { events.addEventListener('link', listener, { signal }) }, event => {
          const kind: string | undefined = event.path?.kind
          return isPeer(event.peer, peer) && kind === 'tcp'
        }, signal)
      }
    }
  }
}
