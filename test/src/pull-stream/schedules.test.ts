// Streams under every schedule: two ends, directly or through a relay, of all generations, on a network that takes its time.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Random } from '../../support/random.ts'
import { bounds } from '../../support/relayed.ts'
import { StreamWorld } from '../../support/stream-world.ts'
import type { EndPlan } from '../../support/stream-world.ts'

const seed = fc.integer()

function planOf (original: boolean): fc.Arbitrary<EndPlan> {
  return fc.record({
    original: fc.constant(original),
    bytes: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 700_000 })),
    chunk: fc.constantFrom(500, 5_000, 50_000),
    window: fc.integer({ min: 65_536, max: bounds.pairBudget }),
    diligence: fc.double({ min: 0.05, max: 1, noNaN: true })
  })
}

/** Everything that was said has been heard, in order and once, and nothing is left. */
function checkComplete (world: StreamWorld): void {
  const [dialer, listener] = [world.dialer.end, world.listener.end]
  assert.deepEqual([...world.faults, ...dialer.faults, ...listener.faults], [])
  assert.deepEqual([dialer.sent, listener.received], [dialer.plan.bytes, dialer.plan.bytes])
  assert.deepEqual([listener.sent, dialer.received], [listener.plan.bytes, listener.plan.bytes])
  for (const end of [dialer, listener]) {
    assert.deepEqual([end.saidEnd, end.heardEnd, end.over], [true, true, true])
  }
  assert.deepEqual([world.relay?.size ?? 0, world.relay?.inFlight ?? 0, world.relay?.wakeAt], [0, 0, undefined])
  assert.deepEqual([world.dialer.paused, world.listener.paused], [false, false])
}

describe('Two ends joined directly', () => {
  it('hear everything, in order and once, under any schedule', () => {
    fc.assert(fc.property(seed, planOf(false), planOf(false), (start, dialer, listener) => {
      const world = new StreamWorld(new Random(start), { dialer, listener })
      world.settle()
      checkComplete(world)
    }), { numRuns: 150 })
  })
})

const PAIRS = [['star', 'star'], ['star', 'original'], ['original', 'star'], ['original', 'original']] as const

for (const [dialling, listening] of PAIRS) {
  const plans = fc.tuple(planOf(dialling === 'original'), planOf(listening === 'original'))

  describe(`A relayed stream from ${dialling} to ${listening}`, () => {
    it('carries everything, in order and once, inside its windows, and never gets stuck', () => {
      fc.assert(fc.property(seed, plans, (start, [dialer, listener]) => {
        const world = new StreamWorld(new Random(start), { dialer, listener, relay: bounds })
        world.settle()
        checkComplete(world)
      }), { numRuns: 150 })
    })

    it('leaves nothing behind whatever goes wrong at whatever time, and what was heard was said', () => {
      const mishap = fc.record({
        after: fc.nat(400),
        where: fc.constantFrom('dialer' as const, 'listener' as const),
        kind: fc.constantFrom('reset' as const, 'stopReading' as const, 'disconnect' as const)
      })
      const several = fc.array(mishap, { minLength: 1, maxLength: 2 })
      fc.assert(fc.property(seed, plans, several, (start, [dialer, listener], mishaps) => {
        const world = new StreamWorld(new Random(start), { dialer, listener, relay: bounds })
        for (const { after, where, kind } of mishaps) {
          for (let steps = 0; steps < after && world.step(); steps++) {
            // goes on until something goes wrong
          }
          world.mishap(world[where], kind)
        }
        world.settle()
        assert.deepEqual([...world.faults, ...world.dialer.end.faults, ...world.listener.end.faults], [])
        assert.deepEqual([world.relay?.size, world.relay?.inFlight, world.relay?.wakeAt], [0, 0, undefined])
        for (const { end, gone, paused } of [world.dialer, world.listener]) {
          assert.equal(end.over || gone || end.plan.original, true, `${end.side} waits for ever`)
          assert.equal(paused && !gone, false)
        }
        assert.equal(world.listener.end.received <= world.dialer.end.sent, true)
        assert.equal(world.dialer.end.received <= world.listener.end.sent, true)
      }), { numRuns: 200 })
    })
  })
}
