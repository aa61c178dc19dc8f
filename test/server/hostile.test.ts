// Clients that mean harm: whatever they send, the star refuses it with a code, counts it, and goes on serving the others.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../src/errors.ts'
import { INITIAL_CREDIT, eventName } from '../../src/pull-stream/protocol.ts'
import { Event } from '../../src/star/protocol.ts'
import { until } from '../support/nodes.ts'
import { Bystanders, GENERATIONS, makeIdentity, openStream, stages } from '../support/raw.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { Reason } from '../../src/errors.ts'
import type { Kind } from '../../src/pull-stream/protocol.ts'
import type { RawClient, Stage } from '../support/raw.ts'

const KINDS: readonly Kind[] = ['accept', 'queue', 'error', 'credit', 'abort']

/** Where the harm comes from, for stars that trust their proxy. */
const ATTACKER = { from: '198.51.100.7' }

/** Of every type that JSON knows, and bytes. */
const NONSENSE: readonly unknown[] = [
  null, true, 0, -1, 1e308, '', 'x', 'x'.repeat(900_000), [], [[]], {}, { key: {} }, { length: 3 }, Buffer.alloc(3),
  [Buffer.alloc(1)], { key: 'ab', origin: 'ws://x', listed: 1 }, { signature: 1 }, { toString: 'x', then: 'y' },
  JSON.parse('{"__proto__":{"listed":true}}')
]

describe('hostile clients', () => {
  let stage: Stage
  let bystanders: Bystanders | undefined

  beforeEach(() => { bystanders = undefined })
  // whatever a test has done, and before its star is closed
  afterEach(async () => { await bystanders?.echo() })
  const open = stages()

  async function setting (options?: ServerOptions): Promise<void> {
    stage = await open({ trustProxy: true, ...options })
    bystanders = await Bystanders.join(stage)
  }

  /** What a refusal is for each generation. */
  function assertRefused (client: RawClient, [error]: readonly unknown[], code: Reason): void {
    const text = client.generation === 'original' ? error : (error as StarError).code
    assert.equal(text, client.generation === 'original' ? new StarError(code).message : code)
  }

  for (const generation of GENERATIONS) {
    describe(`of the ${generation} generation`, () => {
      it('get a refusal for each argument of a wrong type', async () => {
        await setting()
        const client = await stage.join(generation, ATTACKER)
        const address = client.spell((await makeIdentity()).id)
        for (const value of NONSENSE) {
          const replies = await Promise.all([
            client.ask(Event.Join, value, client.identity?.key),
            client.ask(Event.Join, address, value),
            client.ask(Event.Dial, value, client.address, 'id'),
            client.ask(Event.Dial, client.address, value, 'id'),
            client.ask(Event.Dial, client.address, client.address, value)
          ])
          client.tell(Event.Leave, value)
          assert.ok(replies.every(([error]) => error != null && error !== ''), JSON.stringify(value).slice(0, 80))
        }
        assert.ok(await stage.refusals('ERR_ADDRESS') >= NONSENSE.length)
        assert.ok(await stage.refusals('ERR_NOT_JOINED') >= NONSENSE.length)
        assert.ok(await stage.refusals('ERR_PEER_NOT_FOUND') >= NONSENSE.length)
        assert.ok(await stage.refusals('ERR_DIAL_ID') > 0)
        assert.ok(await stage.refusals(generation === 'original' ? 'ERR_KEY' : 'ERR_ARGUMENTS') > 0)
      })

      it('get nothing for an event without acknowledgement', async () => {
        await setting()
        const client = await stage.join(generation, ATTACKER)
        client.tell(Event.Join)
        client.tell(Event.Join, client.address, client.identity?.key)
        client.tell(Event.Dial, client.address, client.address, 'id')
        client.tell(Event.Dial, client.address, client.address, 'id', 'no function', null)
        client.tell(Event.Leave)
        await client.settled()
        assert.equal(await stage.refusals('ERR_ARGUMENTS'), 4)
      })

      it('may send any values in any event', async () => {
        await setting({ joinsPerSecond: 100_000, streamsPerPair: 10_000 })
        const friend = await stage.join('star')
        const client = await stage.join(generation, ATTACKER)
        const addresses = fc.constantFrom(client.address, friend.address)
        const value = fc.oneof(fc.jsonValue(), fc.uint8Array().map(bytes => Buffer.from(bytes)), addresses)
        const names = [Event.Join, Event.Leave, Event.Dial, Event.Incoming, Event.Peers, Event.Replaced, Event.Restarting]
        const ids = fc.oneof(fc.constantFrom('own', '', '.', '..', 'x.dialer'), fc.string({ maxLength: 20 }))
        const frames = fc.tuple(fc.constantFrom(...KINDS), ids, fc.constantFrom('dialer', 'listener'))
          .map(([kind, id, side]) => eventName(kind, id, side as 'dialer'))
        const name = fc.oneof(fc.constantFrom(...names), frames, fc.string({ maxLength: 30 }).map(text => `x${text}`))
        const events = fc.array(fc.tuple(name, fc.array(value, { maxLength: 5 }), fc.boolean()), { maxLength: 5 })
        // a dial may be among these events, and be taken
        friend.socket.on(Event.Incoming, (_id: unknown, _from: unknown, ack: () => void) => { ack() })
        await fc.assert(fc.asyncProperty(events, async list => {
          const [dialled, ring] = await Promise.all([client.dial(friend, 'own'), friend.ringOf('own')])
          assert.deepEqual(dialled.reply, [])
          ring.stream.open()
          list.forEach(([event, args, asking]) => { client.tell(event, ...args, ...(asking ? [() => undefined] : [])) })
          await client.settled()
          ring.stream.end('over')
          ring.stream.abort('over')
          client.tell(eventName('error', 'own', 'dialer'), 'over')
          client.tell(eventName('abort', 'own', 'listener'), 'over')
          await friend.settled()
          // it may have left by one of these events
          await client.join()
        }), { numRuns: 100 })
        assert.equal(client.closed, undefined)
      })

      it('reach no stream of others, and none that does not exist', async () => {
        await setting()
        const [one, other] = [await stage.join(generation), await stage.join('star')]
        const [dialled, accepted] = await openStream(one, other)
        const attacker = await stage.join(generation, ATTACKER)
        for (const id of [dialled.id, 'unknown', '']) {
          for (const side of ['dialer', 'listener'] as const) {
            for (const kind of KINDS) {
              for (const payload of [true, 'ERR_PROTOCOL', 1_000_000, Buffer.from('forged'), null]) {
                attacker.tell(eventName(kind, id, side), payload)
              }
            }
          }
        }
        await attacker.settled()
        dialled.write('question')
        accepted.write('answer')
        await Promise.all([accepted.reads(8), dialled.reads(6)])
        assert.deepEqual([accepted.text, dialled.text], ['question', 'answer'])
        assert.deepEqual([accepted.got.error, dialled.got.error, accepted.got.abort, dialled.got.abort], [[], [], [], []])
      })

      it('cannot play the part of the other end of their own stream', async () => {
        await setting()
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        const [dialled, accepted] = await openStream(client, friend)
        for (const [kind, side] of [
          ['queue', 'listener'], ['error', 'listener'], ['accept', 'dialer'], ['credit', 'dialer']
        ] as const) {
          client.tell(eventName(kind, dialled.id, side), kind === 'queue' ? Buffer.from('forged') : 5)
        }
        await client.settled()
        accepted.write('true')
        await dialled.reads(4)
        assert.deepEqual([dialled.text, accepted.text, accepted.got.error], ['true', '', []])
      })

      it('break a stream in which they send anything but bytes', async () => {
        await setting()
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        for (const payload of ['text', null, 5, { data: [1] }, [Buffer.alloc(3)]]) {
          const [dialled, accepted] = await openStream(client, friend)
          client.tell(eventName('queue', dialled.id, 'dialer'), payload)
          assert.deepEqual([await accepted.ended(), await dialled.ended()], ['ERR_PROTOCOL', 'ERR_PROTOCOL'])
        }
        assert.equal(await stage.metric('star_streams_broken_total{code="ERR_PROTOCOL"}'), 5)
        assert.equal(await stage.metric('star_streams'), 0)
      })

      it('end a stream of theirs by writing more than was asked for, in tiny chunks as well', async () => {
        await setting({ pairBudget: INITIAL_CREDIT })
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        // an original client, which knows no credit, is stopped before it comes so far; but a single chunk cannot be stopped
        const sizes = generation === 'star' ? [0, 1_000, 60_000] : [2 * INITIAL_CREDIT, 900_000]
        for (const size of sizes) {
          const [dialled, accepted] = await openStream(client, friend)
          accepted.granting = false
          for (let sent = 0; sent <= 2 * INITIAL_CREDIT; sent += size + 256) {
            dialled.write(Buffer.alloc(size))
          }
          assert.deepEqual([await accepted.ended(), await dialled.ended()], ['ERR_BUDGET', 'ERR_BUDGET'], `${size} bytes`)
          assert.ok(accepted.received <= INITIAL_CREDIT)
        }
        assert.equal(await stage.metric('star_streams_broken_total{code="ERR_BUDGET"}'), sizes.length)
      })

      it('close nobody but themselves by a message of more than a megabyte', async () => {
        await setting()
        const client = await stage.join(generation, ATTACKER)
        const [dialled, accepted] = await openStream(client, await stage.join('star'))
        dialled.write(Buffer.alloc(1_000_001))
        assert.match(await client.gone(), /^transport/)
        assert.equal(await accepted.ended(), 'ERR_PEER_GONE')
        await until(() => !stage.star.server.peers().includes(client.address.replace('/ipfs/', '/p2p/')))
      })

      it('that never answer a dial let it fail in time, and an answer that comes too late changes nothing', async () => {
        await setting({ dialTimeout: 1_500 }) // which is all that the bystanders have, too
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join(generation)]
        const { reply, stream } = await friend.dial(client)
        assertRefused(friend, reply, 'ERR_DIAL_TIMEOUT')
        assert.equal(await stream.ended(), 'ERR_DIAL_TIMEOUT')
        const ring = await client.ring()
        ring.ack()
        ring.stream.open()
        ring.stream.write('too late')
        await client.settled()
        await friend.settled()
        assert.equal(stream.received, 0)
        assert.deepEqual([await stage.metric('star_streams'), await stage.metric('star_dials_in_flight')], [0, 0])
        assert.equal(await stage.refusals('ERR_DIAL_TIMEOUT'), 1)
      })

      it('that answer a dial with anything refuse it, and once only', async () => {
        await setting()
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        for (const answer of [
          {}, [], [null], 'no', 'x'.repeat(900_000), 5, true, { code: 5 }, { code: 'ERR_NO_SUCH' }, Buffer.alloc(2)
        ]) {
          let packet = ''
          client.socket.io.engine.on('data', (data: unknown) => {
            packet = String(data).includes(Event.Incoming) ? String(data) : packet
          })
          const dialled = friend.dial(client)
          const ring = await client.ring()
          ring.ack(answer)
          const call = /^2(\d+)/.exec(packet)?.[1] ?? ''
          if (!Buffer.isBuffer(answer)) { // whose second part is still to come
            client.webSocket.send(`43${call}[]`)
            client.webSocket.send(`43${call}["again"]`)
          }
          const { reply: [error] } = await dialled
          assert.deepEqual(error, { code: 'ERR_DIAL_REFUSED', message: new StarError('ERR_DIAL_REFUSED').message })
        }
        await client.settled()
        assert.equal(await stage.refusals('ERR_DIAL_REFUSED'), 10)
        assert.equal(await stage.metric('star_streams'), 0)
      })

      it('cannot dial themselves, by whatever address of theirs', async () => {
        await setting()
        const client = await stage.join(generation, ATTACKER)
        const second = client.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/')
        await client.join({ address: second })
        for (const to of [client.address, second, client.address.replace('/ipfs/', '/p2p/')]) {
          assertRefused(client, (await client.dial(to)).reply, 'ERR_DIAL_SELF')
        }
        assert.equal(await stage.refusals('ERR_DIAL_SELF'), 3)
      })

      it('cannot use a dial id that is empty, too long or taken', async () => {
        await setting()
        const [client, friend] = [await stage.join(generation, ATTACKER), await stage.join('star')]
        const [dialled, accepted] = await openStream(client, friend)
        for (const id of ['', 'x'.repeat(129), dialled.id]) {
          assertRefused(client, await client.ask(Event.Dial, client.address, friend.address, id), 'ERR_DIAL_ID')
        }
        dialled.write('unharmed')
        await accepted.reads(8)
        void client.ask(Event.Dial, client.address, friend.address, 'twice').catch(() => undefined)
        assertRefused(client, (await client.dial(friend, 'twice')).reply, 'ERR_DIAL_ID')
        assert.equal(await stage.refusals('ERR_DIAL_ID'), 4)
      })
    })
  }

  it('may put anything on the WebSocket: it closes at the worst', async () => {
    await setting()
    for (const frame of [
      '42', '42[]', '42[5]', '42[null]', '42[[1]]', '42{}', '42["error","x"]', '42["disconnect"]', '42["newListener"]',
      '42["__proto__",1]', '42["x",', '43', '4399999[]', '43[]', '44{}', '40{"sid":1}', '40/other,{}', '41/other,', '4', '5', '9',
      '{', '2', '451-["x",{"_placeholder":true,"num":7}]', '459999999-["x"]', '45-1["x"]', Buffer.from('bytes'), ''
    ]) {
      const client = await stage.connect('star', ATTACKER)
      client.webSocket.send(frame)
      await Promise.race([client.settled(), client.gone()])
    }
  })
})
