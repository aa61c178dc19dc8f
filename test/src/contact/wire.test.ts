// The contact exchange's messages: byte for byte as the originals write them, read as they read them, and nothing else.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { StarError } from '../../../src/errors.ts'
import {
  FrameReader, decodeReply, decodeRequest, encodeReply, encodeRequest, roomKey
} from '../../../src/contact/wire.ts'
import { VERSIONS, at, create, cut, frame, readAll, ready, record } from '../../support/contact.ts'
import type { SocketAddress } from '../../../src/contact/address.ts'
import type { Frame, Reply, Request, RoomRequest, Version } from '../../../src/contact/wire.ts'

const LOCAL = { v4: at('1.8.3.1', 2304), v6: at('ab:41::b:43', 92) }
const PUBLIC = { v4: at('12.98.11.20', 11), v6: undefined }
const CONTACT = { local: LOCAL, public: PUBLIC }
const SPELLED = '{"v4":"1.8.3.1:2304","v6":"[ab:41::b:43]:92"}'
const SPELLED_PUBLIC = '{"v4":"12.98.11.20:11","v6":null}'
/** 32 bytes, as a code of version 1 is, and as it is spelled. */
const BYTES = Uint8Array.from({ length: 32 }, (_, index) => 32 + 5 * index)
const NUMBERS = `[${BYTES.join(',')}]`

/** Header and JSON of each request and reply, of versions 2 and 3: the header's first byte is the version. */
const REQUESTS: ReadonlyArray<readonly [header: string, json: string, message: Request]> = [
  ['0025', '{"type":"CreateRoom","room_code":"r"}', create()],
  ['003d', '{"type":"RecordPublicAddr","room_code":"r","is_creator":true}', record(true)],
  ['0077', `{"type":"ReadyToShare","local_contact":${SPELLED},"room_code":"r","is_creator":true}`, ready(true, LOCAL)],
  ['0060', '{"type":"ReadyToShare","local_contact":{"v4":null,"v6":null},"room_code":"r","is_creator":false}', ready(false)],
  ['0016', '{"type":"ReflectAddr"}', { type: 'ReflectAddr' }]
]
const REPLIES: ReadonlyArray<readonly [header: string, json: string, message: Reply]> = [
  ['0016', '{"type":"RoomCreated"}', { type: 'RoomCreated' }],
  ['0017', '{"type":"ReceivedAddr"}', { type: 'ReceivedAddr' }],
  ['0079', `{"type":"ClientContact","local":${SPELLED},"public":${SPELLED_PUBLIC}}`, { type: 'ClientContact', contact: CONTACT }],
  ['0077', `{"type":"PeerContact","local":${SPELLED},"public":${SPELLED_PUBLIC}}`, { type: 'PeerContact', contact: CONTACT }],
  ['0043', `{"type":"ReflectedAddr","public":${SPELLED_PUBLIC}}`, { type: 'ReflectedAddr', seen: PUBLIC }],
  ['0019', '{"type":"ErrorRoomTaken"}', { type: 'ErrorRoomTaken' }],
  ['001c', '{"type":"ErrorPeerTimedOut"}', { type: 'ErrorPeerTimedOut' }],
  ['001e', '{"type":"ErrorNoSuchRoomCode"}', { type: 'ErrorNoSuchRoomCode' }],
  ['001d', '{"type":"ErrorUnexpectedMsg"}', { type: 'ErrorUnexpectedMsg' }],
  ['001f', '{"type":"ErrorTooManyRequests"}', { type: 'ErrorTooManyRequests' }],
  ['0016', '{"type":"ErrorSyntax"}', { type: 'ErrorSyntax' }]
]
const OLD_REQUESTS: ReadonlyArray<readonly [json: string, message: Request]> = [
  [`{"CreateRoom":{"room_code":${NUMBERS}}}`, { type: 'CreateRoom', room: BYTES }],
  [`{"RecordPublicAddr":{"room_code":${NUMBERS},"is_creator":true}}`, { type: 'RecordPublicAddr', room: BYTES, isCreator: true }],
  [`{"ReadyToShare":{"local_contact":${SPELLED},"room_code":${NUMBERS},"is_creator":true}}`,
    { type: 'ReadyToShare', room: BYTES, isCreator: true, local: LOCAL }]
]
const OLD_REPLIES: ReadonlyArray<readonly [json: string, message: Reply]> = [
  ['"RoomCreated"', { type: 'RoomCreated' }],
  ['"ErrorInternal"', { type: 'ErrorInternal' }],
  [`{"ClientContact":{"local":${SPELLED},"public":${SPELLED_PUBLIC}}}`, { type: 'ClientContact', contact: CONTACT }],
  [`{"PeerContact":{"local":${SPELLED},"public":${SPELLED_PUBLIC}}}`, { type: 'PeerContact', contact: CONTACT }],
  ...['ReceivedAddr', 'ErrorRoomTaken', 'ErrorPeerTimedOut', 'ErrorNoSuchRoomCode', 'ErrorUnexpectedMsg', 'ErrorTooManyRequests',
    'ErrorSyntax'].map(type => [`"${type}"`, { type } as Reply] as const)
]

function one (bytes: Uint8Array): Frame {
  const [first, ...more] = readAll([bytes])
  assert.ok(first != null && more.length === 0)
  return first
}

function reads (version: Version, json: string | Uint8Array): Request {
  return decodeRequest(one(frame(version, json)))
}

function refuses (version: Version, json: string | Uint8Array, as: 'request' | 'reply' = 'request'): void {
  const read = as === 'request' ? decodeRequest : decodeReply
  const expected = { name: 'StarError', code: 'ERR_PROTOCOL' }
  assert.throws(() => read(one(frame(version, json))), expected, `${version} ${json.toString()}`)
}

describe('A message of the contact exchange', () => {
  for (const version of [2, 3] as const) {
    for (const [header, json, message] of [...REQUESTS, ...REPLIES]) {
      it(`is written and read as the originals do, in version ${version}: ${json}`, () => {
        const bytes = Buffer.concat([Buffer.from(`0${version}${header}`, 'hex'), Buffer.from(json)])
        const isRequest = 'room' in message || message.type === 'ReflectAddr'
        assert.deepEqual(Buffer.from(isRequest ? encodeRequest(version, message) : encodeReply(version, message)), bytes)
        assert.deepEqual(isRequest ? decodeRequest(one(bytes)) : decodeReply(one(bytes)), message)
      })
    }
  }

  for (const [json, message] of [...OLD_REQUESTS, ...OLD_REPLIES]) {
    it(`is written and read as the originals do, in version 1: ${json.slice(0, 60)}`, () => {
      const bytes = frame(1, json)
      const isRequest = 'room' in message || message.type === 'ReflectAddr'
      assert.deepEqual(Buffer.from(isRequest ? encodeRequest(1, message) : encodeReply(1, message)), bytes)
      assert.deepEqual(isRequest ? decodeRequest(one(bytes)) : decodeReply(one(bytes)), message)
    })
  }

  it('has the headers of version 1 that the document has', () => {
    assert.equal(Buffer.from(encodeReply(1, { type: 'RoomCreated' })).toString('hex', 0, 3), '01000d')
    assert.equal(Buffer.from(encodeReply(1, { type: 'ErrorInternal' })).toString('hex', 0, 3), '01000f')
    // a code of 16 numbers with two digits and 16 with three
    const room = Uint8Array.from({ length: 32 }, (_, index) => index < 16 ? 50 : 150)
    assert.equal(Buffer.from(encodeRequest(1, { type: 'CreateRoom', room })).toString('hex', 0, 3), '01008e')
  })

  it('names the same room in every version, whatever the text', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), room => {
      const read = VERSIONS.map(version => decodeRequest(one(encodeRequest(version, create(room)))) as RoomRequest)
      const keys = read.map(request => roomKey(request.room))
      assert.deepEqual(new Set(keys), new Set([createHash('sha256').update(room).digest('hex')]))
    }))
    const room = Uint8Array.from(createHash('sha256').update('r').digest())
    assert.deepEqual(decodeRequest(one(encodeRequest(1, create('r')))), { type: 'CreateRoom', room })
  })

  it('may have its keys in any order, others beside them, and blanks between them', () => {
    const json = ' {"is_creator" : true,\n"x":{"type":[1]},"room_code":"r","type":"RecordPublicAddr"}\t'
    assert.deepEqual(reads(3, json), record(true))
    assert.deepEqual(reads(3, '{"type":"CreateRoom","room_code":"\\u0072","__proto__":{"type":1}}'), create())
    assert.deepEqual(reads(1, `{"CreateRoom":{"x":1,"room_code":${NUMBERS}}}`), { type: 'CreateRoom', room: BYTES })
    assert.deepEqual(decodeReply(one(frame(3, '{"type":"RoomCreated","x":1}'))), { type: 'RoomCreated' })
  })

  it('may leave out addresses', () => {
    for (const contact of ['{}', '{"v4":null}', '{"v6":null,"v7":"x"}']) {
      const json = `{"type":"ReadyToShare","local_contact":${contact},"room_code":"r","is_creator":false}`
      assert.deepEqual(reads(3, json), ready(false))
    }
  })

  it('is refused when it is no message', () => {
    const ends = ['', ' ', '{', '{}', '[]', 'null', 'true', '1', '"CreateRoom"', '["CreateRoom","r"]', '{"type":"createRoom"}',
      '{"type":null}', '{"type":"CreateRoom"}', '{"type":"CreateRoom","room_code":1}', '{"type":"CreateRoom","room_code":null}',
      '{"type":"CreateRoom","room_code":"r"}x', '{"type":"CreateRoom","room_code":"r"}{}',
      '{"type":"CreateRoom","room_code":"r",}',
      '\ufeff{"type":"CreateRoom","room_code":"r"}', '{"type":"CreateRoom","room_code":"\\ud800"}', '{"type":"toString"}',
      `{"type":"CreateRoom","room_code":${NUMBERS}}`, '{"CreateRoom":{"room_code":"r"}}', '{"type":"RoomCreated"}',
      '{"type":"RecordPublicAddr","room_code":"r"}', '{"type":"RecordPublicAddr","room_code":"r","is_creator":1}',
      '{"type":"RecordPublicAddr","room_code":"r","is_creator":null}', '{"type":"RecordPublicAddr","is_creator":true}',
      '{"type":"ReadyToShare","room_code":"r","is_creator":true}']
    for (const json of ends) {
      refuses(3, json)
    }
    refuses(3, Buffer.from('{"type":"CreateRoom","room_code":"\xff"}', 'latin1'))
    for (const contact of ['null', '[]', '""', '{"v4":1}', '{"v4":""}', '{"v4":"[::1]:1"}', '{"v6":"1.2.3.4:1"}', '{"v4":{}}']) {
      refuses(3, `{"type":"ReadyToShare","local_contact":${contact},"room_code":"r","is_creator":true}`)
    }
    for (const json of ['"CreateRoom"', '{"CreateRoom":"r"}', '{"CreateRoom":{"room_code":"r"}}', '{"CreateRoom":{}}', '{}', '[]',
      `{"CreateRoom":{"room_code":[${BYTES.subarray(1).join(',')}]}}`, `{"CreateRoom":{"room_code":[${NUMBERS}]}}`,
      `{"CreateRoom":{"room_code":${NUMBERS}},"x":1}`, `{"type":"CreateRoom","room_code":${NUMBERS}}`]) {
      refuses(1, json)
    }
    for (const number of ['-1', '256', '1.5', '"1"', 'null']) {
      refuses(1, `{"CreateRoom":{"room_code":[${number},${BYTES.subarray(1).join(',')}]}}`)
    }
    for (const json of ['{"type":"ErrorInternal"}', '{"type":"CreateRoom","room_code":"r"}', '{"type":"PeerContact"}',
      `{"type":"PeerContact","local":${SPELLED}}`, `{"type":"PeerContact","local":${SPELLED},"public":null}`, '"RoomCreated"']) {
      refuses(3, json, 'reply')
    }
    refuses(1, '{"RoomCreated":{}}', 'reply')
    refuses(1, '"ClientContact"', 'reply')
  })

  it('is not written when it is too long, to the byte', () => {
    const room = 'x'.repeat(1_024 - 36)
    assert.equal(encodeRequest(3, create(room)).byteLength, 1_027)
    assert.throws(() => encodeRequest(3, create(`${room}x`)), { code: 'ERR_ARGUMENTS' })
    assert.equal(encodeRequest(1, create(`${room}x`)).byteLength < 200, true)
  })
})

describe('The frames of the contact exchange', () => {
  const code = (bytes: Uint8Array, versions?: readonly Version[]): unknown => {
    try {
      return readAll([bytes], versions).length
    } catch (error) {
      assert.ok(error instanceof StarError, String(error))
      return `${error.code} ${/\((\w+ \w+)/.exec(error.message)?.[1]}`
    }
  }

  it('are refused by their version first, then by their length, and no sooner than their header is there', () => {
    assert.equal(code(Buffer.from('c8', 'hex')), 0)
    assert.equal(code(Buffer.from('c8ff', 'hex')), 0)
    assert.equal(code(Buffer.from('c8ffff', 'hex')), 'ERR_PROTOCOL version 200')
    assert.equal(code(Buffer.from('000001', 'hex')), 'ERR_PROTOCOL version 0')
    assert.equal(code(Buffer.from('040001', 'hex')), 'ERR_PROTOCOL version 4')
    for (const version of ['02', '03']) {
      assert.equal(code(Buffer.from(`${version}0401`, 'hex')), 'ERR_PROTOCOL a message')
      assert.equal(code(Buffer.from(`${version}0400`, 'hex')), 0)
    }
    assert.equal(code(Buffer.from('01ffff', 'hex')), 0)
    assert.equal(code(frame(1, new Uint8Array(65_535))), 1)
    assert.equal(code(frame(3, new Uint8Array(1_024))), 1)
    assert.equal(code(frame(2, '{}'), [3]), 'ERR_PROTOCOL version 2')
  })

  it('are the same however the bytes are cut', () => {
    const bodies = fc.array(fc.tuple(fc.constantFrom(...VERSIONS), fc.uint8Array({ maxLength: 300 })), { maxLength: 12 })
    fc.assert(fc.property(bodies, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (messages, lengths) => {
      const bytes = Buffer.concat(messages.map(([version, body]) => frame(version, body)))
      const found = readAll(cut(bytes, lengths)).map(({ version, body }) => [version, [...body]])
      assert.deepEqual(found, messages.map(([version, body]) => [version, [...body]]))
    }))
  })

  it('keep no more than what is not read yet, and forget it then', () => {
    const reader = new FrameReader([1])
    const bytes = frame(1, new Uint8Array(60_000))
    for (const chunk of cut(bytes.subarray(0, -1), [1_000])) {
      reader.push(chunk)
      assert.equal(reader.next(), undefined)
    }
    assert.equal(reader.size, bytes.byteLength - 1)
    reader.push(bytes.subarray(-1))
    assert.equal(reader.next()?.body.byteLength, 60_000)
    assert.equal(reader.size, 0)
  })

  it('know the version that the other end speaks, even of a frame that is too long', () => {
    const reader = new FrameReader(VERSIONS)
    assert.equal(reader.version, 3)
    reader.push(Buffer.from('020401', 'hex'))
    assert.throws(() => reader.next())
    assert.equal(reader.version, 2)
  })
})

describe('A decoder of the contact exchange', () => {
  it('survives any bytes, cut anywhere, with a typed error or a message', () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.constantFrom(...VERSIONS), fc.json({ maxDepth: 3 }))
        .map(([version, json]) => frame(version, json.slice(0, 1_000))),
      fc.tuple(fc.constantFrom(...REQUESTS, ...REPLIES), fc.nat(), fc.nat(255)).map(([[, json], where, what]) => {
        const bytes = frame(3, json)
        bytes[where % bytes.byteLength] = what
        return bytes
      })
    )
    fc.assert(fc.property(noise, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (bytes, lengths) => {
      for (const decode of [decodeRequest, decodeReply]) {
        try {
          readAll(cut(bytes, lengths)).forEach(one => { decode(one) })
        } catch (error) {
          assert.ok(error instanceof StarError && error.code === 'ERR_PROTOCOL', String(error))
        }
      }
    }), { numRuns: 2_000 })
  })

  it('reads what it writes, any contact in any version', () => {
    const address = (ip: fc.Arbitrary<string>, separator: string): fc.Arbitrary<SocketAddress | undefined> => {
      const any = fc.tuple(ip, fc.nat(65_535)).map(parts => at(...parts))
      return fc.option(any.filter(one => one.ip.includes(separator)), { nil: undefined })
    }
    const [v4, v6] = [address(fc.ipV4(), '.'), address(fc.ipV6(), ':')]
    const contact = fc.record({ v4, v6 }, { noNullPrototype: true })
    fc.assert(fc.property(contact, contact, fc.constantFrom(...VERSIONS), fc.boolean(), (local, seen, version, isCreator) => {
      const reply: Reply = { type: 'PeerContact', contact: { local, public: seen } }
      assert.deepEqual(decodeReply(one(encodeReply(version, reply))), reply)
      const request: Request = { type: 'ReadyToShare', room: version === 1 ? BYTES : 'ä ☃"', isCreator, local }
      assert.deepEqual(decodeRequest(one(encodeRequest(version, request))), request)
    }))
  })
})
