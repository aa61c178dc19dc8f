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
import { StarError } from '../errors.ts'
import { decode, encode } from '../protobuf.ts'
import type { Schema } from '../protobuf.ts'

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

const FLAGS: Schema = [
  [1, 'version', 'uint32'],
  [16, 'capabilities', 'uint32'], [17, 'required', 'uint32'], [18, 'suite', 'string'], [19, 'window', 'uint32']
]

/** The `oneof msg`; a property for each {@link AuthenticationMessage.type}. */
const MESSAGE: Schema = [
  [1, 'name', [
    [1, 'name', 'string'], [2, 'flags', FLAGS, 'implicit'], [3, 'connectionString', 'string'], [4, 'connectionId', 'uint64'],
    [16, 'incarnation', 'uint64'], [17, 'resume', 'uint64']
  ], 'oneof'],
  [2, 'server_status', [
    [1, 'status', 'uint32'], [16, 'link', 'uint64'], [17, 'missing', 'uint32'], [18, 'reason', 'string']
  ], 'oneof'],
  [3, 'client_status', [[1, 'status', 'bool']], 'oneof'],
  [4, 'server_challenge', [
    [1, 'name', 'string'], [2, 'flags', FLAGS, 'implicit'], [3, 'challenge', 'uint32'], [4, 'connectionString', 'string'],
    [16, 'nonce', 'bytes'], [17, 'incarnation', 'uint64']
  ], 'oneof'],
  [5, 'client_challenge', [
    [1, 'challenge', 'uint32'], [2, 'digest', 'bytes'],
    [16, 'nonce', 'bytes'], [17, 'publicKey', 'bytes'], [18, 'signature', 'bytes']
  ], 'oneof'],
  [6, 'server_ack', [[1, 'digest', 'bytes'], [17, 'publicKey', 'bytes'], [18, 'signature', 'bytes']], 'oneof']
]

const STATUS_NAMES = new Map<number, StatusName>(Object.entries(Status).map(([name, number]) => [number, name as StatusName]))

/** A status as protobuf has it. */
type RawStatus = Omit<ServerStatus, 'status'> & { readonly status: number }

/** Spells a message. */
export function encodeMessage ({ type, value }: AuthenticationMessage): Uint8Array {
  return encode(MESSAGE, { [type]: type === 'server_status' ? { ...value, status: Status[value.status] } : value })
}

/** Reads a message; throws {@link StarError} `ERR_PROTOCOL` for what is none. Unknown fields are skipped. */
export function decodeMessage (bytes: Uint8Array): AuthenticationMessage {
  if (bytes.byteLength > MAX_MESSAGE) {
    return refuse(`a handshake message of ${bytes.byteLength} bytes`)
  }
  for (const [type, value] of Object.entries(decode(MESSAGE, bytes) as Record<string, object | undefined>)) {
    if (value != null) {
      // the table and the types say the same; a test compares them
      return { type, value: type === 'server_status' ? withName(value as RawStatus) : value } as AuthenticationMessage
    }
  }
  return refuse('an empty handshake message')
}

function withName (raw: RawStatus): ServerStatus {
  return { ...raw, status: STATUS_NAMES.get(raw.status) ?? refuse('an unknown status') }
}

function refuse (detail: string): never {
  throw new StarError('ERR_PROTOCOL', { detail })
}
