// Hole punching through routers of every kind, over real sockets: which pairs find a direct connection, which can't, and what
// strangers can do about it.
import assert from 'node:assert/strict'
import { NatLab, SERVER, natMissing } from '../support/nat.ts'
import { PunchWorker } from '../support/punch-worker.ts'
import { Random } from '../support/random.ts'
import { skipUnless } from './needs.ts'
import type { NatType, Site } from '../support/nat.ts'
import type { Endpoint, PunchContact, PunchMode } from '../../src/contact/candidates.ts'
import type { Opened, PunchOrder, Punched } from '../support/punch-worker.ts'

const KINDS = ['public', 'pubfw', 'full', 'addr', 'port', 'port+rst', 'sym', 'sym+rst', 'cgn'] as const
/**
 * How each pair gets through: the SYNs of `both` have to meet on the way; the second one has to come `in`; `any` way; or `none`.
 * The rows are of KINDS, from the diagonal on.
 */
const OUTCOMES: ReadonlyArray<readonly string[]> = [
  ['any', 'any', 'any', 'any', 'any', 'any', 'in', 'in', 'any'],
  ['both', 'any', 'both', 'both', 'both', 'none', 'none', 'both'],
  ['any', 'any', 'any', 'any', 'in', 'in', 'any'],
  ['both', 'both', 'both', 'in', 'in', 'both'],
  ['both', 'both', 'none', 'none', 'both'],
  ['both', 'none', 'none', 'both'],
  ['none', 'none', 'none'],
  ['none', 'none'],
  ['both']
]
const TRIALS = 3
/** Punches in one trial, as long as they miss. */
const PUNCHES = 3
/** Milliseconds for a punch that can't succeed: no success of the others takes half of it. */
const HOPELESS = 1_000
const WORD = 'who are you?'

interface Ends {
  readonly a: Site
  readonly b: Site
}

describe('A punch', function () {
  this.timeout(30_000)
  let lab: NatLab
  let servers: Endpoint[]
  const workers = new Map<Site | 'server', PunchWorker>()

  before(async function () {
    const { what, how } = natMissing() ?? {}
    skipUnless(this, what == null, what ?? '', how ?? '')
    lab = await NatLab.build()
    const port = await at('server').serve()
    servers = SERVER.v4.map(ip => ({ ip, port }))
  })

  after(async () => {
    await Promise.all([...workers.values()].map(async worker => { await worker.end() }))
    await lab?.close()
  })

  function at (site: Site | 'server'): PunchWorker {
    const known = workers.get(site)
    if (known != null) {
      return known
    }
    const worker = new PunchWorker(lab.at(site))
    workers.set(site, worker)
    return worker
  }

  /** Where there is a host of this kind, for the first or for the second end. */
  function siteOf (type: NatType, index: 0 | 1): Site {
    const sites: Partial<Record<NatType, readonly [Site, Site]>> = { public: ['P', 'Q'], pubfw: ['P', 'Q'], cgn: ['C', 'D'] }
    return (sites[type] ?? ['A', 'B'])[index]
  }

  async function place (one: NatType, other: NatType): Promise<Ends> {
    const ends = { a: siteOf(one, 0), b: siteOf(other, 1) }
    await Promise.all([lab.set(ends.a, one), lab.set(ends.b, other)])
    return ends
  }

  interface Trial {
    readonly modes?: readonly [PunchMode | undefined, PunchMode | undefined]
    readonly order?: Partial<PunchOrder>
    /** Milliseconds by which each of the two begins later. */
    readonly after?: readonly [number, number]
    /** What is changed in what the two learn of each other. */
    readonly see?: (contact: PunchContact) => PunchContact
    readonly servers?: readonly Endpoint[]
    /** Called between asking and punching. */
    readonly between?: (a: Opened, b: Opened) => Promise<void>
  }

  /** One punch between two hosts: what became of it at each. */
  async function punch ({ a, b }: Ends, trial: Trial = {}): Promise<[Punched, Punched]> {
    const { modes = [], order = {}, after = [0, 0], see = contact => contact, between } = trial
    const asked = trial.servers ?? servers
    const [one, other] = await Promise.all([at(a).open(asked, modes[0]), at(b).open(asked, modes[1])])
    await between?.(one, other)
    const key = `${a} ${b} ${one.port} ${other.port}`
    const results = await Promise.all([
      at(a).punch({ port: one.port, peer: see(other.contact), role: 'initiator', key, after: after[0], ...order }),
      at(b).punch({ port: other.port, peer: see(one.contact), role: 'responder', key, after: after[1], ...order })
    ])
    await Promise.all([at(a).close(one.port), at(b).close(other.port)])
    return results
  }

  /** A punch, and again if it missed, as a link does: between routers that refuse it takes luck for the SYNs to meet. */
  async function luckyPunch (ends: Ends, trial: Trial = {}): Promise<[Punched, Punched]> {
    for (let again = 1; ; again++) {
      const results = await punch(ends, trial)
      if (again === PUNCHES || results.every(({ how }) => how != null)) {
        return results
      }
    }
  }

  async function tries (count: number, one: () => Promise<[Punched, Punched]>): Promise<Array<[Punched, Punched]>> {
    return await Promise.all(Array.from({ length: count }, one))
  }

  function tell (what: string, results: ReadonlyArray<readonly Punched[]>): void {
    const both = results.filter(pair => pair.every(({ how }) => how != null))
    const took = both.map(([one]) => one?.took ?? 0).toSorted((x, y) => x - y)
    const met = both.filter(pair => pair.every(({ how }) => how === 'dialled')).length
    const times = took.length === 0 ? '' : `, ${took.map(ms => ms.toFixed(0)).join(' ')} ms, ${met} met on the way`
    console.log(`      ${what}: ${both.length} of ${results.length}${times}`)
  }

  function succeeded (results: ReadonlyArray<readonly Punched[]>): void {
    assert.deepEqual(results.flat().filter(({ how }) => how == null), [])
  }

  for (const [row, outcomes] of OUTCOMES.entries()) {
    const one = KINDS[row] as NatType
    it(`from ${one} gets through where it can`, async () => {
      for (const [column, outcome] of outcomes.entries()) {
        const other = KINDS[row + column] as NatType
        const ends = await place(one, other)
        const time = { order: { time: HOPELESS } }
        const results = await tries(TRIALS, async () => outcome === 'none' ? await punch(ends, time) : await luckyPunch(ends))
        tell(`${one} × ${other}`, results)
        if (outcome === 'none') {
          assert.deepEqual(results.flat().filter(({ how }) => how != null), [], `${one} × ${other}`)
        } else {
          succeeded(results)
        }
        if (outcome === 'both' || outcome === 'in') {
          const way = outcome === 'in' ? ['accepted', 'dialled'] : ['dialled', 'dialled'] // by both, and accepted by nobody
          assert.deepEqual(results.map(pair => pair.map(({ how }) => how)), Array(TRIALS).fill(way), `${one} × ${other}`)
        }
      }
    })
  }

  it('gets through where the public port is not the one inside', async () => {
    const ends = await place('remap', 'remap')
    const results = await tries(TRIALS, async () => await luckyPunch(ends))
    tell('remap × remap', results)
    succeeded(results)
  })

  it('goes past the router between two hosts behind the same one', async () => {
    await lab.set('A', 'port')
    const results = await tries(TRIALS, async () => await luckyPunch({ a: 'A', b: 'A2' }))
    tell('samelan', results)
    succeeded(results)
    assert.deepEqual(results.flat().filter(({ via }) => !/^(10\.0\.1\.|\[2001:db8:1::)/.test(via ?? '')), [])
  })

  it('gets through over IPv6 where IPv4 can\'t', async () => {
    const ends = await place('sym', 'sym')
    const [{ port } = { port: 0 }] = servers
    const results = await tries(TRIALS, async () => await luckyPunch(ends, { servers: [...servers, { ip: SERVER.v6, port }] }))
    tell('sym × sym over IPv6', results)
    succeeded(results)
    assert.deepEqual(results.flat().filter(({ how, via }) => how !== 'dialled' || via?.startsWith('[2001:db8:') !== true), [])
  })

  it('gets through routers that refuse strangers, though one end begins up to 100 ms later', async () => {
    const ends = await place('port+rst', 'port+rst')
    const seed = Date.now()
    const random = new Random(seed)
    const results = await tries(10, async () =>
      await luckyPunch(ends, { after: [random.between(0, 100), random.between(0, 100)] }))
    tell(`port+rst × port+rst, late by up to 100 ms, seed ${seed}`, results)
    succeeded(results)
  })

  for (const { mode, pairs } of [
    {
      mode: 'plain',
      pairs: [
        ['port', 'port'], ['port+rst', 'port+rst'], ['remap', 'remap'], ['cgn', 'cgn'], ['full', 'sym'], ['public', 'sym+rst'],
        ['addr', 'sym+rst']
      ]
    },
    {
      mode: 'portable',
      pairs: [
        ['public', 'port'], ['port', 'port'], ['port+rst', 'port+rst'], ['remap', 'remap'], ['cgn', 'cgn'], ['full', 'sym'],
        ['public', 'sym+rst']
      ]
    }
  ] as const) {
    it(`gets through where ports are ${mode}`, async () => {
      for (const [one, other] of pairs) {
        const ends = await place(one, other)
        const results = await tries(TRIALS, async () => await luckyPunch(ends, { modes: [mode, mode] }))
        tell(`${one} × ${other}, ${mode}`, results)
        succeeded(results)
      }
    })
  }

  it('gets through where the ports of the two are shared in different ways', async () => {
    const ends = await place('port', 'full')
    for (const modes of [[undefined, 'plain'], ['plain', 'portable'], ['portable', undefined]] as const) {
      const results = await tries(TRIALS, async () => await luckyPunch(ends, { modes }))
      tell(`port × full, ${modes.map(mode => mode ?? 'as the system has it').join(' and ')}`, results)
      succeeded(results)
    }
  })

  for (const [how, count, word] of [
    ['says something else', 1, WORD], ['says nothing', 1, ''], ['says nothing on many connections', 20, '']
  ] as const) {
    it(`does not mind a stranger who comes in and ${how}`, async () => {
      const ends = await place('full', 'port')
      await lab.set('P', 'public')
      const results = await tries(1, async () => await punch(ends, {
        order: { time: 4_000 },
        after: [0, 200], // the strangers are there before the peer
        between: async ({ contact }) => {
          const { v4 } = contact
          assert.ok(v4)
          setTimeout(() => { void at('P').knock(v4, count, word) }, 50)
        }
      }))
      tell(how, results)
      succeeded(results)
      assert.ok((results[0]?.[0].seen ?? 0) > count, 'they were there')
    })
  }

  it('never takes an echo for the peer', async () => {
    await lab.set('A', 'port')
    await lab.set('P', 'public')
    const echo: PunchContact = { v4: { ip: '198.51.100.21', port: await at('P').echo() }, local: [], mapping: 'same' }
    const { port } = await at('A').open(servers)
    for (const role of ['initiator', 'responder'] as const) {
      const result = await at('A').punch({ port, peer: echo, role, key: 'key', time: HOPELESS })
      assert.deepEqual([result.how, result.error, result.seen > 1], [undefined, 'ERR_PATH_TIMEOUT', true])
    }
    await at('A').close(port)
  })
})
