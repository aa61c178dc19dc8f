// The relay frame by frame: who hears what, for all generations, and how streams end.
import assert from 'node:assert/strict'
import { CHUNK_COST, INITIAL_CREDIT } from '../../../src/pull-stream/protocol.ts'
import { Relayed, bounds, short } from '../../support/relayed.ts'

const chunk = (size: number): Uint8Array => new Uint8Array(size)

describe('A relayed stream', () => {
  for (const generations of ['ss', 'so', 'os', 'oo']) {
    it(`passes bytes and ends both ways in order (${generations})`, () => {
      const relayed = new Relayed()
      assert.equal(relayed.open(generations), undefined)
      assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(10))), ['b queue.dialer 10'])
      assert.deepEqual(short(relayed.frame('b', 'queue', 'listener', chunk(0))), ['a queue.listener 0'])
      assert.deepEqual(short(relayed.frame('a', 'error', 'dialer', true)), ['b error.dialer true'])
      assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(10))), [])
      assert.deepEqual(short(relayed.frame('b', 'queue', 'listener', chunk(5))), ['a queue.listener 5'])
      assert.equal(relayed.relay.size, 1)
      assert.deepEqual(short(relayed.frame('b', 'error', 'listener', true)), ['a error.listener true'])
      assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [0, 0])
    })
  }

  it('passes the very bytes on, with their half to report them by', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    const payload = chunk(3)
    const [output] = relayed.frame('a', 'queue', 'dialer', payload)
    assert.equal(output?.do === 'emit' && output.payload, payload)
    assert.equal(output?.do === 'emit' && output.half?.side, 'dialer')
  })

  it('is accepted once, with the window that the reader wishes, inside of what the star allows', () => {
    for (const [wish, window] of [
      [100_000, 100_000], [1_000_000, bounds.pairBudget], [10, INITIAL_CREDIT], [undefined, bounds.pairBudget],
      [-1, bounds.pairBudget]
    ] as const) {
      const relayed = new Relayed()
      relayed.open('ss')
      assert.deepEqual(short(relayed.frame('b', 'accept', 'dialer', wish)), [`a accept.dialer ${window}`])
      assert.deepEqual(short(relayed.frame('b', 'accept', 'dialer', wish)), [])
    }
  })

  it('is accepted for an original reader by the star\'s budget, and towards an original writer without a word', () => {
    const relayed = new Relayed()
    relayed.open('so')
    assert.deepEqual(short(relayed.frame('b', 'accept', 'dialer')), [`a accept.dialer ${bounds.pairBudget}`])
    assert.deepEqual(short(relayed.frame('a', 'accept', 'listener', 100_000)), ['b accept.listener'])
  })

  it('is granted credit by a star reader, in parts that are worth a message', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'accept', 'dialer', 80_000)
    relayed.frame('a', 'queue', 'dialer', chunk(40_000))
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 9_999)), [])
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 2)), ['a credit.dialer 10001'])
    assert.equal(relayed.relay.inFlight, 40_000 + CHUNK_COST - 10_001)
  })

  it('is granted credit for an original reader by what has left the process', () => {
    const relayed = new Relayed()
    relayed.open('so')
    relayed.frame('b', 'accept', 'dialer')
    const sent = relayed.frame('a', 'queue', 'dialer', chunk(50_000))
    assert.deepEqual(short(relayed.flush(sent)), [`a credit.dialer ${50_000 + CHUNK_COST}`])
    assert.equal(relayed.relay.inFlight, 0)
  })

  it('is granted nothing any more when its half is over, whatever is still on the way', () => {
    const relayed = new Relayed()
    relayed.open('so')
    const sent = relayed.frame('a', 'queue', 'dialer', chunk(50_000))
    relayed.frame('a', 'error', 'dialer', true)
    assert.deepEqual(relayed.flush(sent), [])
    assert.deepEqual(relayed.frame('b', 'credit', 'dialer', 50_000), [])
  })

  it('counts nothing by flushing for a star reader, nor by credit from an original one', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.open('so', 'other', 'a', 'c')
    assert.deepEqual(relayed.flush(relayed.frame('a', 'queue', 'dialer', chunk(50_000))), [])
    relayed.frame('a', 'queue', 'dialer', chunk(50_000), 'other')
    assert.deepEqual(relayed.frame('c', 'credit', 'dialer', 50_000, 'other'), [])
    assert.equal(relayed.relay.inFlight, 2 * (50_000 + CHUNK_COST))
  })

  it('passes an abort on to a star writer, and ends the half silently for an original one', () => {
    const relayed = new Relayed()
    relayed.open('so')
    assert.deepEqual(short(relayed.frame('a', 'abort', 'listener', 'ERR_STREAM_RESET')), [])
    assert.deepEqual(short(relayed.frame('b', 'queue', 'listener', chunk(1))), [])
    assert.equal(relayed.relay.size, 1)
    const both = new Relayed()
    both.open('ss')
    assert.deepEqual(short(both.frame('b', 'abort', 'dialer', 'ERR_STREAM_RESET')), ['a abort.dialer ERR_STREAM_RESET'])
    assert.deepEqual(short(both.frame('b', 'error', 'listener', true)), ['a error.listener true'])
    assert.equal(both.relay.size, 0)
  })

  it('tells each end in its own way that the other has lost its connection', () => {
    const told = (generations: string, gone: string): string[] => {
      const relayed = new Relayed()
      relayed.open(generations)
      const outputs = short(relayed.disconnect(gone))
      assert.equal(relayed.relay.size, 0)
      assert.deepEqual(relayed.disconnect(gone), [])
      return outputs.toSorted()
    }
    assert.deepEqual(told('ss', 'b'), ['a abort.dialer ERR_PEER_GONE', 'a error.listener ERR_PEER_GONE'])
    assert.deepEqual(told('so', 'b'), ['a abort.dialer ERR_PEER_GONE', 'a error.listener ERR_PEER_GONE'])
    assert.deepEqual(told('os', 'b'), ['a error.listener true'])
    assert.deepEqual(told('oo', 'a'), ['b error.dialer true'])
    assert.deepEqual(told('ss', 'a'), ['b abort.listener ERR_PEER_GONE', 'b error.dialer ERR_PEER_GONE'])
  })

  it('tells only of halves that were open when a connection is lost', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    relayed.frame('b', 'error', 'listener', true)
    assert.deepEqual(short(relayed.disconnect('b')), ['a abort.dialer ERR_PEER_GONE'])
  })

  it('is cancelled with its reason when the dial came to nothing', () => {
    const relayed = new Relayed()
    relayed.open('so')
    assert.deepEqual(short(relayed.relay.cancel('a', 'id', 'ERR_DIAL_TIMEOUT')).toSorted(), [
      'a abort.dialer ERR_DIAL_TIMEOUT', 'a error.listener ERR_DIAL_TIMEOUT', 'b error.dialer ERR_DIAL_TIMEOUT',
      'broken ERR_DIAL_TIMEOUT'
    ])
    assert.deepEqual(relayed.relay.cancel('a', 'id', 'ERR_DIAL_TIMEOUT'), [])
    assert.deepEqual(relayed.relay.cancel('nobody', 'id', 'ERR_DIAL_TIMEOUT'), [])
    assert.equal(relayed.relay.size, 0)
  })

  it('disappears with one of its sockets and leaves the streams of others alone', () => {
    const relayed = new Relayed()
    relayed.open('ss', 'one')
    relayed.open('ss', 'two', 'b', 'c')
    relayed.open('ss', 'three', 'c', 'a')
    relayed.frame('b', 'queue', 'dialer', chunk(10), 'two')
    relayed.disconnect('a')
    assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [1, 10 + CHUNK_COST])
    relayed.disconnect('c')
    assert.deepEqual([relayed.relay.size, relayed.relay.inFlight], [0, 0])
  })
})

describe('The bounds of a relay', () => {
  it('refuse an id that either end has in use, and only while it is', () => {
    const relayed = new Relayed()
    relayed.open('ss')
    assert.equal(relayed.open('ss'), 'ERR_DIAL_ID')
    assert.equal(relayed.open('ss', 'id', 'b', 'a'), 'ERR_DIAL_ID')
    assert.equal(relayed.open('ss', 'id', 'c', 'b'), 'ERR_DIAL_ID')
    assert.equal(relayed.open('ss', 'id', 'a', 'c'), 'ERR_DIAL_ID')
    assert.equal(relayed.open('ss', 'id', 'c', 'd'), undefined)
    relayed.disconnect('a')
    assert.equal(relayed.open('ss', 'id', 'e', 'b'), undefined)
  })

  it('hold for two sockets in both directions together', () => {
    const relayed = new Relayed()
    for (const [number, ends] of [['a', 'b'], ['b', 'a'], ['a', 'b'], ['b', 'a']].entries()) {
      assert.equal(relayed.open('ss', `id ${number}`, ...ends as [string, string]), undefined)
    }
    assert.equal(relayed.open('ss', 'more'), 'ERR_TOO_MANY_STREAMS')
    assert.equal(relayed.open('ss', 'more', 'b', 'a'), 'ERR_TOO_MANY_STREAMS')
    assert.equal(relayed.open('ss', 'more', 'a', 'c'), undefined)
    relayed.relay.cancel('a', 'id 0', 'ERR_DIAL_TIMEOUT')
    assert.equal(relayed.open('ss', 'again'), undefined)
  })

  it('hold for one socket with all others, at either end', () => {
    const relayed = new Relayed({ streamsPerSocket: 3 })
    for (const other of ['b', 'c', 'd']) {
      assert.equal(relayed.open('ss', other, 'a', other), undefined)
    }
    assert.equal(relayed.open('ss', 'e', 'a', 'e'), 'ERR_TOO_MANY_STREAMS')
    assert.equal(relayed.open('ss', 'e', 'e', 'a'), 'ERR_TOO_MANY_STREAMS')
    assert.equal(relayed.open('ss', 'e', 'b', 'c'), undefined)
    assert.equal(relayed.relay.size, 4)
  })
})

describe('An original writer', () => {
  /** A stream whose writer at `a` is an original, with so much on the way. */
  function braked (reader: 's' | 'o' = 's'): Relayed {
    const relayed = new Relayed()
    relayed.open(`o${reader}`)
    assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(99_000))), ['b queue.dialer 99000'])
    assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(9_000))), ['b queue.dialer 9000', 'pause a'])
    return relayed
  }

  it('is stopped at half of the budget and goes on at a quarter, by a star reader\'s credit', () => {
    const relayed = braked()
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 58_000)), [])
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 1_000)), ['resume a'])
    assert.equal(relayed.relay.wakeAt, undefined)
  })

  it('is stopped and goes on by what has left the process, for an original reader', () => {
    const relayed = new Relayed()
    relayed.open('oo')
    const sent = [1, 2].flatMap(() => relayed.frame('a', 'queue', 'dialer', chunk(60_000)))
    assert.equal(short(sent).at(-1), 'pause a')
    assert.deepEqual(short(relayed.flush(sent)), ['resume a'])
  })

  it('is stopped once for all its streams and goes on when none brakes it', () => {
    const relayed = braked()
    relayed.open('os', 'other')
    assert.deepEqual(short(relayed.frame('a', 'queue', 'dialer', chunk(150_000), 'other')), ['b queue.dialer 150000'])
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 150_000, 'other')), [])
    assert.deepEqual(short(relayed.frame('b', 'credit', 'dialer', 108_000)), ['resume a'])
  })

  it('goes on when the stream that braked it ends, by whatever way', () => {
    assert.deepEqual(short(braked().frame('a', 'error', 'dialer', true)), ['b error.dialer true', 'resume a'])
    assert.deepEqual(short(braked().frame('b', 'abort', 'dialer', 'ERR_STREAM_RESET')), ['resume a'])
    assert.deepEqual(short(braked().disconnect('b')), ['a error.listener true', 'resume a'])
    assert.equal(short(braked().relay.cancel('a', 'id', 'ERR_DIAL_REFUSED')).includes('resume a'), true)
  })

  it('loses the stream whose reader has stalled for too long, and not before', () => {
    for (const reader of ['s', 'o'] as const) {
      const relayed = braked(reader)
      assert.equal(relayed.relay.wakeAt, bounds.stallTimeout)
      relayed.now = bounds.stallTimeout - 1
      assert.deepEqual(relayed.wake(), [])
      relayed.now += 1
      const outputs = short(relayed.wake())
      assert.deepEqual(outputs.toSorted(), [
        'a error.listener ERR_STALLED', 'b error.dialer ERR_STALLED', 'broken ERR_STALLED', 'resume a',
        ...reader === 's' ? ['b abort.listener ERR_STALLED'] : []
      ].toSorted())
      assert.deepEqual([relayed.relay.size, relayed.relay.inFlight, relayed.relay.wakeAt], [0, 0, undefined])
    }
  })

  it('has its time to stall anew each time that it is stopped', () => {
    const relayed = braked()
    relayed.now = bounds.stallTimeout - 1
    relayed.frame('b', 'credit', 'dialer', 108_000)
    relayed.frame('a', 'queue', 'dialer', chunk(150_000))
    assert.equal(relayed.relay.wakeAt, 2 * bounds.stallTimeout - 1)
  })

  it('loses its stream when it overshoots by more than had been on the way', () => {
    const relayed = braked()
    let outputs: string[] = []
    for (let sent = 108_000; outputs.length < 2; sent += 50_000) {
      assert.equal(sent < 2 * bounds.pairBudget + 50_000, true)
      outputs = short(relayed.frame('a', 'queue', 'dialer', chunk(50_000)))
    }
    assert.equal(outputs.includes('broken ERR_BUDGET'), true)
    assert.equal(outputs.includes('resume a'), true)
    assert.equal(relayed.relay.size, 0)
  })
})
