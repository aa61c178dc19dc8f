// Protocol Buffers by table: a row for each field of a message, with its number as in the document. Nothing is generated.
import { reader, writer } from 'protons-runtime'
import { StarError } from './errors.ts'
import type { Reader } from 'protons-runtime'

/** What a field holds if not a message, by the name that protobuf has for it; an enum is a `uint32`. */
type Scalar = 'uint32' | 'uint64' | 'bool' | 'string' | 'bytes'

/**
 * One row of a message's table; `name` is the property that holds the field's value. Of the messages marked `oneof` one at most
 * is there; one that is `implicit` is never missing: it is left out, and read, as one that holds nothing but defaults.
 */
type Field =
  | readonly [number: number, name: string, type: Scalar, label?: 'repeated']
  | readonly [number: number, name: string, type: Schema, label?: 'repeated' | 'oneof' | 'implicit']

/** The table of a message. */
export type Schema = readonly Field[]

const BYTES = 2
const VARINT = 0

const DEFAULTS: Readonly<Record<Scalar, unknown>> = { uint32: 0, uint64: 0n, bool: false, string: '', bytes: new Uint8Array() }

/** Spells a message. A field that holds its default is left out; an embedded message is left out when it is `undefined`. */
export function encode (schema: Schema, message: object): Uint8Array {
  const out = writer()
  for (const [number, name, type, label] of schema) {
    const value: unknown = Reflect.get(message, name)
    for (const one of label === 'repeated' ? value as unknown[] : [value]) {
      if (typeof type === 'string') {
        if (label === 'repeated' || !isDefault(type, one)) {
          out.uint32(number << 3 | wireTypeOf(type))[type](one as never)
        }
      } else if (one != null) {
        const bytes = encode(type, one)
        if (label !== 'implicit' || bytes.byteLength > 0) {
          out.uint32(number << 3 | BYTES).bytes(bytes)
        }
      }
    }
  }
  return out.finish()
}

/**
 * Reads a message: every field of the table is there, a missing one with its default, a missing message as `undefined`.
 * Unknown fields are skipped; of a field that comes twice, and of a `oneof`, the last one counts. Bytes are views of the input.
 * Throws {@link StarError} `ERR_PROTOCOL` for what is no message.
 */
export function decode (schema: Schema, bytes: Uint8Array): unknown {
  try {
    const from = reader(bytes)
    return read(from, schema, from.len)
  } catch (cause) {
    throw cause instanceof StarError ? cause : new StarError('ERR_PROTOCOL', { detail: 'a message that cannot be read', cause })
  }
}

function read (from: Reader, schema: Schema, end: number): object {
  const message: Record<string, unknown> = {}
  for (const [, name, type, label] of schema) {
    const missing = typeof type === 'string' ? DEFAULTS[type] : label === 'implicit' ? read(from, type, from.pos) : undefined
    message[name] = label === 'repeated' ? [] : missing
  }
  while (from.pos < end) {
    const tag = from.uint32()
    const field = schema.find(([number]) => number === tag >>> 3)
    if (field == null) {
      from.skipType(tag & 7)
      continue
    }
    const [, name, type, label] = field
    const value = readField(from, type, tag & 7)
    if (label === 'repeated') {
      (message[name] as unknown[]).push(value)
      continue
    }
    for (const [, other] of label === 'oneof' ? schema.filter(row => row[3] === label) : []) {
      message[other] = undefined
    }
    message[name] = value
  }
  if (from.pos !== end) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field that is longer than its message' })
  }
  return message
}

function readField (from: Reader, type: Scalar | Schema, wireType: number): unknown {
  if (wireType !== wireTypeOf(type)) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field of the wrong type' })
  }
  if (typeof type === 'string') {
    return from[type]()
  }
  const length = from.uint32()
  if (from.pos + length > from.len) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a message that ends too early' })
  }
  return read(from, type, from.pos + length)
}

function wireTypeOf (type: Scalar | Schema): number {
  return type === 'uint32' || type === 'uint64' || type === 'bool' ? VARINT : BYTES
}

function isDefault (type: Scalar, value: unknown): boolean {
  return value instanceof Uint8Array ? value.byteLength === 0 : value === DEFAULTS[type]
}
