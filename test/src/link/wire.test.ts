// The handshake's messages on the wire: the original's bytes, our own fields, and whatever else may come in their place.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { StarError } from '../../../src/errors.ts'
import {
  Capability, MAX_MESSAGE, NO_FLAGS, Status, capabilityNames, decodeMessage, encodeMessage
} from '../../../src/link/wire.ts'
import { anyMessage, messages } from '../../support/handshake-messages.ts'
import type { AuthenticationMessage, Challenge, NameMessage, StatusName } from '../../../src/link/wire.ts'

const NONE = new Uint8Array()
const VERSION_1 = { ...NO_FLAGS, version: 1 }

function bytesOf (hex: string): Uint8Array {
  return fromString(hex.replaceAll(' ', ''), 'base16')
}

function hexOf (bytes: Uint8Array): string {
  return toString(bytes, 'base16')
}

function name (value: Partial<NameMessage>): AuthenticationMessage {
  const empty = { name: '', flags: NO_FLAGS, connectionString: '', connectionId: 0n, incarnation: 0n, resume: 0n }
  return { type: 'name', value: { ...empty, ...value } }
}

function status (value: StatusName): AuthenticationMessage {
  return { type: 'server_status', value: { status: value, link: 0n, missing: 0, reason: '' } }
}

function challenge (value: Partial<Challenge>): AuthenticationMessage {
  const empty = { name: '', flags: NO_FLAGS, challenge: 0, connectionString: '', nonce: NONE, incarnation: 0n }
  return { type: 'server_challenge', value: { ...empty, ...value } }
}

const NAMED = { name: 'a@host', flags: VERSION_1, connectionString: 'host:123' }
const DIGEST_42 = bytesOf('143e00d9d3b31d9d24452f85ac04448953081a02ed02272e592c5b13cd422ef7')
const DIGEST_ACK = bytesOf('3259f21b75533ebf4dd882a5b974dfcbb23965ce681d08966132004b9366b1fe')

/** What protobufjs makes of the original's `auth.proto`. */
const VECTORS: ReadonlyArray<readonly [what: string, hex: string, message: AuthenticationMessage]> = [
  ['a name', '0a160a066140686f7374120208011a08686f73743a313233', name(NAMED)],
  ['a name with connection id 7', '0a180a066140686f7374120208011a08686f73743a3132332007', name({ ...NAMED, connectionId: 7n })],
  ['a name alone', '0a080a066140686f7374', name({ name: 'a@host' })],
  ['the status ok, an empty message', '1200', status('ok')],
  ['the status ok_simultaneous', '12020801', status('ok_simultaneous')],
  ['the status nok', '12020802', status('nok')],
  ['the status not_allowed', '12020803', status('not_allowed')],
  ['the status alive', '12020804', status('alive')],
  ['the client status false, an empty message', '1a00', { type: 'client_status', value: { status: false } }],
  ['the client status true', '1a020801', { type: 'client_status', value: { status: true } }],
  ['the challenge 42', '22180a066240686f737412020801182a2208686f73743a313234',
    challenge({ name: 'b@host', flags: VERSION_1, challenge: 42, connectionString: 'host:124' })],
  ['the challenge 0, left out', '220c0a066240686f737412020801', challenge({ name: 'b@host', flags: VERSION_1 })],
  ['a reply with the greatest challenge', `2a2808ffffffff0f1220${hexOf(DIGEST_42)}`, {
    type: 'client_challenge',
    value: { challenge: 4_294_967_295, digest: DIGEST_42, nonce: NONE, publicKey: NONE, signature: NONE }
  }],
  ['an ack', `32220a20${hexOf(DIGEST_ACK)}`,
    { type: 'server_ack', value: { digest: DIGEST_ACK, publicKey: NONE, signature: NONE } }]
]

/** Our own fields, from number 16 on. */
const OWN: typeof VECTORS = [
  ['a name', '0a 1e 0a0161 1213 0801 8001 05 8801 04 9201 03 6d6435 9801 808004 8001 0a 8801 0b',
    name({
      name: 'a',
      flags: { version: 1, capabilities: 5, required: 4, suite: 'md5', window: 65_536 },
      incarnation: 10n,
      resume: 11n
    })],
  ['a refusal', '12 0c 0803 8801 02 9201 04 4e4f5045',
    { type: 'server_status', value: { status: 'not_allowed', link: 0n, missing: 2, reason: 'NOPE' } }],
  ['a status about a link', '12 0e 0804 8001 ffffffffffffffffff01',
    { type: 'server_status', value: { status: 'alive', link: 2n ** 64n - 1n, missing: 0, reason: '' } }],
  ['a challenge', '22 08 8201 02 0102 8801 05', challenge({ nonce: bytesOf('0102'), incarnation: 5n })],
  ['a reply', '2a 0c 8201 01 01 8a01 01 02 9201 01 03', {
    type: 'client_challenge',
    value: { challenge: 0, digest: NONE, nonce: bytesOf('01'), publicKey: bytesOf('02'), signature: bytesOf('03') }
  }],
  ['an ack', '32 08 8a01 01 02 9201 01 03',
    { type: 'server_ack', value: { digest: NONE, publicKey: bytesOf('02'), signature: bytesOf('03') } }]
]

/** Decodes; anything but a message or a {@link StarError} `ERR_PROTOCOL` gets through. */
function attempt (bytes: Uint8Array): AuthenticationMessage | undefined {
  try {
    return decodeMessage(bytes)
  } catch (error) {
    if (error instanceof StarError && error.code === 'ERR_PROTOCOL') {
      return undefined
    }
    throw error
  }
}

function refuses (hex: string, what: string): void {
  assert.throws(() => decodeMessage(bytesOf(hex)), { name: 'StarError', code: 'ERR_PROTOCOL' }, what)
}

describe('A handshake message', () => {
  for (const [what, hex, message] of VECTORS) {
    it(`is spelled as the original spells it: ${what}`, () => {
      assert.equal(hexOf(encodeMessage(message)), hex)
      assert.deepEqual(decodeMessage(bytesOf(hex)), message)
    })
  }

  for (const [what, hex, message] of OWN) {
    it(`has our fields from number 16 on: ${what}`, () => {
      assert.equal(hexOf(encodeMessage(message)), hex.replaceAll(' ', ''))
      assert.deepEqual(decodeMessage(bytesOf(hex)), message)
    })
  }

  it('is there even when it is empty, whichever it is', () => {
    const tags: ReadonlyArray<readonly [string, AuthenticationMessage['type']]> = [
      ['0a', 'name'], ['12', 'server_status'], ['1a', 'client_status'], ['22', 'server_challenge'], ['2a', 'client_challenge'],
      ['32', 'server_ack']
    ]
    for (const [tag, type] of tags) {
      const message = decodeMessage(bytesOf(`${tag}00`))
      assert.equal(message.type, type)
      assert.equal(hexOf(encodeMessage(message)), `${tag}00`, 'defaults are left out')
    }
    refuses('', 'no message at all')
  })

  it('carries every status by its number, and no other', () => {
    assert.deepEqual(Status, { ok: 0, ok_simultaneous: 1, nok: 2, not_allowed: 3, alive: 4 })
    refuses('12020805', '5 was named')
    refuses('120608ffffffff0f', 'a status far away')
  })

  it('may hold words that are defaults elsewhere', () => {
    for (const word of ['ok', '0', 'false']) {
      const flags = { ...NO_FLAGS, suite: word }
      const message = name({ name: word, flags, connectionString: word })
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    }
  })

  it('is read past fields that are unknown, of any type', () => {
    const unknown = [
      'f80101', // 31: varint
      'f9010102030405060708', // 31: 64 bits
      'fa0103616263', // 31: bytes
      'fb010801fc01', // 31: group
      'fd0101020304' // 31: 32 bits
    ]
    for (const field of unknown) {
      const body = `0a0161${field}2007`
      const inner = `0a${(body.length / 2).toString(16).padStart(2, '0')}${body}`
      assert.deepEqual(decodeMessage(bytesOf(inner)), name({ name: 'a', connectionId: 7n }), `${field} inside`)
      assert.deepEqual(decodeMessage(bytesOf(`${field}0a030a0161`)), name({ name: 'a' }), `${field} beside`)
    }
    refuses('f80101', 'nothing but an unknown field')
  })

  it('is the last one of several, as protobuf has it', () => {
    assert.deepEqual(decodeMessage(bytesOf('12020802 1a020801')), { type: 'client_status', value: { status: true } })
  })

  it('comes back as it was sent, whatever it says', () => {
    for (const [type, arbitrary] of Object.entries(messages)) {
      fc.assert(fc.property(arbitrary, message => {
        assert.equal(message.type, type)
        assert.deepEqual(decodeMessage(encodeMessage(message)), message)
      }), { numRuns: 300 })
    }
  })
})

describe('What is no handshake message', () => {
  it('is refused when it is too long, before it is looked at', () => {
    const most = MAX_MESSAGE - 6
    const message = name({ name: 'x'.repeat(most) })
    assert.equal(encodeMessage(message).byteLength, MAX_MESSAGE)
    assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    const longer = encodeMessage(name({ name: 'x'.repeat(most + 1) }))
    assert.throws(() => decodeMessage(longer), { code: 'ERR_PROTOCOL', message: /4097 bytes/ })
    assert.throws(() => decodeMessage(new Uint8Array(100 * MAX_MESSAGE)), { code: 'ERR_PROTOCOL' })
  })

  it('is refused when a part has the wrong type, or is longer than the whole', () => {
    refuses('0801', 'a name that is a number')
    refuses('0a020801', 'a name in it that is a number')
    refuses('0a030a0561', 'a name in it that is longer than the message')
    refuses('0a050a0161', 'a message that is longer than what came')
    refuses('0a041203080112', 'flags that are longer than the name')
    refuses('1a0108', 'a field without a value')
    refuses('1a0288', 'a message that ends inside of a number')
    refuses('0f', 'a wire type that there is none of')
    refuses('ffffffffffffffffffff01', 'a number without an end')
    refuses('0b'.repeat(MAX_MESSAGE), 'groups in groups in groups')
  })

  it('is refused in any piece that is left of a message, or still is one', () => {
    fc.assert(fc.property(anyMessage, fc.nat(), (message, end) => {
      const bytes = encodeMessage(message)
      assert.equal(attempt(bytes.subarray(0, end % bytes.byteLength)), undefined)
    }), { numRuns: 2_000 })
  })

  it('is refused or is some other message, with any bytes changed', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 })
    fc.assert(fc.property(anyMessage, changes, (message, flips) => {
      const bytes = encodeMessage(message)
      for (const [position, flip] of flips) {
        const index = position % bytes.byteLength
        bytes[index] = (bytes[index] ?? 0) ^ flip
      }
      const found = attempt(bytes)
      if (found != null) {
        assert.doesNotThrow(() => encodeMessage(found))
      }
    }), { numRuns: 5_000 })
  })

  it('is refused or is some message, with random bytes', () => {
    const noise = fc.uint8Array({ maxLength: 200 })
    const likely = fc.tuple(fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32), noise)
      .map(([tag, body]) => Uint8Array.of(tag, body.byteLength & 127, ...body.subarray(0, 127)))
    fc.assert(fc.property(fc.oneof(noise, likely), bytes => {
      const found = attempt(bytes)
      if (found != null) {
        assert.doesNotThrow(() => encodeMessage(found))
      }
    }), { numRuns: 5_000 })
  })
})

describe('Capabilities', () => {
  it('have names, and those without have numbers', () => {
    const { session, secret, identity } = Capability
    assert.deepEqual(capabilityNames(0), [])
    assert.deepEqual(capabilityNames(session | secret | identity), ['session', 'secret', 'identity'])
    assert.deepEqual(capabilityNames(secret | 8 | 2 ** 31), ['secret', 'capability 3', 'capability 31'])
    assert.deepEqual(capabilityNames(-1).length, 32, 'bits are bits, whatever the sign')
  })
})
