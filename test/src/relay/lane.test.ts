// One direction of a pair: when its sender is braked, and when a reader counts as stalled.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Lane } from '../../../src/relay/lane.ts'

describe('A lane', () => {
  it('brakes its sender once above the budget, and releases it once at half of it', () => {
    const lane = new Lane(100, 0)
    assert.deepEqual([lane.send(60), lane.send(40), lane.send(1), lane.send(20)], [false, false, true, false])
    assert.equal(lane.braked, true)
    assert.deepEqual([lane.left(60), lane.left(1), lane.left(40), lane.left(20)], [false, false, true, false])
    assert.deepEqual([lane.braked, lane.pending], [false, 0])
  })

  it('is never braked for good, and brakes and releases in turns', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 500 }), fc.array(fc.nat(300), { maxLength: 50 }), (budget, costs) => {
      const lane = new Lane(budget, 0)
      const turns: boolean[] = []
      const sent: number[] = []
      for (const cost of costs) {
        if (!lane.braked) {
          sent.push(cost)
          turns.push(...lane.send(cost) ? [true] : [])
          assert.ok(lane.pending <= budget + cost)
        } else {
          turns.push(...lane.left(sent.shift() ?? 0) ? [false] : [])
        }
        assert.equal(lane.braked, turns.at(-1) ?? false)
      }
      sent.forEach(cost => { turns.push(...lane.left(cost) ? [false] : []) })
      assert.deepEqual([lane.braked, lane.pending], [false, 0])
      assert.ok(turns.every((braked, index) => braked === (index % 2 === 0)))
    }))
  })

  it('stalls while something waits and nothing moves', () => {
    const lane = new Lane(100, 0)
    assert.equal(lane.stalledFor(0, 1_000), 0)
    lane.send(10)
    lane.send(10)
    assert.equal(lane.stalledFor(7, 2_000), 0)
    assert.equal(lane.stalledFor(7, 3_500), 1_500)
    assert.equal(lane.stalledFor(6, 4_000), 0, 'the system took a byte')
    lane.left(10)
    assert.equal(lane.stalledFor(6, 5_000), 0, 'a message has left')
    assert.equal(lane.stalledFor(6, 6_000), 1_000)
    lane.left(10)
    assert.equal(lane.stalledFor(0, 9_000), 0)
  })
})
