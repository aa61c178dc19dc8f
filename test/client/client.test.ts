// The client without libp2p on a real star: dialling, taking dials, and all the ways in which either comes to an end.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { pipe } from 'it-pipe'
import { StarError, connect } from '../../client/index.ts'
import { createTestStar } from '../../server/testing.ts'
import { nextEvent, until } from '../support/nodes.ts'
import { digestOf } from '../support/raw-stream.ts'
import { stages } from '../support/raw.ts'
import { within } from '../support/waiting.ts'
import type { ConnectOptions, StarClient, StarStream } from '../../client/index.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { Reason } from '../../src/errors.ts'
import type { Stage } from '../support/raw.ts'

describe('star client', () => {
  const clients: StarClient[] = []
  let stage: Stage

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(async client => { await client.close() }))
  })
  const open = stages()

  async function setting (options?: ServerOptions): Promise<void> {
    stage = await open(options)
  }

  async function join (options?: ConnectOptions): Promise<StarClient> {
    const client = await connect(stage.star.address, { retryMin: 10, ...options })
    clients.push(client)
    return client
  }

  /** Sends everything back that comes in, and returns how many streams it took when the loop ends. */
  async function echo (client: StarClient): Promise<number> {
    let count = 0
    for await (const stream of client) {
      count++
      void pipe(stream, stream).catch(() => undefined)
    }
    return count
  }

  async function read (source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for await (const chunk of source) {
      chunks.push(chunk)
    }
    return chunks
  }

  async function next (client: StarClient): Promise<StarStream> {
    const { value } = await within('a stream to come in', client[Symbol.asyncIterator]().next())
    assert.ok(value != null)
    return value
  }

  function refused (code: Reason): { name: string, code: Reason } {
    return { name: 'StarError', code }
  }

  async function whenDown (client: StarClient, code: Reason): Promise<void> {
    await nextEvent<CustomEvent<StarError>>(client, 'down', event => event.detail.code === code)
  }

  describe('that dials', () => {
    beforeEach(async () => { await setting() })

    it('reaches a peer by its id, its address, in both spellings, and an id as an object', async () => {
      const [one, two] = [await join(), await join()]
      const echoing = echo(two)
      for (const name of [two.id.toString(), two.id, two.address, two.address.replace('/p2p/', '/ipfs/')]) {
        const stream = await one.dial(name)
        assert.equal(stream.remote, two.address)
        const answer = await pipe([Buffer.from('hello '), Buffer.from('star')], stream, read)
        assert.equal(Buffer.concat(answer).toString(), 'hello star')
      }
      await two.close()
      assert.equal(await within('the loop to end', echoing), 4)
    })

    it('gets back a megabyte as it was sent', async () => {
      const [one, two] = [await join(), await join({ window: 65_536 })]
      void echo(two)
      const sent = Array.from({ length: 7 }, (_, index) => Buffer.alloc(150_000, index))
      assert.equal(digestOf(await pipe(sent, await one.dial(two.id), read)), digestOf(sent))
    })

    it('tells the other who it is, and the same stream id', async () => {
      const [one, two] = [await join(), await join()]
      const dialled = await one.dial(two.id)
      const accepted = await next(two)
      assert.deepEqual([accepted.remote, accepted.id], [one.address, dialled.id])
    })

    it('talks with a client of the original generation', async () => {
      const client = await join()
      const old = await stage.join('original')
      const dialled = client.dial(old.address)
      const ring = await old.ring()
      ring.ack()
      ring.stream.open()
      const stream = await dialled
      const reading = pipe([Buffer.from('question')], stream, read)
      await ring.stream.reads(8)
      ring.stream.write('answer')
      ring.stream.end()
      assert.equal(Buffer.concat(await reading).toString(), 'answer')
      assert.equal(await ring.stream.ended(), true)
    })

    it('is told with a code why it failed', async () => {
      const [client, friend] = [await join(), await stage.join('star')]
      const absent = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
      await assert.rejects(client.dial(absent), refused('ERR_PEER_NOT_FOUND'))
      await assert.rejects(client.dial(client.id), refused('ERR_DIAL_SELF'))
      await assert.rejects(client.dial('/ip4/127.0.0.1/tcp/1'), refused('ERR_ADDRESS'))
      const dialled = assert.rejects(client.dial(friend.address), refused('ERR_DIAL_REFUSED'))
      const ring = await friend.ring()
      ring.ack('no')
      await dialled
    })

    it('gives up at once when its signal is aborted already', async () => {
      const [one, two] = [await join(), await join()]
      const reason = new Error('not today')
      await assert.rejects(one.dial(two.id, { signal: AbortSignal.abort(reason) }), reason)
      assert.equal(await stage.metric('rendezvous_dials_total'), 0)
    })

    it('gives up while the other has not answered, and tells it', async () => {
      const [client, friend] = [await join(), await stage.join('star')]
      const controller = new AbortController()
      const dialled = client.dial(friend.address, { signal: controller.signal })
      const ring = await friend.ring()
      const reason = new Error('too slow')
      controller.abort(reason)
      await assert.rejects(within('the dial to be given up', dialled), reason)
      assert.equal(await ring.stream.ended(), 'ERR_STREAM_RESET')
      assert.equal(await stage.metric('star_streams'), 0)
      ring.ack()
      await friend.settled()
      await until(async () => await stage.metric('star_dials_in_flight') === 0)
    })

    it('does not give up a stream that it has when its signal is aborted later', async () => {
      const [one, two] = [await join(), await join()]
      void echo(two)
      const controller = new AbortController()
      const stream = await one.dial(two.id, { signal: controller.signal })
      controller.abort()
      assert.equal(Buffer.concat(await pipe([Buffer.from('on and on')], stream, read)).toString(), 'on and on')
    })
  })

  it('fails to dial who does not answer', async () => {
    await setting({ dialTimeout: 30 })
    const [client, friend] = [await join(), await stage.join('star')]
    await assert.rejects(client.dial(friend.address), refused('ERR_DIAL_TIMEOUT'))
  })

  describe('that is dialled', () => {
    beforeEach(async () => { await setting({ streamsPerPair: 1_000 }) })

    it('keeps 64 streams for a loop that is late, and refuses more', async () => {
      const [one, two] = [await join(), await join()]
      const dialled = await Promise.all(Array.from({ length: 64 }, async () => await one.dial(two.id)))
      await assert.rejects(one.dial(two.id), refused('ERR_DIAL_REFUSED'))
      assert.equal((await next(two)).id, dialled[0]?.id)
      await one.dial(two.id)
    })

    it('can leave its loop and come back', async () => {
      const [one, two] = [await join(), await join()]
      const ids = [await one.dial(two.id), await one.dial(two.id)].map(({ id }) => id)
      const taken: string[] = []
      for (let round = 0; round < 2; round++) {
        for await (const stream of two) {
          taken.push(stream.id)
          break
        }
      }
      assert.deepEqual(taken, ids)
    })

    it('hears that the other has reset the stream, and the other way round', async () => {
      const [one, two] = [await join(), await join()]
      for (const turn of [0, 1]) {
        const dialled = await one.dial(two.id)
        const accepted = await next(two)
        const [breaker, other] = turn === 0 ? [dialled, accepted] : [accepted, dialled]
        breaker.abort()
        await assert.rejects(read(other.source), refused('ERR_STREAM_RESET'))
        await assert.rejects(other.sink([Buffer.alloc(1)]), StarError)
        await until(async () => await stage.metric('star_streams') === 0)
      }
    })

    it('hears that the other has lost its star', async () => {
      const [one, friend] = [await join(), await stage.join('star')]
      const dialled = one.dial(friend.address)
      const ring = await friend.ring()
      ring.ack()
      const stream = await dialled
      friend.webSocket.terminate()
      await assert.rejects(read(stream.source), refused('ERR_PEER_GONE'))
    })
  })

  describe('that is closed', () => {
    beforeEach(async () => { await setting() })

    it('ends its loop and its streams, and is gone from the star', async () => {
      const [one, two] = [await join(), await join()]
      const loop = echo(two)
      const stream = await one.dial(two.id)
      await one.close()
      await assert.rejects(read(stream.source), refused('ERR_STOPPED'))
      await assert.rejects(stream.sink([Buffer.alloc(1)]), refused('ERR_STOPPED'))
      await two.close()
      assert.equal(await within('the loop to end', loop), 1)
      assert.deepEqual(await two[Symbol.asyncIterator]().next(), { done: true, value: undefined })
      await until(() => stage.star.server.peers().length === 0)
      await until(async () => await stage.metric('star_connections') === 0)
    })

    it('ends writes that wait for a reader', async () => {
      const [one, two] = [await join(), await join()]
      const stream = await one.dial(two.id)
      const writing = stream.sink([Buffer.alloc(5_000_000)])
      await next(two)
      await one.close()
      await assert.rejects(within('the write to end', writing), refused('ERR_STOPPED'))
    })

    it('does not dial any more, nor come back for it', async () => {
      const [one, two] = [await join(), await join()]
      await one.close()
      await assert.rejects(one.dial(two.id), refused('ERR_STOPPED'))
      await until(async () => await stage.metric('star_connections') === 1)
    })

    it('ends a dial that waits', async () => {
      const [client, friend] = [await join(), await stage.join('star')]
      const dialled = client.dial(friend.address)
      await friend.ring()
      await client.close()
      await assert.rejects(within('the dial to end', dialled), StarError)
    })

    it('ends a dial that waits for the star', async () => {
      const [client, two] = [await join(), await join()]
      const down = nextEvent(client, 'down')
      await stage.star.stop()
      await down
      const dialled = client.dial(two.id)
      await client.close()
      await assert.rejects(within('the dial to end', dialled), refused('ERR_STOPPED'))
      await stage.star.start()
    })

    it('can be closed again', async () => {
      const client = await join()
      await client.close()
      await client.close()
    })
  })

  describe('whose star goes', () => {
    beforeEach(async () => { await setting() })

    it('loses its streams, says so, and is joined again by itself', async () => {
      const [one, two] = [await join(), await join()]
      void echo(two)
      const stream = await one.dial(two.id)
      const reading = assert.rejects(read(stream.source), refused('ERR_STAR_LOST'))
      const down = [one, two].map(async client => { await whenDown(client, 'ERR_STAR_LOST') })
      const joined = [one, two].map(async client => await nextEvent(client, 'joined'))
      await stage.star.stop()
      await Promise.all(down)
      await reading
      assert.deepEqual([one.joined, two.joined], [false, false])
      await stage.star.start()
      await Promise.all(joined)
      assert.deepEqual([one.joined, two.joined], [true, true])
      assert.equal(Buffer.concat(await pipe([Buffer.from('again')], await one.dial(two.id), read)).toString(), 'again')
    })

    it('fails to dial while it is down, and does not wait for its next try when it is back', async () => {
      const [one, two] = [await join({ retryMin: 60_000, retryMax: 60_000 }), await join()]
      const down = whenDown(one, 'ERR_STAR_LOST')
      await stage.star.stop()
      await down
      await assert.rejects(one.dial(two.id), refused('ERR_STAR_UNREACHABLE'))
      const joined = nextEvent(two, 'joined')
      await stage.star.start()
      await joined
      await one.dial(two.id)
    })

    it('hears why it cannot come back', async () => {
      const client = await join()
      await stage.star.stop()
      const { port } = stage.star.server
      const down = whenDown(client, 'ERR_STAR_NAME')
      const other = await createTestStar({ port, names: ['star.example'] })
      await down
      await other.close()
      await stage.star.start()
    })
  })

  it('knows who is there, who comes and who leaves', async () => {
    await setting()
    const first = await join()
    const heard = nextEvent<CustomEvent<string>>(first, 'peer')
    const second = await join()
    assert.equal((await heard).detail, second.address)
    assert.deepEqual([first.peers(), second.peers()], [[second.address], [first.address]])
    const left = nextEvent<CustomEvent<string>>(first, 'left')
    await second.close()
    assert.equal((await left).detail, second.address)
    assert.deepEqual(first.peers(), [])
  })

  it('that is not listed dials, but is not found', async () => {
    await setting({ refreshPeerListIntervalMS: 20 })
    const [listed, old] = [await join(), await stage.join('original')]
    const seen: string[] = []
    listed.addEventListener('peer', event => { seen.push(event.detail) })
    const hidden = await join({ listed: false })
    void echo(listed)
    assert.equal(Buffer.concat(await pipe([Buffer.from('psst')], await hidden.dial(listed.id), read)).toString(), 'psst')
    await assert.rejects(listed.dial(hidden.id), refused('ERR_PEER_NOT_FOUND'))
    const witness = await join()
    await until(() => seen.includes(witness.address))
    const since = old.heard.length
    await old.when('two rounds of announcements', () => old.heard.length >= since + 4)
    const everybody = [...seen, ...witness.peers(), ...stage.star.server.peers(), ...old.heard.map(({ args }) => String(args[0]))]
    assert.ok(!everybody.some(name => name.includes(hidden.id.toString())))
  })

  it('that is replaced says so, dials no more, and is back when the other has gone', async () => {
    await setting()
    const privateKey = await generateKeyPair('Ed25519')
    const [older, friend] = [await join({ privateKey }), await join()]
    const down = whenDown(older, 'ERR_REPLACED')
    const newer = await join({ privateKey })
    await down
    await assert.rejects(within('the dial to fail', older.dial(friend.id)), refused('ERR_REPLACED'))
    const stream = friend.dial(newer.id)
    await next(newer)
    await stream
    const back = nextEvent(older, 'joined')
    await newer.close()
    await back
    await friend.dial(older.id)
    assert.equal((await next(older)).remote, friend.address)
  })

  it('fails to connect to nobody, at once and for the right reason', async () => {
    await setting()
    await stage.star.stop()
    await assert.rejects(within('the connection to fail', connect(stage.star.address), 8_000), refused('ERR_STAR_UNREACHABLE'))
    await assert.rejects(connect('/ip4/127.0.0.1/tcp/1/ws'), refused('ERR_ADDRESS'))
    await assert.rejects(connect(stage.star.address, { timeout: -1 }), refused('ERR_OPTIONS'))
    await stage.star.start()
  })

  it('gives the first join up when its signal is aborted', async () => {
    await setting()
    const reason = new Error('changed my mind')
    await assert.rejects(connect(stage.star.address, { signal: AbortSignal.abort(reason) }), reason)
    const controller = new AbortController()
    const connecting = connect(stage.star.address, { signal: controller.signal })
    setImmediate(() => { controller.abort(reason) })
    await assert.rejects(connecting, reason)
    await until(async () => await stage.metric('star_connections') === 0)
  })
})
