// How a secret is proved in the link handshake: three suites behind one port.
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { md5 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { encodeMessage } from './wire.ts'
import type { AuthenticationMessage } from './wire.ts'

/** Who proves: the dialler in its reply, or the acceptor in its ack. */
export type Prover = 'dialler' | 'acceptor'

/** What a proof is about. */
interface Proof {
  readonly prover: Prover
  /** What both hold; empty where there is nothing to hold. */
  readonly secret: Uint8Array
  /** The challenge of the other one. */
  readonly challenge: number
  /** A hash over everything that both have said, see {@link transcript}. */
  readonly transcript: Uint8Array
}

/** A suite: its name on the wire, and the proof that it makes. */
export interface Suite {
  readonly name: SuiteName
  prove (proof: Proof): Uint8Array
}

/** `hmac-sha256` is the default; the others are for talking to what knows no better, and have to be asked for. */
export type SuiteName = 'hmac-sha256' | 'sha256' | 'md5'

const LABEL = 'libp2p-star link 1'

/** The suites by their names. */
export const SUITES: Readonly<Record<SuiteName, Suite>> = {
  /**
   * HMAC-SHA-256 over the transcript, with a key of its own for each role: so a proof can't be handed back (reflection), handed
   * on to another connection (relaying: names, nonces and connection ids are in the transcript) or used again (replay: nonces).
   */
  'hmac-sha256': {
    name: 'hmac-sha256',
    prove: ({ prover, secret, transcript }) =>
      hmac(sha256, hkdf(sha256, secret, utf8ToBytes(LABEL), utf8ToBytes(prover), 32), transcript)
  },
  /** SHA-256(be32(challenge) ‖ secret), 32 bytes: what the original of the message set computes (ractor). Binds no more. */
  sha256: {
    name: 'sha256',
    prove: ({ secret, challenge }) => {
      const number = new Uint8Array(4)
      new DataView(number.buffer).setUint32(0, challenge)
      return sha256(concatBytes(number, secret))
    }
  },
  /** MD5(secret ‖ the challenge in decimal), 16 bytes: what the document says and Erlang nodes compute. Binds no more. */
  md5: {
    name: 'md5',
    prove: ({ secret, challenge }) => md5(concatBytes(secret, utf8ToBytes(String(challenge >>> 0))))
  }
}

/**
 * Hashes messages in the order in which they are listed, whoever sent them and whenever they came; each with its length,
 * so that no two lists hash alike.
 */
export function transcript (messages: readonly Uint8Array[]): Uint8Array {
  const hash = sha256.create().update(utf8ToBytes(LABEL))
  for (const message of messages) {
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, message.byteLength)
    hash.update(length).update(message)
  }
  return hash.digest()
}

/** What a message says without its proof: what the proof is made over. */
export function unproved (message: AuthenticationMessage & { type: 'client_challenge' | 'server_ack' }): Uint8Array {
  const none = { digest: new Uint8Array(), signature: new Uint8Array() }
  return message.type === 'client_challenge'
    ? encodeMessage({ type: message.type, value: { ...message.value, ...none } })
    : encodeMessage({ type: message.type, value: { ...message.value, ...none } })
}

/** What a peer signs with the key of its peer id; the label keeps the signature from meaning anything elsewhere. */
export function signedMessage (prover: Prover, hash: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes(`${LABEL} ${prover}\n`), hash)
}

/** The secret that two peers hold for one link, of a half from each; exchanged where nobody else reads. */
export function linkSecret (dialler: Uint8Array, acceptor: Uint8Array): Uint8Array {
  return hkdf(sha256, concatBytes(dialler, acceptor), utf8ToBytes(LABEL), utf8ToBytes('link secret'), 32)
}

/** Compares in a time that does not depend on where the two differ. */
export function isEqual (one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) {
    return false
  }
  let difference = 0
  for (const [index, byte] of one.entries()) {
    difference |= byte ^ (other[index] ?? 0)
  }
  return difference === 0
}
