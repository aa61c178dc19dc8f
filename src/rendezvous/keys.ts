// The rendezvous' keys: how they follow from each other, and which nonce seals what.
//
//   AK ─▸ RIDAK, RRDAK                          for Hello, AuthHello and Auth; the same on all paths
//   AK ‖ X25519HSalsa20(ETK, ETK) ─▸ STK        for each path its own
//   STK ─▸ RIDTK, RRDTK                         for all that follows
//   STK ─▸ RPH                                  what two people may compare
//
// nonce = path id:u32-le | number:u32-le | 0:u32; numbers count from 1 in each direction, on when the keys change, and never
// over. So a nonce is used once as long as a path id is used once with a key: only `claim` makes the keys of a path, and only
// once.
import { equalBytes } from '@noble/ciphers/utils.js'
import { hsalsa } from '@noble/ciphers/salsa.js'
import { blake2b } from '@noble/hashes/blake2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { StarError } from '../errors.ts'
import { KEY, decodeMessage } from './wire.ts'
import type { RendezvousCrypto } from './crypto.ts'

/** RID made the init and answers; RRD read it and speaks first. */
export type Role = 'rid' | 'rrd'

/** A key for each direction, by who seals with it. */
export type RoleKeys = Readonly<Record<Role, Uint8Array>>

/** What two ends have of a path once they have shaken hands. */
export interface TransportKeys {
  readonly keys: RoleKeys
  /** The path's hash: equal at both ends unless there is somebody between them who had the authentication key. */
  readonly rph: Uint8Array
}

const NONE = new Uint8Array()
const BLOCK = 16
const PERSONAL = padded('3ma-rendezvous')
const LAST_NUMBER = 0xffff_ffff
const LAST_PATH = 0xffff_ffff

/** RIDAK and RRDAK. */
export function authenticationKeys (ak: Uint8Array): RoleKeys {
  return { rid: derive(ak, 'rida'), rrd: derive(ak, 'rrda') }
}

/** RIDTK, RRDTK and RPH. */
export function transportKeys (ak: Uint8Array, shared: Uint8Array): TransportKeys {
  const stk = derive(concatBytes(ak, shared), 'st')
  const rph = blake2b(stk, { dkLen: KEY, salt: padded('ph'), personalization: PERSONAL })
  return { keys: { rid: derive(stk, 'ridt'), rrd: derive(stk, 'rrdt') }, rph }
}

/**
 * X25519 and HSalsa20 after it, as NaCl's `crypto_box_beforenm`; throws {@link StarError} `ERR_PROTOCOL` for a public key with
 * which the result would be the same for everybody.
 */
export function sharedKey (crypto: RendezvousCrypto, secret: Uint8Array, publicKey: Uint8Array): Uint8Array {
  let raw: Uint8Array
  try {
    raw = crypto.sharedSecret(secret, publicKey)
  } catch (cause) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a public key that is none', cause })
  }
  if (equalBytes(raw, new Uint8Array(KEY))) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a public key of low order' })
  }
  const key = hash(raw)
  raw.fill(0)
  return key
}

/** A rendezvous at one of its ends: the authentication key, and which path ids have been used with it. */
export class Rendezvous {
  readonly role: Role
  readonly crypto: RendezvousCrypto
  readonly #ak: Uint8Array
  readonly #keys: RoleKeys
  readonly #claimed = new Set<number>()

  constructor (crypto: RendezvousCrypto, role: Role, ak: Uint8Array) {
    this.crypto = crypto
    this.role = role
    this.#ak = Uint8Array.from(ak)
    this.#keys = authenticationKeys(ak)
  }

  /** The keys of a path; `undefined` when there were any before: whatever became of that path, it is the only one of this id. */
  claim (pathId: number): PathKeys | undefined {
    if (this.#claimed.has(pathId) || !Number.isInteger(pathId) || pathId < 0 || pathId > LAST_PATH) {
      return undefined
    }
    this.#claimed.add(pathId)
    return new PathKeys(this.crypto, this.role, pathId, this.#ak, this.#keys)
  }

  /** Whether the keys of a path were claimed. */
  isClaimed (pathId: number): boolean {
    return this.#claimed.has(pathId)
  }

  /** Whether some data is a Hello for this path. Seals nothing, so it may be asked for any path any number of times. */
  isHello (pathId: number, sealed: Uint8Array): boolean {
    try {
      decodeMessage('hello', new Direction(this.#keys.rrd, pathId).open(this.crypto, sealed))
      return true
    } catch {
      return false
    }
  }
}

/** The keys of one path at one of its ends, and the numbers of what it seals and opens. */
export class PathKeys {
  readonly role: Role
  readonly crypto: RendezvousCrypto
  readonly #ak: Uint8Array
  readonly #sealing: Direction
  readonly #opening: Direction

  /** Called by {@link Rendezvous.claim} alone, and by tests, which may let numbers begin elsewhere. */
  constructor (crypto: RendezvousCrypto, role: Role, pathId: number, ak: Uint8Array, keys: RoleKeys, number: number = 1) {
    this.role = role
    this.crypto = crypto
    this.#ak = ak
    this.#sealing = new Direction(keys[role], pathId, number)
    this.#opening = new Direction(keys[otherRole(role)], pathId, number)
  }

  /** Seals; throws {@link StarError} `ERR_PATH_EXHAUSTED` when there are no numbers left. */
  seal (plaintext: Uint8Array): readonly Uint8Array[] {
    return this.#sealing.seal(this.crypto, plaintext)
  }

  /** Opens; throws {@link StarError} `ERR_PATH_PROOF` for what was not sealed by the other end, for this path, as the next. */
  open (sealed: Uint8Array): Uint8Array {
    return this.#opening.open(this.crypto, sealed)
  }

  /**
   * Changes to the transport keys and returns the path's hash. Erases the secret. Throws {@link StarError} `ERR_PROTOCOL` for a
   * public key of low order.
   */
  agree (secret: Uint8Array, theirs: Uint8Array): Uint8Array {
    const { keys, rph } = transportKeys(this.#ak, sharedKey(this.crypto, secret, theirs))
    secret.fill(0)
    this.#sealing.key = keys[this.role]
    this.#opening.key = keys[otherRole(this.role)]
    return rph
  }
}

/** One direction of a path. */
class Direction {
  key: Uint8Array
  readonly #nonce = new DataView(new ArrayBuffer(12))
  #number: number

  constructor (key: Uint8Array, pathId: number, number: number = 1) {
    this.key = key
    this.#number = number
    this.#nonce.setUint32(0, pathId, true)
  }

  seal (crypto: RendezvousCrypto, plaintext: Uint8Array): readonly Uint8Array[] {
    const sealed = crypto.seal(this.key, this.#next(), plaintext)
    this.#number++
    return sealed
  }

  open (crypto: RendezvousCrypto, sealed: Uint8Array): Uint8Array {
    const nonce = this.#next()
    let plaintext: Uint8Array
    try {
      plaintext = crypto.open(this.key, nonce, sealed)
    } catch (cause) {
      throw new StarError('ERR_PATH_PROOF', { cause })
    }
    this.#number++
    return plaintext
  }

  #next (): Uint8Array {
    if (this.#number > LAST_NUMBER) {
      throw new StarError('ERR_PATH_EXHAUSTED')
    }
    this.#nonce.setUint32(4, this.#number, true)
    return new Uint8Array(this.#nonce.buffer)
  }
}

/** The role of the other end. */
function otherRole (role: Role): Role {
  return role === 'rid' ? 'rrd' : 'rid'
}

function derive (key: Uint8Array, salt: string): Uint8Array {
  return blake2b(NONE, { dkLen: KEY, key, salt: padded(salt), personalization: PERSONAL })
}

/** ASCII with zeros behind it, as BLAKE2b wants it. */
function padded (text: string): Uint8Array {
  const block = new Uint8Array(BLOCK)
  block.set(utf8ToBytes(text))
  return block
}

/** HSalsa20 of a key and sixteen zeros. */
function hash (key: Uint8Array): Uint8Array {
  const out = new Uint32Array(8)
  hsalsa(words(utf8ToBytes('expand 32-byte k')), words(key), new Uint32Array(4), out)
  return new Uint8Array(out.buffer)
}

/** A copy of bytes as words in the order of the machine, which is how `hsalsa` takes them. */
function words (bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer)
}
