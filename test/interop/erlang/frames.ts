// Erlang's distribution handshake, version 6, in the words of ours: what one frame says is what one message says, and no more.
//
//   name       'N' flags:64 creation:32 length:16 name                     dialler → acceptor
//   status     's' ok | ok_simultaneous | nok | not_allowed | alive        acceptor → dialler
//   answer     's' true | false                                            dialler → acceptor
//   challenge  'N' flags:64 challenge:32 creation:32 length:16 name        acceptor → dialler
//   reply      'r' challenge:32 digest:16                                  dialler → acceptor
//   ack        'a' digest:16                                               acceptor → dialler
import { NO_FLAGS, Status } from '../../../src/link/wire.ts'
import type { AuthenticationMessage, NodeFlags, StatusName } from '../../../src/link/wire.ts'

/** UNLINK_ID, V4_NC, MANDATORY_25_DIGEST and all that OTP 23 to 27 insist on; without PUBLISHED: we are a hidden node. */
export const HIDDEN_NODE = 0x4_0707_0f94n

/** What every Erlang node is to our machines: it proves a secret by MD5, and can do nothing of ours. */
export const ERLANG_FLAGS: NodeFlags = { ...NO_FLAGS, version: 6, suite: 'md5' }

/** Who sends a frame. */
export type Sender = 'dialler' | 'acceptor'

const NONE = new Uint8Array()
const DIGEST = 16

/** Spells a message; what Erlang has no word for is left out. */
export function encodeFrame (message: AuthenticationMessage, distributionFlags: bigint): Buffer {
  const { type, value } = message
  switch (type) {
    case 'name': {
      const head = Buffer.alloc(15)
      head.write('N', 'latin1')
      head.writeBigUInt64BE(distributionFlags, 1)
      head.writeUInt32BE(Number(value.incarnation), 9)
      return withName(head, value.name)
    }
    case 'server_status':
      return Buffer.from(`s${value.status}`, 'latin1')
    case 'client_status':
      return Buffer.from(`s${value.status}`, 'latin1')
    case 'server_challenge': {
      const head = Buffer.alloc(19)
      head.write('N', 'latin1')
      head.writeBigUInt64BE(distributionFlags, 1)
      head.writeUInt32BE(value.challenge, 9)
      head.writeUInt32BE(Number(value.incarnation), 13)
      return withName(head, value.name)
    }
    case 'client_challenge': {
      const head = Buffer.alloc(5)
      head.write('r', 'latin1')
      head.writeUInt32BE(value.challenge, 1)
      return Buffer.concat([head, value.digest])
    }
    case 'server_ack':
      return Buffer.concat([Buffer.from('a', 'latin1'), value.digest])
  }
}

function withName (head: Buffer, name: string): Buffer {
  head.writeUInt16BE(name.length, head.length - 2)
  return Buffer.concat([head, Buffer.from(name, 'latin1')])
}

/** Reads a frame; throws for what is none. A connection id isn't in it: the caller gives each attempt its own. */
export function decodeFrame (frame: Buffer, sender: Sender, connectionId: bigint): AuthenticationMessage {
  const tag = frame.toString('latin1', 0, 1)
  if (tag === 's') {
    return decodeStatus(frame.toString('latin1', 1), sender)
  }
  if (tag === 'N' && sender === 'dialler' && frame.length >= 15) {
    const value = { name: nameIn(frame, 15), flags: ERLANG_FLAGS, connectionString: '', connectionId, resume: 0n }
    return { type: 'name', value: { ...value, incarnation: BigInt(frame.readUInt32BE(9)) } }
  }
  if (tag === 'N' && sender === 'acceptor' && frame.length >= 19) {
    const value = { name: nameIn(frame, 19), flags: ERLANG_FLAGS, connectionString: '', nonce: NONE }
    return {
      type: 'server_challenge',
      value: { ...value, challenge: frame.readUInt32BE(9), incarnation: BigInt(frame.readUInt32BE(13)) }
    }
  }
  if (tag === 'r' && sender === 'dialler' && frame.length === 5 + DIGEST) {
    const value = { challenge: frame.readUInt32BE(1), digest: Uint8Array.from(frame.subarray(5)) }
    return { type: 'client_challenge', value: { ...value, nonce: NONE, publicKey: NONE, signature: NONE } }
  }
  if (tag === 'a' && sender === 'acceptor' && frame.length === 1 + DIGEST) {
    return { type: 'server_ack', value: { digest: Uint8Array.from(frame.subarray(1)), publicKey: NONE, signature: NONE } }
  }
  throw new TypeError(`no frame of an Erlang ${sender}: ${frame.toString('hex')}`)
}

function decodeStatus (word: string, sender: Sender): AuthenticationMessage {
  if (sender === 'dialler' && (word === 'true' || word === 'false')) {
    return { type: 'client_status', value: { status: word === 'true' } }
  }
  if (sender === 'acceptor' && Object.hasOwn(Status, word)) {
    return { type: 'server_status', value: { status: word as StatusName, link: 0n, missing: 0, reason: '' } }
  }
  throw new TypeError(`no status of an Erlang ${sender}: ${JSON.stringify(word)}`)
}

/** The name at the end of a frame, behind a head of so many bytes; what follows it is for others. */
function nameIn (frame: Buffer, head: number): string {
  const end = head + frame.readUInt16BE(head - 2)
  if (end > frame.length) {
    throw new TypeError('a name that is longer than its frame')
  }
  return frame.toString('latin1', head, end)
}
