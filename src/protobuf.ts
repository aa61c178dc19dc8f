// Protocol Buffers by table: a row for each field of a message, with its number as in the document. Nothing is generated.
import { reader, writer } from 'protons-runtime'
import { StarError } from './errors.ts'
import type { Reader, Writer } from 'protons-runtime'

/** What a field holds; an enum is a `uint32`. */
type FieldType = 'uint32' | 'string' | 'bytes' | Schema

/** One row of a message's table; `name` is the property that holds the field's value. */
type Field = readonly [number: number, name: string, type: FieldType, repeated?: 'repeated']

/** The table of a message. */
export type Schema = readonly Field[]

type Scalar = number | string | Uint8Array

const BYTES = 2
const VARINT = 0

/** Spells a message. A field that holds its default is left out; an embedded message is left out when it is `undefined`. */
export function encode (schema: Schema, message: object): Uint8Array {
  const out = writer()
  write(out, schema, message)
  return out.finish()
}

/**
 * Reads a message: every field of the table is there, a missing one with its default, a missing message as `undefined`.
 * Unknown fields are skipped; of a field that comes twice the last one counts. Bytes are views of the input. Throws
 * {@link StarError} `ERR_PROTOCOL` for what is no message.
 */
export function decode (schema: Schema, bytes: Uint8Array): unknown {
  try {
    const from = reader(bytes)
    return read(from, schema, from.len)
  } catch (cause) {
    throw cause instanceof StarError ? cause : new StarError('ERR_PROTOCOL', { detail: 'a message that cannot be read', cause })
  }
}

function write (out: Writer, schema: Schema, message: object): void {
  for (const [number, name, type, repeated] of schema) {
    const value: unknown = Reflect.get(message, name)
    const values = repeated == null ? [value] : value as unknown[]
    for (const one of values) {
      if (typeof type !== 'string') {
        if (one != null) {
          out.uint32(number << 3 | BYTES).fork()
          write(out, type, one)
          out.ldelim()
        }
      } else if (repeated != null || !isDefault(one as Scalar)) {
        out.uint32(number << 3 | (type === 'uint32' ? VARINT : BYTES))
        writeScalar(out, type, one as Scalar)
      }
    }
  }
}

function writeScalar (out: Writer, type: FieldType & string, value: Scalar): void {
  switch (type) {
    case 'uint32': out.uint32(value as number); break
    case 'string': out.string(value as string); break
    case 'bytes': out.bytes(value as Uint8Array); break
  }
}

function isDefault (value: Scalar): boolean {
  return value instanceof Uint8Array ? value.byteLength === 0 : value === 0 || value === ''
}

function read (from: Reader, schema: Schema, end: number): object {
  const message: Record<string, unknown> = {}
  for (const [, name, type, repeated] of schema) {
    message[name] = repeated == null ? defaultOf(type) : []
  }
  while (from.pos < end) {
    const tag = from.uint32()
    const field = schema.find(([number]) => number === tag >>> 3)
    if (field == null) {
      from.skipType(tag & 7)
    } else {
      const [, name, type, repeated] = field
      const value = readField(from, type, tag & 7)
      if (repeated == null) {
        message[name] = value
      } else {
        (message[name] as unknown[]).push(value)
      }
    }
  }
  if (from.pos !== end) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field that is longer than its message' })
  }
  return message
}

function defaultOf (type: FieldType): Scalar | undefined {
  switch (type) {
    case 'uint32': return 0
    case 'string': return ''
    case 'bytes': return new Uint8Array()
    default: return undefined
  }
}

function readField (from: Reader, type: FieldType, wireType: number): Scalar | object {
  if (wireType !== (type === 'uint32' ? VARINT : BYTES)) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field of the wrong type' })
  }
  switch (type) {
    case 'uint32': return from.uint32()
    case 'string': return from.string()
    case 'bytes': return from.bytes()
    default: {
      const length = from.uint32()
      if (from.pos + length > from.len) {
        throw new StarError('ERR_PROTOCOL', { detail: 'a message that ends too early' })
      }
      return read(from, type, from.pos + length)
    }
  }
}
