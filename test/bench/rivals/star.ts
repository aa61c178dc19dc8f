// Ours: libp2p nodes through our star, with Noise and Yamux; relayed, or past it.
import { createLibp2p } from 'libp2p'
import { star as createStar } from '../../../client/index.ts'
import { common, end, happened, isPeer } from './libp2p.ts'
import { startServer } from './star-server.ts'
import type { PeerId } from '@libp2p/interface'
import type { LinkEvent, StarInit } from '../../../client/index.ts'
import type { Links } from '../../../client/links.ts'
import type { Rival } from './types.ts'

/** Milliseconds in which a connection is where it has to be. */
const PATIENCE = 10_000

/** As @libp2p/tcp is used beside it: over loopback, and nothing else. */
const LOOPBACK: StarInit = { directLoopback: true, offerAddress: ({ ip }) => ip === '127.0.0.1' }
/** No way past the star. */
const NOWHERE: StarInit = { offerAddress: () => false }

/** A connection that moves when it is told to. */
export const starMove: Rival = {
  name: 'star-move',
  about: 'libp2p nodes with Noise and Yamux through our star, whose connection moves to TCP over loopback when the bench says so',
  like: 'star',
  startServer,

  startEnd: async (server, options) => {
    let open = options.listen !== false
    let links: Links | undefined
    const { transport, events } = createStar({
      directLoopback: true, directRelay: false, offerAddress: ({ ip }) => open && ip === '127.0.0.1', dialAddress: () => open
    })
    const node = await createLibp2p({
      ...await common(options),
      addresses: { listen: options.listen === false ? [] : [server] },
      transports: [components => {
        const made = transport(components)
        links = made.links
        links.upgrades.offerPause = 0 // no peer would ask so often
        return made
      }]
    })
    const cut = (peer: PeerId): void => {
      open = false
      links?.drop(peer.toString())
    }
    const made = await end(node, `${server}/p2p/${node.peerId.toString()}`, options, cut)
    const move = async (peer: string): Promise<void> => {
      const there = happened<LinkEvent>(listener => { events.addEventListener('link', listener) }, ({ what, path }) => {
        return what === 'path' && path?.kind === 'tcp'
      }, AbortSignal.timeout(PATIENCE))
      open = true
      await links?.upgrades.try(peer, ['tcp'])
      await there
    }
    return {
      ...made,
      dial: async peer => {
        const link = await made.dial(peer)
        return { ...link, move: async () => { await move(peer.split('/p2p/').at(-1) ?? '') } }
      }
    }
  }
}

/** `kind`: a dial is through only when the link runs on such a path. */
function contender (name: string, about: string, init: StarInit, kind?: string): Rival {
  return {
    name,
    about,
    like: 'star',
    startServer,

    startEnd: async (server, options) => {
      const { transport, discovery, events } = createStar(init)
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
      const moved = async (peer: string, to: string, signal: AbortSignal): Promise<void> => {
        await happened<LinkEvent>(listener => { events.addEventListener('link', listener, { signal }) }, event => {
          return isPeer(event.peer, peer) && event.what === 'path' && event.path?.kind === to
        }, signal)
      }
      const made = await end(node, `${server}/p2p/${node.peerId.toString()}`, options, peer => links?.drop(peer.toString()))
      return {
        ...made,
        dial: async peer => {
          const there = kind === undefined ? undefined : moved(peer, kind, AbortSignal.timeout(PATIENCE))
          const link = await made.dial(peer)
          await there
          return link
        },
        direct: async (peer, signal) => { await moved(peer, 'tcp', signal) }
      }
    }
  }
}

export const star: Rival = contender(
  'star',
  'libp2p nodes with Noise and Yamux through our star, relayed (`direct: false`); otherwise defaults, but an address may come ' +
  'as often as it likes',
  { direct: false }
)

export const starMoving: Rival = contender(
  'star-moving', 'the same, with connections that move past the star as soon as there is a way: TCP over loopback', LOOPBACK
)

export const starDirect: Rival = contender(
  'star-direct', 'the same, when the connection has moved to TCP over loopback', LOOPBACK, 'tcp'
)

export const starDirectSealed: Rival = contender(
  'star-direct-sealed', 'the same, with all data sealed once more (`directSealed`)', { ...LOOPBACK, directSealed: true }, 'tcp'
)

export const starRelayWs: Rival = contender(
  'star-relay-ws', 'the same, when the connection has moved to the star\'s raw WebSocket relay', NOWHERE, 'relay-ws'
)
