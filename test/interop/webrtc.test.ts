// The stock @libp2p/webrtc, unchanged, signals over a connection through the star and gets its direct connection.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { star } from '../../client/index.ts'
import { createTestStar } from '../../server/testing.ts'
import { interopFolder, skipUnless } from './needs.ts'
import type { Libp2p, Libp2pOptions } from 'libp2p'
import type { Ping } from '@libp2p/ping'
import type { TestStar } from '../../server/testing.ts'

interface WebRTC {
  readonly webRTC: () => NonNullable<Libp2pOptions['transports']>[number]
}

const folder = interopFolder('webrtc')

describe('@libp2p/webrtc over a star', function () {
  this.timeout(60_000)
  let server: TestStar
  const nodes: Array<Libp2p<{ ping: Ping }>> = []

  before(async function () {
    skipUnless(this, existsSync(`${folder}/node_modules/@libp2p/webrtc`), '@libp2p/webrtc', 'npm ci --prefix test/interop/webrtc')
    const outside = Object.values(networkInterfaces()).flat().some(entry => entry?.internal === false)
    skipUnless(this, outside, 'a network interface beside loopback, for WebRTC', 'run it on such a machine')
    server = await createTestStar()
    const entry = createRequire(`${folder}/package.json`).resolve('@libp2p/webrtc')
    const { webRTC } = await import(pathToFileURL(entry).href) as WebRTC
    for (let i = 0; i < 2; i++) {
      const { transport } = star()
      nodes.push(await createLibp2p({
        addresses: { listen: [server.address, '/webrtc'] },
        transports: [transport, webRTC()],
        connectionEncrypters: [noise()],
        streamMuxers: [yamux()],
        services: { ping: ping(), identify: identify() }
      }))
    }
  })

  after(async () => {
    await Promise.all(nodes.map(async node => { await node.stop() }))
    await server?.close()
  })

  it('upgrades two peers of a star to a direct connection', async () => {
    const [a, b] = nodes
    assert.ok(a != null && b != null)
    await a.dial(multiaddr(`${server.address}/p2p/${b.peerId.toString()}`))
    // a handshake packet that is lost costs WebRTC the whole dial now and then: people dial again, and so does this test
    let direct = await a.dial(multiaddr(`/webrtc/p2p/${b.peerId.toString()}`), { force: true }).catch(() => undefined)
    direct ??= await a.dial(multiaddr(`/webrtc/p2p/${b.peerId.toString()}`), { force: true })
    assert.equal(direct.multiplexer, '/webrtc')
    await a.services.ping.ping(b.peerId)
  })
})
