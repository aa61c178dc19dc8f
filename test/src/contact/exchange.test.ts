// The peer's side of a contact exchange: what it says when, over one connection or two, and what it makes of servers that are
// slow, gone, or hostile.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../../src/errors.ts'
import { ANSWER_TIME, CONNECT_TIME, Exchange, SECOND_TIME } from '../../../src/contact/exchange.ts'
import { decodeRequest, encodeReply } from '../../../src/contact/wire.ts'
import { NOWHERE, at, create, cut, readAll, ready, record } from '../../support/contact.ts'
import type { Family } from '../../../src/contact/address.ts'
import type { ExchangeEvent, ExchangeOptions } from '../../../src/contact/exchange.ts'
import type { Contact, FullContact, Reply, Request, Version } from '../../../src/contact/wire.ts'

const LOCAL = { v4: at('10.0.0.2', 4), v6: at('2001:db8::2', 6) }
const OWN: FullContact = { local: LOCAL, public: { v4: at('192.0.2.1', 4), v6: at('2001:db8::2', 6) } }
const PEER: FullContact = { local: NOWHERE, public: { v4: at('192.0.2.9', 9), v6: undefined } }
/** What it is when there is IPv4 alone. */
const OWN4: FullContact = { local: LOCAL, public: { v4: OWN.public.v4, v6: undefined } }
const TIMEOUT = 600_000

/** One exchange, and what it says and comes to: requests as they are, else a word. */
class Peer {
  readonly machine: Exchange
  now = 1_000
  result: { own: FullContact, peer: FullContact } | undefined
  error: StarError | undefined

  constructor (options: Partial<ExchangeOptions> = {}) {
    const common = { room: 'r', creator: true, local: undefined, families: ['v4', 'v6'] as const, timeout: TIMEOUT }
    this.machine = new Exchange({ ...common, ...options }, this.now)
  }

  tell (event: ExchangeEvent): Array<readonly [Family, Request] | string> {
    return this.machine.input(event, this.now).map(output => {
      if (output.do === 'send') {
        const [frame, ...more] = readAll([output.bytes], [3])
        assert.ok(frame != null && more.length === 0)
        return [output.family, decodeRequest(frame)] as const
      }
      if (output.do === 'done') {
        this.result = { own: output.own, peer: output.peer }
      } else if (output.do === 'fail') {
        this.error = output.error
        return output.error.code
      }
      return output.do === 'close' ? `close ${output.family}` : output.do
    })
  }

  open (...families: readonly Family[]): ReturnType<Peer['tell']> {
    return families.flatMap(family => this.tell({ type: 'open', family, local: LOCAL[family] }))
  }

  lose (family: Family, cause?: Error): ReturnType<Peer['tell']> {
    return this.tell({ type: 'lost', family, ...cause == null ? {} : { cause } })
  }

  hear (family: Family, reply: Reply | Reply['type'], version: Version = 3): ReturnType<Peer['tell']> {
    const said = typeof reply === 'string' ? { type: reply } as Reply : reply
    return this.tell({ type: 'bytes', family, bytes: encodeReply(version, said) })
  }

  pass (milliseconds: number): ReturnType<Peer['tell']> {
    this.now += milliseconds
    return this.tell({ type: 'wake' })
  }

  /** Up to where it waits for the other peer, over IPv4 alone. */
  waiting (): this {
    this.open('v4')
    this.lose('v6')
    this.hear('v4', 'RoomCreated')
    this.hear('v4', 'ReceivedAddr')
    assert.deepEqual(this.hear('v4', own(OWN4)), [])
    return this
  }
}

function own (contact: FullContact = OWN): Reply {
  return { type: 'ClientContact', contact }
}

describe('An exchange of contacts', () => {
  it('creates the room over IPv6, records over both, shares over IPv6, and waits', () => {
    const peer = new Peer()
    assert.deepEqual(peer.open('v4'), [])
    assert.deepEqual(peer.open('v6'), [['v6', create()]])
    assert.deepEqual(peer.open('v6'), [])
    assert.equal(peer.machine.wakeAt, peer.now + ANSWER_TIME)
    assert.deepEqual(peer.hear('v6', 'RoomCreated'), ['created', ['v6', record(true)], ['v4', record(true)]])
    assert.deepEqual(peer.hear('v4', 'ReceivedAddr'), [])
    assert.deepEqual(peer.hear('v6', 'ReceivedAddr'), [['v6', ready(true, LOCAL)]])
    assert.deepEqual(peer.hear('v6', own()), [])
    assert.deepEqual(peer.hear('v6', { type: 'PeerContact', contact: PEER }), ['done'])
    assert.deepEqual(peer.result, { own: OWN, peer: PEER })
    assert.equal(peer.machine.wakeAt, undefined)
  })

  it('joins a room with what it is told to say of itself, over the one connection that there is', () => {
    const local: Contact = { v4: at('172.16.0.1', 7), v6: undefined }
    const peer = new Peer({ creator: false, local })
    assert.deepEqual(peer.open('v4'), [])
    assert.deepEqual(peer.lose('v6'), [['v4', record(false)]])
    assert.deepEqual(peer.hear('v4', 'ReceivedAddr'), [['v4', ready(false, local)]])
  })

  it('says of itself where its connections come from, those that are there', () => {
    const peer = new Peer({ creator: false })
    peer.open('v4', 'v6')
    peer.hear('v6', 'ReceivedAddr')
    assert.deepEqual(peer.lose('v4'), [['v6', ready(false, { v4: undefined, v6: LOCAL.v6 })]])
  })

  it('reads what comes in pieces, and all that comes at once', () => {
    const peer = new Peer({ creator: false, families: ['v4'] })
    peer.open('v4')
    for (const bytes of cut(encodeReply(3, { type: 'ReceivedAddr' }), [1])) {
      peer.tell({ type: 'bytes', family: 'v4', bytes })
    }
    const last = encodeReply(3, { type: 'PeerContact', contact: PEER })
    const both = Buffer.concat([encodeReply(3, own(OWN4)), last, encodeReply(3, { type: 'ErrorSyntax' })])
    assert.deepEqual(peer.tell({ type: 'bytes', family: 'v4', bytes: both }), ['done'])
  })

  it('does not wait long for the second connection, and goes on without it', () => {
    const peer = new Peer()
    peer.pass(100)
    peer.open('v6')
    assert.equal(peer.machine.wakeAt, 1_100 + SECOND_TIME)
    assert.deepEqual(peer.pass(SECOND_TIME - 1), [])
    assert.deepEqual(peer.pass(1), ['close v4', ['v6', create()]])
    assert.deepEqual(peer.lose('v4'), [])
    assert.deepEqual(peer.open('v4'), [])
    assert.deepEqual(peer.hear('v6', 'RoomCreated'), ['created', ['v6', record(true)]])
  })

  it('goes on without the second connection when that is lost, and not without the first', () => {
    const peer = new Peer({ creator: false })
    peer.open('v4', 'v6')
    peer.hear('v4', 'ReceivedAddr')
    assert.deepEqual(peer.lose('v4'), [])
    assert.deepEqual(peer.hear('v6', 'ReceivedAddr'), [['v6', ready(false, { v4: undefined, v6: LOCAL.v6 })]])
    assert.deepEqual(peer.hear('v6', own()), [])
    const cause = new Error('read ECONNRESET')
    assert.deepEqual(peer.lose('v6', cause), ['ERR_STAR_LOST'])
    assert.equal(peer.error?.cause, cause)
    assert.match(peer.error?.message ?? '', /ECONNRESET/)
  })
})

describe('An exchange of contacts fails', () => {
  it('when no connection can be made, with all causes', () => {
    const peer = new Peer()
    assert.deepEqual(peer.lose('v6', new Error('ENETUNREACH')), [])
    assert.deepEqual(peer.lose('v4', new Error('connect ECONNREFUSED')), ['ERR_STAR_UNREACHABLE'])
    assert.match(peer.error?.message ?? '', /\(ENETUNREACH; connect ECONNREFUSED\)/)
  })

  it('when no connection is there in time, and gives both up', () => {
    const peer = new Peer()
    assert.deepEqual(peer.pass(CONNECT_TIME - 1), [])
    assert.deepEqual(peer.pass(1), ['close v6', 'close v4', 'ERR_STAR_TIMEOUT'])
    assert.deepEqual(peer.open('v4'), [])
  })

  for (const [phase, replies] of [
    ['creates', []], ['records', ['RoomCreated']], ['shares', ['RoomCreated', 'ReceivedAddr']]
  ] as const) {
    it(`when the server does not answer in time while it ${phase}`, () => {
      const peer = new Peer({ families: ['v4'] })
      peer.open('v4')
      replies.forEach(reply => { peer.hear('v4', reply) })
      assert.deepEqual(peer.pass(ANSWER_TIME - 1), [])
      assert.deepEqual(peer.pass(1), ['ERR_STAR_TIMEOUT'])
      assert.equal(peer.machine.wakeAt, undefined)
    })
  }

  it('when the other peer does not come in the time for all of it', () => {
    const peer = new Peer().waiting()
    assert.equal(peer.machine.wakeAt, 1_000 + TIMEOUT)
    assert.deepEqual(peer.pass(TIMEOUT - 1), [])
    assert.deepEqual(peer.pass(1), ['ERR_ROOM_TIMEOUT'])
  })

  it('when its time is over before it is connected', () => {
    const peer = new Peer({ timeout: 10 })
    assert.deepEqual(peer.pass(10), ['ERR_STAR_TIMEOUT'])
  })

  for (const [word, code, retryAfter] of [
    ['ErrorRoomTaken', 'ERR_ROOM_TAKEN'], ['ErrorPeerTimedOut', 'ERR_ROOM_TIMEOUT'], ['ErrorNoSuchRoomCode', 'ERR_NO_ROOM'],
    ['ErrorUnexpectedMsg', 'ERR_ROOM_ROLE'], ['ErrorTooManyRequests', 'ERR_TOO_MANY_REQUESTS', 60_000],
    ['ErrorSyntax', 'ERR_PROTOCOL']
  ] as const) {
    it(`with ${code} when the server says ${word}, whenever it does`, () => {
      const creating = new Peer()
      creating.open('v4', 'v6')
      for (const peer of [new Peer(), creating, new Peer().waiting()]) {
        assert.deepEqual(peer.hear('v4', word), [code])
        assert.equal(peer.error?.retryAfter, retryAfter)
        assert.deepEqual(peer.hear('v4', word), [])
        assert.deepEqual(peer.pass(TIMEOUT), [])
      }
    })
  }

  it('when the server says what is not due', () => {
    const waits = (): Peer => new Peer().waiting()
    const creates = (): Peer => {
      const peer = new Peer()
      peer.open('v4', 'v6')
      return peer
    }
    const records = (): Peer => {
      const peer = creates()
      peer.hear('v6', 'RoomCreated')
      return peer
    }
    const cases: ReadonlyArray<readonly [make: () => Peer, family: Family, reply: Reply]> = [
      [() => new Peer(), 'v4', { type: 'RoomCreated' }],
      [creates, 'v4', { type: 'RoomCreated' }], [creates, 'v6', { type: 'ReceivedAddr' }], [creates, 'v6', own()],
      [records, 'v6', { type: 'RoomCreated' }], [records, 'v6', { type: 'PeerContact', contact: PEER }], [records, 'v6', own()],
      [waits, 'v4', own()], [waits, 'v4', { type: 'ReceivedAddr' }]
    ]
    for (const [make, family, reply] of cases) {
      const peer = make()
      assert.deepEqual(peer.hear(family, reply), ['ERR_PROTOCOL'], reply.type)
      assert.match(peer.error?.message ?? '', new RegExp(reply.type))
    }
    const twice = records()
    twice.hear('v4', 'ReceivedAddr')
    assert.deepEqual(twice.hear('v4', 'ReceivedAddr'), ['ERR_PROTOCOL'])
    const shares = records()
    shares.hear('v4', 'ReceivedAddr')
    shares.hear('v6', 'ReceivedAddr')
    assert.deepEqual(shares.hear('v4', own()), ['ERR_PROTOCOL'])
  })

  it('when the server is of another version, and says which', () => {
    const peer = new Peer({ families: ['v4'] })
    peer.open('v4')
    assert.deepEqual(peer.hear('v4', 'RoomCreated', 2), ['ERR_PROTOCOL'])
    assert.match(peer.error?.message ?? '', /version 2/)
  })

  it('when somebody has recorded an address of a family in its name that it has not', () => {
    const peer = new Peer({ families: ['v4'], creator: false })
    peer.open('v4')
    peer.hear('v4', 'ReceivedAddr')
    assert.deepEqual(peer.hear('v4', own()), ['ERR_ROOM_ROLE'])
  })

  it('when its room code is too long, before anything is said', () => {
    assert.throws(() => new Peer({ room: 'x'.repeat(1_000) }), { code: 'ERR_ARGUMENTS' })
    const room = 'ä'.repeat(390)
    const local: Contact = {
      v4: at('255.255.255.255', 65_535), v6: at('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295', 65_535)
    }
    const peer = new Peer({ room, local, creator: false, families: ['v4'] })
    peer.open('v4')
    assert.deepEqual(peer.hear('v4', 'ReceivedAddr'), [['v4', ready(false, local, room)]])
  })

  it('of nothing but a typed error, whatever the server says and however it cuts it', () => {
    const words: Reply[] = [{ type: 'RoomCreated' }, { type: 'ReceivedAddr' }, { type: 'ErrorSyntax' }]
    const word = fc.constantFrom<Reply>(...words, own(), { type: 'PeerContact', contact: PEER })
    const bytes = fc.oneof({ weight: 4, arbitrary: word.map(reply => encodeReply(3, reply)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }) })
    const event = fc.tuple(fc.constantFrom<Family>('v4', 'v6'), bytes, fc.integer({ min: 1, max: 60 }), fc.nat(3_000))
    fc.assert(fc.property(fc.array(event), fc.boolean(), (events, creator) => {
      const peer = new Peer({ creator })
      peer.open('v4', 'v6')
      for (const [family, said, length, time] of events) {
        const isOver = peer.error != null || peer.result != null
        const outputs = cut(said, [length]).flatMap(piece => peer.tell({ type: 'bytes', family, bytes: piece }))
        outputs.push(...peer.pass(time))
        assert.ok(!isOver || outputs.length === 0, 'something follows the end')
      }
      peer.lose('v6')
      peer.pass(TIMEOUT)
      assert.ok(peer.result != null || peer.error instanceof StarError)
      assert.equal(peer.machine.wakeAt, undefined)
    }), { numRuns: 1_000 })
  })
})
