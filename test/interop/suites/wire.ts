// The wire of 2019 as old clients rely on it, and what no old client ever sent: spoken by bare socket.io 2 clients.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toString } from 'uint8arrays/to-string'
import { OldClients } from '../peers.ts'
import { RawClients, type RawSocket } from '../raw.ts'
import type { Star, Stars } from '../stars.ts'

type Key = Awaited<ReturnType<typeof makeKey>>

/** Events, acknowledgements and streams, byte for byte where it matters. */
export function wire (stars: Stars): void {
  const onOurs: (title: string, test: () => Promise<void>) => void = stars.original ? () => {} : it

  describe(`the wire of ${stars.name}`, () => {
    let raw: RawClients
    let star: Star
    let socket: RawSocket

    before(async () => {
      raw = new RawClients()
      star = await stars.start({ refreshPeerListIntervalMS: 250 })
    })

    after(async () => {
      await raw.close()
      await star.close()
    })

    beforeEach(async () => {
      socket = await raw.connect(star.url)
    })

    afterEach(async () => {
      await socket.disconnect()
    })

    describe('a join', () => {
      for (const type of ['RSA', 'Ed25519', 'secp256k1'] as const) {
        it(`is two steps, with an ${type} key made today`, async () => {
          const key = await makeKey(star, type)
          const [error, nonce, ...rest] = await socket.ask('ss-join', key.address, key.publicKey)
          assert.deepEqual([error, ...rest], [null])
          assert.ok(typeof nonce === 'string' && nonce.length === 72)
          assert.deepEqual(await socket.ask('ss-join', key.address, await key.sign(nonce)), [null, null, []])
          assert.equal((await star.peers()).length, 1)
        })
      }

      it('takes hex in upper case', async () => {
        const key = await makeKey(star)
        const [, nonce] = await socket.ask('ss-join', key.address, key.publicKey.toUpperCase())
        const signature = await key.sign(nonce as string)
        assert.deepEqual(await socket.ask('ss-join', key.address, signature.toUpperCase()), [null, null, []])
      })

      it('lists the others in the order in which they came', async () => {
        const others = [await raw.connect(star.url), await raw.connect(star.url)]
        const keys = [await makeKey(star), await makeKey(star), await makeKey(star)] as const
        await join(others[0] as RawSocket, keys[0])
        await join(others[1] as RawSocket, keys[1])
        assert.deepEqual(await join(socket, keys[2]), [null, null, [keys[0].address, keys[1].address]])
        for (const other of others) await other.disconnect()
      })

      it('refuses in words what is not a star address', async () => {
        const key = await makeKey(star)
        assert.deepEqual(await socket.ask('ss-join', `/ip4/127.0.0.1/tcp/1/ipfs/${key.id}`, key.publicKey), ['Invalid multiaddr'])
      })

      it('refuses what is not a key', async () => {
        const { address } = await makeKey(star)
        for (const proof of ['00', 'no hex', '08011200', 'f'.repeat(2000)]) {
          const [error, nonce] = await socket.ask('ss-join', address, proof)
          assert.ok(nonce === undefined && error != null, proof)
          if (!stars.original) assert.equal(typeof error, 'string')
        }
      })

      it('takes a signature from no other socket', async () => {
        const key = await makeKey(star)
        const [, nonce] = await socket.ask('ss-join', key.address, key.publicKey)
        const other = await raw.connect(star.url)
        const [error] = await other.ask('ss-join', key.address, await key.sign(nonce as string))
        assert.ok(error != null)
        assert.deepEqual(await star.peers(), [])
        await other.disconnect()
      })

      // the original server keeps it until the socket goes
      onOurs('takes a challenge once', async () => {
        const key = await makeKey(star)
        const [, nonce] = await socket.ask('ss-join', key.address, key.publicKey)
        const signature = await key.sign(nonce as string)
        assert.deepEqual(await socket.ask('ss-join', key.address, signature), [null, null, []])
        await socket.tell('ss-leave', key.address)
        const [error] = await socket.ask('ss-join', key.address, signature)
        assert.equal(typeof error, 'string')
        assert.deepEqual(await star.peers(), [])
        await join(socket, key)
      })

      it('may be made for two addresses on one socket, which leave one by one', async () => {
        const [one, two] = [await makeKey(star), await makeKey(star)]
        await join(socket, one)
        assert.deepEqual(await join(socket, two), [null, null, [one.address]])
        const caller = await raw.connect(star.url)
        const third = await makeKey(star)
        await join(caller, third)
        const dial = async (by: RawSocket, from: Key, to: Key): Promise<unknown[]> => {
          return await by.ask('ss-dial', from.address, to.address, randomUUID())
        }
        for (const key of [one, two]) assert.deepEqual(await dial(caller, third, key), [])
        await socket.tell('ss-leave', one.address)
        assert.deepEqual(await dial(socket, one, third), ['Not authorized for this address'])
        assert.deepEqual(await dial(socket, two, third), [])
        await caller.disconnect()
      })
    })

    describe('a dial', () => {
      let callee: RawSocket
      let near: Key
      let far: Key

      beforeEach(async () => {
        [near, far] = [await makeKey(star), await makeKey(star)]
        await join(socket, near)
      })

      afterEach(async () => {
        await callee.disconnect()
      })

      async function listen (answer?: string): Promise<void> {
        callee = await raw.connect(star.url, answer)
        await join(callee, far)
      }

      it('brings back the words in which the callee refuses', async () => {
        await listen('not today')
        assert.deepEqual(await socket.ask('ss-dial', near.address, far.address, randomUUID()), ['not today'])
      })

      // the original server never answers
      onOurs('ends in words when the callee goes away while it rings', async () => {
        await listen('later')
        const since = raw.now
        const answer = socket.ask('ss-dial', near.address, far.address, randomUUID())
        await callee.rings({ since })
        await callee.disconnect()
        assert.deepEqual(await answer, ['Peer not found'])
      })

      // the original server compares text
      onOurs('finds a peer by the new spelling of its address', async () => {
        await listen()
        assert.deepEqual(await socket.ask('ss-dial', near.address, far.address.replace('/ipfs/', '/p2p/'), randomUUID()), [])
      })

      it('keeps what was sent until the callee reads, empty chunks included, and then the end', async () => {
        await listen('later')
        const id = randomUUID()
        const since = raw.now
        const out = await socket.stream({ write: `${id}.dialer` })
        const answer = socket.ask('ss-dial', near.address, far.address, id)
        await callee.rings({ since })
        await raw.ack(id)
        assert.deepEqual(await answer, [])
        for (const text of ['early', '', 'bird']) await out.write(text)
        await out.end()
        const { text, chunks, ended } = await (await callee.stream({ read: `${id}.dialer` })).until()
        assert.deepEqual({ text, chunks, ended }, { text: 'earlybird', chunks: [5, 0, 4], ended: true })
      })

      it('is nobody else\'s: a stranger that knows its id can neither write nor end it', async () => {
        await listen('later')
        const stranger = await raw.connect(star.url)
        await join(stranger, await makeKey(star))
        const id = randomUUID()
        const since = raw.now
        const out = await socket.stream({ write: `${id}.dialer` })
        const answer = socket.ask('ss-dial', near.address, far.address, id)
        await callee.rings({ since })
        const into = await callee.stream({ read: `${id}.dialer` })
        await raw.ack(id)
        await answer
        const forged = await stranger.stream({ write: `${id}.dialer` })
        await stranger.tell(`socket.io-pull-stream.queue.${id}.dialer`, 'forged')
        await stranger.tell(`socket.io-pull-stream.error.${id}.dialer`, true)
        await forged.write('forged')
        // a round trip of the stranger's socket: what it said has been heard
        await stranger.ask('ss-dial', near.address, far.address, randomUUID())
        await out.write('genuine')
        await out.end()
        assert.equal((await into.until()).text, 'genuine')
        await stranger.disconnect()
      })
    })

    it('survives events of every wrong type, and serves the one who sent them', async () => {
      const streams = ['socket.io-pull-stream.accept.', 'socket.io-pull-stream.queue.x.dialer']
      const odd = [undefined, null, 0, -1, 1e300, '', 'x', '\u0000', [], [[]], {}, { length: 1 }, true, 'f'.repeat(10_000)]
      for (const event of ['ss-join', 'ss-leave', 'ss-dial', 'ws-peer', 'ss-incomming', ...streams, 'no-such-event']) {
        for (const value of odd) {
          await socket.tell(event)
          await socket.tell(event, value)
          await socket.tell(event, value, value)
          await socket.tell(event, value, value, value, value)
        }
      }
      assert.deepEqual(await join(socket, await makeKey(star)), [null, null, []])
    })

    // The original server refuses such neighbours, or drops what they say without a word.
    if (stars.original) return

    describe('an original client', () => {
      let clients: OldClients

      beforeEach(() => { clients = new OldClients() })
      afterEach(async () => { await clients.close() })

      for (const [what, spell] of [
        ['/p2p/ in its address', (key: Key) => key.address.replace('/ipfs/', '/p2p/')],
        ['a CID as its id', (key: Key) => key.address.replace(key.id, key.cid)],
        ['a CID and /p2p/', (key: Key) => key.address.replace(`/ipfs/${key.id}`, `/p2p/${key.cid}`)]
      ] as const) {
        it(`survives a neighbour with ${what}, which it would die of`, async () => {
          const key = await makeKey(star)
          const address = spell(key)
          const [error, nonce] = await socket.ask('ss-join', address, key.publicKey)
          // refusing such a neighbour is as good as spelling it for old clients
          const refused = error != null
          if (!refused) assert.deepEqual(await socket.ask('ss-join', address, await key.sign(nonce as string)), [null, null, []])
          const peer = await clients.join(star.address)
          const other = await clients.join(star.address)
          await peer.hears(other, { since: clients.now, times: 2 })
          if (refused) return
          await peer.hears(key)
          assert.equal(clients.told('peer', { peer: peer.number, address }).length, 0)
          await peer.dial(key.address)
        })
      }
    })
  })
}

/** A key made today, with what an old client would send. */
async function makeKey (star: Star, type: 'RSA' | 'Ed25519' | 'secp256k1' = 'Ed25519'): Promise<{
  id: string
  cid: string
  address: string
  publicKey: string
  sign: (nonce: string) => Promise<string>
}> {
  const key = await (type === 'RSA' ? generateKeyPair(type, 2048) : generateKeyPair(type))
  const peerId = peerIdFromPrivateKey(key)
  return {
    id: peerId.toString(),
    cid: peerId.toCID().toString(),
    address: `${star.address}/ipfs/${peerId.toString()}`,
    publicKey: toString(publicKeyToProtobuf(key.publicKey), 'base16'),
    sign: async (nonce) => toString(await key.sign(new TextEncoder().encode(nonce)), 'base16')
  }
}

async function join (socket: RawSocket, key: Key): Promise<unknown[]> {
  const [error, nonce] = await socket.ask('ss-join', key.address, key.publicKey)
  assert.equal(error, null)
  return await socket.ask('ss-join', key.address, await key.sign(nonce as string))
}
