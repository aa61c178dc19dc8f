// An attempt that punches, on loopback: who comes to a path with whom, whatever else is at the addresses that it was told.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { PUNCHED } from '../../client/upgrade/puncher.ts'
import { StarError } from '../../src/errors.ts'
import { createTestStar } from '../../server/testing.ts'
import { times } from '../support/rendezvous.ts'
import { freePort } from '../support/ports.ts'
import { PunchEnd, Somebody, assertFree, assertOpen, meetingPoint } from '../support/punching.ts'
import { until } from '../support/nodes.ts'
import { quickly, within } from '../support/waiting.ts'
import type { AddressInfo } from 'node:net'
import type { Offer } from '../../client/upgrade/exchange.ts'
import type { TestStar } from '../../server/testing.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { PunchEndInit } from '../support/punching.ts'

/** Milliseconds that a star has to say what it sees. */
const LOOK = 1_000
const STOPPED = new StarError('ERR_STOPPED')

describe('An attempt that punches', () => {
  const closing: Array<() => Promise<unknown>> = []
  let star: TestStar
  let contact: number | undefined

  before(async () => {
    star = await createTestStar({ contactPort: 0, host: '::' })
    contact = star.server.contactPort
  })

  after(async () => { await star.close() })

  afterEach(async () => {
    await within('all to be closed', Promise.all(closing.splice(0).map(async close => { await close() })))
  })

  function end (init: PunchEndInit): PunchEnd {
    const one = new PunchEnd({ contact, ...init })
    closing.push(async () => {
      one.attempt.stop(STOPPED)
      await one.closed()
    })
    return one
  }

  async function somebody (...args: Parameters<typeof Somebody.at>): Promise<Somebody> {
    const one = await Somebody.at(...args)
    closing.push(async () => { await one.close() })
    return one
  }

  /** Two ends, the first one nominates, and what they have offered. */
  async function two (): Promise<{ readonly ends: readonly [PunchEnd, PunchEnd], readonly offers: readonly [Offer, Offer] }> {
    const ends = [end({ nominator: true }), end({ nominator: false })] as const
    const [mine, theirs] = await Promise.all([ends[0].attempt.offer(1n), ends[1].attempt.offer(1n)])
    for (const { seen, init } of [mine, theirs]) {
      assert.deepEqual(seen, [{ ip: '127.0.0.1', port: init.directTcpServer?.port }], 'the port that is waited at')
    }
    return { ends, offers: [mine, theirs] }
  }

  /** Has both run until there is a path, and shows that it is one, and the only one. */
  async function meet (
    { ends: [here, there], offers: [mine, theirs] }: Awaited<ReturnType<typeof two>>,
    seen: ReadonlyArray<readonly SocketAddress[]>
  ): Promise<void> {
    await within('the two to meet', Promise.all([here.run(theirs, seen[0] ?? []), there.run(mine, seen[1] ?? [])]))
    await assertOnePath(here, there)
  }

  /** Both have one path, what one says on it is what the other one hears, and nothing is open behind it. */
  async function assertOnePath (here: PunchEnd, there: PunchEnd): Promise<void> {
    await there.when('a path', () => there.paths.length > 0)
    here.paths[0]?.send([times(1, 100_000)])
    there.paths[0]?.send([times(2, 1_000)])
    await Promise.all([here.owner.got(1_000), there.owner.got(100_000)])
    assert.deepEqual([here.paths.length, there.paths.length], [1, 1])
    assert.deepEqual([here.owner.bytes, there.owner.bytes], [times(2, 1_000), times(1, 100_000)])
    await within('both to be closed', Promise.all([here.closed(), there.closed()]))
  }

  for (const dialler of [0, 1] as const) {
    it(`comes to one path when ${dialler === 0 ? 'who nominates' : 'the other one'} dials and is let in`, async () => {
      const both = await two()
      const seen = both.offers[1 - dialler]?.seen ?? []
      await meet(both, dialler === 0 ? [seen, []] : [[], seen])
      assert.equal(both.ends[dialler].paths[0]?.via, `127.0.0.1:${seen[0]?.port}`)
    })
  }

  it('comes to one path when both dial each other', async () => {
    const both = await two()
    await meet(both, [both.offers[1].seen, both.offers[0].seen])
  })

  for (const late of [undefined, 0, 1] as const) {
    const when = late == null ? 'at the same time' : late === 0 ? 'and who nominates is late' : 'and the other one is late'
    it(`comes to one path on a connection that both have dialled, ${when}`, async () => {
      const points = await meetingPoint()
      points.forEach(point => { closing.push(async () => { await point.close() }) })
      const { ends, offers } = await two()
      const begin = [
        async () => { await ends[0].run(offers[1], [points[0].address]) },
        async () => { await ends[1].run(offers[0], [points[1].address]) }
      ] as const
      if (late == null) {
        await within('the two to meet', Promise.all(begin.map(async run => { await run() })))
      } else {
        const first = begin[late === 0 ? 1 : 0]()
        await points[late === 0 ? 1 : 0].met(1)
        await within('the two to meet', Promise.all([first, begin[late]()]))
      }
      assert.deepEqual(ends.map(({ paths }) => paths[0]?.via), points.map(({ via }) => via), 'both have dialled')
      await assertOnePath(...ends)
    })
  }

  it('takes neither an echo nor a stranger for its peer, and goes on', async () => {
    for (const waiter of [0, 1] as const) {
      const echo = await somebody('127.0.0.1', socket => { socket.pipe(socket) })
      const stranger = await somebody('::1', socket => { socket.write('SSH-2.0-somebody\r\n'.repeat(10)) })
      const { ends, offers } = await two()
      const [here, there] = waiter === 0 ? ends : [ends[1], ends[0]]
      const [mine, theirs] = waiter === 0 ? offers : [offers[1], offers[0]]
      const run = here.run(theirs, [echo.address, stranger.address])
      await here.when('both to be found out', () => [echo, stranger].every(({ via }) => here.failures(via).length > 0))
      assert.deepEqual([here.failures(echo.via)[0], here.failures(stranger.via)[0]], ['ERR_PATH_PROOF', 'ERR_PROTOCOL'])
      assert.equal(here.paths.length, 0)
      await within('the two to meet', Promise.all([run, there.run(mine, mine.seen)]))
      await assertOnePath(ends[0], ends[1])
      await Promise.all([echo.left(), stranger.left()])
    }
  })

  it('has no more than eight paths of what it has dialled, and still waits for who comes', async () => {
    const resetter = await somebody('127.0.0.1', socket => { setImmediate(() => { socket.resetAndDestroy() }) })
    const { ends: [here, there], offers: [mine, theirs] } = await two()
    const run = here.run(theirs, [resetter.address])
    await resetter.met(PUNCHED.length + 1) // the one too many ends it
    await resetter.left()
    await here.when('eight to be lost', () => here.failures(resetter.via).length >= PUNCHED.length)
    await within('the two to meet', Promise.all([run, there.run(mine, mine.seen)]))
    assert.equal(here.failures(resetter.via).length, PUNCHED.length)
    await assertOnePath(here, there)
  })

  it('dials nobody more often than peers may have it dial', async () => {
    const resetter = await somebody('127.0.0.1', socket => { setImmediate(() => { socket.resetAndDestroy() }) })
    const asked: string[] = []
    const here = end({ nominator: true, budget: { take: ip => asked.push(ip) <= 3 } })
    const there = end({ nominator: false })
    const [, theirs] = await Promise.all([here.attempt.offer(1n), there.attempt.offer(1n)])
    const run = assert.rejects(here.run(theirs, [resetter.address]), { code: 'ERR_STOPPED' })
    await until(() => asked.length > 4)
    here.attempt.stop(STOPPED)
    await run
    assert.deepEqual([resetter.sockets.length, new Set(asked)], [3, new Set(['127.0.0.1'])])
  })

  it('leaves nothing open when it is stopped while it opens its port', async () => {
    const port = await freePort()
    const one = end({ nominator: true, port })
    const offered = assert.rejects(one.attempt.offer(1n), { code: 'ERR_STOPPED' })
    one.attempt.stop(STOPPED)
    await Promise.all([offered, one.closed()])
    await assertFree(port)
  })

  it('leaves nothing open when it is stopped while a star is asked', async () => {
    const silent = await somebody('127.0.0.1')
    const port = await freePort()
    const one = end({ nominator: true, port, contact: silent.address.port })
    const offered = assert.rejects(one.attempt.offer(1n), { code: 'ERR_STOPPED' })
    await silent.met(1)
    one.attempt.stop(STOPPED)
    await one.closed()
    await Promise.all([offered, silent.left()])
    await assertFree(port)
  })

  it('leaves nothing open when it is stopped while a star\'s name is looked up', async () => {
    const port = await freePort()
    const looked = Promise.withResolvers<readonly string[]>()
    const asked = Promise.withResolvers<void>()
    const one = end({ nominator: true, port, lookup: async () => { asked.resolve(); return await looked.promise } })
    const offered = assert.rejects(one.attempt.offer(1n), { code: 'ERR_STOPPED' })
    await asked.promise
    one.attempt.stop(STOPPED)
    await one.closed()
    looked.resolve(['127.0.0.1'])
    await offered
    await assertFree(port)
  })

  it('leaves nothing open when it is stopped while it punches, and while it waits', async () => {
    const silent = await somebody('127.0.0.1')
    for (const seen of [[silent.address], []]) {
      const port = await freePort()
      const one = end({ nominator: true, port })
      const { init, ...rest } = await one.attempt.offer(1n)
      await assertOpen(port)
      const run = assert.rejects(one.run({ ...rest, init: { ...init, ak: times(1, 32) } }, seen), { code: 'ERR_STOPPED' })
      await silent.met(1)
      one.attempt.stop(STOPPED)
      await Promise.all([run, one.closed(), silent.left()])
      await assertFree(port)
    }
  })

  it('offers both families where it is seen in both', async () => {
    const one = end({ nominator: true, lookup: async () => ['::1', '127.0.0.1'] })
    const { seen, init } = await one.attempt.offer(1n)
    assert.deepEqual(seen.map(({ ip }) => ip).toSorted(), ['127.0.0.1', '::1'])
    assert.ok(seen.every(({ port }) => port === init.directTcpServer?.port))
  })

  it('offers no address at which it was seen where nobody says, or may hear it', async () => {
    const silent = await somebody('127.0.0.1')
    for (const init of [
      { contact: undefined }, { offerAddress: () => false }, { contact: silent.address.port }, { contact: await freePort() },
      { lookup: async () => { throw new Error('no such host') } }, { lookup: async () => [] }
    ]) {
      const { seen } = await end({ nominator: true, ...init }).attempt.offer(1n)
      assert.deepEqual(seen, [], Object.keys(init).join())
    }
    assert.equal(silent.sockets.length, 1)
  })

  it('is not held up for long by a name that is not found', async () => {
    await quickly('an offer', 2 * LOOK, async () => {
      const began = performance.now()
      const { seen } = await within('an offer', end({
        nominator: true, lookup: async () => await new Promise(() => {})
      }).attempt.offer(1n), 5 * LOOK)
      assert.deepEqual(seen, [])
      return performance.now() - began
    })
  })

  it('offers what is left when this device cannot listen', async () => {
    const taken = createServer().listen(0)
    await once(taken, 'listening')
    closing.push(async () => { await new Promise(resolve => { taken.close(resolve) }) })
    const { port } = taken.address() as AddressInfo
    const one = end({ nominator: true, port, kinds: ['tcp', 'relay-ws'] })
    const { seen, init } = await one.attempt.offer(1n)
    assert.deepEqual([seen, init.directTcpServer, init.relayedWebSocket?.pathId], [[], undefined, 1_000])
    assert.deepEqual(one.tried.map(({ kind, error }) => [kind, error?.code]), [['tcp', 'ERR_PATH_LOST']])
  })

  it('is seen at one port with as many peers as it tries to reach at a time', async () => {
    const one = end({ nominator: true })
    const other = end({ nominator: true, door: one.door })
    const [mine, theirs] = await Promise.all([one.attempt.offer(1n), other.attempt.offer(2n)])
    assert.deepEqual(mine.seen, [{ ip: '127.0.0.1', port: mine.init.directTcpServer?.port }])
    assert.deepEqual(theirs.seen, mine.seen)
  })
})
