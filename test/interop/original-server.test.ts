// The original server: it shows that the suites are right, and what our client makes of a star that is too old for it.
import assert from 'node:assert/strict'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { connect, star as starTransport } from '../../client/index.ts'
import { describeOriginal, within } from './driver.ts'
import { OldClients } from './peers.ts'
import { originalStars, type Star } from './stars.ts'
import { clientCases } from './suites/client-cases.ts'
import { joining } from './suites/joining.ts'
import { serverCases } from './suites/server-cases.ts'
import { traffic } from './suites/traffic.ts'
import { wire } from './suites/wire.ts'

describeOriginal('libp2p-websocket-star-rendezvous 0.4.1', () => {
  const stars = originalStars()
  after(async () => { await stars.end() })

  describe('our client on the original star', () => {
    let star: Star

    before(async () => { star = await stars.start() })
    after(async () => { await star.close() })

    it('is told that the star is too old', async () => {
      await assert.rejects(within(10_000, 'connect to fail', connect(star.address)), (error: Error & { code?: string }) => {
        assert.equal(error.name, 'StarError')
        assert.equal(error.code, 'ERR_STAR_TOO_OLD')
        assert.match(error.message, /older socket\.io/)
        assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${star.port}`))
        return true
      })
      assert.deepEqual(await star.peers(), [])
    })

    it('is a libp2p node that starts nevertheless, without an address there', async () => {
      const { transport, discovery } = starTransport()
      const node = await within(10_000, 'the node to start', createLibp2p({
        addresses: { listen: [star.address] },
        transports: [transport],
        peerDiscovery: [discovery],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()]
      }))
      try {
        assert.equal(node.status, 'started')
        assert.deepEqual(node.getMultiaddrs(), [])
      } finally {
        await within(10_000, 'the node to stop', Promise.resolve(node.stop()))
      }
    })

    it('is a libp2p node that does not start when it was told that it must', async () => {
      const { transport } = starTransport({ required: true })
      const starting = createLibp2p({
        addresses: { listen: [star.address] },
        transports: [transport],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()]
      })
      await assert.rejects(within(10_000, 'the node to fail', starting))
    })

    it('does no harm to those who are there', async () => {
      const clients = new OldClients()
      try {
        const [one, other] = [await clients.join(star.address), await clients.join(star.address)]
        await assert.rejects(within(10_000, 'connect to fail', connect(star.address)))
        assert.equal((await one.echo(other, 1000)).bytes, 1000)
      } finally {
        await clients.close()
      }
    })
  })

  joining(stars)
  traffic(stars)
  clientCases(stars)
  serverCases(stars)
  wire(stars)
})
