// The cryptography of a rendezvous by Node: about twelve times as fast as the one that runs everywhere.
import {
  createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, createSecretKey, diffieHellman, randomBytes
} from 'node:crypto'
import { TAG } from '../../../src/rendezvous/frame.ts'
import type { KeyObject } from 'node:crypto'
import type { RendezvousCrypto } from '../../../src/rendezvous/crypto.ts'

/** What stands before the 32 bytes of an X25519 key in DER. */
const SECRET_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_HEAD = Buffer.from('302a300506032b656e032100', 'hex')
const KEY = 32
const CIPHER = 'chacha20-poly1305'

/** The port over `node:crypto`. */
export const nodeCrypto: RendezvousCrypto = {
  random: bytes => Uint8Array.from(randomBytes(bytes)),
  publicKey: secret => {
    const der = createPublicKey(privateKey(secret)).export({ format: 'der', type: 'spki' })
    return Uint8Array.from(der.subarray(-KEY))
  },
  sharedSecret: (secret, publicKey) => Uint8Array.from(diffieHellman({
    privateKey: privateKey(secret),
    publicKey: createPublicKey({ key: Buffer.concat([PUBLIC_HEAD, publicKey]), format: 'der', type: 'spki' })
  })),
  seal: (key, nonce, plaintext) => {
    const cipher = createCipheriv(CIPHER, secretKey(key), nonce, { authTagLength: TAG })
    const ciphertext = cipher.update(plaintext)
    cipher.final()
    return [ciphertext, cipher.getAuthTag()]
  },
  open: (key, nonce, sealed) => {
    const decipher = createDecipheriv(CIPHER, secretKey(key), nonce, { authTagLength: TAG })
    decipher.setAuthTag(sealed.subarray(-TAG))
    const { buffer, byteOffset, byteLength } = decipher.update(sealed.subarray(0, -TAG))
    decipher.final()
    return new Uint8Array(buffer, byteOffset, byteLength)
  }
}

/** Keys as Node wants them: to make one of bytes takes three times as long as to seal a short frame. */
const SECRET_KEYS = new WeakMap<Uint8Array, KeyObject>()

function secretKey (key: Uint8Array): KeyObject {
  const known = SECRET_KEYS.get(key)
  if (known != null) {
    return known
  }
  const made = createSecretKey(key)
  SECRET_KEYS.set(key, made)
  return made
}

function privateKey (secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([SECRET_HEAD, secret]), format: 'der', type: 'pkcs8' })
}
