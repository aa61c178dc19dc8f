// The names of stream events: there and back, and nothing taken for a name that is none.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CHUNK_COST, chunkCost, eventName, isCredit, otherSide, parseEventName } from '../../../src/pull-stream/protocol.ts'

const KINDS = ['accept', 'queue', 'error', 'credit', 'abort'] as const
const kind = fc.constantFrom(...KINDS)
const side = fc.constantFrom('dialer' as const, 'listener' as const)

describe('The name of a stream event', () => {
  it('is the original\'s', () => {
    const id = '8e2a3a2c-9d4b-4bd5-8f0e-6c7a4f6f7b1d'
    assert.equal(eventName('queue', id, 'dialer'), `socket.io-pull-stream.queue.${id}.dialer`)
    assert.equal(eventName('accept', id, 'listener'), `socket.io-pull-stream.accept.${id}.listener`)
  })

  it('comes back with its parts, whatever the id: dots, line feeds, other names', () => {
    const part = fc.constantFrom('.', '..', 'dialer', 'listener', '.queue.', '\n', 'socket.io-pull-stream.', 'ä', ' ')
    const id = fc.oneof(fc.string({ minLength: 1 }), fc.array(part, { minLength: 1 }).map(parts => parts.join('')))
    fc.assert(fc.property(kind, id, side, (aKind, anId, aSide) => {
      assert.deepEqual(parseEventName(eventName(aKind, anId, aSide)), { kind: aKind, id: anId, side: aSide })
    }), { numRuns: 500 })
  })

  it('is none in anything else, and never throws', () => {
    for (const name of [
      '', '.', 'ss-join', 'socket.io-pull-stream', 'socket.io-pull-stream.', 'socket.io-pull-stream..',
      'socket.io-pull-stream.queue',
      'socket.io-pull-stream.queueX', 'socket.io-pull-stream.queue.dialer', 'socket.io-pull-stream.queue..dialer',
      'socket.io-pull-stream.queue.id', 'socket.io-pull-stream.queue.id.', 'socket.io-pull-stream.queue.id.writer',
      'socket.io-pull-stream.Queue.id.dialer', 'socket.io-pull-stream.flush.id.dialer', 'socket.io-pull-stream..id.dialer',
      'socket.io-pull-stream.constructor.id.dialer', ' socket.io-pull-stream.queue.id.dialer',
      'socket.io-pull-stream.queue.id.dialer '
    ]) {
      assert.equal(parseEventName(name), undefined, name)
    }
  })

  it('is a text: socket.io lets other things pass', () => {
    fc.assert(fc.property(fc.anything().filter(value => typeof value !== 'string'), value => {
      assert.equal(parseEventName(value), undefined)
    }))
  })

  it('is written back as it was read, whenever it is one', () => {
    const part = fc.constantFrom('socket.io-pull-stream', '.', ...KINDS, 'dialer', 'listener', 'id', '')
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(part).map(parts => parts.join(''))), name => {
      const event = parseEventName(name)
      assert.equal(event == null ? name : eventName(event.kind, event.id, event.side), name)
      assert.notEqual(event?.id, '')
    }), { numRuns: 1_000 })
  })
})

describe('Credit', () => {
  it('is a whole number above 0', () => {
    for (const value of [1, 65_536, Number.MAX_SAFE_INTEGER]) {
      assert.equal(isCredit(value), true)
    }
    for (const value of [0, -1, 0.5, Number.NaN, Infinity, 2 ** 53, '1', 1n, null, undefined, [1], {}]) {
      assert.equal(isCredit(value), false)
    }
  })

  it('is spent by every chunk, the empty one too', () => {
    assert.equal(chunkCost(0), CHUNK_COST)
    assert.equal(chunkCost(1_000), 1_000 + CHUNK_COST)
  })
})

describe('A side', () => {
  it('has another', () => {
    assert.deepEqual([otherSide('dialer'), otherSide('listener')], ['listener', 'dialer'])
  })
})
