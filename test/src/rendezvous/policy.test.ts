// When a link is tried to be moved: the rules one by one, and that they hold whatever happens in whatever order.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { GOOD_AFTER, Policy } from '../../../src/rendezvous/policy.ts'
import { FIRST_REST, LONGEST_REST } from '../../../src/rendezvous/select.ts'
import { NOW } from '../../support/rendezvous.ts'
import type { PolicyEvent, PolicyOptions } from '../../../src/rendezvous/policy.ts'
import type { PathKind } from '../../../src/rendezvous/select.ts'

const INTERVAL = 60_000
const BOTH: readonly PathKind[] = ['tcp', 'relay-ws']

/** A policy and its clock. */
class Pilot {
  readonly policy: Policy
  now = NOW

  constructor (options: Partial<PolicyOptions> = {}) {
    this.policy = new Policy({ kinds: BOTH, longestRest: INTERVAL, ...options })
  }

  /** What is to be tried after an event, if anything. */
  tell (event: PolicyEvent): readonly PathKind[] | undefined {
    const [first, ...more] = this.policy.input(event, this.now)
    assert.deepEqual(more, [])
    return first?.kinds
  }

  on (kind: PathKind | undefined): readonly PathKind[] | undefined {
    return this.tell({ type: 'path', kind })
  }

  tried (nominated: boolean): readonly PathKind[] | undefined {
    return this.tell({ type: 'tried', nominated })
  }

  pass (milliseconds: number): void {
    this.now += milliseconds
  }

  /** Milliseconds until it wants to be woken. */
  get rest (): number | undefined {
    return this.policy.wakeAt == null ? undefined : this.policy.wakeAt - this.now
  }

  /** Lets the rest pass, checks that not a moment less would have done, and says what is tried then. */
  wake (): readonly PathKind[] | undefined {
    const { rest } = this
    assert.ok(rest != null)
    this.pass(rest - 1)
    assert.equal(this.tell({ type: 'wake' }), undefined)
    this.pass(1)
    return this.tell({ type: 'wake' })
  }

  /** A try that leads the link to a path of that kind. */
  move (kind: PathKind): void {
    this.tried(true)
    this.on(kind)
  }
}

describe('A link is tried to be moved', () => {
  it('at once when it has its first path, to all kinds that are better', () => {
    for (const [kind, expected] of [['relay', BOTH], ['tcp', undefined]] as const) {
      assert.deepEqual(new Pilot().on(kind), expected, kind)
    }
    assert.deepEqual(new Pilot({ kinds: ['tcp'] }).on('relay'), ['tcp'])
    assert.deepEqual(new Pilot({ kinds: ['relay-ws'] }).on('relay'), ['relay-ws'])
    assert.equal(new Pilot({ kinds: [] }).on('relay'), undefined)
  })

  it('not while it has no path', () => {
    const pilot = new Pilot()
    assert.equal(pilot.on(undefined), undefined)
    assert.equal(pilot.rest, undefined)
    pilot.on('relay')
    pilot.on(undefined)
    pilot.tried(false)
    assert.equal(pilot.rest, undefined)
    pilot.pass(LONGEST_REST)
    assert.equal(pilot.tell({ type: 'wake' }), undefined)
    assert.deepEqual(pilot.on('relay'), BOTH)
  })

  it('again after a rest of a second, doubled each time up to a minute', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    for (const rest of [1, 2, 4, 8, 16, 32, 60, 60]) {
      assert.equal(pilot.rest, undefined, 'one try at a time')
      assert.equal(pilot.tried(false), undefined)
      assert.equal(pilot.rest, rest * 1_000)
      assert.deepEqual(pilot.wake(), BOTH)
    }
  })

  it('again after a rest that grows, when it was led to a path and never came there', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    for (const rest of [3, 3, 4, 8]) { // three seconds at least: it may yet come there
      pilot.tried(true)
      assert.equal(pilot.rest, rest * 1_000)
      assert.deepEqual(pilot.wake(), BOTH)
    }
  })

  it('also when it runs on the raw relay and was led to a direct path where it never came', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    pilot.move('relay-ws')
    assert.deepEqual(pilot.wake(), ['tcp'])
    pilot.tried(true)
    assert.equal(pilot.rest, 3_000)
    assert.deepEqual(pilot.wake(), ['tcp'])
  })

  it('with rests no longer than they may be', () => {
    const pilot = new Pilot({ longestRest: 3_000 })
    pilot.on('relay')
    for (const rest of [1, 2, 3, 3]) {
      pilot.tried(false)
      assert.equal(pilot.rest, rest * 1_000)
      pilot.wake()
    }
  })

  it('not while it runs on the best kind there is', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    pilot.move('tcp')
    assert.equal(pilot.rest, undefined)
  })

  it('again after rests that grow while it runs on the raw relay, however it came there', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    pilot.move('relay-ws')
    for (const rest of [1, 2, 4, 8]) {
      assert.equal(pilot.rest, rest * FIRST_REST)
      assert.deepEqual(pilot.wake(), ['tcp'])
      pilot.tried(false)
    }
  })

  it('after a rest that grows, when what it came to does not last', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    for (const rest of [1, 2, 4]) {
      pilot.move('tcp')
      pilot.pass(GOOD_AFTER - 1)
      pilot.on(undefined)
      pilot.on('relay')
      assert.equal(pilot.rest, rest * FIRST_REST)
      assert.deepEqual(pilot.wake(), BOTH)
    }
  })

  it('after one second again, when what it came to was good for a minute', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    for (let round = 0; round < 5; round++) {
      pilot.tried(false)
      pilot.wake()
    }
    pilot.move('tcp')
    pilot.pass(GOOD_AFTER)
    pilot.on('relay')
    assert.equal(pilot.rest, FIRST_REST)
    pilot.wake()
    pilot.tried(false)
    assert.equal(pilot.rest, 2 * FIRST_REST)
  })

  it('without a failure being counted when the link comes to the path before the try is said to be over, or after it', () => {
    for (const early of [true, false]) {
      const pilot = new Pilot()
      pilot.on('relay')
      if (early) {
        pilot.on('tcp')
        pilot.tried(true)
      } else {
        pilot.tried(true)
        pilot.on('tcp')
      }
      assert.equal(pilot.rest, undefined)
      pilot.on(undefined)
      pilot.on('relay')
      assert.equal(pilot.rest, FIRST_REST)
    }
  })

  it('when the direct path is left for the one that the link ran on before, after one more rest', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    pilot.move('relay-ws')
    pilot.wake()
    pilot.move('tcp')
    pilot.on('relay-ws')
    assert.equal(pilot.rest, 2 * FIRST_REST)
  })

  it('never again when the other peer knows nothing of it', () => {
    const pilot = new Pilot()
    pilot.on('relay')
    assert.equal(pilot.tell({ type: 'unsupported' }), undefined)
    const events: PolicyEvent[] = [
      { type: 'tried', nominated: false }, { type: 'path', kind: undefined }, { type: 'path', kind: 'relay' }
    ]
    for (const event of events) {
      pilot.pass(LONGEST_REST)
      assert.equal(pilot.tell(event), undefined)
      assert.equal(pilot.rest, undefined)
    }
  })
})

const anyEvent: fc.Arbitrary<PolicyEvent | 'rest' | 'over'> = fc.oneof(
  fc.record({
    type: fc.constant('path' as const), kind: fc.constantFrom<PathKind | undefined>('tcp', 'relay-ws', 'relay', undefined)
  }),
  fc.constant({ type: 'wake' as const }),
  fc.constantFrom('rest' as const, 'over' as const)
)
const BETTER = { tcp: [], 'relay-ws': ['tcp'], relay: BOTH, webrtc: [] } as const

describe('Whatever happens to a link', () => {
  it('there is one try at a time, when it said it would be, of what is better than what the link runs on', () => {
    const step = fc.record({ event: anyEvent, nominated: fc.boolean(), pause: fc.nat({ max: 90_000 }) })
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const pilot = new Pilot()
      let trying = false
      let kind: PathKind | undefined
      for (const { event, nominated, pause } of steps) {
        if (event === 'rest') {
          pilot.pass(pilot.rest == null ? pause : Math.max(0, pilot.rest))
        } else {
          pilot.pass(pause)
        }
        const due = pilot.rest
        let told: PolicyEvent = { type: 'wake' }
        if (event === 'over') {
          told = { type: 'tried', nominated }
        } else if (event !== 'rest') {
          told = event
        }
        if (told.type === 'tried') {
          if (!trying) {
            continue
          }
          trying = false
        }
        kind = told.type === 'path' ? told.kind : kind
        const tried = pilot.tell(told)
        if (told.type === 'wake') {
          assert.equal(tried != null, due != null && due <= 0, 'it tries exactly when it wanted to be woken')
        }
        if (tried != null) {
          assert.equal(trying, false, 'one at a time')
          assert.ok(kind != null)
          assert.deepEqual(tried, BETTER[kind])
          trying = true
        }
        const { rest } = pilot
        assert.ok(rest == null || (!trying && rest <= Math.max(LONGEST_REST, INTERVAL) && kind != null), `a rest of ${rest}`)
        assert.ok(rest != null || trying || kind == null || BETTER[kind].length === 0 || kind === 'relay', 'it is not forgotten')
      }
    }), { numRuns: 1_000 })
  })

  it('a link on a star that was once tried is tried again', () => {
    const step = fc.record({ event: anyEvent, nominated: fc.boolean(), pause: fc.nat({ max: 90_000 }) })
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const pilot = new Pilot()
      let trying = pilot.on('relay') != null
      for (const { event, nominated, pause } of steps) {
        pilot.pass(pause)
        if (typeof event !== 'string') {
          trying = pilot.tell(event) != null || trying
        } else if (event === 'over' && trying) {
          trying = pilot.tried(nominated) != null
        }
      }
      if (trying) {
        pilot.tried(false)
      }
      assert.notEqual(pilot.on('relay') ?? pilot.rest, undefined)
    }), { numRuns: 1_000 })
  })
})
