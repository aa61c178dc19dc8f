// The official libp2p suites for transports and for peer discovery, over two stars on loopback.
import { generateKeyPair } from '@libp2p/crypto/keys'
import discoverySuite from '@libp2p/interface-compliance-tests/peer-discovery'
import transportSuite from '@libp2p/interface-compliance-tests/transport'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { parseStarAddress } from '../../src/address.ts'
import { connect, star } from '../../client/index.ts'
import { StarDiscovery } from '../../client/discovery.ts'
import { Hub } from '../../client/hub.ts'
import { resolve } from '../../client/options.ts'
import { createTestStar } from '../../server/testing.ts'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { MultiaddrMatcher } from '@multiformats/multiaddr-matcher'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import type { TestStar } from '../../server/testing.ts'
import type { StarClient } from '../../client/index.ts'

function matcher (matches: (ma: Multiaddr) => boolean): MultiaddrMatcher {
  return { matchers: [], matches: ma => ma != null && matches(ma), exactMatch: ma => ma != null && matches(ma) }
}

const isStar = (ma: Multiaddr): boolean => parseStarAddress(ma) != null
const isInbound = (ma: Multiaddr): boolean => ma.toString().startsWith('/p2p-websocket-star/p2p/')

describe('libp2p transport compliance', function () {
  this.timeout(120_000)
  let stars: TestStar[] = []

  transportSuite({
    async setup () {
      stars = await Promise.all([createTestStar(), createTestStar()])
      const node = (listen: string[]): Libp2pInit => {
        const { transport } = star()
        return {
          addresses: { listen },
          transports: [transport],
          connectionEncrypters: [noise()],
          streamMuxers: [yamux()],
          connectionMonitor: { enabled: false },
          connectionGater: { denyDialMultiaddr: () => false }
        }
      }
      return {
        dialer: node([]),
        listener: node(stars.map(({ address }) => address)),
        dialMultiaddrMatcher: matcher(isStar),
        listenMultiaddrMatcher: matcher(ma => isStar(ma) || isInbound(ma))
      }
    },
    async teardown () {
      await Promise.all(stars.map(async server => { await server.close() }))
    }
  })
})

describe('libp2p peer discovery compliance', () => {
  let server: TestStar
  let hub: Hub
  let friend: StarClient

  discoverySuite({
    async setup () {
      server = await createTestStar()
      friend = await connect(server.address)
      hub = new Hub(resolve(), [])
      const privateKey = await generateKeyPair('Ed25519')
      const parsed = parseStarAddress(multiaddr(server.address))
      if (parsed == null) {
        throw new Error('not a star address')
      }
      const member = hub.member(parsed, { privateKey, peerId: peerIdFromPrivateKey(privateKey) })
      await member.whenJoined()
      return new StarDiscovery(hub)
    },
    async teardown () {
      hub.close()
      await friend.close()
      await server.close()
    }
  })
})
