// The test cases of libp2p-websocket-star-rendezvous 0.4.1 and socket.io-pull-stream 0.1.5 by their own names, and the wire
// that every old client relies on, spoken by bare socket.io 2 clients.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { eventually } from '../driver.ts'
import type { OldStream } from '../peers.ts'
import { RawClients, type RawSocket } from '../raw.ts'
import type { Star, Stars } from '../stars.ts'

const ADDRESS = '/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSoooo'

/** `describe` is the file, `it` the case. Starting and stopping is every suite's business and has no case here. */
export function serverCases (stars: Stars): void {
  describe(`the test cases of libp2p-websocket-star-rendezvous on ${stars.name}`, () => {
    let raw: RawClients
    let star: Star
    let c1: RawSocket
    let c2: RawSocket
    let c3: RawSocket
    let c4: RawSocket

    before(async () => {
      raw = new RawClients()
      star = await stars.start({ refreshPeerListIntervalMS: 1000, cryptoChallenge: false, strictMultiaddr: false })
    })

    after(async () => {
      await raw.close()
      await star.close()
    })

    it('zero peers', async () => {
      assert.deepEqual(await star.peers(), [])
    })

    it('connect one client', async () => {
      c1 = await raw.connect(star.url)
    })

    it('connect three more clients', async () => {
      [c2, c3, c4] = await Promise.all([raw.connect(star.url), raw.connect(star.url), raw.connect(star.url)])
      assert.deepEqual(await star.peers(), [])
    })

    it('ss-join first client', async () => {
      assert.deepEqual(await c1.ask('ss-join', `${ADDRESS}1`, ''), [null, null, []])
      assert.equal((await star.peers()).length, 1)
    })

    it('ss-join and ss-leave second client', async () => {
      const answer = await c2.ask('ss-join', `${ADDRESS}2`, '')
      assert.ok(c1.announced().includes(`${ADDRESS}2`), 'the first has heard of the second before the second was answered')
      assert.deepEqual(answer, [null, null, [`${ADDRESS}1`]])
      assert.equal((await star.peers()).length, 2)
      await c2.tell('ss-leave', `${ADDRESS}2`)
      await eventually('it has left', async () => (await star.peers()).length === 1)
    })

    it('ss-join and disconnect third client', async () => {
      assert.deepEqual(await c3.ask('ss-join', `${ADDRESS}3`, ''), [null, null, [`${ADDRESS}1`]])
      assert.equal((await star.peers()).length, 2)
      await c3.disconnect()
      await eventually('it has left', async () => (await star.peers()).length === 1)
    })

    it('ss-join the fourth', async () => {
      await Promise.all([c1.hears(`${ADDRESS}4`), c4.ask('ss-join', `${ADDRESS}4`, '')])
      assert.equal((await star.peers()).length, 2)
    })

    it('c1 dial c4', async () => {
      const dial = randomUUID()
      const [rung, answer] = await Promise.all([c4.rings(), c1.ask('ss-dial', `${ADDRESS}1`, `${ADDRESS}4`, dial)])
      assert.deepEqual(rung, { dial, from: `${ADDRESS}1`, surplus: 0 })
      assert.deepEqual(answer, [])
    })

    it('c1 dial c2 fail (does not exist anymore)', async () => {
      assert.deepEqual(await c1.ask('ss-dial', `${ADDRESS}1`, `${ADDRESS}2`, randomUUID()), ['Peer not found'])
    })

    it('disconnects every client', async () => {
      await Promise.all([c1, c2, c3, c4].map(async (client) => { await client.disconnect() }))
      await eventually('all have left', async () => (await star.peers()).length === 0)
    })

    it('emits ws-peer every second', async () => {
      [c1, c2] = [await raw.connect(star.url), await raw.connect(star.url)]
      await c1.ask('ss-join', '/ip4/0.0.0.0', '')
      await c2.ask('ss-join', '/ip4/127.0.0.1', '')
      await c1.hears('/ip4/127.0.0.1', { times: 2 })
      assert.deepEqual(new Set(c1.announced()), new Set(['/ip4/127.0.0.1']))
    })
  })

  describe(`the test cases of socket.io-pull-stream through ${stars.name}`, () => {
    let raw: RawClients
    let star: Star
    let caller: RawSocket
    let callee: RawSocket

    before(async () => {
      raw = new RawClients()
      star = await stars.start({ cryptoChallenge: false, strictMultiaddr: false })
      caller = await raw.connect(star.url)
      callee = await raw.connect(star.url, 'later')
      await caller.ask('ss-join', `${ADDRESS}1`, '')
      await callee.ask('ss-join', `${ADDRESS}2`, '')
    })

    after(async () => {
      await raw.close()
      await star.close()
    })

    /** Both make their halves when the original client does: the caller before it dials, the callee before it answers. */
    async function pair (): Promise<{ near: OldStream, far: OldStream, back: OldStream }> {
      const id = randomUUID()
      const since = raw.now
      const near = await caller.stream({ write: `${id}.dialer` })
      const answer = caller.ask('ss-dial', `${ADDRESS}1`, `${ADDRESS}2`, id)
      await callee.rings({ since })
      const far = await callee.stream({ read: `${id}.dialer`, write: `${id}.listener` })
      await raw.ack(id)
      assert.deepEqual(await answer, [])
      return { near, far, back: await caller.stream({ read: `${id}.listener` }) }
    }

    it('data: can create a connection between two clients', async () => {
      const { near, far } = await pair()
      await near.write('val')
      await near.end()
      assert.equal((await far.until()).text, 'val')
    })

    it('data: can create a duplex connection between two clients', async () => {
      const { near, far, back } = await pair()
      await near.write('HELLOWORLD!')
      await far.write('HELLOWORLD?')
      await near.end()
      await far.end()
      assert.equal((await far.until()).text, 'HELLOWORLD!')
      assert.equal((await back.until()).text, 'HELLOWORLD?')
    })

    it('disconnect: should end stream on disconnect', async () => {
      const loner = await raw.connect(star.url)
      const source = await loner.stream({ read: randomUUID() })
      await loner.disconnect()
      const { ended, error } = await source.until()
      assert.deepEqual({ ended, error }, { ended: true, error: null })
    })
  })
}
