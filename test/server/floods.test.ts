// Too much of everything: what is beyond a limit is refused with its code and with when to come back, and others don't feel it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { connect } from '../../client/index.ts'
import { StarError } from '../../src/errors.ts'
import { Event } from '../../src/star/protocol.ts'
import { until } from '../support/nodes.ts'
import { Bystanders, GENERATIONS, makeIdentity, openStream, stages } from '../support/raw.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { Reason } from '../../src/errors.ts'
import type { WireError } from '../../src/star/protocol.ts'
import type { RawClient, Stage } from '../support/raw.ts'

/** Where the flood comes from, for stars that trust their proxy. */
const ATTACKER = { from: '198.51.100.7' }

/** A rate counts over this many seconds. */
const BURST = 10

/** What can be had from a star and how it is refused when it is too much, besides rates. */
interface Refusal {
  readonly client: RawClient
  readonly reply: readonly unknown[]
  readonly code: Reason
}

describe('floods', () => {
  let stage: Stage
  let bystanders: Bystanders | undefined

  beforeEach(() => { bystanders = undefined })
  // whatever a test has done, and before its star is closed
  afterEach(async () => { await bystanders?.echo() })
  const open = stages()

  async function setting (options?: ServerOptions): Promise<void> {
    stage = await open({ trustProxy: true, ...options })
    bystanders = await Bystanders.join(stage)
  }

  function assertRefused ({ client, reply: [error], code }: Refusal): void {
    if (client.generation === 'original') {
      assert.equal(error, new StarError(code).message)
    } else {
      assert.equal((error as WireError).code, code)
    }
  }

  /** How many of the replies are refusals with that code, each of which tells star clients when to come back. */
  function count (client: RawClient, replies: ReadonlyArray<readonly unknown[]>, code: Reason): number {
    const { message } = new StarError(code)
    const refused = replies.filter(([error]) => error != null && (error === message || (error as WireError).code === code))
    if (client.generation === 'star') {
      for (const [error] of refused) {
        const { retryAfter = 0 } = error as WireError
        assert.ok(retryAfter > 0 && retryAfter <= BURST * 1_000, `retryAfter is ${retryAfter}`)
      }
    }
    return refused.length
  }

  for (const generation of GENERATIONS) {
    describe(`of ${generation} clients`, () => {
      it('of dials are refused beyond the rate, though they come in one piece', async () => {
        await setting({ dialsPerSecond: 2 })
        const client = await stage.join(generation, ATTACKER)
        const replies = await Promise.all(Array.from({ length: 500 }, async () =>
          await client.ask(Event.Dial, client.address, client.address, 'id')))
        assert.equal(count(client, replies, 'ERR_TOO_MANY_DIALS'), 500 - 2 * BURST)
        assert.equal(await stage.refusals('ERR_TOO_MANY_DIALS'), 500 - 2 * BURST)
        assert.equal(await stage.metric('rendezvous_dials_total_failure'), 500)
      })

      it('of joins are refused beyond the rate, whichever socket they come from', async () => {
        await setting({ joinsPerSecond: 1 })
        const sockets = [await stage.connect(generation, ATTACKER), await stage.connect(generation, ATTACKER)]
        const { key, id } = await makeIdentity()
        const replies: unknown[][] = []
        for (const client of sockets) {
          const address = client.spell(id)
          replies.push(...await Promise.all(Array.from({ length: 100 }, async () => await client.ask(Event.Join, address, key))))
        }
        assert.equal(count(sockets[0] as RawClient, replies, 'ERR_TOO_MANY_JOINS'), 200 - BURST)
        assert.equal(await stage.refusals('ERR_TOO_MANY_JOINS'), 200 - BURST)
      })

      it('of connections are refused beyond the rate, with a code that says why', async () => {
        await setting({ connectionsPerSecond: 1 })
        const flood = Array.from({ length: BURST + 5 }, async () => await stage.connect(generation, ATTACKER))
        const refused = (await Promise.allSettled(flood)).filter(result => result.status === 'rejected')
        assert.equal(refused.length, 5)
        for (const { reason } of refused) {
          const { data } = reason as { data: WireError }
          assert.equal(data.code, 'ERR_TOO_MANY_CONNECTIONS')
          assert.ok((data.retryAfter ?? 0) > 0)
        }
        assert.equal(await stage.refusals('ERR_TOO_MANY_CONNECTIONS'), 5)
        await stage.connect(generation, { from: '198.51.100.8' })
      })

      it('of sockets are refused when the star has as many as it may', async () => {
        await setting({ maxConnections: 3 })
        await stage.connect(generation, ATTACKER)
        await assert.rejects(stage.connect(generation, ATTACKER), ({ data }: { data?: WireError }) =>
          data?.code === 'ERR_TOO_MANY_CONNECTIONS')
      })

      it('of dials without answer are refused beyond the number that may wait', async () => {
        await setting({ dialsInFlight: 3 })
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        const waiting = ['a', 'b', 'c'].map(async id => await client.dial(friend, id))
        const { reply } = await client.dial(friend, 'd')
        assertRefused({ client, reply, code: 'ERR_TOO_MANY_IN_FLIGHT' })
        assert.equal(await stage.metric('star_dials_in_flight'), 3)
        for (const id of ['a', 'b', 'c']) {
          (await friend.ringOf(id)).ack()
        }
        await Promise.all(waiting)
        assert.equal(await stage.metric('star_dials_in_flight'), 0)
        assert.equal(await stage.refusals('ERR_TOO_MANY_IN_FLIGHT'), 1)
      })

      for (const [bound, options] of [
        ['a pair', { streamsPerPair: 2 }], ['a socket', { streamsPerSocket: 2 }]
      ] as const) {
        it(`of streams are refused beyond the number for ${bound}, and allowed again when one has ended`, async () => {
          await setting(options)
          const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
          const [dialled, accepted] = await openStream(client, friend)
          await openStream(client, friend)
          const { reply } = await client.dial(friend)
          assertRefused({ client, reply, code: 'ERR_TOO_MANY_STREAMS' })
          assert.equal(await stage.refusals('ERR_TOO_MANY_STREAMS'), 1)
          dialled.end()
          accepted.end()
          await Promise.all([dialled.ended(), accepted.ended()])
          await openStream(client, friend)
          assert.equal(await stage.metric('star_streams'), 2)
        })
      }

      it('of addresses on one socket are refused, those that wait for a proof included', async () => {
        await setting({ maxAddressesPerSocket: 2 })
        const client = await stage.join(generation, ATTACKER)
        const [second, third] = [await makeIdentity(), await makeIdentity()]
        await client.introduce(second)
        assertRefused({ client, reply: await client.introduce(third), code: 'ERR_TOO_MANY_ADDRESSES' })
        assert.equal(await stage.refusals('ERR_TOO_MANY_ADDRESSES'), 1)
        client.tell(Event.Leave, client.spell(second.id))
        assert.equal((await client.join({ identity: third }))[0], null)
      })

      it('of peers are refused by a star that is full, which takes those who are there already', async () => {
        await setting({ maxPeers: 3 })
        const client = await stage.join(generation, ATTACKER)
        const other = await stage.connect(generation)
        assertRefused({ client: other, reply: await other.join(), code: 'ERR_TOO_MANY_PEERS' })
        assert.equal(await stage.refusals('ERR_TOO_MANY_PEERS'), 1)
        assert.ok(client.identity)
        assert.equal((await other.join({ identity: client.identity }))[0], null)
        assert.equal(stage.star.server.peers().length, 3)
      })
    })
  }

  it('are told to a client of ours, which comes back when it may', async () => {
    await setting({ maxPeers: 3, announceDelay: 1 })
    const client = await stage.join('original', ATTACKER)
    await assert.rejects(connect(stage.star.address), { name: 'StarError', code: 'ERR_TOO_MANY_PEERS' })
    client.socket.disconnect()
    await until(() => stage.star.server.peers().length === 2)
    const joined = await connect(stage.star.address)
    await joined.close()
  })

  it('do not leave anything behind on the star when they are over', async () => {
    await setting()
    for (let round = 0; round < 20; round++) {
      const [one, other] = [await stage.join('original', ATTACKER), await stage.join('star', ATTACKER)]
      await openStream(one, other)
      one.webSocket.terminate()
      other.webSocket.terminate()
    }
    await until(async () => await stage.metric('star_connections') + await stage.metric('star_connections_original') === 2)
    assert.equal(await stage.metric('star_streams'), 0)
    assert.equal(await stage.metric('star_bytes_in_flight'), 0)
    assert.equal(await stage.metric('rendezvous_peers'), 2)
  })

  it('of WebSockets that never speak socket.io are cut, and those that got in are closed after a while', async function () {
    this.timeout(60_000)
    await setting({ connectionsPerSecond: 1 })
    const url = `${stage.star.server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
    const headers = { 'x-forwarded-for': ATTACKER.from }
    const sockets = Array.from({ length: 50 }, () => new WebSocket(url, { headers }))
    const closed = await Promise.all(sockets.map(async socket => await Promise.race([
      once(socket, 'open').then(async () => {
        await once(socket, 'close')
        return true
      }),
      once(socket, 'unexpected-response').then(() => false)
    ])))
    assert.equal(closed.filter(opened => opened).length, 2 * BURST)
    assert.equal(await stage.refusals('ERR_TOO_MANY_CONNECTIONS'), 50 - 2 * BURST)
  })
})
