// Races for something that runs already: a path is taken only if it is better than the current one, and at once if none could be
// better still.
import assert from 'node:assert/strict'
import { MIN_GAIN } from '../../../src/rendezvous/select.ts'
import { COLLECT, RaceWorld, TIMEOUT, way } from '../../support/race-world.ts'
import type { RaceOptions } from '../../../src/rendezvous/race.ts'
import type { Candidate, PathKind } from '../../../src/rendezvous/select.ts'

const WS = way(1, { kind: 'relay-ws' })
const TCP = way(2)

function on (kind: PathKind, roundTrip?: number): Pick<RaceOptions, 'current'> {
  const current: Candidate = { kind, unmetered: false, roundTrip, acknowledged: 1, received: 1 }
  return { current: () => current }
}

/** Which path was nominated. */
function nominatedBy (world: RaceWorld): number | undefined {
  return world.nominator.nominated?.path
}

/** Connects a path whose round trip takes so long. */
function establish (world: RaceWorld, path: number, roundTrip: number = 0): void {
  world.connect(path)
  for (let flight = 0; flight < 4; flight++) {
    world.pass(roundTrip / 2)
    world.carry(path, 0)
    world.carry(path, 1)
  }
}

describe('A race with a current path', () => {
  it('takes a better one when all are there, and none that is worse or the same', () => {
    for (const [current, ways, expected] of [
      [on('relay'), [WS], 0], [on('relay'), [WS, TCP], 1], [on('relay-ws', 1), [TCP], 0], [on('relay-ws', 1), [WS], undefined],
      [on('tcp', 1), [WS], undefined], [on('tcp', 1), [TCP], undefined], [on('relay-ws', 50), [WS], 0]
    ] as const) {
      const world = new RaceWorld(ways, current)
      ways.forEach((_, path) => { establish(world, path) })
      world.settle()
      assert.deepEqual([nominatedBy(world), world.other.nominated?.path], [expected, expected])
      assert.equal(world.nominator.machine.over, expected == null)
    }
  })

  it('ends in good order, at both ends, when none is better', () => {
    const world = new RaceWorld([WS], on('tcp', 1))
    establish(world, 0)
    world.settle()
    assert.deepEqual(world.nominator.story.slice(-2), ['close 0 1000', 'over'])
    assert.equal(world.nominator.error, undefined)
    assert.equal(world.other.error?.code, 'ERR_RENDEZVOUS_FAILED')
  })

  it('waits for one that is better while there are some to come, and then takes the next that is', () => {
    const world = new RaceWorld([WS, TCP], on('relay-ws', 1))
    establish(world, 0)
    world.pass(2 * COLLECT)
    assert.deepEqual([nominatedBy(world), world.nominator.machine.over], [undefined, false])
    establish(world, 1)
    world.settle()
    assert.equal(world.other.nominated?.path, 1)
  })

  it('is over in time when the better one never comes', () => {
    const world = new RaceWorld([WS, TCP], on('relay-ws', 1))
    establish(world, 0)
    world.pass(TIMEOUT)
    assert.equal(nominatedBy(world), undefined)
    assert.equal(world.nominator.error?.code, 'ERR_RENDEZVOUS_FAILED')
    assert.equal(world.nominator.machine.wakeAt, undefined)
  })

  it('looks at what is current when it decides, not before', () => {
    let current: Candidate = { kind: 'relay', unmetered: false, roundTrip: undefined, acknowledged: 1, received: 1 }
    const world = new RaceWorld([WS, TCP], { current: () => current })
    establish(world, 0)
    current = { ...current, kind: 'tcp', roundTrip: 1 }
    world.pass(COLLECT)
    world.settle()
    assert.equal(nominatedBy(world), undefined)
  })
})

describe('An eager race', () => {
  it('takes a direct path at once that nothing can clearly beat', () => {
    for (const [roundTrip, atOnce] of [[0, true], [MIN_GAIN, true], [MIN_GAIN + 1, false]] as const) {
      const world = new RaceWorld([TCP, WS], { eager: true })
      establish(world, 0, roundTrip)
      assert.equal(nominatedBy(world) === 0, atOnce, `${roundTrip} ms`)
      world.pass(COLLECT)
      assert.equal(nominatedBy(world), 0)
    }
  })

  it('waits on a relayed one, however quick it is', () => {
    const world = new RaceWorld([WS, TCP], { eager: true })
    establish(world, 0)
    assert.equal(nominatedBy(world), undefined)
    establish(world, 1)
    assert.equal(nominatedBy(world), 1)
  })

  it('waits on one that costs while one that is free may come, and not for one that has lost', () => {
    const free = way(3, { unmetered: true })
    const world = new RaceWorld([TCP, free], { eager: true })
    establish(world, 0)
    assert.equal(nominatedBy(world), undefined)
    world.fail(1)
    assert.equal(nominatedBy(world), 0)
  })

  it('does not wait where it is not eager', () => {
    const world = new RaceWorld([TCP, WS])
    establish(world, 0)
    assert.equal(nominatedBy(world), undefined)
  })

  it('still leaves the current path only for a better one', () => {
    const world = new RaceWorld([TCP, WS], { eager: true, ...on('tcp', 1) })
    establish(world, 0)
    assert.equal(nominatedBy(world), undefined)
  })
})
