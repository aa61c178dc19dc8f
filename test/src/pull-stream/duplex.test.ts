// Streams as `it-pipe` sees them: source and sink of two duplexes that are wired in memory.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { pipe } from 'it-pipe'
import { Uint8ArrayList } from 'uint8arraylist'
import { concat } from 'uint8arrays/concat'
import { StarError } from '../../../src/errors.ts'
import { PullDuplex } from '../../../src/pull-stream/duplex.ts'
import { MAX_CHUNK } from '../../../src/pull-stream/protocol.ts'
import type { Send } from '../../../src/pull-stream/endpoint.ts'

const WINDOW = 100_000

interface Wire {
  readonly dialer: PullDuplex
  readonly listener: PullDuplex
  /** What each has put on the wire. */
  readonly sent: { readonly dialer: Send[], readonly listener: Send[] }
  /** How often each has said that it is over. */
  readonly closed: { dialer: number, listener: number }
}

/** Two ends, each of whose events reaches the other a moment later, in order. */
function wire (window: number = WINDOW): Wire {
  const sent: Wire['sent'] = { dialer: [], listener: [] }
  const closed = { dialer: 0, listener: 0 }
  const make = (side: 'dialer' | 'listener', other: () => PullDuplex): PullDuplex => new PullDuplex({
    side,
    window,
    send: event => {
      sent[side].push(event)
      queueMicrotask(() => { other().receive(event.kind, event.side, event.payload) })
    },
    onClose: () => { closed[side]++ }
  })
  const dialer: PullDuplex = make('dialer', () => listener)
  const listener: PullDuplex = make('listener', () => dialer)
  dialer.open()
  listener.open()
  return { dialer, listener, sent, closed }
}

/** Lets everything happen that needs no more than that. */
async function quiet (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

async function collect (source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) {
    chunks.push(chunk)
  }
  return chunks
}

/** How many bytes of its own half an end has sent. */
function bytesOf (events: readonly Send[]): number {
  return events.reduce((sum, { payload }) => sum + (payload instanceof Uint8Array ? payload.length : 0), 0)
}

function text (value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

describe('Two duplexes', () => {
  it('echo through it-pipe, any sizes of chunks, with everything in order', async () => {
    const sizes = fc.array(fc.oneof(fc.nat(10), fc.nat(300_000)), { maxLength: 8 })
    await fc.assert(fc.asyncProperty(sizes, fc.integer({ min: 65_536, max: 300_000 }), async (chunks, window) => {
      const { dialer, listener, closed } = wire(window)
      const data = chunks.map((size, index) => new Uint8Array(size).fill(index + 1))
      const echoed = pipe(listener, listener)
      const received = await pipe(data, dialer, collect)
      await echoed
      assert.deepEqual(concat(received), concat(data))
      assert.deepEqual(closed, { dialer: 1, listener: 1 })
    }), { numRuns: 60 })
  })

  it('keep the borders of chunks that fit, split larger ones, and take lists', async () => {
    const { dialer, listener } = wire(1_000_000)
    await Promise.all([
      dialer.sink([text('a'), new Uint8ArrayList(text('b'), text('c')), new Uint8Array(MAX_CHUNK + 1)]),
      collect(listener.source).then(chunks => {
        assert.deepEqual(chunks.slice(0, 2), [text('a'), text('bc')])
        assert.equal(chunks.every(({ length }) => length <= MAX_CHUNK), true)
        assert.equal(chunks.reduce((sum, { length }) => sum + length, 0), 3 + MAX_CHUNK + 1)
      })
    ])
  })

  it('close halves one by one: what has ended can still be answered', async () => {
    const { dialer, listener, closed } = wire()
    await dialer.sink([text('question')])
    assert.deepEqual(await collect(listener.source), [text('question')])
    assert.deepEqual(closed, { dialer: 0, listener: 0 })
    await listener.sink([text('answer')])
    assert.deepEqual(await collect(dialer.source), [text('answer')])
    await quiet()
    assert.deepEqual(closed, { dialer: 1, listener: 1 })
  })

  it('deliver what was sent before anybody read', async () => {
    const { dialer, listener } = wire()
    await dialer.sink([text('early')])
    await quiet()
    assert.deepEqual(await collect(listener.source), [text('early')])
  })

  it('brake: a reader that stops stops the writer, within its window, until it reads on', async () => {
    const { dialer, listener, sent } = wire()
    const chunk = new Uint8Array(1_000)
    let pulled = 0
    const sunk = dialer.sink((function * () {
      for (; pulled < 1_000; pulled++) {
        yield chunk
      }
    })())
    await quiet()
    assert.equal(bytesOf(sent.dialer) <= WINDOW, true)
    assert.equal(pulled * chunk.length <= WINDOW + chunk.length, true)
    const before = pulled
    await listener.source.next()
    await quiet()
    assert.equal(pulled, before) // one chunk read is no reason to send more
    const rest = await collect(listener.source)
    await sunk
    assert.equal(rest.reduce((sum, { length }) => sum + length, 0), 999_000)
  })

  it('are each used once', async () => {
    const { dialer, listener } = wire()
    await dialer.sink([text('once')])
    await assert.rejects(dialer.sink([text('twice')]), { code: 'ERR_STREAM_CLOSED' })
    assert.deepEqual(await collect(listener.source), [text('once')])
    assert.deepEqual(await collect(listener.source), [])
  })
})

describe('A source', () => {
  it('that throws breaks the stream: its sink rejects with that very error, the other end hears of a reset', async () => {
    const { dialer, listener, closed } = wire()
    const failure = new Error('the disk is full')
    const sunk = dialer.sink((function * () {
      yield text('begin')
      throw failure
    })())
    await assert.rejects(sunk, error => error === failure)
    await assert.rejects(collect(listener.source), { code: 'ERR_STREAM_RESET' })
    await assert.rejects(collect(dialer.source), error => error instanceof StarError && error.cause === failure)
    await quiet()
    assert.deepEqual(closed, { dialer: 1, listener: 1 })
  })

  it('that throws what isn\'t an error breaks the stream as well', async () => {
    const { dialer, listener } = wire()
    const source = { [Symbol.iterator]: () => ({ next: () => { throw 'a text' } }) }
    await assert.rejects(dialer.sink(source), error => error === 'a text')
    await assert.rejects(collect(listener.source), { code: 'ERR_STREAM_RESET' })
  })

  it('that is left early tells the writer, whose sink rejects, and the other half goes on', async () => {
    const { dialer, listener } = wire()
    const sunk = dialer.sink((function * () {
      for (;;) {
        yield new Uint8Array(1_000)
      }
    })())
    for await (const chunk of listener.source) {
      assert.equal(chunk.length, 1_000)
      break
    }
    await assert.rejects(sunk, { code: 'ERR_STREAM_RESET' })
    await listener.sink([text('still here')])
    assert.deepEqual(await collect(dialer.source), [text('still here')])
  })

  it('that is left before it was read from tells the writer too', async () => {
    const { dialer, listener, closed } = wire()
    await listener.source.return()
    await quiet()
    await assert.rejects(dialer.sink([text('nobody listens')]), { code: 'ERR_STREAM_RESET' })
    await listener.sink([])
    await collect(dialer.source)
    await quiet()
    assert.deepEqual(closed, { dialer: 1, listener: 1 })
  })

  it('gives what had come before the end, in whatever way the stream ended', async () => {
    const { dialer, listener } = wire()
    void dialer.sink([text('last words')])
    await quiet()
    listener.lose(new StarError('ERR_STAR_LOST'))
    assert.deepEqual(await collect(listener.source), [text('last words')]) // the half had ended in good order
    const broken = wire()
    const sunk = broken.dialer.sink((async function * () {
      yield text('last words')
      await quiet()
      broken.listener.lose(new StarError('ERR_STAR_LOST'))
    })())
    const reader = broken.listener.source
    assert.deepEqual((await reader.next()).value, text('last words'))
    await assert.rejects(reader.next(), { code: 'ERR_STAR_LOST' })
    await sunk
  })

  it('that waits for bytes is released by its return', async () => {
    const { dialer, listener, sent } = wire()
    const waiting = listener.source.next()
    await quiet()
    const left = listener.source.return()
    assert.deepEqual(await waiting, { done: true, value: undefined })
    assert.deepEqual(await left, { done: true, value: undefined })
    assert.deepEqual(sent.listener.map(({ kind }) => kind), ['accept', 'abort'])
    await assert.rejects(dialer.sink([text('nobody listens')]), { code: 'ERR_STREAM_RESET' })
  })

  it('that waits is woken by a loss', async () => {
    const { dialer } = wire()
    const waiting = assert.rejects(dialer.source.next(), { code: 'ERR_STAR_LOST' })
    await quiet()
    dialer.lose(new StarError('ERR_STAR_LOST'))
    await waiting
  })
})

describe('A sink', () => {
  it('that waits for its source rejects at once when the other end reads no more, or the stream is lost', async () => {
    for (const end of [
      async ({ listener }: Wire) => { await listener.source.return() },
      async ({ dialer }: Wire) => { dialer.lose(new StarError('ERR_STAR_LOST')) }
    ]) {
      const both = wire()
      const never = { next: async (): Promise<never> => await new Promise(() => {}) }
      const idle: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => never }
      const writing = both.dialer.sink(idle)
      await end(both)
      await assert.rejects(writing, StarError)
    }
  })

  it('that waits for credit is woken when the stream is lost, and lets go of its source', async () => {
    const { dialer } = wire()
    let released = false
    const sunk = dialer.sink((function * () {
      try {
        for (;;) {
          yield new Uint8Array(9_000)
        }
      } finally {
        released = true
      }
    })())
    await quiet()
    dialer.lose(new StarError('ERR_STAR_LOST'))
    await assert.rejects(sunk, { code: 'ERR_STAR_LOST' })
    assert.equal(released, true)
  })

  it('rejects when the stream was broken before it began', async () => {
    const { dialer, listener } = wire()
    listener.abort()
    await quiet()
    await assert.rejects(dialer.sink([text('late')]), { code: 'ERR_STREAM_RESET' })
  })

  it('takes asynchronous sources and ends its half after the last chunk', async () => {
    const { dialer, listener, sent } = wire()
    await dialer.sink((async function * () {
      yield text('one')
      await quiet()
      yield text('two')
    })())
    const own = sent.dialer.slice(1).map(({ kind, payload }) => [kind, payload])
    assert.deepEqual(own, [['queue', text('one')], ['queue', text('two')], ['error', true]])
    assert.deepEqual(await collect(listener.source), [text('one'), text('two')])
  })

  it('sends nothing for empty chunks', async () => {
    const { dialer, sent } = wire()
    await dialer.sink([new Uint8Array(0), new Uint8ArrayList()])
    assert.deepEqual(sent.dialer.map(({ kind }) => kind), ['accept', 'error'])
  })
})

describe('An abort', () => {
  it('breaks both directions at both ends, once', async () => {
    const { dialer, listener, closed } = wire()
    const readers = [dialer, listener].map(async ({ source }) => {
      await assert.rejects(collect(source), { code: 'ERR_STREAM_RESET' })
    })
    await quiet()
    dialer.abort(new Error('enough'))
    dialer.abort()
    await Promise.all(readers)
    listener.abort()
    await quiet()
    assert.deepEqual(closed, { dialer: 1, listener: 1 })
  })

  it('tells the other end the code of a star error', async () => {
    const { dialer, listener } = wire()
    dialer.abort(new StarError('ERR_STOPPED'))
    await assert.rejects(collect(listener.source), { code: 'ERR_STOPPED' })
  })
})
