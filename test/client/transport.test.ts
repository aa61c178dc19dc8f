// The transport inside real libp2p nodes: each trap of a libp2p transport that has cost somebody days, as a test.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { StarError, star } from '../../client/index.ts'
import { createTestStar } from '../../server/testing.ts'
import { createNode, nextEvent, until, whenConnected, whenNode } from '../support/nodes.ts'
import type { Connection, Listener, PeerInfo } from '@libp2p/interface'
import type { TestStar } from '../../server/testing.ts'
import type { Node } from '../support/nodes.ts'

describe('star transport', () => {
  let server: TestStar
  const nodes: Node[] = []

  async function node (...args: Parameters<typeof createNode>): Promise<Node> {
    const created = await createNode(...args)
    nodes.push(created)
    return created
  }

  function addressOf (peer: Node): string {
    return `${server.address}/p2p/${peer.peerId.toString()}`
  }

  beforeEach(async () => {
    server = await createTestStar()
  })

  afterEach(async () => {
    await Promise.all(nodes.splice(0).map(async created => { await created.stop() }))
    await server.close()
  })

  it('connects two nodes, which see who the other is', async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    await a.dial(multiaddr(addressOf(b)))
    const inbound = await whenConnected(b, a)
    assert.ok(inbound.remotePeer.equals(a.peerId))
    assert.ok(await a.services.ping.ping(b.peerId) >= 0)
  })

  it('announces a star that has a name, which libp2p would keep to itself', async () => {
    const named = server.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/')
    const a = await node([named])
    await whenNode(a, 'self:peer:update', () => a.getMultiaddrs().length > 0)
    assert.deepEqual(a.getMultiaddrs().map(String), [`${named}/p2p/${a.peerId.toString()}`])
  })

  it('withdraws the address when the star goes and announces it again when it comes back', async () => {
    const a = await node([server.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/')], {}, { start: false })
    const announced = nextEvent(a, 'self:peer:update', () => a.getMultiaddrs().length > 0)
    await a.start()
    await announced
    const gone = whenNode(a, 'self:peer:update', () => a.getMultiaddrs().length === 0)
    await server.stop()
    await gone
    await server.start()
    await whenNode(a, 'self:peer:update', () => a.getMultiaddrs().length > 0)
    assert.deepEqual(server.server.peers().length, 1)
  })

  it("keeps the star's host out of the remote address of inbound connections", async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    await a.dial(multiaddr(addressOf(b)))
    const inbound = await whenConnected(b, a)
    assert.equal(inbound.remoteAddr.toString(), `/p2p-websocket-star/p2p/${a.peerId.toString()}`)
  })

  it('stores an outbound address that can be dialled again', async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    const connection = await a.dial(multiaddr(addressOf(b)))
    await connection.close()
    await a.dial(connection.remoteAddr)
  })

  it('takes ten dials at the same moment from as many peers', async () => {
    const listener = await node([server.address])
    const diallers = await Promise.all(Array.from({ length: 10 }, async () => await node([])))
    await Promise.all(diallers.map(async dialler => await dialler.dial(multiaddr(addressOf(listener)))))
    await whenNode(listener, 'connection:open', () => listener.getConnections().length === 10)
  })

  it('does not let a star put another peer in the place of the one that was dialled', async () => {
    const open = await createTestStar({ cryptoChallenge: false })
    try {
      const victim = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
      const { transport } = star()
      // a star without challenge stands in for one that lies: the impostor joins under the victim's id
      await node([open.address], {}, {
        transports: [
          ({ privateKey, logger, addressManager, registrar, events }) =>
            transport({ peerId: victim, privateKey, logger, addressManager, registrar, events })
        ]
      })
      const dialler = await node([])
      await assert.rejects(dialler.dial(multiaddr(`${open.address}/p2p/${victim.toString()}`)))
      assert.equal(dialler.getConnections().length, 0)
    } finally {
      await open.close()
    }
  })

  it('lets a node start while its star is down, and joins when it comes up', async () => {
    await server.stop()
    const a = await node([server.address])
    assert.deepEqual(a.getMultiaddrs(), [])
    await server.start()
    await whenNode(a, 'self:peer:update', () => a.getMultiaddrs().length > 0)
    assert.equal(server.server.peers().length, 1)
  })

  it('fails the start of a node that was told to require its star', async () => {
    await server.stop()
    await assert.rejects(createNode([server.address], { required: true }))
    await server.start()
  })

  it('listens on several stars at once, and has one connection to a peer whichever it is dialled over', async () => {
    const second = await createTestStar()
    try {
      const a = await node([server.address, second.address])
      const b = await node([])
      const dial = async (star: TestStar): Promise<Connection> =>
        await b.dial(multiaddr(`${star.address}/p2p/${a.peerId.toString()}`), { force: true })
      const connection = await dial(server)
      assert.ok(connection.remoteAddr.toString().startsWith(server.address))
      assert.equal(await dial(second), connection)
      await connection.close()
      assert.ok((await dial(second)).remoteAddr.toString().startsWith(second.address))
      assert.equal(b.getConnections().length, 1)
    } finally {
      await second.close()
    }
  })

  it('starts with one star of two that is down', async () => {
    const second = await createTestStar()
    await second.close()
    const a = await node([server.address, second.address])
    assert.deepEqual(a.getMultiaddrs().map(String), [addressOf(a)])
  })

  it('leaves the star when the node stops', async () => {
    const a = await node([server.address])
    assert.deepEqual(server.server.peers(), [addressOf(a)])
    await a.stop()
    await until(() => server.server.peers().length === 0)
  })

  it('can be started again after it was stopped', async () => {
    const a = await node([server.address])
    await a.stop()
    await a.start()
    await whenNode(a, 'self:peer:update', () => a.getMultiaddrs().length > 0)
    const b = await node([])
    await b.dial(multiaddr(addressOf(a)))
  })

  it('dials without listening, is seen by nobody, and lets go of the star when it needs it no more', async () => {
    const a = await node([server.address])
    const b = await node([], { linger: 1 }) // a dial takes longer, and keeps the star as long as it takes
    const connection = await b.dial(multiaddr(addressOf(a)))
    assert.deepEqual(server.server.peers(), [addressOf(a)])
    assert.match(await server.server.metrics(), /^star_connections 2$/m)
    await connection.close()
    await until(async () => /^star_connections 1$/m.test(await server.server.metrics()))
  })

  it('keeps a connection that it dialled when its listener is closed', async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    await a.dial(multiaddr(addressOf(b)))
    const { components } = a as unknown as { components: { transportManager: { getListeners (): Listener[] } } }
    await Promise.all(components.transportManager.getListeners().map(async listener => { await listener.close() }))
    await until(() => server.server.peers().length === 1)
    await a.services.ping.ping(b.peerId)
  })

  it('says why a dial failed, with a code', async () => {
    const absent = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    const a = await node([server.address])
    const error: unknown = await a.dial(multiaddr(`${server.address}/p2p/${absent.toString()}`)).catch((cause: unknown) => cause)
    const causes = error instanceof AggregateError ? error.errors : [error]
    assert.ok(causes.some(cause => cause instanceof StarError && cause.code === 'ERR_PEER_NOT_FOUND'), String(error))
  })

  it('gives a dial up when its signal is aborted, and leaves nothing behind on the star', async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    const controller = new AbortController()
    await assert.rejects(a.dial(multiaddr(addressOf(b)), {
      signal: controller.signal,
      onProgress: event => {
        if ((event.type as string) === 'star:dial') {
          queueMicrotask(() => { controller.abort() })
        }
      }
    }))
    await until(async () => /^star_streams 0$/m.test(await server.server.metrics()))
  })

  it('tells the stations of a dial', async () => {
    const [a, b] = await Promise.all([node([server.address]), node([server.address])])
    const stations: string[] = []
    await a.dial(multiaddr(addressOf(b)), { onProgress: event => { stations.push(event.type) } })
    assert.deepEqual(stations.filter(type => type.startsWith('star:')), ['star:join', 'star:dial', 'star:accepted'])
  })

  it('closes all of its listeners, whose close events come after close() has returned', async () => {
    const second = await createTestStar()
    const a = await node([server.address, second.address])
    let closed = 0
    a.addEventListener('transport:close', () => { closed++ })
    await a.stop()
    await until(() => closed === 2)
    await second.close()
  })

  it('discovers those who were there and those who come, never itself', async () => {
    const seen: PeerInfo[] = []
    const a = await node([server.address])
    const b = await node([server.address], {}, { start: false })
    b.addEventListener('peer:discovery', event => { seen.push(event.detail) })
    const heard = nextEvent<CustomEvent<PeerInfo>>(a, 'peer:discovery', event => event.detail.id.equals(b.peerId))
    await b.start()
    await heard
    await until(() => seen.length > 0)
    assert.deepEqual(seen.map(info => info.id.toString()), [a.peerId.toString()])
    const { addresses } = await b.peerStore.get(a.peerId)
    assert.deepEqual(addresses.map(address => address.multiaddr.toString()), [server.address])
  })

  it('dials a discovered peer by its id alone', async () => {
    const a = await node([server.address])
    const b = await node([server.address])
    await until(async () => await b.peerStore.has(a.peerId))
    await b.dial(a.peerId)
  })

  it('lets the newest of two nodes with one identity be reached, and the older one again when that is gone', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const older = await node([server.address], {}, { privateKey })
    const withdrawn = nextEvent(older, 'transport:listening', () => older.getMultiaddrs().length === 0)
    const newer = await node([server.address], {}, { privateKey })
    await withdrawn
    const friend = await node([])
    await friend.dial(multiaddr(addressOf(newer)))
    await whenNode(newer, 'connection:open', () => newer.getConnections().length > 0)
    assert.equal(older.getConnections().length, 0)
    const back = nextEvent(older, 'transport:listening', () => older.getMultiaddrs().length === 1)
    await newer.stop()
    await back
  })

  it('refuses to listen under the id of another', async () => {
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    await assert.rejects(createNode([`${server.address}/p2p/${other.toString()}`]))
  })
})

describe('star transport filters', () => {
  const id = '12D3KooWGEiRrLpRo1ZeFByrHbNynBBWemvBykzLhZNqKpF4dk2s'
  const { transport } = star()
  const subject = transport({ logger: { forComponent: () => undefined } } as unknown as Parameters<typeof transport>[0])
  const addresses = [
    '/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star',
    `/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/${id}`,
    `/dns6/star.example/wss/p2p-websocket-star/ipfs/${id}`,
    '/ip4/127.0.0.1/tcp/9090/ws',
    `/ip4/127.0.0.1/tcp/9090/ws/p2p/${id}`,
    '/ip4/127.0.0.1/tcp/9090/p2p-websocket-star',
    `/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/p2p/${id}/p2p-circuit`
  ].map(address => multiaddr(address))

  it('listen on star addresses with and without a peer id', () => {
    assert.deepEqual(subject.listenFilter(addresses), addresses.slice(0, 3))
  })

  it('dial only star addresses that name a peer', () => {
    assert.deepEqual(subject.dialFilter(addresses), addresses.slice(1, 3))
  })
})
