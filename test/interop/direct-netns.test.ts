// Direct paths over networks that break as networks do: silently, in one direction, for most packets, for large ones. Each host
// and the star are in a network namespace of their own.
import assert from 'node:assert/strict'
import { setTimeout as pass } from 'node:timers/promises'
import { DirectWorker, bothOn } from '../support/direct-worker.ts'
import { Networks, missing } from '../support/netns.ts'
import { quickly } from '../support/waiting.ts'
import { skipUnless } from './needs.ts'
import type { NodeInit, Sent } from '../support/direct-worker.ts'
import type { Plan } from '../support/netns.ts'

/** Both hosts and the star on one cable. */
const CABLE: Plan = { a: { addresses: ['10.9.0.2/24'] }, b: { addresses: ['10.9.0.3/24'] }, star: ['10.9.0.1/24'] }
const CABLE6: Plan = {
  a: { addresses: ['2001:db8:9::2/64'] }, b: { addresses: ['2001:db8:9::3/64'] }, star: ['2001:db8:9::1/64']
}
/** Two private networks, and the star as the router between them. */
const ROUTED: Plan = {
  a: { addresses: ['10.9.1.2/24'], gateway: '10.9.1.1', star: ['10.9.1.1/24'] },
  b: { addresses: ['10.9.2.2/24'], gateway: '10.9.2.1', star: ['10.9.2.1/24'] }
}

const BOTH = ['a to b', 'b to a'] as const
/** Packets with more than the words of a rendezvous: what a path lets through whose largest packets are lost. */
const LARGE = 'meta length > 220'
const FALLBACK = ['relay', 'relay-ws']
const MIB = 2 ** 20
/** More than what waits in memory when nothing moves. */
const MORE = 4 * MIB
/** Milliseconds for what takes a second at most when the machine has nothing else to do. */
const SOON = 30_000
/** Milliseconds for what may come only after a rest. */
const LATE = 90_000
/** Milliseconds for which a path is bad, … */
const BAD_TIME = 10_000
/** … and how often it may be tried in that time: at once, after 1 s, 2 s, 4 s, and one more. */
const MOST_TRIES = 5

/** Packets as long as what is first said on a nominated path, with the nomination or without: none of the handshake is. */
const FIRST_WORD = 'meta length 91-123'
/** Milliseconds that a transfer may rest at most: three times what it takes to leave a path on a machine that is busy. */
const STALL = 3_000

/** Two linked nodes. */
interface World {
  readonly networks: Networks
  readonly a: DirectWorker
  readonly b: DirectWorker
  /** Has `a` dial `b`, unless it has done so. */
  readonly dial: () => Promise<void>
  /** Has these send to the other one from now on. */
  readonly send: (...senders: DirectWorker[]) => Promise<void>
  /** Ends what is sent: all must have arrived, over one connection. */
  readonly finish: () => Promise<readonly Sent[]>
}

describe('a direct path over a network', function () {
  this.timeout(600_000)
  const closing: Array<() => Promise<void>> = []

  before(function () {
    const { what, how } = missing() ?? {}
    skipUnless(this, what == null, what ?? '', how ?? '')
  })

  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) {
      await close()
    }
  })

  async function build (plan: Plan, init: NodeInit = {}, dialled = true): Promise<World> {
    const networks = await Networks.build(plan)
    closing.push(async () => { await networks.close() })
    const [server, a, b] = [networks.star, networks.a, networks.b].map(namespace => {
      const worker = new DirectWorker(namespace)
      closing.push(async () => { await worker.end() })
      return worker
    }) as [DirectWorker, DirectWorker, DirectWorker]
    const ip = (plan.star ?? plan.a.star)?.[0]?.replace(/\/.*/, '')
    const address = (await server.serve()).find(one => one.includes(`/${ip}/`)) ?? ''
    const [idA, idB] = await Promise.all([a.start(address, init), b.start(address, init)])
    const dial = async (): Promise<void> => { await a.dial(idB) }
    if (dialled) {
      await dial()
    }
    const sending: Array<Promise<Sent>> = []
    const peerOf = (worker: DirectWorker): string => worker === a ? idB : idA
    const senders: DirectWorker[] = []
    return {
      networks,
      a,
      b,
      dial,
      send: async (...more) => {
        senders.push(...more)
        sending.push(...more.map(async worker => await worker.send(peerOf(worker))))
        await Promise.all(more.map(async worker => { await moves(worker, MIB) }))
      },
      finish: async () => {
        await Promise.all(senders.map(async worker => { await worker.stop() }))
        const sent = await Promise.all(sending)
        const closed = await Promise.all([a, b].map(async worker => (await worker.look(peerOf(worker))).closed))
        assert.deepEqual(closed, [0, 0])
        return sent
      }
    }
  }

  /** Resolves when it has sent some more. */
  async function moves (worker: DirectWorker, bytes: number): Promise<void> {
    const before = worker.moved
    await worker.when('bytes to move', () => worker.moved >= before + bytes, SOON)
  }

  /** Milliseconds from then until that happened at each. */
  function times (workers: readonly DirectWorker[], since: readonly number[], begin: number, what: string): string {
    return workers.map(({ told }, index) => {
      const event = told.slice(since[index]).find(one => one.what === what)
      return event == null ? '–' : String(event.at - begin)
    }).join(' and ')
  }

  const breaks = [
    { how: 'carries nothing any more', directions: BOTH, senders: ['a', 'b'] },
    { how: 'carries nothing any more, when only the one who dialled has something to say', directions: BOTH, senders: ['a'] },
    { how: 'carries nothing any more, when only the one who was dialled has something to say', directions: BOTH, senders: ['b'] },
    { how: 'carries nothing from the one who dialled', directions: ['a to b'], senders: ['a', 'b'] },
    { how: 'carries nothing to the one who dialled', directions: ['b to a'], senders: ['a', 'b'] },
    { how: 'takes no answers of the one who dialled', directions: ['a to b'], senders: ['b'] },
    { how: 'takes no answers of the one who was dialled', directions: ['b to a'], senders: ['a'] },
    { how: 'loses its large packets', directions: BOTH, senders: ['a', 'b'], which: LARGE }
  ] as const

  for (const { how, directions, senders, ...rest } of breaks) {
    it(`is left when it ${how}, and taken again when it is whole`, async () => {
      const { networks, a, b, send, finish } = await build(CABLE)
      await bothOn(['tcp'], [a, b], SOON)
      await send(...senders.map(name => ({ a, b })[name]))
      const since = [a, b].map(({ told }) => told.length)
      await networks.drop(directions, 'which' in rest ? rest.which : '')
      const begin = Date.now()
      await bothOn(FALLBACK, [a, b], SOON)
      await Promise.all(senders.map(async name => { await moves({ a, b }[name], MORE) }))
      const [found, left] = ['suspended', 'path'].map(what => times([a, b], since, begin, what))
      await networks.heal()
      const healed = Date.now()
      await bothOn(['tcp'], [a, b], LATE)
      const back = Date.now() - healed
      const sent = await finish()
      console.log(`      found out after ${found} ms, on the star after ${left} ms, back ${back} ms after it was healed; ` +
        `longest pause ${pauses(sent)} ms; ${a.kinds().join(' ')}`)
    })
  }

  it('is not taken again and again when it loses most packets', async () => {
    const { networks, a, b, send, finish } = await build(CABLE, { directRelay: false })
    await bothOn(['tcp'], [a, b], SOON)
    await send(a, b)
    const since = a.told.length
    await networks.drop(BOTH, 'numgen random mod 100 < 80')
    const begin = Date.now()
    await bothOn(FALLBACK, [a, b], SOON)
    const left = Date.now() - begin
    await pass(BAD_TIME)
    const kinds = a.kinds(since)
    await networks.heal()
    const healed = Date.now()
    await bothOn(['tcp'], [a, b], LATE)
    const back = Date.now() - healed
    const sent = await finish()
    console.log(`      left after ${left} ms, then ${kinds.join(' ')} in ${BAD_TIME / 1_000} s; back ${back} ms after ` +
      `it was healed; longest pause ${pauses(sent)} ms`)
    assert.ok(kinds.filter(kind => kind === 'tcp').length <= MOST_TRIES, kinds.join(' '))
  })

  it('is kept when it is slow, and both have more to say than it takes', async () => {
    const { networks, a, b, send, finish } = await build(CABLE)
    await bothOn(['tcp'], [a, b], SOON)
    const since = [a, b].map(({ told }) => told.length)
    await networks.slow()
    await send(a, b)
    await pass(BAD_TIME)
    await networks.fast()
    const sent = await finish()
    console.log(`      longest pause ${pauses(sent)} ms`)
    assert.deepEqual([a, b].map((worker, index) => [worker.kind, ...worker.kinds(since[index])]), [['tcp'], ['tcp']])
  })

  it('is not taken where it carries nothing but the handshake of TCP', async () => {
    const { networks, a, b, send, finish, dial } = await build(CABLE, { directInterval: 5_000 }, false)
    await networks.drop(BOTH, 'meta length > 80')
    await dial()
    await send(a, b)
    await bothOn(['relay-ws'], [a, b], SOON)
    await networks.heal()
    await bothOn(['tcp'], [a, b], LATE)
    await finish()
  })

  for (const { how, directions, senders } of [
    { how: 'both ways', directions: BOTH, senders: ['a', 'b'] },
    { how: 'both ways, when only the one who dialled has something to say', directions: BOTH, senders: ['a'] },
    { how: 'both ways, when only the one who was dialled has something to say', directions: BOTH, senders: ['b'] },
    { how: 'from the one who dialled', directions: ['a to b'], senders: ['a', 'b'] },
    { how: 'to the one who dialled', directions: ['b to a'], senders: ['a', 'b'] }
  ] as const) {
    it(`is left each time, and more and more seldom taken, where it has never carried large packets ${how}`, async () => {
      await quickly('a rest', STALL, async () => {
        const { networks, a, b, send, finish, dial } = await build(CABLE, { directRelay: false }, false)
        await networks.drop(directions, LARGE)
        await dial()
        await send(...senders.map(name => ({ a, b })[name]))
        await a.when('the second return', () => a.kinds().filter(kind => kind === 'tcp').length >= 2, LATE)
        await bothOn(FALLBACK, [a, b], SOON)
        await networks.heal()
        await bothOn(['tcp'], [a, b], LATE)
        const sent = await finish()
        console.log(`      longest pause ${pauses(sent)} ms; ${a.kinds().join(' ')}`)
        return Math.max(...sent.map(({ pause }) => pause))
      })
    })
  }

  for (const { whose, direction } of [
    { whose: 'the one who dialled', direction: 'a to b' }, { whose: 'the one who was dialled', direction: 'b to a' }
  ] as const) {
    it(`is tried more and more seldom where the first word of ${whose} is always lost`, async () => {
      const { networks, a, b, send, finish, dial } = await build(CABLE, { directRelay: false }, false)
      await networks.drop([direction], FIRST_WORD)
      await dial()
      await send(a, b)
      await pass(BAD_TIME)
      const tries = starts(a)
      await networks.heal()
      await bothOn(['tcp'], [a, b], LATE)
      const sent = await finish()
      console.log(`      ${tries} tries in ${BAD_TIME / 1_000} s, longest pause ${pauses(sent)} ms; ${b.kinds().join(' ')}`)
      assert.ok(tries <= MOST_TRIES, `${tries} tries`)
    })
  }

  it('is found over IPv6 where there is nothing else', async () => {
    const { a, b, send, finish } = await build(CABLE6)
    await bothOn(['tcp'], [a, b], SOON)
    await send(a, b)
    await finish()
  })

  it('is not tried to a private network that this device is not in', async () => {
    const { a, b, send, finish } = await build(ROUTED)
    await bothOn(['relay-ws'], [a, b], SOON)
    await send(a, b)
    await finish()
    assert.deepEqual([a, b].flatMap(({ told }) => told.filter(({ what, kind, code }) =>
      what === 'tried' && kind === 'tcp' && code == null)), [])
  })

  it('is tried there when `dialAddress` says so', async () => {
    const { a, b, send, finish } = await build(ROUTED, { dials: 'any' })
    await bothOn(['tcp'], [a, b], SOON)
    await send(a, b)
    await finish()
  })
})

function pauses (sent: readonly Sent[]): string {
  return sent.map(({ pause }) => pause.toFixed(0)).join(' and ')
}

/** How many tries there were so far, as far as they have reached the other end: each on at most one path in each direction. */
function starts ({ told }: DirectWorker): number {
  return Math.ceil(told.filter(({ what, code }) => what === 'tried' && code == null).length / 2)
}
