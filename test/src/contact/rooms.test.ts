// The rooms of a contact server: the conversation that the protocol describes, in each version and between them, each refusal,
// and each time that runs out.
import assert from 'node:assert/strict'
import { encodeRequest } from '../../../src/contact/wire.ts'
import { NOWHERE, Table, VERSIONS, at, create, frame, ready, record } from '../../support/contact.ts'
import type { Request, Version } from '../../../src/contact/wire.ts'

const HERE = { v4: at('10.0.0.2', 5), v6: at('fe80::1%5', 6) }
const THERE = { v4: at('192.168.1.2', 7), v6: undefined }

/** A room with its creator on 1 and the other peer on 2, of IPv4. */
function meeting (options?: ConstructorParameters<typeof Table>[0]): Table {
  const table = new Table(options).open([1, '192.0.2.1'], [2, '192.0.2.2'])
  assert.deepEqual(table.ask(1, create()), ['1 RoomCreated'])
  return table
}

/** What a version is called in what a table says. */
function called (version: Version): string {
  return version === 3 ? '' : ` (${version})`
}

describe('A room', () => {
  for (const [one, other] of VERSIONS.flatMap(one => VERSIONS.map(other => [one, other] as const))) {
    it(`makes two peers known to each other, of versions ${one} and ${other}, over IPv6 and IPv4`, () => {
      const table = new Table().open([1, '2001:db8::1'], [2, '192.0.2.1'], [3, '192.0.2.3'])
      const [a, b] = [called(one), called(other)]
      assert.deepEqual(table.ask(1, create(), one), [`1 RoomCreated${a}`])
      assert.deepEqual(table.ask(1, record(true), one), [`1 ReceivedAddr${a}`])
      assert.deepEqual(table.ask(2, record(true), one), [`2 ReceivedAddr${a}`])
      assert.deepEqual(table.ask(1, ready(true, HERE), one), [`1 ClientContact${a}`])
      assert.equal(table.rooms.waiting, 1)
      assert.deepEqual(table.ask(3, record(false), other), [`3 ReceivedAddr${b}`])
      const last = [`3 ClientContact${b}`, `1 PeerContact${a}`, `3 PeerContact${b}`]
      assert.deepEqual(table.ask(3, ready(false, THERE), other), last)
      const creator = { local: HERE, public: { v4: at('192.0.2.1', 1_002), v6: at('2001:db8::1', 1_001) } }
      const joiner = { local: THERE, public: { v4: at('192.0.2.3', 1_003), v6: undefined } }
      assert.deepEqual(Object.fromEntries(table.contacts), {
        '1 ClientContact': creator, '1 PeerContact': joiner, '3 ClientContact': joiner, '3 PeerContact': creator
      })
      assert.deepEqual([table.rooms.rooms, table.rooms.waiting, table.rooms.connections], [0, 0, 3])
    })
  }

  it('is known by its code, whoever is first to be ready, and there may be several on one connection', () => {
    const table = meeting()
    const both = [create('s'), record(true), record(true, 's')]
    assert.deepEqual(table.ask(1, both), ['1 RoomCreated', '1 ReceivedAddr', '1 ReceivedAddr'])
    assert.deepEqual(table.ask(2, [record(false), ready(false)]), ['2 ReceivedAddr', '2 ClientContact'])
    assert.deepEqual(table.ask(1, ready(true)), ['1 ClientContact', '2 PeerContact', '1 PeerContact'])
    assert.deepEqual(table.ask(2, record(false)), ['2 ErrorNoSuchRoomCode'])
    assert.deepEqual(table.ask(2, [record(false, 's'), ready(false, THERE, 's')]), ['2 ReceivedAddr', '2 ClientContact'])
    assert.equal(table.rooms.rooms, 1)
  })

  it('is not needed by who asks where it comes from, and not for who comes bare where others are encrypted', () => {
    const table = new Table().open([1, '192.0.2.1'], [2, '2001:db8::1'], [3, '192.0.2.3'])
    assert.deepEqual(table.ask(1, { type: 'ReflectAddr' }), ['1 ReflectedAddr'])
    assert.deepEqual(table.ask(2, { type: 'ReflectAddr' }, 2), ['2 ReflectedAddr (2)'])
    assert.deepEqual([table.seen.get(1), table.seen.get(2)], [
      { v4: at('192.0.2.1', 1_001), v6: undefined }, { v4: undefined, v6: at('2001:db8::1', 1_002) }
    ])
    table.tell({ type: 'bare', connection: 3 })
    assert.deepEqual(table.ask(3, { type: 'ReflectAddr' }), ['3 ReflectedAddr'])
    assert.deepEqual(table.ask(3, create()), ['3 ErrorSyntax', '3 close'])
    assert.equal(table.rooms.rooms, 0)
  })

  it('may be had without any public address, and with one that was recorded again', () => {
    const table = meeting()
    assert.deepEqual(table.ask(1, [record(true), record(true)]), ['1 ReceivedAddr', '1 ReceivedAddr'])
    table.ask(1, ready(true))
    table.ask(2, ready(false, THERE))
    assert.deepEqual(table.contacts.get('1 PeerContact'), { local: THERE, public: NOWHERE })
    const creator = { v4: at('192.0.2.1', 1_001), v6: undefined }
    assert.deepEqual(table.contacts.get('2 PeerContact'), { local: NOWHERE, public: creator })
  })

  it('can be had on one connection in both roles, as far as that does not wait', () => {
    const table = meeting()
    const both = [record(true), record(false), ready(false)]
    assert.deepEqual(table.ask(1, both), ['1 ReceivedAddr', '1 ReceivedAddr', '1 ClientContact'])
    assert.deepEqual(table.ask(1, ready(true)), [])
  })

  it('is there once', () => {
    const table = meeting()
    assert.deepEqual(table.ask(1, create()), ['1 ErrorRoomTaken'])
    assert.deepEqual(table.ask(2, create(), 1), ['2 ErrorRoomTaken (1)'])
    assert.deepEqual(table.ask(2, record(false)), ['2 ReceivedAddr'])
  })

  it('is there or it is not', () => {
    const table = meeting()
    for (const request of [record(false, 'x'), record(true, 'R'), ready(false, NOWHERE, '')]) {
      assert.deepEqual(table.ask(2, request), ['2 ErrorNoSuchRoomCode'])
    }
  })

  it('lets nobody change a peer that is ready', () => {
    const table = meeting()
    table.ask(1, [record(true), ready(true, HERE)])
    for (const request of [record(true), ready(true), ready(true, THERE)]) {
      assert.deepEqual(table.ask(2, request), ['2 ErrorUnexpectedMsg'])
    }
    assert.deepEqual(table.ask(2, ready(false)), ['2 ClientContact', '1 PeerContact', '2 PeerContact'])
    assert.deepEqual(table.contacts.get('2 PeerContact')?.local, HERE)
  })

  it('keeps the first of two that are ready in one role without local addresses', () => {
    const table = meeting().open([3, '192.0.2.3'])
    assert.deepEqual(table.ask(1, ready(true)), ['1 ClientContact'])
    assert.deepEqual(table.ask(3, ready(true)), ['3 ErrorUnexpectedMsg'])
    assert.deepEqual(table.ask(2, ready(false)), ['2 ClientContact', '1 PeerContact', '2 PeerContact'])
  })

  it('ends when its time is over: who waits is told, and stays', () => {
    const table = meeting({ contactRoomTime: 5_000 })
    table.ask(1, [record(true), ready(true)])
    assert.equal(table.rooms.wakeAt, 6_000)
    assert.deepEqual(table.pass(4_999), [])
    assert.deepEqual(table.pass(1), ['1 ErrorPeerTimedOut'])
    assert.deepEqual([table.rooms.rooms, table.rooms.waiting], [0, 0])
    assert.deepEqual(table.ask(2, record(false)), ['2 ErrorNoSuchRoomCode'])
    assert.deepEqual(table.ask(1, create()), ['1 RoomCreated'])
  })

  it('ends in time also where nobody wakes the server', () => {
    const table = meeting({ contactRoomTime: 5_000 })
    table.ask(1, ready(true))
    table.now += 5_000
    assert.deepEqual(table.ask(2, ready(false)), ['1 ErrorPeerTimedOut', '2 ErrorNoSuchRoomCode'])
  })

  it('has all of its time, also when its code was used before', () => {
    const table = meeting({ contactRoomTime: 5_000 })
    table.ask(1, ready(true))
    table.pass(3_000)
    assert.deepEqual(table.ask(2, ready(false)), ['2 ClientContact', '1 PeerContact', '2 PeerContact'])
    assert.deepEqual(table.ask(1, [create(), ready(true)]), ['1 RoomCreated', '1 ClientContact'])
    assert.deepEqual(table.pass(4_999), [])
    assert.deepEqual(table.pass(1), ['1 ErrorPeerTimedOut'])
  })
})

describe('A connection to the rooms', () => {
  const STEPS: readonly Request[] = [record(false), ready(false), record(false, 'x'), create('y')]

  it('is answered in order, and not while it waits', () => {
    const table = meeting()
    assert.deepEqual(table.ask(2, STEPS), ['2 ReceivedAddr', '2 ClientContact'])
    assert.deepEqual(table.ask(2, create('z')), [])
    assert.deepEqual(table.ask(1, ready(true)), [
      '1 ClientContact', '2 PeerContact', '1 PeerContact', '2 ErrorNoSuchRoomCode', '2 RoomCreated', '2 RoomCreated'
    ])
  })

  it('that waits may bring others to the end of their waiting by what it has said already', () => {
    const table = meeting().open([3, '192.0.2.3'], [4, '192.0.2.4'])
    table.ask(1, create('s'))
    table.ask(1, create('t'))
    assert.deepEqual(table.ask(4, ready(false, NOWHERE, 't')), ['4 ClientContact'])
    assert.deepEqual(table.ask(3, [ready(false, NOWHERE, 's'), ready(true, NOWHERE, 't')]), ['3 ClientContact'])
    assert.deepEqual(table.ask(2, [ready(false), ready(true, NOWHERE, 's')]), ['2 ClientContact'])
    assert.deepEqual(table.ask(1, ready(true)), [
      '1 ClientContact', '2 PeerContact', '1 PeerContact', '2 ClientContact', '3 PeerContact', '2 PeerContact',
      '3 ClientContact', '4 PeerContact', '3 PeerContact'
    ])
  })

  it('is not read any more when it says much while it waits, until it is answered', () => {
    const table = meeting()
    table.ask(2, ready(false))
    const many = Buffer.concat(Array.from({ length: 100 }, () => frame(3, ' '.repeat(1_000))))
    assert.deepEqual(table.bytes(2, many.subarray(0, 65_536)), [])
    assert.deepEqual(table.bytes(2, many.subarray(65_536, 65_537)), ['2 pause'])
    assert.deepEqual(table.bytes(2, many.subarray(65_537, 70_000)), [])
    assert.deepEqual(table.ask(1, ready(true)), [
      '1 ClientContact', '2 PeerContact', '1 PeerContact', '2 resume', '2 ErrorSyntax', '2 close'
    ])
  })

  it('is read again when it is answered, and waits again as it did before', () => {
    const table = meeting({ contactRequestsPerMinute: 10_000 })
    const many = Buffer.concat(Array.from({ length: 2_000 }, () => encodeRequest(3, record(false, 'x'))))
    for (const first of [1, 2]) {
      assert.deepEqual(table.ask(2, ready(false)), ['2 ClientContact'], `${first}`)
      assert.deepEqual(table.bytes(2, many), ['2 pause'])
      assert.deepEqual(table.ask(1, ready(true)).slice(0, 5), [
        '1 ClientContact', '2 PeerContact', '1 PeerContact', '2 resume', '2 ErrorNoSuchRoomCode'
      ])
      table.ask(1, create())
    }
  })

  for (const version of VERSIONS) {
    it(`is closed with an error of its own version for what it can't mean, in version ${version}`, () => {
      for (const json of ['', 'x', '{"type":"RoomCreated"}', '"RoomCreated"']) {
        const table = meeting()
        assert.deepEqual(table.bytes(2, frame(version, json)), [`2 ErrorSyntax${called(version)}`, '2 close'])
        assert.deepEqual(table.ask(2, create('s')), [])
        assert.deepEqual(table.tell({ type: 'end', connection: 2 }), [])
        assert.equal(table.rooms.connections, 2)
        table.tell({ type: 'close', connection: 2 })
        assert.equal(table.rooms.connections, 1)
      }
    })
  }

  it('is closed for a version that is not spoken, and for what is too long, before the rest of it comes', () => {
    for (const [header, version] of [['c80001', 3], ['000001', 3], ['030401', 3], ['02ffff', 2]] as const) {
      const table = meeting()
      assert.deepEqual(table.bytes(2, Buffer.from(header, 'hex').subarray(0, 2)), [])
      assert.deepEqual(table.bytes(2, Buffer.from(header, 'hex').subarray(2)), [`2 ErrorSyntax${called(version)}`, '2 close'])
    }
  })

  it('is answered in the version of what it said last', () => {
    const table = meeting()
    assert.deepEqual(table.ask(2, create('x'), 1), ['2 RoomCreated (1)'])
    assert.deepEqual(table.ask(2, create('x'), 2), ['2 ErrorRoomTaken (2)'])
    assert.deepEqual(table.bytes(2, Buffer.from('c80001', 'hex')), ['2 ErrorSyntax (2)', '2 close'])
  })

  it('that sends no more is told that this is an error, after all that it has said', () => {
    const table = meeting()
    const last = Buffer.concat([frame(1, ''), frame(3, '')]).subarray(0, 2)
    table.ask(1, record(true))
    table.bytes(1, last)
    assert.deepEqual(table.tell({ type: 'end', connection: 1 }), ['1 ErrorSyntax', '1 close'])
    assert.deepEqual(table.tell({ type: 'end', connection: 2 }), ['2 ErrorSyntax', '2 close'])
  })

  it('that sends no more while it waits still gets what it waits for', () => {
    const table = meeting({ contactRoomTime: 5_000 })
    table.ask(2, [record(false), ready(false)])
    assert.deepEqual(table.tell({ type: 'end', connection: 2 }), [])
    assert.deepEqual(table.ask(1, ready(true)), ['1 ClientContact', '2 PeerContact', '1 PeerContact', '2 ErrorSyntax', '2 close'])
    table.ask(1, [create(), ready(true)])
    assert.deepEqual(table.tell({ type: 'end', connection: 1 }), [])
    assert.deepEqual(table.pass(5_000), ['1 ErrorPeerTimedOut', '1 ErrorSyntax', '1 close'])
  })

  it('that says nothing is closed, and one that waits is not', () => {
    const table = meeting({ contactIdle: 1_000, contactRoomTime: 9_000 })
    table.ask(1, ready(true))
    assert.equal(table.rooms.wakeAt, 2_000)
    table.pass(500)
    table.ask(2, record(false, 'x'))
    assert.deepEqual(table.pass(999), [])
    assert.deepEqual(table.pass(1), ['2 close'])
    assert.deepEqual(table.pass(7_500), ['1 ErrorPeerTimedOut'])
    assert.deepEqual(table.pass(1_000), ['1 close'])
    assert.equal(table.rooms.wakeAt, undefined)
  })

  it('that has recorded an address may be silent as long as the room is there, and for a while more to punch holes', () => {
    const table = new Table({ contactIdle: 1_000 }).open([1, '2001:db8::1'], [2, '192.0.2.1'], [3, '192.0.2.3'])
    table.ask(1, [create(), record(true)])
    table.ask(2, [record(true), record(true)])
    table.ask(1, ready(true))
    assert.deepEqual(table.pass(1_000), ['3 close'])
    table.pass(100_000)
    table.open([4, '192.0.2.4'])
    table.ask(4, ready(false))
    assert.deepEqual(table.pass(999), [])
    assert.deepEqual(table.pass(1).toSorted(), ['1 close', '2 close', '4 close'])
  })

  it('has ten seconds for a message, however it comes, and however much of another one came before', () => {
    const table = meeting()
    const bytes = frame(3, '{"type":"CreateRoom","room_code":"x"}')
    const both = Buffer.concat([bytes, bytes])
    for (let index = 0; index < 9; index++) {
      assert.deepEqual(table.bytes(2, bytes.subarray(index, index + 1)), [])
      assert.deepEqual(table.pass(1_000), [])
    }
    assert.deepEqual(table.bytes(2, both.subarray(9, bytes.byteLength + 1)), ['2 RoomCreated'])
    assert.deepEqual(table.pass(9_999), [])
    assert.deepEqual(table.bytes(2, both.subarray(bytes.byteLength + 1, bytes.byteLength + 2)), [])
    assert.deepEqual(table.pass(1), ['2 ErrorSyntax', '2 close'])
  })
})
