// Links through routers of every kind: two nodes meet on a star, and their link moves past it through a hole that both have
// punched; where that can't be, to the star's raw relay.
import assert from 'node:assert/strict'
import { DirectWorker, bothOn } from '../support/direct-worker.ts'
import { NatLab, SERVER, natMissing } from '../support/nat.ts'
import { skipUnless } from './needs.ts'
import type { NatType, Site } from '../support/nat.ts'

const SOON = 30_000
/** Bytes that go through a hole. */
const BYTES = 4 * 2 ** 20

describe('links through routers', function () {
  this.timeout(120_000)
  let lab: NatLab
  let stars: string[]
  let server: DirectWorker | undefined
  const workers: DirectWorker[] = []

  before(async function () {
    const { what, how } = natMissing() ?? {}
    skipUnless(this, what == null, what ?? '', how ?? '')
    lab = await NatLab.build()
    server = new DirectWorker(lab.at('server'))
    stars = await server.serve()
  })

  afterEach(async () => {
    await Promise.all(workers.splice(0).map(async worker => { await worker.end() }))
  })

  after(async () => {
    await server?.end()
    await lab?.close()
  })

  /** Two nodes with a link, at these places; they know the star by the server's first address of that family. */
  async function link (a: Site, b: Site, family: 4 | 6 = 4): Promise<[DirectWorker, DirectWorker, string]> {
    const ip = family === 4 ? SERVER.v4[0] : SERVER.v6
    const star = stars.find(address => address.split('/')[2] === ip)
    assert.ok(star != null, `${ip} in ${stars.join(' ')}`)
    const [one, other] = [new DirectWorker(lab.at(a)), new DirectWorker(lab.at(b))]
    workers.push(one, other)
    const [, id] = await Promise.all([one.start(star), other.start(star)])
    await one.dial(id)
    return [one, other, id]
  }

  const THROUGH: ReadonlyArray<readonly [NatType, NatType, Site, Site]> = [
    ['port', 'port', 'A', 'B'], ['port+rst', 'port+rst', 'A', 'B'], ['remap', 'remap', 'A', 'B'], ['cgn', 'cgn', 'C', 'D'],
    ['full', 'sym', 'A', 'B'], ['sym', 'addr', 'A', 'B'], ['public', 'port', 'P', 'B'], ['sym', 'public', 'A', 'Q']
  ]
  for (const [one, other, a, b] of THROUGH) {
    it(`move past the star between ${one} and ${other}, and carry what is sent`, async () => {
      await Promise.all([lab.set(a, one), lab.set(b, other)])
      const [from, to, id] = await link(a, b)
      await bothOn(['tcp'], [from, to], SOON)
      await from.send(id, BYTES)
      assert.deepEqual([from.kind, to.kind], ['tcp', 'tcp'])
      assert.equal((await from.look(id)).closed, 0)
    })
  }

  it('move to the raw relay where no hole can be punched', async () => {
    await Promise.all([lab.set('A', 'sym'), lab.set('B', 'sym')])
    const [from, to, id] = await link('A', 'B')
    await bothOn(['relay-ws'], [from, to], SOON)
    await from.send(id, BYTES)
  })

  it('move past the star over IPv6 where both routers have another port for each destination', async () => {
    await Promise.all([lab.set('A', 'sym'), lab.set('B', 'sym')])
    const [from, to, id] = await link('A', 'B', 6)
    await bothOn(['tcp'], [from, to], SOON)
    await from.send(id, BYTES)
  })

  it('stay within the network of two hosts behind the same router', async () => {
    await lab.set('A', 'port')
    const [from, to] = await link('A', 'A2')
    await bothOn(['tcp'], [from, to], SOON)
  })
})
