// How links end: at both ends, with one cause, and never in the way of the next one.
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { ECHO, Transfer, assertOneLink, closed, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { proxies } from '../support/proxy.ts'
import { quickly } from '../support/waiting.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Linked } from '../support/links.ts'

const MIB = 1_048_576
/** Milliseconds after which libp2p aborts the connections of a node that stops, if they aren't closed. */
const HASTE = 500

describe('a link ends', () => {
  const stage = linkStage()
  const proxy = proxies()

  /** The connection is closed with this error, and so are these streams in it. */
  async function endsWith (connection: Connection, code: string, ...streams: Stream[]): Promise<void> {
    const events = await Promise.all([connection, ...streams].map(async subject => await closed(subject)))
    assert.deepEqual(events.map(({ error }) => error?.code), events.map(() => code))
  }

  /** Both nodes are on the star. */
  async function whenJoined (): Promise<void> {
    await until(() => stage.star.server.peers().length === 2)
  }

  /** The other end of a connection. */
  function otherEnd (node: Linked, peer: Linked): Connection {
    const [connection] = node.connections(peer)
    assert.ok(connection)
    return connection
  }

  it('when no path comes back in time: with ERR_LINK_LOST at both ends, streams too; a dial then makes another one', async () => {
    const [a, b] = await stage.pair({ resumeTimeout: 300 })
    const connection = await stage.link(a, b)
    const transfer = await Transfer.start(connection, 100 * MIB)
    await transfer.reaches(2 * MIB)
    const [incoming] = otherEnd(b, a).streams.filter(({ protocol }) => protocol === transfer.stream.protocol)
    assert.ok(incoming)
    const ends = [endsWith(connection, 'ERR_LINK_LOST', transfer.stream), endsWith(otherEnd(b, a), 'ERR_LINK_LOST', incoming)]
    await stage.star.stop()
    await Promise.all(ends)
    await assert.rejects(transfer.done, { code: 'ERR_LINK_LOST' })
    await Promise.all([a.told('over', 'ERR_LINK_LOST'), b.told('over', 'ERR_LINK_LOST')])
    assert.deepEqual([a.link(b), b.link(a)], [undefined, undefined])
    await stage.star.start()
    await whenJoined()
    await works(await stage.dial(a, b))
    assertOneLink(a, b)
  })

  it('with its path when it may not wait for another: resumeTimeout 0', async () => {
    const [a, b] = await stage.pair({ resumeTimeout: 0 })
    const connection = await stage.link(a, b)
    const ends = [endsWith(connection, 'ERR_STAR_LOST'), endsWith(otherEnd(b, a), 'ERR_STAR_LOST')]
    await stage.star.restart()
    await Promise.all(ends)
    await Promise.all([a.told('over', 'ERR_STAR_LOST'), b.told('over', 'ERR_STAR_LOST')])
    await whenJoined()
    await works(await stage.dial(a, b))
    assert.deepEqual(a.brief, ['path', 'over ERR_STAR_LOST', 'path'])
  })

  for (const patient of ['dialler', 'dialled']) {
    const who = patient === 'dialler' ? 'dialled' : 'was dialled'
    it(`at the one that waits, which ${who}, when the other one did not wait`, async () => {
      const [hasty, waiting] = await Promise.all([stage.node({ resumeTimeout: 0 }), stage.node()])
      await (patient === 'dialler' ? stage.link(waiting, hasty) : stage.link(hasty, waiting))
      const end = endsWith(otherEnd(waiting, hasty), 'ERR_LINK_UNKNOWN')
      await stage.star.restart()
      await end
      await waiting.told('over', 'ERR_LINK_UNKNOWN')
      await whenJoined()
      await works(await stage.dial(waiting, hasty))
      assertOneLink(waiting, hasty)
    })
  }

  describe('when the peer was started anew, with the same key', () => {
    for (const before of ['a', 'b'] as const) {
      for (const after of ['a', 'b'] as const) {
        it(`dialled by ${before} before, and by ${after} after`, async () => {
          // who still holds the old link finds out when it asks for a path: at once as its dialler, after a grace otherwise
          await quickly('a dial', after === 'b' ? 500 : 4_000, async () => {
            const privateKey = await generateKeyPair('Ed25519')
            const way = await proxy(stage.star.address)
            const a = await stage.node()
            const b = await stage.node({ listen: [way.address], options: { privateKey } })
            const former = before === 'a' ? await stage.link(a, b) : (await stage.link(b, a, way.address), otherEnd(a, b))
            way.refuse(true)
            way.cut() // b is a ghost from now on
            await a.told('suspended', 'ERR_PEER_GONE')
            const end = endsWith(former, 'ERR_PEER_RESTARTED')
            const reborn = await stage.node({ options: { privateKey } })
            const begin = performance.now()
            if (after === 'b') {
              const connection = await stage.dial(reborn, a)
              await works(connection)
            } else {
              await works(await stage.dial(a, reborn)).catch(() => undefined) // may be the old one, which ends now
              await works(await stage.dial(a, reborn))
            }
            const took = performance.now() - begin
            await end
            await a.told('over', 'ERR_PEER_RESTARTED')
            assertOneLink(a, reborn)
            return took
          })
        })
      }
    }

    it('while the path of the old one still seems to be there', async () => {
      const privateKey = await generateKeyPair('Ed25519')
      const way = await proxy(stage.star.address)
      const a = await stage.node()
      const b = await stage.node({ listen: [way.address], options: { privateKey } })
      await stage.link(b, a, way.address)
      const end = endsWith(otherEnd(a, b), 'ERR_PEER_RESTARTED')
      way.refuse(true)
      way.swallow()
      const reborn = await stage.node({ options: { privateKey } })
      await works(await stage.dial(reborn, a))
      await end
      assertOneLink(a, reborn)
    })
  })

  it('at once at both sides when a node is stopped in good order', async () => {
    for (const dialler of [0, 1]) {
      await quickly('the end', HASTE, async () => {
        const nodes = await stage.pair()
        const [stays, stops] = nodes
        await stage.link(nodes[dialler] as Linked, nodes[1 - dialler] as Linked)
        const end = closed(otherEnd(stays, stops))
        const begin = performance.now()
        await Promise.all([stops.node.stop(), end, stays.told('over')])
        const took = performance.now() - begin
        const over = took < HASTE ? 'over' : stops.brief.at(-1) ?? ''
        assert.deepEqual([stays.brief, stops.brief], [['path', over], ['path', over]])
        assert.match(over, /^over( ERR_STREAM_RESET)?$/)
        assert.equal(stays.link(stops), undefined)
        return took
      })
    }
  })

  it('at once at both sides when it is aborted at one', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    const end = closed(otherEnd(b, a))
    connection.abort(new Error('no more'))
    await end
    await Promise.all([a.told('over', 'ERR_STREAM_RESET'), b.told('over', 'ERR_STREAM_RESET')])
    await works(await stage.dial(b, a))
  })

  it('when a node is stopped while it waits for a path, and the node stops soon', async () => {
    await quickly('the stop', 3_000, async () => {
      const [a, b] = await stage.pair({ resumeTimeout: 2_000 })
      const connection = await stage.link(a, b)
      const transfer = await Transfer.start(connection, 20 * MIB)
      await transfer.reaches(2 * MIB)
      await stage.star.stop()
      await a.told('suspended')
      const begin = performance.now()
      await a.node.stop()
      const took = performance.now() - begin
      await assert.rejects(transfer.done)
      await b.told('over', 'ERR_LINK_LOST')
      assert.deepEqual([a.star.explain().links, b.star.explain().links], [[], []])
      await stage.star.start()
      return took
    })
  })

  describe("with libp2p's connection monitor", () => {
    it('not before its time, when the monitor is set up as star() says', async () => {
      const resumeTimeout = 19_000
      // the first ping is due much later: it is sent when the test wants it, and under way while there is no path
      const due: Array<() => void> = []
      const { setInterval: set } = globalThis
      const intervals = mock.method(globalThis, 'setInterval', (send: () => void, ms: number) => {
        due.push(...ms === resumeTimeout + 5_000 ? [send] : [])
        return set(send, ms)
      })
      const [a, b] = await stage.pair({ resumeTimeout, options: ({ connectionMonitor }) => ({ connectionMonitor }) })
        .finally(() => { intervals.mock.restore() })
      assert.equal(due.length, 2, 'no two pings in the time for which a link may be without a path')
      assert.ok(a.star.connectionMonitor.pingTimeout.minTimeout > resumeTimeout)
      const connection = await stage.link(a, b)
      await stage.star.stop()
      await Promise.all([a.told('suspended'), b.told('suspended')])
      due.forEach(send => { send() })
      await until(() => pings(connection) + pings(otherEnd(b, a)) >= 2)
      const since = a.events.length
      await stage.star.start()
      await a.told('path', undefined, { since })
      await until(() => pings(connection) + pings(otherEnd(b, a)) === 0)
      await works(connection)
      assert.equal(connection.status, 'open')
      assertOneLink(a, b)
    }).timeout(60_000)

    it('too early, when the monitor is impatient: that is why it is set up', async () => {
      const impatient = { pingInterval: 100, pingTimeout: { minTimeout: 1_500, maxTimeout: 1_500 } }
      const [a, b] = await stage.pair({ options: { connectionMonitor: impatient } })
      const connection = await stage.link(a, b)
      await stage.star.stop()
      await a.told('over', 'ERR_STREAM_RESET')
      assert.notEqual(connection.status, 'open')
      await stage.star.start()
    })

    /** Pings under way. */
    function pings (connection: Connection): number {
      return connection.streams.filter(({ protocol, direction }) => protocol !== ECHO && direction === 'outbound').length
    }
  })
})
