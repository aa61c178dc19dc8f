// A link outlives its path: the star goes, the socket goes, the path carries nothing; what is on its way arrives all the same.
import assert from 'node:assert/strict'
import { Transfer, assertOneLink, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { proxies } from '../support/proxy.ts'
import { quickly } from '../support/waiting.ts'
import type { Linked } from '../support/links.ts'

const MIB = 1_048_576
/** Looks, 5 ms apart, that must show the same figure before it is taken to stand still. */
const STILL = 60

describe('a link whose path goes', () => {
  const stage = linkStage()
  const proxy = proxies()

  /** Both ends have a path again, after so many events of each. */
  async function whenBack (nodes: readonly Linked[], since: readonly number[]): Promise<void> {
    await Promise.all(nodes.map(async (node, index) => { await node.told('path', undefined, { since: since[index] ?? 0 }) }))
  }

  function counts (...nodes: Linked[]): number[] {
    return nodes.map(({ events }) => events.length)
  }

  it('is suspended when the star is restarted, and goes on with its streams', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    const { link: id } = a.link(b) ?? {}
    const [other = connection] = b.connections(a)
    const transfers = await Promise.all([connection, connection, other].map(async end => await Transfer.start(end, 20 * MIB)))
    for (let round = 0; round < 3; round++) {
      const since = counts(a, b)
      await transfers[0]?.reaches((round + 1) * 5 * MIB)
      await stage.star.restart()
      await whenBack([a, b], since)
    }
    await Promise.all(transfers.map(async ({ done }) => { await done }))
    assertOneLink(a, b)
    assert.equal(a.link(b)?.link, id)
    assert.deepEqual([connection.status, b.connections(a)[0]?.status], ['open', 'open'])
    for (const node of [a, b]) {
      const told = new Set(node.brief.filter(what => !what.startsWith('attempt')))
      assert.deepEqual(told, new Set(['path', 'suspended ERR_STAR_LOST']))
    }
  }).timeout(60_000)

  it('says that it waits while the star is down, by explain() and events, and by which way it went on', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    await stage.star.stop()
    await Promise.all([a.told('suspended'), b.told('suspended')])
    const [{ state, path, resumable } = {}] = a.star.explain(connection).links
    assert.deepEqual({ state, path, resumable }, { state: 'suspended', path: undefined, resumable: true })
    assert.equal(connection.status, 'open')
    const pong = works(connection)
    const since = counts(a, b)
    await stage.star.start()
    await pong
    await whenBack([a, b], since)
    assert.equal(a.star.explain(b.id).links[0]?.state, 'open')
    const { events } = a.star.explain(b.node.peerId)
    assert.deepEqual(events, a.events)
    assert.equal(events.findLast(({ what }) => what === 'path')?.path?.kind, 'relay')
    assert.match(events.findLast(({ what }) => what === 'path')?.path?.via ?? '', /^ws:\/\/127\.0\.0\.1:\d+/)
    assert.deepEqual(a.star.explain(a.id), { links: [], events: [] })
  })

  for (const dials of [true, false]) {
    it(`goes on when only the socket of who ${dials ? 'dialled' : 'was dialled'} is cut`, async () => {
      const way = await proxy(stage.star.address)
      const [near, far] = await Promise.all([stage.node({ listen: [way.address] }), stage.node()])
      const connection = dials ? await stage.link(near, far, way.address) : await stage.link(far, near)
      const transfer = await Transfer.start(connection, 30 * MIB)
      for (let round = 0; round < 3; round++) {
        await transfer.reaches((round + 1) * 7 * MIB)
        const since = counts(near, far)
        way.cut()
        await near.told('suspended', 'ERR_STAR_LOST', { since: since[0] ?? 0 })
        await far.told('suspended', 'ERR_PEER_GONE', { since: since[1] ?? 0 })
        await whenBack([near, far], since)
      }
      await transfer.done
      assertOneLink(near, far)
      assert.equal(near.link(far)?.dialled, dials)
    }).timeout(60_000)
  }

  it('goes on when the sockets of both are cut at once', async () => {
    const way = await proxy(stage.star.address)
    const [a, b] = await stage.pair({ listen: [way.address] })
    const connection = await stage.link(a, b, way.address)
    const transfer = await Transfer.start(connection, 30 * MIB)
    for (let round = 0; round < 5; round++) {
      await transfer.reaches((round + 1) * 4 * MIB)
      const since = counts(a, b)
      way.cut()
      await whenBack([a, b], since)
    }
    await transfer.done
    assertOneLink(a, b)
  }).timeout(60_000)

  it('gives up a path that is open and carries nothing, in a few seconds while something waits for it', async () => {
    await quickly('the way to another one', 4_000, async () => {
      const way = await proxy(stage.star.address)
      const init = { probeTimeout: 600 }
      const [near, far] = await Promise.all([stage.node({ listen: [way.address], ...init }), stage.node(init)])
      const connection = await stage.link(near, far, way.address)
      const transfer = await Transfer.start(connection, 20 * MIB)
      await transfer.reaches(4 * MIB)
      await until(() => near.link(far)?.state === 'open') // a machine that stands still looks like a path that carries nothing
      const since = counts(near, far)
      const begin = performance.now()
      way.swallow()
      await near.told('suspended', 'ERR_PATH_DEAD', { since: since[0] ?? 0 })
      await whenBack([near, far], since)
      const took = performance.now() - begin
      await transfer.done
      return took
    })
  }).timeout(60_000)

  it('finds out about a dead path on which nothing is said either', async () => {
    const way = await proxy(stage.star.address)
    const init = { keepAlive: 300, probeTimeout: 300 }
    const [near, far] = await Promise.all([stage.node({ listen: [way.address], ...init }), stage.node(init)])
    const connection = await stage.link(near, far, way.address)
    await until(() => near.link(far)?.state === 'open') // a machine that stands still looks like a path that carries nothing
    const since = counts(near, far)
    way.swallow()
    await near.told('suspended', 'ERR_PATH_DEAD', { since: since[0] ?? 0 })
    await whenBack([near, far], since)
    await works(connection)
  })

  it('goes on over another star that both have used, when the first one stays away', async () => {
    const second = await stage.open()
    const [a, b] = await stage.pair({ listen: [stage.star.address, second.address] })
    const connection = await stage.link(a, b)
    await stage.dial(a, b, { force: true }, second.address)
    await stage.dial(a, b, { force: true }, stage.star.address)
    const transfer = await Transfer.start(connection, 20 * MIB)
    await transfer.reaches(5 * MIB)
    await stage.star.stop()
    await transfer.done
    assert.ok(second.address.includes(`/${new URL(a.link(b)?.path?.via ?? '').port}/`))
    assertOneLink(a, b)
  })

  it('finds its way back to one that only dials, from both sides', async () => {
    const [server, client] = await Promise.all([stage.node(), stage.node({ listen: [] })])
    const connection = await stage.link(client, server)
    const transfer = await Transfer.start(server.connections(client)[0] ?? connection, 20 * MIB)
    for (let round = 0; round < 3; round++) {
      await transfer.reaches((round + 1) * 5 * MIB)
      const since = counts(server, client)
      await stage.star.restart()
      await whenBack([server, client], since)
    }
    await transfer.done
  }).timeout(60_000)

  it('goes on when the path is given up at either side, many times in a row', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    const transfer = await Transfer.start(connection, 40 * MIB)
    for (let round = 0; round < 30; round++) {
      await transfer.reaches((round + 1) * MIB)
      const since = counts(a, b)
      assert.equal(round % 2 === 0 ? a.links.drop(b.id) : b.links.drop(a.id), true)
      await whenBack([a, b], since)
    }
    await transfer.done
    assert.equal(a.links.drop('nobody'), false)
    assert.ok((a.link(b)?.resent ?? 0) > 0)
  }).timeout(60_000)

  it('keeps its brake over a change of path: a reader that has paused is sent no more than the windows', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    let read = 0
    let stream: Parameters<Parameters<Linked['node']['handle']>[1]>[0] | undefined
    await b.node.handle('/test/sleeper', opened => {
      stream = opened
      opened.addEventListener('message', ({ data }) => { read += data.byteLength })
      opened.pause()
    })
    const outgoing = await connection.newStream('/test/sleeper')
    let written = 0
    const block = new Uint8Array(65_536)
    const fill = (): void => {
      while (written < 64 * MIB && outgoing.send(block)) {
        written += block.byteLength
      }
    }
    outgoing.addEventListener('drain', () => { setImmediate(fill) })
    fill()
    /** Resolves when no more is written, however often the loop turns. */
    const still = async (): Promise<number> => {
      for (let [before, turns] = [-1, 0]; turns < STILL; turns++) {
        turns = before === written ? turns : 0
        before = written
        await new Promise<void>(resolve => { setTimeout(resolve, 5) })
      }
      return written
    }
    const before = await still()
    assert.ok(before < 4 * MIB, `${before} bytes were taken`)
    for (let round = 0; round < 5; round++) {
      const since = counts(a, b)
      a.links.drop(b.id)
      await whenBack([a, b], since)
    }
    await stage.star.restart()
    await until(() => a.link(b)?.state === 'open')
    assert.equal(await still(), before)
    assert.equal(read, 0)
    stream?.resume()
    await until(() => read > 8 * MIB)
    outgoing.abort(new Error('enough'))
  }).timeout(60_000)

  it('has nothing to resume with before the secret was exchanged: then it ends with its path', async () => {
    const [a, b] = await stage.pair()
    await b.node.unhandle('/libp2p-star/link-secret/1.0.0')
    const connection = await stage.dial(a, b)
    await works(connection)
    assert.equal(a.link(b)?.resumable, false)
    a.links.drop(b.id)
    await a.told('over', 'ERR_PATH_DEAD')
    await b.told('over')
    await works(await stage.dial(a, b))
  })
})
