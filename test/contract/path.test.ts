// The contract of paths (client/paths/path.ts), kept by each of them: a stream through a star, and what came of a race, over TCP
// and over the relay of a star.
import assert from 'node:assert/strict'
import { createTestStar } from '../../server/testing.ts'
import { StarError } from '../../src/errors.ts'
import { writeDataHeader, DATA_HEADER } from '../../src/link/frame.ts'
import { Random } from '../support/random.ts'
import { nominatedPaths, relayPaths } from '../support/wires.ts'
import type { Path } from '../../client/paths/path.ts'
import type { Owner, PathPair } from '../support/wires.ts'
import type { TestStar } from '../../server/testing.ts'

const MIB = 1_048_576
/** More than a path takes while nobody reads. */
const MUCH = 64 * MIB

/** A chunk as a link sends it: a `data` frame, every byte of which says where it belongs. */
function chunkAt (position: number, size: number): Uint8Array {
  const chunk = Uint8Array.from({ length: size }, (_, index) => (position + index) % 251)
  if (size > DATA_HEADER) {
    writeDataHeader(chunk, 0, position, size - DATA_HEADER)
  } else {
    chunk.fill(4) // no `data` frame
  }
  return chunk
}

/** Sends chunks while there is a budget, until `most` bytes are sent or no budget is left; gives what was sent. */
async function pour (path: Path, owner: Owner, most: number, sizes: () => number, wait: boolean): Promise<Buffer[]> {
  const sent: Buffer[] = []
  for (let position = 0; position < most;) {
    const { budget } = path
    if (budget === 0) {
      if (!wait) {
        break
      }
      await owner.when('room', () => path.budget > 0)
      continue
    }
    const chunk = chunkAt(position, Math.min(budget, most - position, sizes()))
    // what is longer than a header goes as a `data` frame does, in two parts
    path.send(chunk.byteLength > DATA_HEADER ? [chunk.subarray(0, DATA_HEADER), chunk.subarray(DATA_HEADER)] : [chunk])
    sent.push(Buffer.from(chunk))
    position += chunk.byteLength
    if (sent.length % 16 === 0) {
      await new Promise(resolve => { setImmediate(resolve) })
    }
  }
  return sent
}

function keepsTheContract (name: string, open: (star: TestStar) => Promise<PathPair>): void {
  describe(`${name} keeps the contract of paths:`, function () {
    this.timeout(60_000)
    let star: TestStar
    let pair: PathPair

    before(async () => { star = await createTestStar({ openRelay: true }) })

    after(async () => { await star.close() })

    beforeEach(async () => { pair = await open(star) })

    afterEach(async () => { await pair.close() })

    it('bytes come in order and unchanged, in both directions, however they are cut', async () => {
      const { paths, owners } = pair
      pair.release()
      const random = new Random(3)
      const sizes = (): number => random.pick([1, 12, 13, 1_000, 1_035, 1_036, 1_037, 20_000, 524_288])
      const sent = await Promise.all([0, 1].map(async way =>
        Buffer.concat(await pour(paths[way] ?? assert.fail(), owners[way] ?? assert.fail(), 6 * MIB, sizes, true))))
      for (const way of [0, 1]) {
        const [owner, all] = [owners[1 - way], sent[way]]
        assert.ok(owner != null && all != null)
        await owner.got(all.byteLength, 20_000)
        assert.ok(Buffer.from(owner.bytes).equals(all))
      }
    })

    it('who does not read uses up the budget of who writes, and gives it back when it reads', async () => {
      const { paths, owners } = pair
      pair.hold()
      const sent = await pour(paths[0], owners[0], MUCH, () => 65_536, false)
      const size = sent.reduce((sum, { byteLength }) => sum + byteLength, 0)
      assert.ok(size > 0 && size < MUCH, `${size} bytes`)
      assert.equal(paths[0].budget, 0)
      pair.release()
      await owners[0].when('room', () => paths[0].budget > 0, 20_000)
      await owners[1].got(size, 20_000)
      assert.ok(Buffer.from(owners[1].bytes).equals(Buffer.concat(sent)))
    })

    it('a close comes behind what was sent; the other end is told once, and this one is told nothing more', async () => {
      const { paths, owners } = pair
      pair.release()
      const sent = Buffer.concat(await pour(paths[0], owners[0], MIB, () => 30_000, true))
      paths[0].close()
      paths[1].send([chunkAt(0, 100)])
      await owners[1].ended()
      paths[0].close()
      paths[0].lose(new StarError('ERR_PATH_DEAD'))
      assert.ok(Buffer.from(owners[1].bytes).equals(sent))
      owners[1].assertOver()
      assert.deepEqual([owners[0].ends, owners[0].received], [[], 0])
    })

    it('what is lost is told once at both ends, here with the reason, and nothing comes after it', async () => {
      const { paths, owners } = pair
      pair.release()
      paths[1].send([chunkAt(0, 5_000)])
      paths[0].lose(new StarError('ERR_PATH_DEAD'))
      paths[0].lose(new StarError('ERR_BUDGET'))
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      paths[0].close()
      paths[1].close()
      paths[1].lose(new StarError('ERR_BUDGET'))
      await new Promise(resolve => { setImmediate(resolve) })
      owners.forEach(owner => { owner.assertOver() })
      assert.equal(owners[0].ends[0]?.error?.code, 'ERR_PATH_DEAD')
      assert.ok(owners[1].ends[0]?.error instanceof StarError)
    })

    it('both may close at once, and neither is told', async () => {
      const { paths, owners } = pair
      paths.forEach(path => { path.close() })
      await pair.close()
      assert.deepEqual(owners.map(({ ends, late }) => [ends, late]), [[[], []], [[], []]])
    })
  })
}

keepsTheContract('a stream through a star', relayPaths)
for (const sealed of [false, true]) {
  const how = sealed ? ', all of it sealed' : ''
  keepsTheContract(`a nominated path over TCP${how}`, async star => await nominatedPaths('tcp', star, sealed))
  keepsTheContract(`a nominated path over a star's relay${how}`, async star => await nominatedPaths('relay-ws', star, sealed))
}
