// Any message of the link handshake, for property tests: the types say which fields there are.
import fc from 'fast-check'
import { Status } from '../../src/link/wire.ts'
import type {
  AuthenticationMessage, Challenge, ChallengeAck, ChallengeReply, ClientStatus, NameMessage, NodeFlags, ServerStatus, StatusName
} from '../../src/link/wire.ts'

const uint32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1))
const uint64 =
  fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n))
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.constantFrom('', 'ok', 'a@host'))
const bytes = fc.uint8Array({ maxLength: 80 })
const status = fc.constantFrom(...Object.keys(Status) as StatusName[])

/** A record with the prototype that decoded messages have. */
function record<T> (fields: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true })
}

const flags: fc.Arbitrary<NodeFlags> =
  record({ version: uint32, capabilities: uint32, required: uint32, suite: text, window: uint32 })
const name: fc.Arbitrary<NameMessage> =
  record({ name: text, flags, connectionString: text, connectionId: uint64, incarnation: uint64, resume: uint64 })
const serverStatus: fc.Arbitrary<ServerStatus> = record({ status, link: uint64, missing: uint32, reason: text })
const clientStatus: fc.Arbitrary<ClientStatus> = record({ status: fc.boolean() })
const challenge: fc.Arbitrary<Challenge> =
  record({ name: text, flags, challenge: uint32, connectionString: text, nonce: bytes, incarnation: uint64 })
const reply: fc.Arbitrary<ChallengeReply> =
  record({ challenge: uint32, digest: bytes, nonce: bytes, publicKey: bytes, signature: bytes })
const ack: fc.Arbitrary<ChallengeAck> = record({ digest: bytes, publicKey: bytes, signature: bytes })

type Messages = { readonly [Type in AuthenticationMessage['type']]: fc.Arbitrary<AuthenticationMessage & { type: Type }> }

/** Any message of each type. */
export const messages: Messages = {
  name: record({ type: fc.constant('name'), value: name }),
  server_status: record({ type: fc.constant('server_status'), value: serverStatus }),
  client_status: record({ type: fc.constant('client_status'), value: clientStatus }),
  server_challenge: record({ type: fc.constant('server_challenge'), value: challenge }),
  client_challenge: record({ type: fc.constant('client_challenge'), value: reply }),
  server_ack: record({ type: fc.constant('server_ack'), value: ack })
}

/** Any message of any type. */
export const anyMessage: fc.Arbitrary<AuthenticationMessage> = fc.oneof(...Object.values(messages))
