// A gigabyte between two processes: it starts through the star, goes on past it, comes back when that is cut off, and goes there
// again; the stream notices nothing of it.
import assert from 'node:assert/strict'
import { DirectWorker, bothOn } from '../support/direct-worker.ts'
import { createTestStar } from '../../server/testing.ts'
import type { TestStar } from '../../server/testing.ts'

const BYTES = 1_024 * 2 ** 20
const PATIENCE = 60_000
/** Bytes after which both have moved, and the path before is closed: more than is ever on the way. */
const SETTLED = 64 * 2 ** 20

describe('a gigabyte between two processes', function () {
  this.timeout(180_000)
  const workers: DirectWorker[] = []
  let star: TestStar | undefined

  afterEach(async () => {
    await Promise.all(workers.splice(0).map(async worker => { await worker.end() }))
    await star?.close()
  })

  for (const cutter of ['dialled', 'was dialled'] as const) {
    it(`arrives whole when the one who ${cutter} cuts the direct path off`, async () => {
      star = await createTestStar()
      const { address } = star
      const [from, to] = [new DirectWorker(), new DirectWorker()]
      workers.push(from, to)
      // the relay would do as well: it is left out to see both ends of the way
      const init = { directLoopback: true, directRelay: false, dials: 'later' } as const
      const [, id] = await Promise.all([from.start(address, init), to.start(address, init)])
      await from.dial(id)
      const sending = from.send(id, BYTES)
      const reaches = async (bytes: number): Promise<void> => {
        const reached = from.when(`${bytes} bytes`, () => from.moved >= bytes, PATIENCE)
        await Promise.race([reached, sending.then(() => { throw new Error('the transfer was over too soon') })])
      }
      await reaches(BYTES / 4)
      assert.deepEqual([from.kinds(), to.kinds()], [['relay'], ['relay']])
      await from.allow(id)
      await bothOn(['tcp'], [from, to], PATIENCE)
      await reaches(Math.max(BYTES / 2, from.moved + SETTLED))
      const begin = Date.now()
      const counts = [from, to].map(({ told }) => told.length) as [number, number]
      assert.ok(await (cutter === 'dialled' ? from : to).cut() > 0)
      await Promise.all([from, to].map(async (worker, index) => {
        await worker.when('another path', () => worker.kinds(counts[index]).length > 0, PATIENCE)
      }))
      const back = Math.max(...[from, to].map(({ told }, index) =>
        (told.slice(counts[index]).find(({ what }) => what === 'path')?.at ?? 0) - begin))
      await bothOn(['tcp'], [from, to], PATIENCE)
      const again = Math.max(...[from, to].map(({ told }) => told.findLast(({ what }) => what === 'path')?.at ?? 0)) - begin
      const { took, pause } = await sending
      const { status, closed } = await from.look(id)
      assert.equal(closed, 0)
      assert.deepEqual([from.kinds(), to.kinds()], Array(2).fill(['relay', 'tcp', 'relay', 'tcp']))
      const rate = BYTES / 2 ** 20 / took * 1_000
      console.log(`      ${(took / 1_000).toFixed(1)} s, ${rate.toFixed(0)} MiB/s; back on the star after ` +
        `${back} ms, past it again after ${again} ms; longest pause ${pause.toFixed(0)} ms, ` +
        `${((status?.resent ?? 0) / 2 ** 20).toFixed(1)} MiB sent again`)
    })
  }
})
