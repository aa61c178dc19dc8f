// One end of a stream alone: credit, windows, how each half ends, and what is not forgiven.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { REASONS, StarError } from '../../../src/errors.ts'
import { Endpoint } from '../../../src/pull-stream/endpoint.ts'
import { CHUNK_COST, INITIAL_CREDIT } from '../../../src/pull-stream/protocol.ts'
import type { EndpointOutput } from '../../../src/pull-stream/endpoint.ts'
import type { Reason } from '../../../src/errors.ts'

const WINDOW = 100_000
const RESET = new StarError('ERR_STREAM_RESET')

function dialer (): Endpoint {
  return new Endpoint({ side: 'dialer', window: WINDOW })
}

/** Outputs in short: what is sent with its half and payload, everything else by name and code. */
function short (outputs: readonly EndpointOutput[]): unknown[] {
  return outputs.map(output => {
    switch (output.do) {
      case 'send': {
        const { kind, side, payload } = output
        return `${kind}.${side} ${payload instanceof Uint8Array ? payload.length : String(payload)}`
      }
      case 'deliver':
        return `deliver ${output.bytes.length}`
      case 'unread':
        return `unread ${output.error.code}`
      case 'closed':
        return `closed ${output.error?.code ?? 'well'}`
      case 'writable':
      case 'ended':
        return output.do
    }
  })
}

describe('An end of a stream', () => {
  it('asks for the other\'s bytes with its window', () => {
    assert.deepEqual(short(dialer().accept()), [`accept.listener ${WINDOW}`])
    assert.deepEqual(short(new Endpoint({ side: 'listener', window: 5 }).accept()), ['accept.dialer 5'])
  })

  it('may write the initial credit before it is accepted, and no more', () => {
    const end = dialer()
    assert.equal(end.credit, INITIAL_CREDIT - CHUNK_COST)
    assert.deepEqual(short(end.write(new Uint8Array(end.credit))), [`queue.dialer ${INITIAL_CREDIT - CHUNK_COST}`])
    assert.equal(end.credit, 0)
    assert.throws(() => end.write(new Uint8Array(1)), { code: 'ERR_BUDGET' })
  })

  it('may write the window when it is accepted, less what it wrote', () => {
    const end = dialer()
    end.write(new Uint8Array(1_000))
    end.receive('accept', 'dialer', 200_000)
    assert.equal(end.credit, 200_000 - 1_000 - 2 * CHUNK_COST)
    assert.deepEqual(end.receive('accept', 'dialer', 900_000), []) // once
    assert.equal(end.credit, 200_000 - 1_000 - 2 * CHUNK_COST)
  })

  it('takes back credit that the window doesn\'t cover, and none below nothing', () => {
    const end = dialer()
    end.write(new Uint8Array(10_000))
    end.receive('accept', 'dialer', 1_000)
    assert.equal(end.credit, 0)
    end.receive('credit', 'dialer', 20_000)
    assert.equal(end.credit, 1_000 - 10_000 - CHUNK_COST + 20_000 - CHUNK_COST)
  })

  it('keeps the initial credit when it is accepted without a window', () => {
    for (const nonsense of [undefined, null, -1, 0.5, '9', {}]) {
      const end = dialer()
      end.receive('accept', 'dialer', nonsense)
      assert.equal(end.credit, INITIAL_CREDIT - CHUNK_COST)
    }
  })

  it('says once that it is writable again, and only when somebody waits', () => {
    const end = dialer()
    assert.deepEqual(end.receive('credit', 'dialer', 10), [])
    end.write(new Uint8Array(end.credit))
    end.want()
    assert.deepEqual(short(end.receive('credit', 'dialer', CHUNK_COST)), []) // not enough for a single byte
    assert.deepEqual(short(end.receive('credit', 'dialer', 1)), ['writable'])
    assert.deepEqual(short(end.receive('credit', 'dialer', 1_000)), [])
  })

  it('grants credit again when a part of the window was consumed, chunk costs included', () => {
    const end = dialer()
    const bytes = WINDOW / 8 - CHUNK_COST
    for (let chunk = 0; chunk < 4; chunk++) {
      assert.deepEqual(short(end.receive('queue', 'listener', new Uint8Array(bytes))), [`deliver ${bytes}`])
    }
    assert.deepEqual(end.consumed(bytes), [])
    assert.deepEqual(short(end.consumed(bytes)), [`credit.listener ${WINDOW / 4}`])
    assert.deepEqual(end.consumed(bytes), [])
  })

  it('grants nothing when nothing more can come', () => {
    const end = dialer()
    end.receive('queue', 'listener', new Uint8Array(WINDOW / 2))
    end.receive('error', 'listener', true)
    assert.deepEqual(end.consumed(WINDOW / 2), [])
  })

  it('takes bytes as Node and as browsers give them', () => {
    for (const payload of [Buffer.from('abc'), new Uint8Array(3), new ArrayBuffer(3)]) {
      assert.deepEqual(short(dialer().receive('queue', 'listener', payload)), ['deliver 3'])
    }
  })

  it('ends its half, then the other\'s ends: over in good order', () => {
    const end = dialer()
    assert.deepEqual(short(end.end()), ['error.dialer true'])
    assert.deepEqual([end.credit, end.writable, end.closed], [0, false, false])
    assert.deepEqual(end.end(), [])
    assert.throws(() => end.write(new Uint8Array(1)), { code: 'ERR_STREAM_CLOSED' })
    assert.deepEqual(short(end.receive('queue', 'listener', new Uint8Array(2))), ['deliver 2'])
    assert.deepEqual(short(end.receive('error', 'listener', true)), ['ended', 'closed well'])
    assert.equal(end.closed, true)
  })

  it('can still write when the other has ended its half', () => {
    const end = dialer()
    assert.deepEqual(short(end.receive('error', 'listener', true)), ['ended'])
    assert.deepEqual(short(end.write(new Uint8Array(2))), ['queue.dialer 2'])
    assert.deepEqual(short(end.end()), ['error.dialer true', 'closed well'])
  })

  it('stops reading: the writer is told, what still comes is dropped, and writing goes on', () => {
    const end = dialer()
    assert.deepEqual(short(end.stopReading()), ['abort.listener ERR_STREAM_RESET'])
    assert.deepEqual(end.stopReading(), [])
    assert.deepEqual(end.receive('queue', 'listener', new Uint8Array(2)), [])
    assert.deepEqual(end.receive('error', 'listener', true), [])
    assert.deepEqual(short(end.write(new Uint8Array(2))), ['queue.dialer 2'])
    assert.deepEqual(short(end.end()), ['error.dialer true', 'closed well'])
  })

  it('is read no more: the writer hears why, once, and reading goes on', () => {
    const end = dialer()
    assert.deepEqual(short(end.receive('abort', 'dialer', 'ERR_STALLED')), ['unread ERR_STALLED'])
    assert.deepEqual(end.receive('abort', 'dialer', 'ERR_STALLED'), [])
    assert.equal(end.writable, false)
    assert.deepEqual(short(end.receive('queue', 'listener', new Uint8Array(2))), ['deliver 2'])
    assert.deepEqual(short(end.receive('error', 'listener', true)), ['ended', 'closed well'])
  })

  it('breaks both halves off and tells the other end, of those that are still open', () => {
    const told = ['error.dialer ERR_STREAM_RESET', 'abort.listener ERR_STREAM_RESET', 'closed ERR_STREAM_RESET']
    assert.deepEqual(short(dialer().reset(RESET)), told)
    const ended = dialer()
    ended.end()
    assert.deepEqual(short(ended.reset(RESET)), ['abort.listener ERR_STREAM_RESET', 'closed ERR_STREAM_RESET'])
    assert.deepEqual(ended.reset(RESET), [])
    const read = dialer()
    read.receive('error', 'listener', true)
    assert.deepEqual(short(read.reset(RESET)), ['error.dialer ERR_STREAM_RESET', 'closed ERR_STREAM_RESET'])
  })

  it('is broken by an error of the other, and ends its own half too, which nobody else would', () => {
    const outputs = dialer().receive('error', 'listener', 'ERR_STALLED')
    assert.deepEqual(short(outputs), ['error.dialer ERR_STALLED', 'closed ERR_STALLED'])
    const ended = dialer()
    ended.end()
    assert.deepEqual(short(ended.receive('error', 'listener', 'ERR_PEER_GONE')), ['closed ERR_PEER_GONE'])
  })

  it('tells nobody when it is lost', () => {
    const end = dialer()
    assert.deepEqual(short(end.lose(new StarError('ERR_STAR_LOST'))), ['closed ERR_STAR_LOST'])
    assert.deepEqual(end.lose(new StarError('ERR_STAR_LOST')), [])
    assert.equal(end.closed, true)
  })

  it('reads a known code as that and anything else as a reset, cut to length', () => {
    const reasonOf = (payload: unknown): StarError | undefined => {
      const closed = dialer().receive('error', 'listener', payload).at(-1)
      return closed?.do === 'closed' ? closed.error : undefined
    }
    for (const code of Object.keys(REASONS) as Reason[]) {
      assert.equal(reasonOf(code)?.code, code)
    }
    for (const payload of [{}, null, undefined, false, 1, 'no code', ['ERR_STALLED']]) {
      assert.equal(reasonOf(payload)?.code, 'ERR_STREAM_RESET')
    }
    assert.equal(reasonOf('x'.repeat(99_999))?.message, `${REASONS.ERR_STREAM_RESET} (${'x'.repeat(256)})`)
  })

  const misfits: ReadonlyArray<readonly [string, Parameters<Endpoint['receive']>]> = [
    ['bytes of its own half', ['queue', 'dialer', new Uint8Array(1)]],
    ['the end of its own half', ['error', 'dialer', true]],
    ['credit for the other\'s half', ['credit', 'listener', 1]],
    ['an accept of the other\'s half', ['accept', 'listener', 1]],
    ['an abort of the other\'s half', ['abort', 'listener', 'ERR_STALLED']],
    ['credit that is none', ['credit', 'dialer', -1]],
    ['bytes that are none', ['queue', 'listener', 'text']],
    ['a list of numbers for bytes', ['queue', 'listener', { 0: 1, length: 1 }]]
  ]
  for (const [what, args] of misfits) {
    it(`doesn't forgive ${what}`, () => {
      const end = dialer()
      const told = ['error.dialer ERR_PROTOCOL', 'abort.listener ERR_PROTOCOL', 'closed ERR_PROTOCOL']
      assert.deepEqual(short(end.receive(...args)), told)
      assert.deepEqual(end.receive(...args), []) // when it is over nothing matters any more
    })
  }

  it('takes any number of bytes of a writer that waits for its reader', () => {
    const end = dialer()
    for (let chunk = 0; chunk < 1_000; chunk++) {
      assert.deepEqual(short(end.receive('queue', 'listener', new Uint8Array(9_000))), ['deliver 9000'])
      end.consumed(9_000)
    }
  })

  it('gives a stream up whose writer sends far more than the window, tiny chunks included', () => {
    for (const size of [0, 1, 60_000]) {
      const end = dialer()
      let cost = 0
      let outputs: unknown[] = []
      while (!end.closed) {
        outputs = short(end.receive('queue', 'listener', new Uint8Array(size)))
        cost += size + CHUNK_COST
        assert.equal(cost < WINDOW + 2_200_000, true)
      }
      assert.equal(outputs.at(-1), 'closed ERR_BUDGET')
      assert.equal(cost > WINDOW + 2_000_000, true)
    }
  })
})

describe('An end under any order of calls and events', () => {
  it('never throws on what comes, and says closed exactly once, last', () => {
    const event = fc.record({
      kind: fc.constantFrom('accept' as const, 'queue' as const, 'error' as const, 'credit' as const, 'abort' as const),
      side: fc.constantFrom('dialer' as const, 'listener' as const, 'listener' as const),
      payload: fc.oneof(
        fc.nat(9_999), fc.constantFrom<unknown>(true, new Uint8Array(9), 'ERR_STALLED'), fc.anything({ maxDepth: 1 })
      )
    })
    const call = fc.constantFrom(...['end', 'stopReading', 'reset', 'lose', 'write', 'want'] as const)
    const step = fc.oneof({ weight: 4, arbitrary: event }, { weight: 1, arbitrary: call })
    fc.assert(fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const end = dialer()
      const outputs: EndpointOutput[] = []
      for (const step of steps) {
        if (typeof step === 'object') {
          outputs.push(...end.receive(step.kind, step.side, step.payload))
        } else if (step === 'write') {
          outputs.push(...end.credit > 0 ? end.write(new Uint8Array(Math.min(9, end.credit))) : [])
        } else if (step === 'want') {
          end.want()
        } else {
          outputs.push(...step === 'reset' || step === 'lose' ? end[step](RESET) : end[step]())
        }
      }
      const closings = outputs.flatMap((output, index) => output.do === 'closed' ? [index] : [])
      assert.deepEqual(closings, end.closed ? [outputs.length - 1] : [])
      const ends = outputs.filter(output => output.do === 'send' && output.kind === 'error')
      assert.equal(ends.length <= 1, true)
    }), { numRuns: 1_000 })
  })
})
