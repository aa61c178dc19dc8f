// Proofs of a secret: what others compute, what only ours bind, and the bytes that proofs are made over.
import assert from 'node:assert/strict'
import { createHash, createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { SUITES, isEqual, linkSecret, signedMessage, transcript, unproved } from '../../../src/link/digest.ts'
import { decodeMessage } from '../../../src/link/wire.ts'
import { messages } from '../../support/handshake-messages.ts'
import type { Prover, SuiteName } from '../../../src/link/digest.ts'

const NO_TRANSCRIPT = new Uint8Array(32)

function prove (suite: SuiteName, secret: string, challenge: number, prover: Prover = 'dialler', hash = NO_TRANSCRIPT): string {
  return toString(SUITES[suite].prove({ prover, secret: fromString(secret), challenge, transcript: hash }), 'base16')
}

/** Digests of real Erlang nodes, and of the rule at the ends of the range. */
const MD5: ReadonlyArray<readonly [from: string, cookie: string, challenge: number, digest: string]> = [
  ['the rule, challenge 0', 'y', 0, 'f05e43947edbff3f8b97071dd807598b'],
  ['the rule, challenge 1', 'y', 1, '29361885c98c7f19165aa53829149ae4'],
  ['the rule, 2^31 - 1', 'y', 2_147_483_647, '3b7999de718e7dc5e1410497bda04958'],
  ['the rule, 2^31', 'y', 2_147_483_648, '3903e7a0b31e76b90ceb0813e0ecb95a'],
  ['the rule, 2^32 - 1', 'y', 4_294_967_295, 'deaa93e9c3fa2a5a5162e17a74eb2467'],
  ['the rule, no cookie', '', 5, 'e4da3b7fbbce2345d7772b0674a318d5'],
  ['the rule, a cookie with a blank', 'monster cookie', 42, 'cd6b4e9ed9628ebd891fef117091e2de'],
  ['an ack of OTP 25', 'y', 722_405_066, 'af07f4fee222b9f7fa36ec0cc801b5d4'],
  ['a reply of OTP 25', 'y', 3_435_176_818, '59f7b166a00cb2e7b62b79940d853d35'],
  ['an ack of OTP 27', 'y', 549_843_618, '5a98546250e884181398f396de84bd54'],
  ['a reply of OTP 27', 'y', 2_384_430_427, '050c0d69f6a62b99b4a1f875a0280f15'],
  ['an ack of OTP 23', 'y', 1_566_253_491, 'a493dd44c4d1082c7418179b12234297'],
  ['a reply of OTP 23', 'y', 3_775_745_359, 'f1f43b57c736d2b809b6e796fb27fc5b']
]

describe('The suite md5', () => {
  for (const [from, cookie, challenge, digest] of MD5) {
    it(`computes ${from}`, () => {
      assert.equal(prove('md5', cookie, challenge), digest)
    })
  }

  it('takes a challenge as unsigned', () => {
    assert.equal(prove('md5', 'y', -1), prove('md5', 'y', 4_294_967_295))
  })
})

describe('The suite sha256', () => {
  it('computes the test vector of the original', () => {
    assert.equal(prove('sha256', 'cookie', 42), '143e00d9d3b31d9d24452f85ac04448953081a02ed02272e592c5b13cd422ef7')
  })

  it('hashes the challenge as four bytes, the secret behind them', () => {
    fc.assert(fc.property(fc.string(), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (secret, challenge) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(challenge)
      assert.equal(prove('sha256', secret, challenge), createHash('sha256').update(bytes).update(secret).digest('hex'))
    }))
  })
})

describe('The default suite', () => {
  it('is HMAC-SHA-256 over the transcript, with a key by HKDF for each role', () => {
    fc.assert(fc.property(fc.string(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret, hash) => {
      for (const prover of ['dialler', 'acceptor'] as const) {
        const key = hkdfSync('sha256', Buffer.from(secret), 'libp2p-star link 1', prover, 32)
        const expected = createHmac('sha256', Buffer.from(key)).update(hash).digest('hex')
        assert.equal(prove('hmac-sha256', secret, 0, prover, hash), expected)
      }
    }))
  })

  it('proves something else in each role, with each secret and for each transcript', () => {
    const other = new Uint8Array(32).fill(1)
    const proofs = ['', 'secret', 'secreT'].flatMap(secret => (['dialler', 'acceptor'] as const).flatMap(prover =>
      [NO_TRANSCRIPT, other].map(hash => prove('hmac-sha256', secret, 0, prover, hash))))
    assert.equal(new Set(proofs).size, 12)
  })

  it('is the only one that tells roles apart: the others are for those who know no better', () => {
    assert.equal(prove('md5', 'y', 7, 'dialler'), prove('md5', 'y', 7, 'acceptor'))
    assert.equal(prove('sha256', 'y', 7, 'dialler'), prove('sha256', 'y', 7, 'acceptor'))
  })
})

describe('A transcript', () => {
  const list = fc.array(fc.uint8Array({ maxLength: 6, max: 2 }), { maxLength: 5 })

  it('is the same for the same messages, and different for any other list of them', () => {
    const hexes = (messages: readonly Uint8Array[]): string => messages.map(one => toString(one, 'base16')).join()
    fc.assert(fc.property(list, list, (one, other) => {
      assert.equal(isEqual(transcript(one), transcript(other)), one.length === other.length && hexes(one) === hexes(other))
    }), { numRuns: 5_000 })
  })

  it('tells where a message ends, which is last, and whether an empty one was said', () => {
    const a = Uint8Array.of(1)
    const ab = Uint8Array.of(1, 2)
    const b = Uint8Array.of(2)
    const none = new Uint8Array()
    const lists = [[], [none], [none, none], [a, b], [b, a], [ab], [ab, none], [none, ab], [a, none, b]]
    assert.equal(new Set(lists.map(one => toString(transcript(one), 'base16'))).size, lists.length)
  })
})

describe('What a proof is made over', () => {
  it('is all that the proving message says beside its proof', () => {
    fc.assert(fc.property(messages.client_challenge, reply => {
      const { value, type } = decodeMessage(unproved(reply))
      assert.deepEqual([type, value], [reply.type, { ...reply.value, digest: new Uint8Array(), signature: new Uint8Array() }])
    }))
    fc.assert(fc.property(messages.server_ack, ack => {
      const { value, type } = decodeMessage(unproved(ack))
      assert.deepEqual([type, value], [ack.type, { ...ack.value, digest: new Uint8Array(), signature: new Uint8Array() }])
    }))
  })

  it('is signed under a label, and by each role under its own', () => {
    const hash = Uint8Array.of(1, 2)
    assert.equal(toString(signedMessage('dialler', hash)), 'libp2p-star link 1 dialler\n\x01\x02')
    assert.equal(toString(signedMessage('acceptor', hash)), 'libp2p-star link 1 acceptor\n\x01\x02')
  })
})

describe('The secret of a link', () => {
  it('takes a half from each, and each half counts', () => {
    const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const secrets = [linkSecret(one, other), linkSecret(other, one), linkSecret(one, one), linkSecret(other, other)]
    assert.deepEqual(secrets.map(secret => secret.byteLength), [32, 32, 32, 32])
    assert.equal(new Set(secrets.map(secret => toString(secret, 'base16'))).size, 4)
    const expected = hkdfSync('sha256', Buffer.concat([one, other]), 'libp2p-star link 1', 'link secret', 32)
    assert.deepEqual(secrets[0], new Uint8Array(expected))
  })
})

describe('Comparing', () => {
  it('says whether all bytes are the same, and as many', () => {
    const some = fc.uint8Array({ maxLength: 3, max: 1 })
    fc.assert(fc.property(some, some, (one, other) => {
      assert.equal(isEqual(one, other), Buffer.compare(one, other) === 0)
    }), { numRuns: 2_000 })
    assert.equal(isEqual(new Uint8Array(), new Uint8Array(1)), false)
    assert.equal(isEqual(Uint8Array.of(0, 0), Uint8Array.of(0)), false)
  })
})
