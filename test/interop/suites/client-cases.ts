// The test cases of libp2p-websocket-star 0.10.2 and -multi 0.4.4 by their own names, with the original clients on any star.
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { eventually } from '../driver.ts'
import { OldClients, type OldKey, type OldOptions, type OldPeer, type OldStream } from '../peers.ts'
import type { Star, Stars } from '../stars.ts'

const FAKE = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSooo'
const HAS_IPV6 = Object.values(networkInterfaces()).flat().some((address) => address?.address === '::1')

/** A transport of libp2p-websocket-star-multi; `listen` tells the servers that it is on. */
interface Multi { readonly peer: number, readonly listen: () => Promise<string[]> }

/** `describe` is the file, `it` the case. What needs no star (instance, filter, utils) is not here. */
export function clientCases (stars: Stars): void {
  describe(`the test cases of libp2p-websocket-star on ${stars.name}`, () => {
    let clients: OldClients
    let star: Star

    before(async () => {
      clients = new OldClients()
      star = await stars.start({ cryptoChallenge: false, strictMultiaddr: false, refreshPeerListIntervalMS: 250 })
    })

    after(async () => {
      await clients.close()
      await star.close()
    })

    async function make (suffix: string, handler: OldOptions['handler'] = 'echo', at: string = star.address): Promise<OldPeer> {
      return await clients.make(at, { id: `${FAKE}${suffix}`, flag: true, handler })
    }

    async function join (...args: Parameters<typeof make>): Promise<OldPeer> {
      const peer = await make(...args)
      await peer.listen()
      return peer
    }

    describe('addresses', () => {
      it('the star says where it listens in a way that the original understands', async () => {
        for (const address of [star.address, `${star.address}/ipfs/${FAKE}aa`, `${star.address}/p2p/${FAKE}aa`]) {
          assert.deepEqual(await clients.call('understand', { address }), { accepted: true, url: star.url })
        }
      })
    })

    describe('listen.spec', () => {
      it('listen, check for callback', async () => {
        const peer = await join('oA')
        await peer.close()
      })

      it('listen, check for listening event', async () => {
        const peer = await make('oA')
        await Promise.all([clients.next('listener listening', { peer: peer.number }), peer.listen()])
        await peer.close()
      })

      it('listen, check for the close event', async () => {
        const peer = await join('oA')
        await Promise.all([clients.next('listener close', { peer: peer.number }), peer.close()])
      })

      it('listen on IPv6 addr', async function () {
        if (!HAS_IPV6) return this.skip()
        const six = await stars.start({ host: '::1', cryptoChallenge: false })
        try {
          assert.match(six.address, /^\/ip6\/::1\/tcp\//)
          const peer = await join('oB', 'echo', six.address)
          await peer.close()
        } finally {
          await six.close()
        }
      })

      it('getAddrs', async () => {
        const peer = await make('oA')
        assert.deepEqual(await peer.listen(), [peer.address])
        await peer.close()
      })
    })

    describe('dial.spec', () => {
      let one: OldPeer
      let other: OldPeer

      before(async () => {
        one = await join('d1')
        other = await join('d2')
      })

      it('dial on IPv4, check callback', async () => {
        const stream = await one.dial(other)
        await stream.write('some data')
        await stream.end()
        const { text, error } = await stream.until()
        assert.deepEqual({ text, error }, { text: 'some data', error: null })
      })

      it('dial on IPv4, close listener, prevent end, re-start listener', async () => {
        const stream = await one.dial(other)
        await one.reopen()
        await stream.write('not ended')
        const { text, ended } = await stream.until(9)
        assert.deepEqual({ text, ended }, { text: 'not ended', ended: false })
        await stream.end()
        assert.equal((await stream.until()).ended, true)
      })

      it('dial offline / non-existent node on IPv4, check callback', async () => {
        const elsewhere = `/ip4/127.0.0.1/tcp/1/ws/p2p-websocket-star/ipfs/${other.id}`
        await assert.rejects(one.dial(elsewhere), /No listener for this server/)
        await assert.rejects(one.dial(`${star.address}/ipfs/${FAKE}zz`), /Peer not found/)
      })

      it('dial on IPv6, check callback', async function () {
        if (!HAS_IPV6) return this.skip()
        const six = await stars.start({ host: '::1', cryptoChallenge: false })
        try {
          const caller = await join('d3', 'echo', six.address)
          const callee = await join('d4', 'echo', six.address)
          assert.equal((await caller.echo(callee, 100)).bytes, 100)
        } finally {
          await six.close()
        }
      })
    })

    describe('discovery.spec', () => {
      const peers: OldPeer[] = []

      it('listen on the first', async () => {
        peers.push(await join('4A', 'ignore'))
      })

      it('listen on the second, discover the first', async () => {
        const since = clients.now
        const second = await join('4B', 'ignore')
        peers.push(second)
        const { addresses } = await clients.next('discovery', { peer: peers[0]?.number as number, peerId: second.id }, { since })
        assert.deepEqual(addresses, [second.address])
      })

      it('new peer receives peer events for all other peers on connect', async () => {
        const third = await join('4C', 'ignore')
        for (const { id } of peers) await clients.next('discovery', { peer: third.number, peerId: id })
      })
    })

    describe('disconnect.spec', () => {
      it('all conns die when one peer quits', async () => {
        const quits = await join('5b', 'collect')
        const near = await (await join('5a')).dial(quits)
        const far = await quits.accept()
        await quits.drop()
        for (const { ended, error } of await Promise.all([near.until(), far.until()])) {
          assert.deepEqual({ ended, error }, { ended: true, error: null })
        }
      })
    })

    describe('reconnect.node', () => {
      let other: Star
      let first: OldPeer
      let second: OldPeer
      let since: number

      before(async () => { other = await stars.start({ cryptoChallenge: false }) })
      after(async () => { await other.close() })

      it('listen on the first', async () => {
        first = await join('6A', 'ignore', other.address)
      })

      it('listen on the second, discover the first', async () => {
        second = await join('6B', 'ignore', other.address)
        await clients.next('discovery', { peer: first.number, peerId: second.id })
      })

      it('stops the server', async () => {
        since = clients.now
        await other.close()
      })

      it('starts the server again', async () => {
        other = await stars.start({ cryptoChallenge: false, port: other.port })
      })

      it('wait a bit for clients to reconnect', async () => {
        for (const { number } of [first, second]) await clients.next('reconnect', { peer: number }, { since })
        await eventually('both have rejoined', async () => (await other.peers()).length === 2)
      })

      it('listen on the third, first discovers it', async () => {
        const third = await join('6C', 'ignore', other.address)
        await clients.next('discovery', { peer: first.number, peerId: third.id }, { since })
      })
    })

    describe('strict.spec', () => {
      let strict: Star
      const peers: OldPeer[] = []

      before(async () => { strict = await stars.start() })
      after(async () => { await strict.close() })

      it('listen on the server', async () => {
        for (let n = 0; n < 2; n++) peers.push(await clients.join(strict.address, { key: await clients.makeKey('RSA') }))
      })

      it('dial peer 1 to peer 2', async () => {
        const stream = await (peers[0] as OldPeer).dial(peers[1] as OldPeer)
        await stream.write('hello')
        await stream.end()
        assert.equal((await stream.until()).text, 'hello')
      })
    })

    describe('valid-connection.spec', () => {
      let callee: OldPeer
      let stream: OldStream

      before(async () => {
        callee = await join('7b')
        stream = await (await join('7a')).dial(callee)
      })

      it('get observed addrs', async () => {
        assert.deepEqual(await stream.observed(), [callee.address])
      })

      it('get Peer Info', async () => {
        await assert.rejects(stream.getPeerInfo())
      })

      it('set Peer Info', async () => {
        await stream.setPeerInfo('info')
        assert.equal(await stream.getPeerInfo(), 'info')
      })
    })
  })

  describe(`the test cases of libp2p-websocket-star-multi on ${stars.name}`, () => {
    let clients: OldClients
    let keys: OldKey[]
    const running: Star[] = []
    let servers: string[]
    let offline: string

    before(async () => {
      clients = new OldClients()
      keys = [await clients.makeKey(), await clients.makeKey(), await clients.makeKey()]
      const hosts = ['127.0.0.1', '127.0.0.1', HAS_IPV6 ? '::1' : '127.0.0.1', '127.0.0.1']
      for (const host of hosts) running.push(await stars.start({ host }))
      const gone = running.pop() as Star
      await gone.close()
      offline = gone.address
      servers = running.map(({ address }) => address)
    })

    after(async () => {
      await clients.close()
      await Promise.all(running.map(async (star) => { await star.close() }))
    })

    async function multi (key: OldKey, list: string[], ignoreNoOnline = false): Promise<Multi> {
      const peer = await clients.call<number>('create', { key: key.key, servers: list, timeout: 5000, ignoreNoOnline })
      return {
        peer,
        listen: async () => {
          await clients.call('listen', { peer, address: `/p2p-websocket-star/ipfs/${key.id}` })
          return await clients.call('online', { peer })
        }
      }
    }

    describe('listen', () => {
      it('should listen on 1 address', async () => {
        const { listen } = await multi(keys[0] as OldKey, servers.slice(0, 1))
        assert.deepEqual(await listen(), servers.slice(0, 1))
      })

      it('should listen on 3 addresses', async () => {
        const { listen } = await multi(keys[0] as OldKey, servers)
        assert.deepEqual((await listen()).toSorted(), servers.toSorted())
      })

      it('listen on offline server should fail', async () => {
        const { peer, listen } = await multi(keys[0] as OldKey, [offline])
        await assert.rejects(listen(), /Couldn't listen on any of the servers/)
        assert.deepEqual(await clients.call('online', { peer }), [])
      })

      it('listen on offline server and up server should not fail', async () => {
        const { listen } = await multi(keys[0] as OldKey, [servers[0] as string, offline])
        assert.deepEqual(await listen(), servers.slice(0, 1))
      })

      it('listen on offline server with ignore_no_online should not fail', async () => {
        const { listen } = await multi(keys[0] as OldKey, [offline], true)
        assert.deepEqual(await listen(), [])
      })
    })

    describe('dial', () => {
      const peers: number[] = []

      before(async () => {
        for (const key of keys) {
          const { peer, listen } = await multi(key, servers)
          await listen()
          peers.push(peer)
        }
      })

      it('c1 should dial to c2 over server 2', async () => {
        const address = `${servers[1]}/ipfs/${keys[1]?.id}`
        const answer = await clients.call<{ sent: string, sha256: string }>('echo', { peer: peers[0], address, size: 12 })
        assert.equal(answer.sha256, answer.sent)
      })

      it('c1 dial c3 over non-existent server should fail', async () => {
        const address = `${offline}/ipfs/${keys[2]?.id}`
        await assert.rejects(clients.call('dial', { peer: peers[0], address }), /No listener for this server/)
      })
    })
  })
}
