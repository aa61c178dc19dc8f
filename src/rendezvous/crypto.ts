// What a rendezvous needs of cryptography that is better had from the platform: a port, and the implementation that runs
// everywhere.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { randomBytes } from '@noble/hashes/utils.js'

/** The port. Keys, secrets and shared secrets are 32 bytes; nonces are 12. */
export interface RendezvousCrypto {
  random (bytes: number): Uint8Array
  /** The X25519 public key of a secret. */
  publicKey (secret: Uint8Array): Uint8Array
  /** X25519. May throw for a public key of low order, or return zeros. */
  sharedSecret (secret: Uint8Array, publicKey: Uint8Array): Uint8Array
  /** ChaCha20-Poly1305 without associated data: ciphertext and tag, in as many parts as come of themselves. */
  seal (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): readonly Uint8Array[]
  /** The plaintext, in memory of its own; throws when the tag is wrong. */
  open (key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array
}

/** The port in JavaScript alone: about a twelfth of what the crypto of Node does. */
export const nobleCrypto: RendezvousCrypto = {
  random: bytes => randomBytes(bytes),
  publicKey: secret => x25519.getPublicKey(secret),
  sharedSecret: (secret, publicKey) => x25519.getSharedSecret(secret, publicKey),
  seal: (key, nonce, plaintext) => [chacha20poly1305(key, nonce).encrypt(plaintext)],
  open: (key, nonce, sealed) => chacha20poly1305(key, nonce).decrypt(sealed)
}
