// Ours without links: libp2p nodes whose connections are plain streams through our star, as an old peer gets them.
import { createLibp2p } from 'libp2p'
import { Hub } from '../../../client/hub.ts'
import { Journal } from '../../../client/journal.ts'
import { resolve } from '../../../client/options.ts'
import { StarTransport } from '../../../client/transport.ts'
import { common, end } from './libp2p.ts'
import { startServer } from './star-server.ts'
import type { Rival } from './types.ts'

export const starPlain: Rival = {
  name: 'star-plain',
  about: 'libp2p nodes with Noise and Yamux through our star, without a link: a plain stream, which ends with its star',
  like: 'star',
  startServer,

  startEnd: async (server, options) => {
    const init = resolve()
    const node = await createLibp2p({
      ...await common(options),
      addresses: { listen: options.listen === false ? [] : [server] },
      // a member that announces nothing speaks plain bytes, and so is dialled in them
      transports: [components => new StarTransport(components, init, new Hub(init, []), new Journal())]
    })
    return await end(node, `${server}/p2p/${node.peerId.toString()}`, options)
  }
}
