// The relay and those who break its rules: nobody reaches a stranger's stream, sends more than the reader wants, or is believed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CHUNK_COST, INITIAL_CREDIT } from '../../../src/pull-stream/protocol.ts'
import { Relayed, bounds, short } from '../../support/relayed.ts'

const KINDS = ['accept', 'queue', 'error', 'credit', 'abort'] as const
const SIDES = ['dialer', 'listener'] as const
const chunk = (size: number): Uint8Array => new Uint8Array(size)
const BROKEN = [
  'a abort.dialer ERR_BUDGET', 'a error.listener ERR_BUDGET', 'b abort.listener ERR_BUDGET', 'b error.dialer ERR_BUDGET',
  'broken ERR_BUDGET'
]

describe('A star writer', () => {
  it('that sends more than the initial credit before it is accepted loses its stream', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    assert.equal(relayed.frame('a', 'queue', 'dialer', chunk(INITIAL_CREDIT - CHUNK_COST)).length, 1)
    assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(0))).toSorted(), BROKEN)
    assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [0, 0])
  })

  it('that sends more than the window loses its stream, and what is one too many isn\'t passed on', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'accept', 'dialer', 100_000)
    assert.equal(relayed.frame('a', 'queue', 'dialer', chunk(100_000 - CHUNK_COST)).length, 1)
    assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(1))).toSorted(), BROKEN)
  })

  it('that floods with tiny chunks is bounded like any other', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'accept', 'dialer', bounds.pairBudget)
    let passed = 0
    while (relayed.relay.size > 0) {
      passed += relayed.frame('a', 'queue', 'dialer', chunk(0)).length === 1 ? 1 : 0
    }
    assert.equal(passed, Math.floor(bounds.pairBudget / CHUNK_COST))
  })

  it('that sends what isn\'t bytes loses its stream', () => {
    for (const payload of ['text', 1, null, undefined, {}, [1, 2], { length: 2 }, true]) {
      const relayed = new Relayed()
      relayed.open('ss')
      assert.equal(short(relayed.frame('a', 'queue', 'dialer', payload)).includes('broken ERR_PROTOCOL'), true)
      assert.equal(relayed.relay.size, 0)
    }
  })
})

describe('A star reader', () => {
  it('can\'t grant what was never sent', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'accept', 'dialer', 100_000)
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', Number.MAX_SAFE_INTEGER)), [])
    relayed.frame('a', 'queue', 'dialer', chunk(20_000))
    const granted = relayed.frame('b', 'credit', 'dialer', Number.MAX_SAFE_INTEGER)
    assert.deepEqual(short(granted), [`a credit.dialer ${20_000 + CHUNK_COST}`])
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 50_000)), [])
  })

  it('grants nothing by credit that is none', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('a', 'queue', 'dialer', chunk(50_000))
    for (const payload of [-50_000, 0, 0.5, Number.NaN, Infinity, '50000', null, undefined, {}]) {
      assert.deepEqual(relayed.frame('b', 'credit', 'dialer', payload), [])
    }
    assert.equal(relayed.relay.inFlight, 50_000 + CHUNK_COST)
  })

  it('doesn\'t widen its window by accepting twice', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'accept', 'dialer', 70_000)
    assert.deepEqual(relayed.frame('b', 'accept', 'dialer', 200_000), [])
    assert.equal(short(relayed.frame('a', 'queue', 'dialer', chunk(70_000))).includes('broken ERR_BUDGET'), true)
  })
})

describe('A stranger', () => {
  it('who knows a stream\'s id neither writes, reads nor ends it', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.open('ss', 'theirs', 'c', 'd')
    for (const kind of KINDS) {
      for (const side of SIDES) {
        for (const payload of [chunk(1), true, 1_000, 'ERR_STREAM_RESET']) {
          assert.deepEqual(relayed.frame('c', kind, side, payload), [])
          assert.deepEqual(relayed.frame('nobody', kind, side, payload), [])
        }
      }
    }
    assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [2, 0])
  })
})

describe('Either end', () => {
  it('has no say in what is the other\'s: frames in the wrong direction do nothing', () => {
    for (const generations of ['ss', 'oo', 'so', 'os']) {
      const relayed = new Relayed()
      relayed.open(generations)
      for (const [socket, own] of [['a', 'dialer'], ['b', 'listener']] as const) {
        const other = own === 'dialer' ? 'listener' : 'dialer'
        for (const kind of ['accept', 'credit', 'abort'] as const) {
          assert.deepEqual(relayed.frame(socket, kind, own, 1_000), [])
        }
        assert.deepEqual(relayed.frame(socket, 'queue', other, chunk(9)), [])
        assert.deepEqual(relayed.frame(socket, 'error', other, true), [])
      }
      assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [1, 0])
    }
  })

  it('is heard no more about a stream that is over or never was', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.relay.cancel('a', 'id', 'ERR_DIAL_REFUSED')
    for (const id of ['id', 'never', '', 'a.b', '__proto__']) {
      for (const kind of KINDS) {
        assert.deepEqual(relayed.frame('a', kind, 'dialer', chunk(1), id), [])
      }
    }
  })

  it('gets reasons of bounded length, in the form that its generation knows', () => {
    const told = (generations: string, reason: unknown): unknown => {
      const relayed = new Relayed()
      relayed.open(generations)
      const [output] = relayed.frame('a', 'error', 'dialer', reason)
      return output?.do === 'emit' ? output.payload : undefined
    }
    for (const generations of ['ss', 'oo']) {
      assert.equal(told(generations, 'x'.repeat(1_000_000)), 'x'.repeat(256))
      assert.equal(told(generations, 'no more'), 'no more')
      assert.equal(told(generations, true), true)
    }
    for (const reason of [{ huge: 'x'.repeat(1_000_000) }, {}, null, undefined, 7, [1], chunk(1_000_000)]) {
      assert.equal(told('ss', reason), 'ERR_STREAM_RESET')
      assert.deepEqual(told('oo', reason), {})
    }
    const relayed = new Relayed()
    relayed.open('ss')
    assert.deepEqual(short(relayed.frame('b', 'abort', 'dialer', 'y'.repeat(9_999))), [`a abort.dialer ${'y'.repeat(256)}`])
  })
})

describe('A relay under any frames', () => {
  it('never throws, never sends to who isn\'t concerned, and is empty when everybody has gone', () => {
    const socket = fc.constantFrom('a', 'b', 'c')
    const payload = fc.oneof(
      fc.nat(100_000).map(chunk), fc.nat(300_000), fc.constant(true), fc.string(), fc.anything({ maxDepth: 1 })
    )
    const frame = fc.record({
      socket,
      payload,
      kind: fc.constantFrom(...KINDS, 'queue' as const, 'queue' as const),
      side: fc.constantFrom(...SIDES),
      id: fc.constantFrom('1', '2')
    })
    const opening = fc.record({
      do: fc.constant('open' as const), id: fc.constantFrom('1', '2'), ends: fc.constantFrom('ab', 'bc', 'ca', 'ba')
    })
    const step = fc.oneof(
      { weight: 12, arbitrary: frame.map(one => ({ do: 'frame' as const, ...one })) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('flush' as const), age: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), time: fc.nat(30_000) }) },
      { weight: 1, arbitrary: opening }
    )
    const generation = fc.constantFrom('o', 's')
    fc.assert(fc.property(generation, generation, generation, fc.array(step, { maxLength: 60 }), (a, b, c, steps) => {
      const generations: Record<string, string> = { a, b, c }
      const relayed = new Relayed()
      const paused = new Set<string>()
      const flights: Array<ReturnType<Relayed['frame']>> = []
      const open = (ends: string, id: string): void => {
        const [from = '', to = ''] = ends
        relayed.open(`${generations[from]}${generations[to]}`, id, from, to)
      }
      const observe = (outputs: ReturnType<Relayed['frame']>): void => {
        flights.push(outputs)
        for (const output of outputs) {
          if (output.do === 'pause') {
            assert.equal(generations[output.socket], 'o')
            assert.equal(paused.has(output.socket), false)
            paused.add(output.socket)
          } else if (output.do === 'resume') {
            assert.equal(paused.delete(output.socket), true)
          } else if (output.do === 'emit') {
            assert.equal(generations[output.socket] === 's' || !['credit', 'abort'].includes(output.kind), true)
            const { half } = output
            assert.equal(half == null || half.inFlight <= (half.writer.original ? 2 * bounds.pairBudget : half.window), true)
          }
        }
      }
      open('ab', '1')
      open('bc', '2')
      for (const one of steps) {
        if (one.do === 'frame') {
          observe(relayed.frame(one.socket, one.kind, one.side, one.payload, one.id))
        } else if (one.do === 'flush') {
          observe(relayed.flush(flights.splice(one.age, 1).flat()))
        } else if (one.do === 'open') {
          open(one.ends, one.id)
        } else {
          relayed.now += one.time
          observe(relayed.wake())
          assert.equal((relayed.relay.wakeAt ?? Infinity) > relayed.now, true)
        }
        assert.equal(relayed.relay.inFlight >= 0, true)
        assert.equal((relayed.relay.wakeAt == null) === (paused.size === 0), true)
      }
      for (const gone of ['a', 'b', 'c']) {
        observe(relayed.disconnect(gone))
      }
      assert.deepEqual([relayed.relay.size, relayed.relay.inFlight, relayed.relay.wakeAt, paused.size], [0, 0, undefined, 0])
    }), { numRuns: 400 })
  })
})
