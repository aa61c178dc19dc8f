// What a star that means harm can do to a client of ours: be refused, or be left.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { connect } from '../../client/index.ts'
import { eventName } from '../../src/pull-stream/protocol.ts'
import { Event } from '../../src/star/protocol.ts'
import { evilStars } from '../support/evil.ts'
import { makeIdentity } from '../support/raw.ts'
import { within } from '../support/waiting.ts'
import type { Socket } from 'socket.io'
import type { StarClient, StarStream } from '../../client/index.ts'

const WELCOME = { peers: [], window: 65_536 }

const NONSENSE: readonly unknown[] = [
  null, true, 0, -1, '', 'x', 'x'.repeat(900_000), [], [[]], {}, { length: 3 }, Buffer.alloc(3), { nonce: 'ab', expires: 1 },
  { nonce: 'g'.repeat(64), expires: 1 }, { nonce: 'a'.repeat(64), expires: '1' }, { peers: [5], window: 1 },
  { peers: [], window: -1 }, { joined: 'x', left: [] }, { joined: [], left: ['', '\n'] }, { code: 5 },
  { reconnectIn: 'x' }, { reconnectIn: -1 }
]

type Ack = (...args: unknown[]) => void

describe('a client on a hostile star', () => {
  const start = evilStars()
  const clients: StarClient[] = []

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(async client => { await client.close() }))
  })

  /** A client that has joined, and the star's socket to it. */
  async function join (): Promise<{ client: StarClient, socket: Socket }> {
    let socket: Socket | undefined
    const client = await connect(start(connected => {
      socket = connected
      connected.on(Event.Join, (_address: unknown, _proof: unknown, ack: Ack) => { ack(null, null, WELCOME) })
    }))
    clients.push(client)
    assert.ok(socket)
    return { client, socket }
  }

  async function ring (socket: Socket, ...args: unknown[]): Promise<unknown[]> {
    return await within('the answer to a dial', new Promise<unknown[]>(resolve => {
      socket.emit(Event.Incoming, ...args, (...reply: unknown[]) => { resolve(reply) })
    }))
  }

  /** The client is there and takes dials. */
  async function assertAlive (client: StarClient, socket: Socket): Promise<StarStream> {
    const { id } = await makeIdentity()
    assert.deepEqual(await ring(socket, id, `/ip4/127.0.0.1/tcp/9/ws/p2p-websocket-star/p2p/${id}`), [])
    for await (const stream of client) {
      if (stream.id === id) {
        return stream
      }
    }
    throw new Error('the client was closed')
  }

  it('gives up when the answer to its join makes no sense', async () => {
    for (const value of NONSENSE) {
      for (const reply of [[value], [null, value], [null, null, value]]) {
        const address = start(socket => {
          socket.on(Event.Join, (_address: unknown, _proof: unknown, ack: Ack) => { ack(...reply) })
        })
        await assert.rejects(connect(address), { name: 'StarError' }, JSON.stringify(reply).slice(0, 80))
      }
    }
  })

  it('gives up when its join is not answered', async () => {
    await assert.rejects(connect(start(() => undefined), { timeout: 1_500 }), { code: 'ERR_STAR_TIMEOUT' })
  })

  it('gives up when it is asked for proofs without end', async () => {
    const offer = { nonce: 'a'.repeat(64), expires: 1 }
    const address = start(socket => {
      socket.on(Event.Join, (_address: unknown, _proof: unknown, ack: Ack) => { ack(null, offer) })
    })
    await assert.rejects(connect(address), { code: 'ERR_PROTOCOL' })
  })

  it('survives events with arguments of any type, and events whose name is none', async () => {
    const { client, socket } = await join()
    const stream = await assertAlive(client, socket)
    for (const name of [
      5, 'error', 'message', '__proto__', Event.Join, Event.Dial, Event.Incoming, Event.Peer, Event.Peers, Event.Restarting,
      'socket.io-pull-stream.', 'socket.io-pull-stream.queue', eventName('queue', 'unknown', 'dialer'),
      eventName('accept', stream.id, 'listener')
    ]) {
      NONSENSE.forEach(value => { socket.emit(name as string, value, value, value) })
      socket.emit(name as string)
    }
    await assertAlive(client, socket)
  })

  it('refuses dials that make no sense', async () => {
    const { client, socket } = await join()
    const { id } = await assertAlive(client, socket)
    for (const args of [
      [5, 'x'], ['x', 5], ['', 'x'], ['x', ''], ['x'.repeat(129), 'x'], ['x', 'x y'], ['x', '\n'], [null, null], [id, 'x']
    ]) {
      assert.deepEqual(await ring(socket, ...args), [{ code: 'ERR_DIAL_ID' }], JSON.stringify(args))
    }
  })

  it('breaks a stream off in which anything comes that makes no sense', async () => {
    const { client, socket } = await join()
    for (const [kind, side, payload] of [
      ['queue', 'dialer', 'text'], ['queue', 'dialer', null], ['queue', 'listener', Buffer.alloc(1)], ['error', 'listener', true],
      ['credit', 'listener', -1], ['credit', 'listener', 'x'], ['credit', 'dialer', 1], ['abort', 'dialer', true],
      ['accept', 'dialer', 1]
    ] as const) {
      const stream = await assertAlive(client, socket)
      socket.emit(eventName(kind, stream.id, side), payload)
      await assert.rejects(within('the stream to break', stream.source.next()), { code: 'ERR_PROTOCOL' }, `${kind} ${side}`)
    }
  })

  it('takes no more of a stream than it has asked for, give or take what an original may overshoot', async () => {
    const { client, socket } = await join()
    const stream = await assertAlive(client, socket)
    let sent = 0
    const writing = setInterval(() => {
      for (let chunk = 0; chunk < 10; chunk++) {
        socket.emit(eventName('queue', stream.id, 'dialer'), Buffer.alloc(100_000))
        sent += 100_000
      }
    }, 1)
    try {
      await assert.rejects(within('the stream to break', stream.sink((async function * () {
        yield Buffer.alloc(1_000_000) // waits for credit that never comes
      })())), { code: 'ERR_BUDGET' })
    } finally {
      clearInterval(writing)
    }
    assert.ok(sent > 0)
  })

  it('survives any values in any event', async () => {
    const { client, socket } = await join()
    const { id } = await assertAlive(client, socket)
    const value = fc.oneof(fc.jsonValue(), fc.uint8Array().map(bytes => Buffer.from(bytes)), fc.constant(client.id.toString()))
    const names = [Event.Incoming, Event.Peer, Event.Peers, Event.Restarting]
    const kinds = fc.constantFrom('accept', 'queue', 'error', 'credit', 'abort')
    const frames = fc.tuple(kinds, fc.constantFrom(id, 'unknown', ''), fc.constantFrom('dialer', 'listener'))
      .map(([kind, stream, side]) => eventName(kind as 'queue', stream, side as 'dialer'))
    const events = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...names), frames), fc.array(value, { maxLength: 4 })))
    await fc.assert(fc.asyncProperty(events, async list => {
      list.forEach(([name, args]) => { socket.emit(name, ...args) })
      assert.deepEqual(await ring(socket, '', ''), [{ code: 'ERR_DIAL_ID' }])
    }), { numRuns: 100 })
    await assertAlive(client, socket)
  })
})
