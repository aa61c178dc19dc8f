// A man in the middle of direct paths: what he changes, repeats or reorders ends a path, and the link goes on where it was; only
// who changes what libp2p has encrypted ends the connection, and nobody is ever handed a byte that was not sent.
import assert from 'node:assert/strict'
import { concat } from 'uint8arrays/concat'
import { meddlers } from '../support/direct.ts'
import { Transfer, closed, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import type { Connection } from '@libp2p/interface'
import type { Meddle, Passing } from '../support/direct.ts'
import type { Linked } from '../support/links.ts'

const MIB = 1_048_576
const DIRECT = { direct: 'prefer', directLoopback: true, directRelay: false } as const
/** TCP leads nowhere. */
const RELAYED = { direct: 'prefer', offerAddress: () => false } as const

/** Frames of the handshake in each direction, from who has dialled the connection: Hello and Auth, or AuthHello. */
const SHAKING = { there: 2, back: 1 }
/** The last frame that may be Nominate. */
const NOMINATING = 3

type Fits = (passing: Passing) => boolean
type Change = (frame: Uint8Array) => readonly Uint8Array[]

/** With a bit of it flipped. */
function bent (frame: Uint8Array, position: number, bit: number = 1): Uint8Array {
  const bytes = Uint8Array.from(frame)
  const at = position < 0 ? bytes.byteLength + position : position
  bytes[at] = (bytes[at] ?? 0) ^ bit
  return bytes
}

/** Does that to the first frame that fits, and lets all others pass. */
function once (fits: Fits, change: Change): Meddle & { done: boolean } {
  const meddle = (passing: Passing): readonly Uint8Array[] => {
    if (meddle.done || !fits(passing)) {
      return [passing.frame]
    }
    meddle.done = true
    return change(passing.frame)
  }
  meddle.done = false
  return meddle
}

/** Both run on a path of that kind. */
async function runOn (kind: string, one: Linked, other: Linked, ms: number = 30_000): Promise<void> {
  await until(() => one.link(other)?.path?.kind === kind && other.link(one)?.path?.kind === kind, ms)
}

function pathsOf (linked: Linked): Array<string | undefined> {
  return linked.events.flatMap(({ what, path }) => what === 'path' ? [path?.kind] : [])
}

describe('A man in the middle', function () {
  this.timeout(60_000)
  const stage = linkStage()
  const meddler = meddlers()

  const handshakes: ReadonlyArray<readonly [string, Fits]> = [
    ['Hello', ({ index, back }) => !back && index === 0],
    ['AuthHello', ({ index, back }) => back && index === 0],
    ['Auth', ({ index, back }) => !back && index === 1]
  ]
  for (const [name, fits] of handshakes) {
    it(`who changes each ${name} keeps a link where it is, until he goes`, async () => {
      const [alice, bob] = await stage.pair(DIRECT)
      meddler().meddle = passing => [fits(passing) ? bent(passing.frame, -1) : passing.frame]
      const connection = await stage.link(alice, bob)
      await alice.when('a path that was tried in vain', () => alice.events.some(({ what, error }) =>
        (what === 'tried' || what === 'attempt') && (error?.code === 'ERR_PATH_LOST' || error?.code === 'ERR_PATH_PROOF')))
      await works(connection)
      assert.deepEqual(pathsOf(alice), ['relay'])
      meddler().meddle = ({ frame }) => [frame]
      await runOn('tcp', alice, bob)
      await works(connection)
      assert.deepEqual([pathsOf(alice), pathsOf(bob)], [['relay', 'tcp'], ['relay', 'tcp']])
    })
  }

  it('who changes Nominate, or the first word after it, keeps a link where it is', async () => {
    for (const later of [0, 1]) {
      const [alice, bob] = await stage.pair(DIRECT)
      const isIt: Fits = ({ index, back }) => index === (back ? SHAKING.back : SHAKING.there) + later
      const nominate = once(isIt, frame => [bent(frame, -1)])
      meddler().meddle = nominate
      const connection = await stage.link(alice, bob)
      await until(() => nominate.done)
      await works(connection)
      await runOn('tcp', alice, bob)
      await works(connection)
      await stage.close()
      await stage.open()
    }
  })

  /** What is done in the middle of a transfer, and the link only loses its path. */
  const survived: ReadonlyArray<readonly [string, Fits, Change]> = [
    ['changes what is sealed', ({ plain }) => !plain, frame => [bent(frame, 10)]],
    ['changes a tag', ({ plain }) => !plain, frame => [bent(frame, -1)]],
    ['changes the length of what is sealed', ({ plain }) => !plain, frame => [bent(frame, 0)]],
    ['calls sealed what is plain', ({ plain }) => plain, frame => [bent(frame, 3, 0x80)]],
    ['calls plain what is sealed', ({ plain }) => !plain, frame => [bent(frame, 3, 0x80)]],
    ['changes the length of what is plain', ({ plain }) => plain, frame => [bent(frame, 0)]],
    ['changes the length of what is plain by much', ({ plain }) => plain, frame => [bent(frame, 1, 0x10)]],
    ['makes a length impossible', () => true, frame => [bent(frame, 3, 0x40)]],
    ['repeats what is sealed', ({ plain }) => !plain, frame => [frame, frame]],
    ['takes away what is plain', ({ plain }) => plain, () => []],
    ['changes what a plain frame is', ({ plain }) => plain, frame => [bent(frame, 4, 0x01)]],
    ['changes its length', ({ plain }) => plain, frame => [bent(frame, 6, 0x01)]],
    ['says that it belongs further on', ({ plain }) => plain, frame => [bent(frame, 9, 0x40)]],
    ['puts in something plain', ({ plain }) => !plain, frame => [Uint8Array.of(3, 0, 0, 0x80, 1, 2, 3), frame]],
    ['puts in an empty frame', () => true, frame => [Uint8Array.of(0, 0, 0, 0x80), frame]],
    ['puts in something sealed', ({ plain }) => !plain,
      frame => [concat([Uint8Array.of(16, 0, 0, 0), frame.subarray(4, 20)]), frame]]
  ]
  for (const [name, fits, change] of survived) {
    it(`who ${name} loses the path, and nothing of what is on the way`, async () => {
      const [alice, bob] = await stage.pair(DIRECT)
      const connection = await stage.link(alice, bob)
      await runOn('tcp', alice, bob)
      const transfer = await Transfer.start(connection, 24 * MIB)
      await transfer.reaches(4 * MIB)
      const meddle = once(passing => passing.index > NOMINATING && fits(passing), change)
      meddler().meddle = meddle
      await transfer.done
      assert.ok(meddle.done)
      await works(connection)
      await alice.told('suspended')
      assert.deepEqual(pathsOf(alice).slice(0, 3), ['relay', 'tcp', 'relay'])
      assert.equal(alice.connections(bob).length, 1)
    })
  }

  it('who has one sealed frame overtake another loses the path, and nothing of what is on the way', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await runOn('tcp', alice, bob)
    const transfer = await Transfer.start(connection, 24 * MIB)
    await transfer.reaches(4 * MIB)
    const held = new Map<boolean, Uint8Array>()
    let done = false
    meddler().meddle = ({ plain, back, frame }) => {
      const before = held.get(back)
      if (done || plain) {
        return [frame]
      }
      if (before == null) {
        held.set(back, Uint8Array.from(frame))
        return []
      }
      done = true
      return [frame, before]
    }
    await transfer.done
    assert.ok(done)
    await alice.told('suspended')
    await works(connection)
  })

  /** What is done to the payload: libp2p notices, and nobody is given what was not sent. */
  const fatal: ReadonlyArray<readonly [string, Change]> = [
    ['changes a byte of', frame => [bent(frame, 100)]],
    ['changes the last byte of', frame => [bent(frame, -1)]]
  ]
  for (const [name, change] of fatal) {
    it(`who ${name} what libp2p has encrypted ends the connection, and that is all`, async () => {
      const [alice, bob] = await stage.pair(DIRECT)
      const connection = await stage.link(alice, bob)
      await runOn('tcp', alice, bob)
      const [there] = bob.connections(alice)
      assert.ok(there)
      const ends = [connection, there].map(async each => await closed(each, 30_000))
      const transfer = await Transfer.start(connection, 256 * MIB)
      await transfer.reaches(4 * MIB)
      meddler().meddle = once(({ plain }) => plain, change)
      await assert.rejects(transfer.done)
      await Promise.all(ends)
      await Promise.all([alice.told('over'), bob.told('over')])
      const next: Connection = await stage.link(alice, bob)
      await works(next)
    })
  }

  it('can do nothing to what libp2p has encrypted where one of the two wants all of it sealed', async () => {
    for (const wanting of [0, 1]) {
      const [alice, bob] = await Promise.all([
        stage.node({ ...DIRECT, directSealed: wanting === 0 }), stage.node({ ...DIRECT, directSealed: wanting === 1 })
      ])
      const connection = await stage.link(alice, bob)
      await runOn('tcp', alice, bob)
      const [there] = bob.connections(alice)
      assert.ok(there)
      const transfers = await Promise.all([Transfer.start(connection, 24 * MIB), Transfer.start(there, 8 * MIB)])
      await transfers[0].reaches(4 * MIB)
      const meddle = once(({ index, frame }) => index > NOMINATING && frame.byteLength > 5_000, frame => [bent(frame, 3_000)])
      meddler().meddle = meddle
      await Promise.all(transfers.map(async ({ done }) => { await done }))
      assert.ok(meddle.done)
      await alice.told('suspended')
      assert.equal(meddler().plain, 0, 'nothing went unsealed')
      await works(connection)
    }
  })

  it('who repeats what libp2p has encrypted is not noticed, and nobody is given it twice', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await runOn('tcp', alice, bob)
    const transfer = await Transfer.start(connection, 24 * MIB)
    await transfer.reaches(4 * MIB)
    const meddle = once(({ plain }) => plain, frame => [frame, frame])
    meddler().meddle = meddle
    await transfer.done
    assert.ok(meddle.done)
    assert.deepEqual(pathsOf(alice), ['relay', 'tcp'])
  })

  it('sees what libp2p has encrypted go unsealed, and nothing else, where nobody minds', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await runOn('tcp', alice, bob)
    await (await Transfer.start(connection, 8 * MIB)).done
    const { passed } = meddler()
    assert.ok(meddler().plain >= 8 * MIB / 524_288)
    assert.ok(passed.some(({ plain }) => !plain))
    for (const { back, index, plain, type } of passed) {
      assert.ok(!plain || index >= (back ? SHAKING.back : SHAKING.there), 'none before the nomination')
      assert.ok(!plain || type === 0x02, 'a data frame')
    }
  })

  it('on the relay can do no more than on a direct path', async () => {
    const [alice, bob] = await stage.pair(RELAYED)
    const connection = await stage.link(alice, bob)
    await runOn('relay-ws', alice, bob)
    const transfer = await Transfer.start(connection, 24 * MIB)
    await transfer.reaches(4 * MIB)
    const meddle = once(passing => passing.index > NOMINATING && !passing.plain, frame => [bent(frame, -1)])
    meddler().meddle = meddle
    await transfer.done
    assert.ok(meddle.done)
    await alice.told('suspended')
    await works(connection)
  })
})
