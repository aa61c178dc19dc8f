// Protocol Buffers by table: defaults, presence, repetition, unknown fields, and bytes that are no message.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../src/errors.ts'
import { decode, encode } from '../../src/protobuf.ts'
import { hex, toHex } from '../support/rendezvous.ts'
import type { Schema } from '../../src/protobuf.ts'

const INNER: Schema = [[1, 'id', 'uint32'], [2, 'names', 'string', 'repeated']]
const SCHEMA: Schema = [
  [1, 'number', 'uint32'], [2, 'text', 'string'], [3, 'bytes', 'bytes'], [4, 'inner', INNER], [5, 'inners', INNER, 'repeated'],
  [6, 'numbers', 'uint32', 'repeated']
]
/** One of two, and what is never missing. */
const MARKED: Schema = [
  [1, 'one', INNER, 'oneof'], [2, 'other', [[1, 'big', 'uint64'], [2, 'truth', 'bool']], 'oneof'],
  [3, 'always', INNER, 'implicit']
]
const NONE = new Uint8Array()
const EMPTY = { number: 0, text: '', bytes: NONE, inner: undefined, inners: [], numbers: [] }

function refuses (text: string, why: string): void {
  assert.throws(() => decode(SCHEMA, hex(text)), { name: 'StarError', code: 'ERR_PROTOCOL' }, why)
}

describe('A message by table', () => {
  it('is spelled as protobuf has it', () => {
    const vectors: ReadonlyArray<readonly [string, object]> = [
      ['', EMPTY],
      ['08 ac02', { ...EMPTY, number: 300 }],
      ['08 ffffffff0f', { ...EMPTY, number: 0xffff_ffff }],
      ['12 02 c3a9', { ...EMPTY, text: 'é' }],
      ['1a 02 0001', { ...EMPTY, bytes: hex('0001') }],
      ['22 00', { ...EMPTY, inner: { id: 0, names: [] } }],
      ['22 07 0801 1201 61 1200', { ...EMPTY, inner: { id: 1, names: ['a', ''] } }],
      ['2a 00 2a 02 0802', { ...EMPTY, inners: [{ id: 0, names: [] }, { id: 2, names: [] }] }],
      ['3000 3001', { ...EMPTY, numbers: [0, 1] }]
    ]
    for (const [bytes, message] of vectors) {
      assert.equal(toHex(encode(SCHEMA, message)), bytes.replaceAll(' ', ''))
      assert.deepEqual(decode(SCHEMA, hex(bytes)), message)
    }
  })

  it('has whole numbers of 64 bits, and truths', () => {
    const schema: Schema = [[1, 'big', 'uint64'], [2, 'truth', 'bool'], [3, 'truths', 'bool', 'repeated']]
    const vectors: ReadonlyArray<readonly [string, object]> = [
      ['', { big: 0n, truth: false, truths: [] }],
      ['08 ffffffffffffffffff01 1001 1800 1801', { big: 2n ** 64n - 1n, truth: true, truths: [false, true] }]
    ]
    for (const [bytes, message] of vectors) {
      assert.equal(toHex(encode(schema, message)), bytes.replaceAll(' ', ''))
      assert.deepEqual(decode(schema, hex(bytes)), message)
    }
    assert.throws(() => decode(schema, hex('0a00')), { code: 'ERR_PROTOCOL' }, 'a number that is a text')
    assert.throws(() => decode(schema, hex('1200')), { code: 'ERR_PROTOCOL' }, 'a truth that is a text')
    assert.throws(() => decode(schema, hex('08' + 'ff'.repeat(10))), { code: 'ERR_PROTOCOL' }, 'a number without an end')
  })

  it('has the last one of a oneof, empty or not, and what is implicit even if it did not come', () => {
    const nothing = { one: undefined, other: undefined, always: { id: 0, names: [] } }
    const vectors: ReadonlyArray<readonly [string, object]> = [
      ['', nothing],
      ['0a00', { ...nothing, one: { id: 0, names: [] } }],
      ['1200', { ...nothing, other: { big: 0n, truth: false } }],
      ['12 02 0807 1a 02 0801', { ...nothing, other: { big: 7n, truth: false }, always: { id: 1, names: [] } }]
    ]
    for (const [bytes, message] of vectors) {
      assert.equal(toHex(encode(MARKED, message)), bytes.replaceAll(' ', ''))
      assert.deepEqual(decode(MARKED, hex(bytes)), message)
    }
    assert.deepEqual(decode(MARKED, hex('0a020801 1200 1a020801')), {
      one: undefined, other: { big: 0n, truth: false }, always: { id: 1, names: [] }
    })
    assert.deepEqual(decode(MARKED, hex('1200 0a020801 fa0103616263')), { ...nothing, one: { id: 1, names: [] } })
    assert.deepEqual(decode(MARKED, hex('1a00')), nothing)
  })

  it('is read past unknown fields of every type, and the last of a field that comes twice counts', () => {
    for (const unknown of ['f80101', 'f9010102030405060708', 'fa0103616263', 'fb010801fc01', 'fd0101020304']) {
      assert.deepEqual(decode(SCHEMA, hex(`0801${unknown}120161`)), { ...EMPTY, number: 1, text: 'a' })
    }
    assert.deepEqual(decode(SCHEMA, hex('08010802 22020801 2200')), { ...EMPTY, number: 2, inner: { id: 0, names: [] } })
  })

  it('is refused when it is cut off, has a field of the wrong type or one that is longer than itself', () => {
    refuses('08', 'no value')
    refuses('0a0161', 'a number that is a text')
    refuses('1001', 'a text that is a number')
    refuses('2001', 'a message that is a number')
    refuses('120561', 'a text longer than what came')
    refuses('22050801', 'a message longer than what came')
    refuses('2203 1203 61', 'a text longer than its message')
    refuses('2202 1201 61', 'a text that ends behind its message')
    refuses('ffffffffffffffffffff01', 'a tag without an end')
    refuses('0f', 'a wire type that there is none of')
    refuses('0b'.repeat(16_384), 'groups in groups in groups')
  })

  it('comes back as it went, whatever it holds', () => {
    const number = fc.nat({ max: 0xffff_ffff })
    const inner = fc.record({ id: number, names: fc.array(fc.string({ unit: 'grapheme' })) }, { noNullPrototype: true })
    const message = fc.record({
      number, text: fc.string({ unit: 'grapheme' }), bytes: fc.uint8Array(), inner: fc.option(inner, { nil: undefined }),
      inners: fc.array(inner), numbers: fc.array(number)
    }, { noNullPrototype: true })
    fc.assert(fc.property(message, one => {
      assert.deepEqual(decode(SCHEMA, encode(SCHEMA, one)), one)
    }))
  })

  it('is a message or refused, whatever bytes come', () => {
    const pieces = fc.array(fc.oneof(fc.constantFrom(hex('22'), hex('2a02'), hex('1203'), hex('0b'), hex('30')), fc.uint8Array()))
    fc.assert(fc.property(pieces, parts => {
      const bytes = Uint8Array.from(parts.flatMap(part => [...part]))
      try {
        const message = decode(SCHEMA, bytes) as object
        assert.doesNotThrow(() => encode(SCHEMA, message))
      } catch (error) {
        assert.ok(error instanceof StarError && error.code === 'ERR_PROTOCOL', String(error))
      }
    }), { numRuns: 3_000 })
  })
})
