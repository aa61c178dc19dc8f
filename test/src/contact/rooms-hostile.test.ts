// The rooms of a contact server among those who mean harm: floods, guesses, thieves of roles, and connections that break at the
// worst moment.
import assert from 'node:assert/strict'
import { Table, at, create, frame, ready, record } from '../../support/contact.ts'

const HERE = { v4: at('10.0.0.2', 5), v6: undefined }

/** How many of these came. */
function count (said: readonly string[], what: RegExp): number {
  return said.filter(one => what.test(one)).length
}

describe('The rate of a network address', () => {
  const TEN = { contactRequestsPerMinute: 10 }

  it('counts rooms made, rooms that are not there, and peers that are ready: ten a minute, and the eleventh is the last', () => {
    for (const [request, reply] of [
      [create('r'), 'ErrorRoomTaken'], [record(true, 'x'), 'ErrorNoSuchRoomCode'],
      [ready(false, HERE, 'x'), 'ErrorNoSuchRoomCode'], [record(true), 'ErrorUnexpectedMsg']
    ] as const) {
      const table = new Table(TEN).open([1, '192.0.2.1'], [2, '192.0.2.2'], [3, '192.0.2.2'])
      table.ask(1, [create(), ready(true)])
      for (let index = 0; index < 10; index++) {
        assert.deepEqual(table.ask(2, request), [`2 ${reply}`])
      }
      assert.deepEqual(table.ask(2, request), ['2 ErrorTooManyRequests', '2 close'])
      assert.deepEqual(table.ask(2, request), [])
      assert.deepEqual(table.ask(3, request), ['3 ErrorTooManyRequests', '3 close'])
    }
  })

  it('does not count what is as it should be', () => {
    const table = new Table(TEN).open([1, '192.0.2.1'])
    table.ask(1, create())
    assert.equal(count(table.ask(1, Array.from({ length: 100 }, () => record(true))), /ReceivedAddr/), 100)
    assert.equal(count(table.ask(1, Array.from({ length: 9 }, (_, index) => create(`${index}`))), /RoomCreated/), 9)
    assert.deepEqual(table.ask(1, create('x')), ['1 ErrorTooManyRequests', '1 close'])
  })

  it('goes by the network that the driver names, and leaves others alone', () => {
    const table = new Table(TEN).open([1, '2001:db8::1', 'net'], [2, '2001:db8::2', 'net'], [3, '2001:db9::1', 'other'])
    for (let index = 0; index < 10; index++) {
      table.ask(1 + index % 2, record(true))
    }
    assert.deepEqual(table.ask(2, record(true)), ['2 ErrorTooManyRequests', '2 close'])
    assert.deepEqual(table.ask(3, record(true)), ['3 ErrorNoSuchRoomCode'])
  })

  it('begins anew each minute', () => {
    const table = new Table(TEN).open([1, '192.0.2.1'])
    table.ask(1, Array.from({ length: 10 }, () => record(true)))
    table.pass(59_999)
    table.open([2, '192.0.2.1'], [3, '192.0.2.1'])
    assert.deepEqual(table.ask(2, record(true)), ['2 ErrorTooManyRequests', '2 close'])
    table.pass(1)
    assert.deepEqual(table.ask(3, record(true)), ['3 ErrorNoSuchRoomCode'])
  })

  it('counts no more networks than it has room for', () => {
    const table = new Table({ contactRequestsPerMinute: 1, contactConnections: 100_000 })
    for (let index = 0; index < 65_536; index++) {
      table.open([index, '192.0.2.1', `net ${index}`])
      assert.deepEqual(table.ask(index, record(true)), [`${index} ErrorNoSuchRoomCode`])
    }
    table.open([70_000, '192.0.2.1', 'net 0'])
    assert.deepEqual(table.ask(70_000, record(true)), ['70000 ErrorNoSuchRoomCode'])
    assert.deepEqual(table.ask(0, record(true)), ['0 ErrorTooManyRequests', '0 close'])
  }).timeout(20_000)
})

describe('A flood', () => {
  it('of connections is cut off, in all and from one network address, and costs nothing', () => {
    const table = new Table({ contactConnections: 5, contactConnectionsPerAddress: 2 })
    table.open([1, '192.0.2.1'], [2, '192.0.2.1'])
    assert.deepEqual(table.tell({ type: 'open', connection: 3, address: at('192.0.2.1', 3), key: '192.0.2.1' }), ['3 refuse'])
    table.tell({ type: 'close', connection: 3 })
    assert.equal(table.rooms.connections, 2)
    table.open([4, '192.0.2.4'], [5, '192.0.2.5'], [6, '192.0.2.6'])
    assert.deepEqual(table.tell({ type: 'open', connection: 7, address: at('192.0.2.7', 3), key: '192.0.2.7' }), ['7 refuse'])
    assert.deepEqual(table.ask(7, create()), [])
    table.tell({ type: 'close', connection: 1 })
    assert.deepEqual(table.tell({ type: 'open', connection: 8, address: at('192.0.2.1', 3), key: '192.0.2.1' }), [])
  })

  it('of rooms is turned away, in all and from one network address, and rooms that end make place', () => {
    const table = new Table({ contactRooms: 3, contactRoomsPerAddress: 2, contactRoomTime: 5_000 })
    table.open([1, '192.0.2.1'], [2, '192.0.2.2'], [3, '192.0.2.3'], [4, '192.0.2.1'], [5, '192.0.2.5'])
    table.ask(1, [create('a'), create('b')])
    assert.deepEqual(table.ask(1, create('a')), ['1 ErrorRoomTaken'])
    assert.deepEqual(table.ask(1, create('c')), ['1 ErrorTooManyRequests', '1 close'])
    assert.deepEqual(table.ask(2, create('c')), ['2 RoomCreated'])
    assert.deepEqual(table.ask(3, create('d')), ['3 ErrorTooManyRequests', '3 close'])
    table.ask(5, ready(false, HERE, 'c'))
    table.ask(2, ready(true, HERE, 'c'))
    assert.equal(table.rooms.rooms, 2)
    assert.deepEqual(table.ask(5, create('d')), ['5 RoomCreated'])
    table.pass(5_000)
    assert.deepEqual(table.ask(4, [create('a'), create('b')]), ['4 RoomCreated', '4 RoomCreated'])
  })

  it('of bytes while it waits keeps a bounded part of them', () => {
    const table = new Table().open([1, '192.0.2.1'])
    table.ask(1, [create(), ready(true)])
    const said = Array.from({ length: 64 }, () => table.bytes(1, new Uint8Array(1_025))).flat()
    assert.deepEqual(said, ['1 pause'])
  })
})

describe('A thief of a role', () => {
  it('is refused the address that the peer has recorded, and the peer stays what it is', () => {
    const table = new Table().open([1, '192.0.2.1'], [2, '192.0.2.2'], [3, '198.51.100.3'])
    table.ask(1, [create(), record(true)])
    assert.deepEqual(table.ask(3, record(true)), ['3 ErrorUnexpectedMsg'])
    assert.deepEqual(table.ask(3, ready(true)), ['3 ErrorUnexpectedMsg'])
    assert.deepEqual(table.ask(1, [record(true), ready(true, HERE)]), ['1 ReceivedAddr', '1 ClientContact'])
    table.ask(2, ready(false))
    assert.deepEqual(table.contacts.get('2 PeerContact'), { local: HERE, public: { v4: at('192.0.2.1', 1_001), v6: undefined } })
  })

  it('that comes first is found out: the peer is refused', () => {
    const table = new Table().open([1, '192.0.2.1'], [3, '198.51.100.3'])
    table.ask(1, create())
    assert.deepEqual(table.ask(3, record(true)), ['3 ReceivedAddr'])
    assert.deepEqual(table.ask(1, record(true)), ['1 ErrorUnexpectedMsg'])
    assert.deepEqual(table.ask(1, ready(true)), ['1 ErrorUnexpectedMsg'])
  })

  it('that has gone leaves nothing behind in the contact of the peer that comes after it', () => {
    const table = new Table().open([1, '192.0.2.1'], [2, '192.0.2.2'], [3, '2001:db8::3'])
    table.ask(1, create())
    table.ask(3, record(false))
    table.tell({ type: 'close', connection: 3 })
    table.ask(2, [record(false), ready(false)])
    assert.deepEqual(table.contacts.get('2 ClientContact')?.public, { v4: at('192.0.2.2', 1_002), v6: undefined })
  })

  it('can\'t say that the peer is ready, over another family, and can when the peer has gone', () => {
    const table = new Table().open([1, '192.0.2.1'], [3, '2001:db8::3'])
    table.ask(1, [create(), record(true)])
    assert.deepEqual(table.ask(3, ready(true)), ['3 ErrorUnexpectedMsg'])
    table.tell({ type: 'close', connection: 1 })
    assert.deepEqual(table.ask(3, [record(true), ready(true)]), ['3 ReceivedAddr', '3 ClientContact'])
  })
})

describe('A connection that breaks', () => {
  it('is still known by the address that it came from, as long as another one of its peer is there', () => {
    const table = new Table().open([1, '2001:db8::1'], [2, '192.0.2.1'])
    table.ask(1, [create(), record(true)])
    table.ask(2, record(true))
    table.tell({ type: 'close', connection: 1 })
    table.ask(2, ready(true))
    assert.deepEqual(table.contacts.get('2 ClientContact')?.public, { v4: at('192.0.2.1', 1_002), v6: at('2001:db8::1', 1_001) })
  })

  it('before it was told of the other peer leaves its role free, and the server unharmed', () => {
    const table = new Table().open([1, '192.0.2.1'], [2, '192.0.2.2'], [3, '192.0.2.3'], [4, '192.0.2.4'])
    table.ask(1, create())
    table.ask(2, [record(false), ready(false)])
    table.tell({ type: 'close', connection: 2 })
    assert.equal(table.rooms.waiting, 0)
    assert.deepEqual(table.ask(1, ready(true)), ['1 ClientContact'])
    assert.deepEqual(table.ask(3, [record(false), ready(false, HERE)]), [
      '3 ReceivedAddr', '3 ClientContact', '1 PeerContact', '3 PeerContact'
    ])
    assert.deepEqual(table.contacts.get('1 PeerContact')?.public.v4, at('192.0.2.3', 1_003))
    assert.deepEqual(table.ask(4, create()), ['4 RoomCreated'])
  })

  it('in the middle of anything is forgotten, with all its timers', () => {
    const table = new Table().open([1, '192.0.2.1'], [2, '192.0.2.2'])
    table.bytes(1, frame(3, '{}').subarray(0, 4))
    table.tell({ type: 'close', connection: 1 })
    table.tell({ type: 'close', connection: 2 })
    assert.deepEqual([table.rooms.wakeAt, table.rooms.connections], [undefined, 0])
    table.tell({ type: 'close', connection: 2 })
    assert.deepEqual(table.bytes(2, frame(3, '{}')), [])
    assert.deepEqual(table.tell({ type: 'end', connection: 9 }), [])
  })

  it('gives back what the server counts of its network address', () => {
    const table = new Table({ contactConnectionsPerAddress: 1 })
    for (let index = 0; index < 100; index++) {
      table.open([index, '192.0.2.1'])
      assert.equal(table.rooms.connections, 1)
      table.tell({ type: 'close', connection: index })
    }
  })
})
