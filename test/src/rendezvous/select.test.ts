// Which path is better: the order, when one is left for another, and that nothing flaps.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  FIRST_REST, LONGEST_REST, MIN_GAIN, MIN_GAIN_SHARE, compare, isProven, restAfter, select
} from '../../../src/rendezvous/select.ts'
import { Random } from '../../support/random.ts'
import type { Candidate, PathKind } from '../../../src/rendezvous/select.ts'

type Named = Candidate & { readonly name: string }

function path (name: string, { kind = 'tcp', ...rest }: Partial<Candidate> = {}): Named {
  return { name, kind, unmetered: false, roundTrip: 20, acknowledged: 1, received: 1, ...rest }
}

function chosen (candidates: readonly Named[], current?: Named): string | undefined {
  return select(candidates, current)?.name
}

const anyCandidate: fc.Arbitrary<Candidate> = fc.record({
  kind: fc.constantFrom<PathKind>('tcp', 'webrtc', 'relay-ws', 'relay'),
  unmetered: fc.boolean(),
  roundTrip: fc.option(fc.nat({ max: 500 }), { nil: undefined }),
  acknowledged: fc.nat({ max: 2 }),
  received: fc.nat({ max: 2 })
})

describe('The order of paths', () => {
  it('is what costs neither end anything, then what is direct, then what is quicker', () => {
    const inOrder = [
      path('free and direct', { unmetered: true, roundTrip: 300 }),
      path('free and relayed', { unmetered: true, kind: 'relay-ws', roundTrip: 10 }),
      path('quick', { roundTrip: 10 }),
      path('a little slower, and plain', { roundTrip: 19 }),
      path('a data channel', { kind: 'webrtc', roundTrip: 10 }),
      path('never measured', { roundTrip: undefined }),
      path('relayed', { kind: 'relay-ws', roundTrip: 1 }),
      path('relayed on socket.io', { kind: 'relay', roundTrip: 1 })
    ]
    for (const [index, one] of inOrder.entries()) {
      for (const [position, other] of inOrder.entries()) {
        assert.equal(Math.sign(compare(one, other)), Math.sign(index - position), `${one.name}, ${other.name}`)
      }
    }
  })

  it('is an order: it has no circles', () => {
    fc.assert(fc.property(anyCandidate, anyCandidate, anyCandidate, (one, other, third) => {
      assert.equal(Math.sign(compare(one, other)) + Math.sign(compare(other, one)), 0)
      if (compare(one, other) <= 0 && compare(other, third) <= 0) {
        assert.ok(compare(one, third) <= 0)
      }
    }))
  })
})

describe('A path counts', () => {
  it('only after bytes were acknowledged in both directions', () => {
    assert.equal(isProven(path('')), true)
    assert.equal(isProven(path('', { acknowledged: 0 })), false)
    assert.equal(isProven(path('', { received: 0 })), false)
  })

  it('not at all where it is open in one direction, however quick', () => {
    const relay = path('relay', { kind: 'relay', roundTrip: 200 })
    assert.equal(chosen([relay, path('one-way', { roundTrip: 1, acknowledged: 0 })], relay), 'relay')
    assert.equal(chosen([path('one-way', { received: 0 })]), undefined)
  })
})

describe('The choice of a path', () => {
  it('is the best one, when there is none yet, and the first of equals', () => {
    assert.equal(chosen([]), undefined)
    assert.equal(chosen([path('a', { roundTrip: 30 }), path('b', { roundTrip: 10 }), path('c', { roundTrip: 10 })]), 'b')
  })

  it('leaves a path that works for one of a better class at once, however slow', () => {
    const relay = path('relay', { kind: 'relay', roundTrip: 1 })
    const direct = path('direct', { roundTrip: 400 })
    const free = path('free', { kind: 'relay-ws', unmetered: true, roundTrip: 900 })
    assert.equal(chosen([relay, direct], relay), 'direct')
    assert.equal(chosen([relay, direct, free], direct), 'free')
    assert.equal(chosen([relay, direct, free], free), 'free')
    assert.equal(chosen([relay], direct), 'direct', 'and not for a worse one, though it is not among those to choose from')
  })

  it('leaves a path for one of the same class only if that is clearly quicker', () => {
    const cases: ReadonlyArray<readonly [number, number, boolean]> = [
      [20, 15, true], [20, 16, false], [10, 5, true], [10, 6, false], [4, 0, false],
      [100, 80, true], [100, 81, false], [100, 100, false]
    ]
    for (const [now, then, moves] of cases) {
      const current = path('current', { roundTrip: now })
      const other = path('other', { roundTrip: then })
      assert.equal(chosen([current, other], current), moves ? 'other' : 'current', `${now} to ${then}`)
    }
    const unmeasured = path('unmeasured', { roundTrip: undefined })
    assert.equal(chosen([unmeasured, path('measured')], unmeasured), 'measured')
    assert.equal(chosen([unmeasured, path('neither', { roundTrip: undefined })], unmeasured), 'unmeasured')
    assert.deepEqual([MIN_GAIN, MIN_GAIN_SHARE], [5, 0.2])
  })

  it('leaves a path that is not proven for any that counts, but not for none', () => {
    const silent = path('silent', { received: 0 })
    const relay = path('relay', { kind: 'relay', roundTrip: 900 })
    assert.equal(chosen([silent, relay], silent), 'relay')
    assert.equal(chosen([silent], silent), 'silent')
    assert.equal(chosen([silent, path('as silent', { received: 0, roundTrip: 1 })], silent), 'silent')
    assert.equal(chosen([path('gone'), relay]), 'gone')
  })

  it('does not go back and forth while round trips vary by less than the gain', () => {
    fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 300 }), (seed, base) => {
      const random = new Random(seed)
      const width = Math.max(MIN_GAIN, MIN_GAIN_SHARE * base) * 0.49
      let current: Named | undefined
      let moves = 0
      for (let step = 0; step < 50; step++) {
        const vary = (): number => base + (random.next() * 2 - 1) * width * 0.9
        const candidates = [path('a', { roundTrip: vary() }), path('b', { roundTrip: vary() })]
        const before = candidates.find(({ name }) => name === current?.name)
        const next = select(candidates, before)
        moves += before != null && next !== before ? 1 : 0
        current = next
      }
      assert.equal(moves, 0)
    }))
  })

  it('settles: what was chosen is chosen again, and is one that counts if any does', () => {
    fc.assert(fc.property(fc.array(anyCandidate, { maxLength: 6 }), fc.nat(), (candidates, index) => {
      const current = candidates[index % (candidates.length + 1)]
      const next = select(candidates, current)
      assert.equal(select(candidates, next), next)
      const counting = candidates.filter(isProven)
      assert.equal(next != null && isProven(next), counting.length > 0)
    }))
  })
})

describe('A path that has failed', () => {
  it('rests, the longer the more often it has failed', () => {
    assert.deepEqual([0, 1, 2, 3, 7, 8, 1_000].map(failures => restAfter(failures)),
      [0, FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST, LONGEST_REST, LONGEST_REST, LONGEST_REST])
    assert.equal(restAfter(-1), 0)
  })
})
