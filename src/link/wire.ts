// The link handshake's six messages: numbers and codec.
//
//   dialler → acceptor   name             who I am, what I can, which attempt this is
//   acceptor → dialler   server_status    ok | ok_simultaneous | nok | not_allowed | alive
//   dialler → acceptor   client_status    after `alive` only: true when I no longer hold that link
//   acceptor → dialler   server_challenge
//   dialler → acceptor   client_challenge my own challenge, and the proof for yours
//   acceptor → dialler   server_ack       the proof for mine
//
// Fields below 16 are those of the message set (`auth.proto` of slawlor/ractor, proto3, package `auth`); fields from 16 on are
// ours and unknown to others. A field that holds its default is left out, as proto3 does; a message that is empty is still there.
import { reader, writer } from 'protons-runtime'
import { StarError } from '../errors.ts'
import type { Reader, Writer } from 'protons-runtime'

/** The longest message taken, in bytes. */
export const MAX_MESSAGE = 4_096

/** What an acceptor answers to a name. 5 was `named` once and stays unused. */
export const Status = { ok: 0, ok_simultaneous: 1, nok: 2, not_allowed: 3, alive: 4 } as const

/** A status by its name in the document. */
export type StatusName = keyof typeof Status

/** What a node says it is and can. */
export interface NodeFlags {
  readonly version: number
  /** A bit each, see {@link Capability}. */
  readonly capabilities: number
  /** The bits that the other one must have too. */
  readonly required: number
  /** The digest suite; both must use the same. */
  readonly suite: string
  /** Bytes that the other one may send before it hears how many more. */
  readonly window: number
}

/** The dialler's first message. */
export interface NameMessage {
  readonly name: string
  readonly flags: NodeFlags
  /** Where the node can be reached: its address on the star, or empty. */
  readonly connectionString: string
  /** Random and not 0, new for each attempt; the link that comes of the attempt has it as its id. */
  readonly connectionId: bigint
  /** Random and not 0, the same for the life of a process. */
  readonly incarnation: bigint
  /** The link that is to get a new path; 0 for a new link. */
  readonly resume: bigint
}

/** The acceptor's answer to a name. */
export interface ServerStatus {
  readonly status: StatusName
  /** The link that `alive` and `nok` are about; 0 for none. */
  readonly link: bigint
  /** With `not_allowed`: the capabilities that are missing. */
  readonly missing: number
  /** With `not_allowed`: an error code, or empty. */
  readonly reason: string
}

/** The dialler's answer to `alive`. */
export interface ClientStatus {
  readonly status: boolean
}

/** The acceptor's challenge. */
export interface Challenge {
  readonly name: string
  readonly flags: NodeFlags
  readonly challenge: number
  readonly connectionString: string
  /** 32 random bytes; the 32 bits of `challenge` are for the suites that know no more. */
  readonly nonce: Uint8Array
  readonly incarnation: bigint
}

/** The dialler's proof, and its own challenge. */
export interface ChallengeReply {
  readonly challenge: number
  readonly digest: Uint8Array
  readonly nonce: Uint8Array
  /** The libp2p protobuf public key of the peer id. */
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** The acceptor's proof. */
export interface ChallengeAck {
  readonly digest: Uint8Array
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** One message of the handshake. */
export type AuthenticationMessage =
  | { readonly type: 'name', readonly value: NameMessage }
  | { readonly type: 'server_status', readonly value: ServerStatus }
  | { readonly type: 'client_status', readonly value: ClientStatus }
  | { readonly type: 'server_challenge', readonly value: Challenge }
  | { readonly type: 'client_challenge', readonly value: ChallengeReply }
  | { readonly type: 'server_ack', readonly value: ChallengeAck }

/** What peers can beside the handshake itself. */
export const Capability = {
  /** Carries an ordered byte stream after the handshake. */
  session: 1,
  /** Holds the secret of a private star. */
  secret: 2,
  /** Proves its peer id by a signature. */
  identity: 4
} as const

/** The names of the capabilities in a set of bits, for logs and errors; those that have none yet by the number of their bit. */
export function capabilityNames (bits: number): string[] {
  const names = new Map<number, string>(Object.entries(Capability).map(([name, bit]) => [bit, name]))
  return Array.from({ length: 32 }, (_, index) => index)
    .filter(index => (bits >>> index & 1) !== 0)
    .map(index => names.get(2 ** index) ?? `capability ${index}`)
}

/** An empty flags message: what a node that says nothing of itself has. */
export const NO_FLAGS: NodeFlags = { version: 0, capabilities: 0, required: 0, suite: '', window: 0 }

type Scalar = 'uint32' | 'uint64' | 'bool' | 'string' | 'bytes' | 'status'
type Value = string | number | bigint | boolean | Uint8Array | object
type Field = readonly [number: number, name: string, type: Scalar | Schema]
type Schema = readonly Field[]

const FLAGS: Schema = [
  [1, 'version', 'uint32'],
  [16, 'capabilities', 'uint32'], [17, 'required', 'uint32'], [18, 'suite', 'string'], [19, 'window', 'uint32']
]

/** One row for each message: its number in the `oneof msg`, its name, its fields. */
const MESSAGES: ReadonlyArray<readonly [number, AuthenticationMessage['type'], Schema]> = [
  [1, 'name', [
    [1, 'name', 'string'], [2, 'flags', FLAGS], [3, 'connectionString', 'string'], [4, 'connectionId', 'uint64'],
    [16, 'incarnation', 'uint64'], [17, 'resume', 'uint64']
  ]],
  [2, 'server_status', [[1, 'status', 'status'], [16, 'link', 'uint64'], [17, 'missing', 'uint32'], [18, 'reason', 'string']]],
  [3, 'client_status', [[1, 'status', 'bool']]],
  [4, 'server_challenge', [
    [1, 'name', 'string'], [2, 'flags', FLAGS], [3, 'challenge', 'uint32'], [4, 'connectionString', 'string'],
    [16, 'nonce', 'bytes'], [17, 'incarnation', 'uint64']
  ]],
  [5, 'client_challenge', [
    [1, 'challenge', 'uint32'], [2, 'digest', 'bytes'],
    [16, 'nonce', 'bytes'], [17, 'publicKey', 'bytes'], [18, 'signature', 'bytes']
  ]],
  [6, 'server_ack', [[1, 'digest', 'bytes'], [17, 'publicKey', 'bytes'], [18, 'signature', 'bytes']]]
]

const STATUS_NAMES = new Map<number, string>(Object.entries(Status).map(([name, number]) => [number, name]))

/** Spells a message. */
export function encodeMessage ({ type, value }: AuthenticationMessage): Uint8Array {
  const [number, , schema] = MESSAGES.find(row => row[1] === type) as typeof MESSAGES[number]
  const out = writer()
  out.uint32(number << 3 | 2).fork()
  write(out, schema, value)
  return out.ldelim().finish()
}

/** Reads a message; throws {@link StarError} `ERR_PROTOCOL` for what is none. Unknown fields are skipped. */
export function decodeMessage (bytes: Uint8Array): AuthenticationMessage {
  if (bytes.byteLength > MAX_MESSAGE) {
    throw new StarError('ERR_PROTOCOL', { detail: `a handshake message of ${bytes.byteLength} bytes` })
  }
  let message: AuthenticationMessage | undefined
  try {
    const from = reader(bytes)
    while (from.pos < from.len) {
      const tag = from.uint32()
      const row = MESSAGES.find(([number]) => number === tag >>> 3)
      if (row == null) {
        from.skipType(tag & 7)
      } else {
        const value = read(from, row[2], endOf(from, tag))
        message = { type: row[1], value } as AuthenticationMessage // the table and the types say the same; a test compares them
      }
    }
  } catch (cause) {
    const detail = 'a handshake message that cannot be read'
    throw cause instanceof StarError ? cause : new StarError('ERR_PROTOCOL', { detail, cause })
  }
  if (message == null) {
    throw new StarError('ERR_PROTOCOL', { detail: 'an empty handshake message' })
  }
  return message
}

function write (out: Writer, schema: Schema, message: object): void {
  for (const [number, name, type] of schema) {
    const value = Reflect.get(message, name) as Value
    if (typeof type !== 'string') {
      if (type.some(([, inner, scalar]) => !isDefault(scalar, Reflect.get(value as object, inner) as Value))) {
        out.uint32(number << 3 | 2).fork()
        write(out, type, value as object)
        out.ldelim()
      }
    } else if (!isDefault(type, value)) {
      out.uint32(number << 3 | (type === 'string' || type === 'bytes' ? 2 : 0))
      writeScalar(out, type, value)
    }
  }
}

function writeScalar (out: Writer, type: Scalar, value: Value): void {
  switch (type) {
    case 'uint32': out.uint32(value as number); break
    case 'uint64': out.uint64(value as bigint); break
    case 'bool': out.bool(value as boolean); break
    case 'string': out.string(value as string); break
    case 'bytes': out.bytes(value as Uint8Array); break
    case 'status': out.uint32(Status[value as StatusName]); break
  }
}

function isDefault (type: Field[2], value: Value): boolean {
  return value instanceof Uint8Array ? value.byteLength === 0 : typeof type === 'string' && value === DEFAULTS[type]
}

function read (from: Reader, schema: Schema, end: number): object {
  const message: Record<string, unknown> = {}
  for (const [, name, type] of schema) {
    message[name] = typeof type === 'string' ? DEFAULTS[type] : read(from, type, from.pos)
  }
  while (from.pos < end) {
    const tag = from.uint32()
    const field = schema.find(([number]) => number === tag >>> 3)
    if (field == null) {
      from.skipType(tag & 7)
    } else {
      const [, name, type] = field
      message[name] = typeof type === 'string' ? readScalar(from, type, tag & 7) : read(from, type, endOf(from, tag))
    }
  }
  if (from.pos !== end) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field of a handshake message is longer than the message' })
  }
  return message
}

const DEFAULTS: Record<Scalar, Value> = { uint32: 0, uint64: 0n, bool: false, string: '', bytes: new Uint8Array(), status: 'ok' }

function readScalar (from: Reader, type: Scalar, wireType: number): Value {
  if (wireType !== (type === 'string' || type === 'bytes' ? 2 : 0)) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a field of a handshake message has the wrong type' })
  }
  switch (type) {
    case 'uint32': return from.uint32()
    case 'uint64': return from.uint64()
    case 'bool': return from.bool()
    case 'string': return from.string()
    case 'bytes': return from.bytes()
    case 'status': {
      const name = STATUS_NAMES.get(from.uint32())
      if (name == null) {
        throw new StarError('ERR_PROTOCOL', { detail: 'an unknown status' })
      }
      return name
    }
  }
}

/** Where an embedded message ends. */
function endOf (from: Reader, tag: number): number {
  if ((tag & 7) !== 2) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a handshake message has the wrong type' })
  }
  const length = from.uint32()
  if (from.pos + length > from.len) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a truncated handshake message' })
  }
  return from.pos + length
}
