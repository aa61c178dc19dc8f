// Keys and nonces: the published vectors and the transcript's, with the crypto of src and with that of Node, and what must
// never be.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { nobleCrypto } from '../../../src/rendezvous/crypto.ts'
import { PathKeys, Rendezvous, authenticationKeys, sharedKey, transportKeys } from '../../../src/rendezvous/keys.ts'
import { encodeMessage } from '../../../src/rendezvous/wire.ts'
import { TRANSCRIPT, hex, nodeCrypto, times, toHex } from '../../support/rendezvous.ts'
import type { RendezvousCrypto } from '../../../src/rendezvous/crypto.ts'
import type { Role, RoleKeys } from '../../../src/rendezvous/keys.ts'

const CRYPTOS: ReadonlyArray<readonly [string, RendezvousCrypto]> = [['@noble', nobleCrypto], ['Node', nodeCrypto]]
const ONES = times(1, 32)
const THREEMA = fromString('threema')

/** Public keys with which the result is the same for every secret; of some, two spellings. */
const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
]

function keysOf (
  crypto: RendezvousCrypto, role: Role, { ak = ONES, pathId = 1, keys = authenticationKeys(ak), number = 1 } = {}
): PathKeys {
  return new PathKeys(crypto, role, pathId, ak, keys, number)
}

function other (role: Role): Role {
  return role === 'rid' ? 'rrd' : 'rid'
}

for (const [name, crypto] of CRYPTOS) {
  describe(`The keys of a rendezvous, with the crypto of ${name},`, () => {
    it('are those of the published vectors', () => {
      const vectors = {
        rid: '6774c06d35c88aad364a29ae63e5d4af1aeeff92e6e6f1',
        rrd: '4ad02e1e879e64de5c030833ab4393e723ed951fb841cc'
      }
      for (const role of ['rid', 'rrd'] as const) {
        assert.equal(toHex(keysOf(crypto, role).seal(THREEMA)), vectors[role])
        assert.deepEqual(keysOf(crypto, other(role)).open(hex(vectors[role])), THREEMA)
      }
      const shared = sharedKey(crypto, ONES, ONES)
      assert.equal(toHex(shared), '1c4ced205e274285121373dc8ff5c7f5c81e715ee65876444f3f8e04ec504676')
      const { keys, rph } = transportKeys(ONES, shared)
      assert.equal(toHex(keys.rid), '4086f38504a477e4a8fc85c67fa91f15341b45323c2b5a8e79bb83b47959f9de')
      assert.equal(toHex(keys.rrd), 'b6ee98fe4fa9970576d5d1026f64f4f1e563c39879c15c0c5ba7ce74573aa96f')
      assert.equal(toHex(rph), '580288fa0eee0af16a76be8d54ceb90b01634a3031141fca02540f6045467e7e')
      assert.equal(toHex(keysOf(crypto, 'rid', { keys }).seal(THREEMA)), '0c88a55e4b23492638bd5f68542cdf9f4c1e6ce87136fc')
    })

    it('are those of the transcript', () => {
      const { ak, rid, rrd } = TRANSCRIPT
      const { rid: ridak, rrd: rrdak } = authenticationKeys(ak)
      assert.deepEqual([toHex(ridak), toHex(rrdak)], [TRANSCRIPT.ridak, TRANSCRIPT.rrdak])
      const shared = sharedKey(crypto, rid.secret, crypto.publicKey(rrd.secret))
      assert.equal(toHex(shared), TRANSCRIPT.shared)
      assert.deepEqual(sharedKey(crypto, rrd.secret, crypto.publicKey(rid.secret)), shared)
      const { keys, rph } = transportKeys(ak, shared)
      assert.deepEqual([toHex(keys.rid), toHex(keys.rrd), toHex(rph)], [TRANSCRIPT.ridtk, TRANSCRIPT.rrdtk, TRANSCRIPT.rph])
    })

    it('are none with a public key of low order', () => {
      for (const key of LOW_ORDER) {
        assert.throws(() => sharedKey(crypto, ONES, hex(key)), { name: 'StarError', code: 'ERR_PROTOCOL' }, key)
        const keys = keysOf(crypto, 'rid')
        assert.throws(() => keys.agree(times(2, 32), hex(key)), { code: 'ERR_PROTOCOL' })
        assert.equal(toHex(keys.seal(THREEMA)), toHex(keysOf(crypto, 'rid').seal(THREEMA)), 'nothing has changed')
      }
    })

    it('seal and open what comes in turn, and nothing else', () => {
      const [rid, rrd] = [keysOf(crypto, 'rid'), keysOf(crypto, 'rrd')]
      const [first, second] = [concat([...rid.seal(THREEMA)]), concat([...rid.seal(THREEMA)])]
      assert.notEqual(toHex(first), toHex(second))
      assert.throws(() => rrd.open(second), { code: 'ERR_PATH_PROOF' }, 'out of turn')
      assert.deepEqual(rrd.open(first), THREEMA, 'a failure costs no number')
      assert.throws(() => rrd.open(first), { code: 'ERR_PATH_PROOF' }, 'once more')
      assert.deepEqual(rrd.open(second), THREEMA)
      assert.throws(() => rid.open(concat([...rid.seal(THREEMA)])), { code: 'ERR_PATH_PROOF' }, 'reflected')
      const elsewhere = concat([...keysOf(crypto, 'rid', { pathId: 2 }).seal(THREEMA)])
      assert.throws(() => keysOf(crypto, 'rrd').open(elsewhere), { code: 'ERR_PATH_PROOF' }, 'another path')
      assert.throws(() => rrd.open(new Uint8Array(16)), { code: 'ERR_PATH_PROOF' })
      assert.throws(() => rrd.open(new Uint8Array()), { code: 'ERR_PATH_PROOF' }, 'less than a tag')
    })

    it('count on when they change', () => {
      const { ak, rid: { secret }, rrd } = TRANSCRIPT
      const keys = keysOf(crypto, 'rid', { ak, pathId: 7 })
      keys.seal(THREEMA)
      const mine = Uint8Array.from(secret)
      assert.equal(toHex(keys.agree(mine, crypto.publicKey(rrd.secret))), TRANSCRIPT.rph)
      assert.deepEqual(mine, new Uint8Array(32), 'the secret is erased')
      assert.equal(toHex(keys.seal(new Uint8Array())), TRANSCRIPT.nominate.slice(8))
    })

    it('end with their numbers', () => {
      const last = { number: 0xffff_ffff }
      const [rid, rrd] = [keysOf(crypto, 'rid', last), keysOf(crypto, 'rrd', last)]
      assert.deepEqual(rrd.open(concat([...rid.seal(THREEMA)])), THREEMA)
      for (let attempt = 0; attempt < 2; attempt++) {
        assert.throws(() => rid.seal(THREEMA), { code: 'ERR_PATH_EXHAUSTED' })
        assert.throws(() => rrd.open(times(1, 20)), { code: 'ERR_PATH_EXHAUSTED' })
      }
    })
  })
}

describe('The two implementations of the crypto', () => {
  it('do the same', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(fc.property(bytes, bytes, fc.uint8Array({ maxLength: 300 }), (key, secret, plaintext) => {
      const nonce = key.subarray(0, 12)
      const sealed = concat([...nobleCrypto.seal(key, nonce, plaintext)])
      assert.deepEqual(sealed, concat([...nodeCrypto.seal(key, nonce, plaintext)]))
      assert.deepEqual(nobleCrypto.open(key, nonce, sealed), plaintext)
      assert.deepEqual(nodeCrypto.open(key, nonce, sealed), plaintext)
      const publicKey = nobleCrypto.publicKey(secret)
      assert.deepEqual(publicKey, nodeCrypto.publicKey(secret))
      assert.deepEqual(nobleCrypto.sharedSecret(key, publicKey), nodeCrypto.sharedSecret(key, publicKey))
    }), { numRuns: 20 })
  })

  it('are replaced by any that gives zeros for a bad public key, without harm', () => {
    const careless: RendezvousCrypto = { ...nodeCrypto, sharedSecret: () => new Uint8Array(32) }
    assert.throws(() => sharedKey(careless, ONES, ONES), { code: 'ERR_PROTOCOL', message: /low order/ })
  })

  it('make as many random bytes as they are asked for', () => {
    for (const [, crypto] of CRYPTOS) {
      assert.equal(crypto.random(16).byteLength, 16)
      assert.notDeepEqual(crypto.random(32), crypto.random(32))
    }
  })
})

describe('A rendezvous', () => {
  it('has keys for a path once, whatever becomes of the path', () => {
    const rendezvous = new Rendezvous(nodeCrypto, 'rid', ONES)
    for (const pathId of [0, 1, 0xffff_ffff]) {
      assert.equal(rendezvous.isClaimed(pathId), false)
      assert.ok(rendezvous.claim(pathId))
      assert.equal(rendezvous.isClaimed(pathId), true)
      assert.equal(rendezvous.claim(pathId), undefined)
    }
    for (const pathId of [-1, 1.5, 2 ** 32, 2 ** 32 + 1, Number.NaN]) {
      assert.equal(rendezvous.claim(pathId), undefined, `${pathId} would be another one's nonce`)
    }
  })

  it('keeps its key when the bytes that it came in are used again', () => {
    const ak = Buffer.alloc(32, 1)
    const rendezvous = new Rendezvous(nodeCrypto, 'rrd', ak)
    ak.fill(0)
    const keys = rendezvous.claim(1)
    keys?.agree(times(1, 32), ONES)
    const { keys: expected } = transportKeys(ONES, sharedKey(nodeCrypto, ONES, ONES))
    assert.equal(toHex(keys?.seal(THREEMA) ?? []), toHex(keysOf(nodeCrypto, 'rrd', { keys: expected }).seal(THREEMA)))
  })

  it('knows a Hello by the path that it is for, as often as it is asked, and claims nothing by that', () => {
    const rid = new Rendezvous(nodeCrypto, 'rid', ONES)
    const hello = encodeMessage('hello', { challenge: times(1, 16), etk: times(2, 32) })
    const sealed = concat([...keysOf(nodeCrypto, 'rrd', { pathId: 5 }).seal(hello)])
    for (let attempt = 0; attempt < 2; attempt++) {
      assert.deepEqual([3, 4, 5, 6].map(pathId => rid.isHello(pathId, sealed)), [false, false, true, false])
    }
    assert.equal(rid.isClaimed(5), false)
    const seal = (role: Role, plaintext: Uint8Array, keys: RoleKeys = authenticationKeys(ONES)): Uint8Array =>
      concat([...keysOf(nodeCrypto, role, { pathId: 5, keys }).seal(plaintext)])
    assert.equal(rid.isHello(5, seal('rid', hello)), false, 'sealed by who should answer it')
    assert.equal(rid.isHello(5, seal('rrd', hello.subarray(1))), false, 'no Hello')
    assert.equal(rid.isHello(5, seal('rrd', hello, authenticationKeys(times(2, 32)))), false, 'another rendezvous')
    assert.equal(rid.isHello(5, new Uint8Array()), false)
  })
})
