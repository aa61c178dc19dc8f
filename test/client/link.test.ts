// One link between two nodes, whoever dials whom, how often and when.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { assertOneLink, linkStage, works } from '../support/links.ts'
import { nextEvent, until } from '../support/nodes.ts'
import { Random } from '../support/random.ts'
import type { Linked } from '../support/links.ts'

const ROUNDS = 1_000

describe('one link', () => {
  const stage = linkStage()

  /** Both ends have nothing to do with each other any more. */
  async function whenApart (one: Linked, other: Linked): Promise<void> {
    await until(() => [one.connections(other), other.connections(one)].every(list => list.length === 0))
    await until(() => one.link(other) == null && other.link(one) == null)
  }

  it(`is all that ${ROUNDS} rounds of simultaneous dials leave, at both sides, and both dials get it`, async () => {
    const [a, b] = await stage.pair()
    for (let round = 0; round < ROUNDS; round++) {
      const [mine, theirs] = await Promise.all([stage.dial(a, b), stage.dial(b, a)])
      assertOneLink(a, b)
      assert.deepEqual([mine, theirs], [a.connections(b)[0], b.connections(a)[0]], `round ${round}`)
      await Promise.all([works(mine), works(theirs)])
      await mine.close()
      await whenApart(a, b)
    }
  }).timeout(600_000)

  it('is all that many dials at once from both sides leave, with and without force', async () => {
    const [a, b] = await stage.pair()
    for (let round = 0; round < 20; round++) {
      const dials = Array.from({ length: 6 }, async (_, number) => number % 2 === 0
        ? await stage.dial(a, b, { force: number > 2 })
        : await stage.dial(b, a, { force: number > 2 }))
      const connections = await Promise.all(dials)
      assertOneLink(a, b)
      assert.equal(new Set(connections).size, 2, 'one connection at each side')
      await connections[0]?.close()
      await whenApart(a, b)
    }
  })

  it('is what a dial gets while it is up: by address, by id, with force, over a second star, from either side', async () => {
    const second = await stage.open()
    const [a, b] = await stage.pair({ listen: [stage.star.address, second.address] })
    const connection = await stage.link(a, b)
    assert.equal(await stage.dial(a, b), connection)
    assert.equal(await stage.dial(a, b, { force: true }), connection)
    assert.equal(await stage.dial(a, b, { force: true }, second.address), connection)
    assert.equal(await a.node.dial(b.node.peerId), connection)
    const [inbound] = b.connections(a)
    assert.equal(await stage.dial(b, a, { force: true }), inbound)
    assert.equal(await stage.dial(b, a, { force: true }, second.address), inbound)
    assertOneLink(a, b)
  })

  it('is what a dial gets while it waits for a path', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    await stage.star.stop()
    await a.told('suspended', 'ERR_STAR_LOST')
    assert.equal(await stage.dial(a, b, { force: true }), connection)
    await stage.star.start()
    await works(connection)
  })

  it('ends at both sides when it is closed at one, whichever, and the next dial makes another one', async () => {
    const [a, b] = await stage.pair()
    const seen = new Set<string>()
    for (let round = 0; round < 10; round++) {
      const connection = round % 2 === 0 ? await stage.dial(a, b) : await stage.dial(b, a)
      await works(connection)
      seen.add(a.link(b)?.link ?? '')
      const closer = round % 4 < 2 ? a : b
      await closer.node.getConnections()[0]?.close()
      await whenApart(a, b)
    }
    assert.equal(seen.size, 10)
    assert.deepEqual(new Set([...a.brief, ...b.brief]), new Set(['path', 'over']))
  })

  it('is made at once by a dial that crosses the closing of the one before', async () => {
    const [a, b] = await stage.pair()
    for (let round = 0; round < 50; round++) {
      const former = await stage.dial(a, b)
      await works(former)
      const closing = former.close()
      const connection = await stage.dial(b, a, { force: true })
      await closing
      if (connection.status === 'open') {
        await works(connection).catch(async () => { await works(await stage.dial(b, a)) }) // it got the one that was closing
      }
      await until(() => a.connections(b).length <= 1 && b.connections(a).length <= 1)
      await Promise.all([...a.connections(b), ...b.connections(a)].map(async left => { await left.close() }))
      await whenApart(a, b)
    }
  })

  it('is made by a dial at the moment at which it is closed by the dialler itself', async () => {
    const [a, b] = await stage.pair()
    for (let round = 0; round < 50; round++) {
      const former = await stage.dial(a, b)
      const closing = former.close()
      while (former.status === 'open') {
        await turn() // until then libp2p itself gives it to whoever dials
      }
      const connection = await stage.dial(a, b)
      assert.ok(connection !== former)
      await closing
      await works(connection)
      await connection.close()
      await whenApart(a, b)
    }
  })

  it('is there between any two of several nodes that all dial each other at once', async () => {
    const nodes = await Promise.all(Array.from({ length: 8 }, async () => await stage.node()))
    const pairs = nodes.flatMap(one => nodes.filter(other => other !== one).map(other => [one, other] as const))
    const connections = await Promise.all(pairs.map(async ([one, other]) => await stage.dial(one, other)))
    await Promise.all(connections.map(async connection => { await works(connection) }))
    pairs.forEach(([one, other]) => { assertOneLink(one, other) })
  })

  it('is what a dial gets, whenever the other side gives its own up, and whenever ours was given up before', async () => {
    const [a, b] = await stage.pair()
    const seed = Date.now()
    const chance = new Random(seed)
    for (let round = 0; round < 100; round++) {
      const stays = round % 3 // 0: both, 1: a's dial, 2: b's
      const dials = [stage.dial(a, b, givenUp(stays === 2)), stage.dial(b, a, givenUp(stays === 1))]
      const results = await Promise.allSettled(dials)
      const failed = results.filter((result, side) => result.status === 'rejected' && stays !== 2 - side)
      assert.deepEqual(failed, [], `round ${round} of seed ${seed}`)
      const connection = round % 2 === 0 ? await stage.dial(a, b) : await stage.dial(b, a)
      await works(connection)
      assertOneLink(a, b)
      await connection.close()
      await whenApart(a, b)
    }

    function givenUp (soon: boolean): { signal?: AbortSignal } {
      return soon ? { signal: AbortSignal.timeout(chance.between(0, 12)) } : {}
    }
  }).timeout(60_000)

  it('has the remote address that was dialled where there was a dial, whoever dialled first', async () => {
    const [a, b] = await stage.pair()
    const [mine, theirs] = await Promise.all([stage.dial(a, b), stage.dial(b, a)])
    assert.deepEqual([mine.remoteAddr, theirs.remoteAddr], [
      multiaddr(`${stage.star.address}/p2p/${b.id}`), multiaddr(`${stage.star.address}/p2p/${a.id}`)
    ])
  })

  it('tells libp2p once of each connection', async () => {
    const [a, b] = await stage.pair()
    const opened: string[] = []
    for (const node of [a, b]) {
      node.node.addEventListener('connection:open', () => { opened.push(node.id) })
    }
    const closedAtB = nextEvent(b.node, 'connection:close')
    const [connection] = await Promise.all([stage.dial(a, b), stage.dial(b, a), stage.dial(a, b, { force: true })])
    assert.deepEqual(opened.toSorted(), [a.id, b.id].toSorted())
    await connection.close()
    await closedAtB
    assert.equal(opened.length, 2)
  })
})
