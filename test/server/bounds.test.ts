// What a reader that stops costs: its writer stops too, the star holds no more than a budget for it, and nothing is lost.
import assert from 'node:assert/strict'
import { MAX_CHUNK, eventName } from '../../src/pull-stream/protocol.ts'
import { until } from '../support/nodes.ts'
import { digestOf } from '../support/raw-stream.ts'
import { GENERATIONS, openStream, stages } from '../support/raw.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { Generation } from '../../src/star/protocol.ts'
import type { RawStream } from '../support/raw-stream.ts'
import type { RawClient, Stage } from '../support/raw.ts'

const BUDGET = 131_072
const CHUNK = 16_384

/** More than a budget, and for an original reader more than the kernel takes for a socket that nobody reads from. */
const PLENTY = { star: 2 * 1024 * 1024, original: 12 * 1024 * 1024 }

/** Looks that must show the same figure before it is taken to stand still. */
const STILL = 20

function * chunks (total: number): Generator<Buffer> {
  for (let sent = 0; sent < total; sent += CHUNK) {
    yield Buffer.alloc(CHUNK, sent / CHUNK)
  }
}

describe('bounds', () => {
  const open = stages()
  let stage: Stage

  async function pair (
    writer: Generation, reader: Generation, options: ServerOptions = {}
  ): Promise<{ from: RawClient, to: RawClient, source: RawStream, sink: RawStream }> {
    stage = await open({ pairBudget: BUDGET, ...options })
    const [from, to] = [await stage.join(writer), await stage.join(reader)]
    const [source, sink] = await openStream(from, to, { window: BUDGET })
    return { from, to, source, sink }
  }

  /** Waits until the star takes no more bytes, and gives how many it took and the most that it ever held. */
  async function standstill (started: () => boolean): Promise<{ taken: number, held: number }> {
    let [taken, still, held] = [-1, 0, 0]
    await until(async () => {
      const now = await stage.metric('star_relayed_bytes_total')
      held = Math.max(held, await stage.metric('star_bytes_in_flight'))
      still = now === taken && started() ? still + 1 : 0
      taken = now
      return still === STILL
    })
    return { taken, held }
  }

  async function assertEmpty (): Promise<void> {
    await until(async () => await stage.metric('star_streams') === 0)
    assert.equal(await stage.metric('star_bytes_in_flight'), 0)
  }

  for (const writer of GENERATIONS) {
    for (const reader of GENERATIONS) {
      it(`stop a writer of the ${writer} generation whose ${reader} reader stops, and lose nothing when it goes on`, async () => {
        const plenty = PLENTY[reader]
        const { to, source, sink } = await pair(writer, reader)
        sink.granting = false
        if (reader === 'original') {
          to.webSocket.pause()
        }
        const sending = source.send(chunks(plenty), 20_000)
        const { taken, held } = await standstill(() => source.written > 0)
        assert.ok(taken < plenty, `the star took ${taken} bytes`)
        // an original writer can only be stopped when it has sent too much already
        assert.ok(held <= (writer === 'star' ? BUDGET : 2 * BUDGET), `the star held ${held} bytes`)
        if (reader === 'star') {
          assert.ok(taken <= (writer === 'star' ? BUDGET : 2 * BUDGET + CHUNK), `the star took ${taken} bytes`)
        }
        if (writer === 'star') {
          assert.equal(source.written, taken)
        }
        sink.granting = true
        sink.grant(2 * BUDGET) // more than there is counts as all there is
        to.webSocket.resume()
        await sending
        source.end()
        assert.equal(await sink.ended(20_000), true)
        assert.equal(sink.digest, digestOf(chunks(plenty)))
        sink.end()
        await source.ended()
        await assertEmpty()
      }).timeout(60_000)
    }
  }

  for (const reader of GENERATIONS) {
    it(`end the stream of an original writer that a ${reader} reader stops for too long; its other streams go on`, async () => {
      const { from, to, source, sink } = await pair('original', reader, { stallTimeout: 700 })
      const friend = await stage.join('star')
      const [other, arrival] = await openStream(from, friend)
      sink.granting = false
      if (reader === 'original') {
        to.webSocket.pause()
      }
      await source.send(chunks(PLENTY[reader]))
      other.write('after all that')
      // an original reader that stops altogether may be closed for it first
      const reason = await source.ended()
      assert.ok(reason === 'ERR_STALLED' || (reader === 'original' && reason === true), `it ended with ${String(reason)}`)
      await arrival.reads(14)
      assert.equal(arrival.text, 'after all that')
      arrival.write('heard')
      await other.reads(5)
      const counted = [await stage.metric('star_streams_broken_total{code="ERR_STALLED"}'), await stage.refusals('ERR_STALLED')]
      assert.ok(counted.includes(1), `counted are ${counted.join(' and ')}`)
      other.end()
      arrival.end()
      await assertEmpty()
    })
  }

  it('do not brake a star writer with several streams for the one that is not read', async () => {
    const { from, to, source, sink } = await pair('star', 'star')
    sink.granting = false
    const sending = source.send(chunks(PLENTY.original)).catch((error: unknown) => error)
    await source.when('the credit to be used up', () => source.credit < CHUNK && source.got.accept.length > 0)
    const [other, arrival] = await openStream(from, to, { window: BUDGET })
    await other.send(chunks(4 * BUDGET))
    await arrival.reads(4 * BUDGET)
    assert.equal(arrival.digest, digestOf(chunks(4 * BUDGET)))
    assert.ok(sink.received <= BUDGET)
    sink.abort()
    assert.match(String(await sending), /aborted: ERR_STREAM_RESET/)
  })

  it('close a socket that takes nothing for too long', async () => {
    const { to, source } = await pair('star', 'original', { stallTimeout: 300 })
    to.webSocket.pause()
    const sending = source.send(chunks(PLENTY.original)).catch((error: unknown) => error)
    assert.equal(await source.ended(8_000), 'ERR_PEER_GONE')
    assert.match(String(await sending), /ERR_PEER_GONE/)
    assert.equal(await stage.refusals('ERR_STALLED'), 1)
    assert.equal(stage.star.server.peers().length, 1)
    await assertEmpty()
  })

  it('do not take a socket for stalled that has nothing to take', async () => {
    const { to, source, sink } = await pair('star', 'star', { stallTimeout: 1 })
    to.webSocket.pause()
    await until(async () => await stage.metric('star_connections') === 2)
    await source.client.settled()
    to.webSocket.resume()
    source.write('still there')
    await sink.reads(11)
    assert.equal(await stage.refusals('ERR_STALLED'), 0)
  })

  it('let a reader ask for less than the budget, but not for less than a first flight', async () => {
    stage = await open({ pairBudget: BUDGET })
    const [from, to] = [await stage.join('star'), await stage.join('star')]
    for (const [wish, expected] of [[100_000, 100_000], [1, 65_536], [10 * BUDGET, BUDGET], [undefined, BUDGET]] as const) {
      const [source] = await openStream(from, to, wish == null ? {} : { window: wish })
      await source.when('the accept', () => source.got.accept.length > 0)
      assert.deepEqual(source.got.accept, [expected])
    }
  })

  it('cannot be widened by grants for what was never sent', async () => {
    const { source, sink } = await pair('star', 'star')
    for (const grant of [1e15, BUDGET, -1, 0.5, '5', null, Infinity]) {
      sink.grant(grant)
    }
    await sink.client.settled()
    await source.client.settled()
    assert.deepEqual([source.got.credit, source.credit], [[], BUDGET])
    sink.granting = false
    source.write(Buffer.alloc(50_000))
    await sink.reads(50_000)
    for (const grant of [-1e9, 0, 0.5, '50000', [50_000], null, {}]) {
      sink.grant(grant)
    }
    await sink.client.settled()
    await source.client.settled()
    assert.equal(await stage.metric('star_bytes_in_flight'), 50_256)
    assert.deepEqual(source.got.credit, [])
  })

  it('hold for the largest chunks that each generation sends', async () => {
    stage = await open()
    for (const [writer, size] of [['original', 999_000], ['star', MAX_CHUNK]] as const) {
      const [from, to] = [await stage.join(writer), await stage.join('original')]
      const [source, sink] = await openStream(from, to)
      const sent = Array.from({ length: 12 }, (_, index) => Buffer.alloc(size, index))
      await source.send(sent)
      await sink.reads(12 * size)
      assert.equal(sink.digest, digestOf(sent))
    }
  })

  it('count for nothing what is sent on a half that is over', async () => {
    const { from, source, sink } = await pair('star', 'star')
    source.end()
    await sink.ended()
    from.tell(eventName('queue', source.id, 'dialer'), Buffer.alloc(10))
    from.tell(eventName('error', source.id, 'dialer'), 'again')
    await from.settled()
    assert.deepEqual([sink.received, sink.got.error], [0, [true]])
    assert.equal(await stage.metric('star_bytes_in_flight'), 0)
  })
})
