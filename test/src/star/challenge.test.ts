// The bytes that a peer signs: spelled once and for all, and never the same for two purposes.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toString } from 'uint8arrays/to-string'
import { challengeMessage } from '../../../src/star/challenge.ts'
import { isAddress } from '../../../src/star/protocol.ts'
import type { ChallengeScope } from '../../../src/star/challenge.ts'
import type { ChallengeOffer } from '../../../src/star/protocol.ts'

interface Purpose {
  readonly scope: ChallengeScope
  readonly offer: ChallengeOffer
}

/** Short texts out of few characters, so that some are alike and some hold what the message is made of. */
const text = fc.array(fc.constantFrom('a', ':', 'socket:', 'address:', 'nonce:', '/'), { minLength: 1, maxLength: 4 })
  .map(parts => parts.join('')).filter(isAddress)
const digits = fc.array(fc.constantFrom('0', 'f'), { minLength: 64, maxLength: 64 }).map(parts => parts.join(''))
const purpose: fc.Arbitrary<Purpose> = fc.record({
  scope: fc.record({ origin: text, socket: text, address: text }),
  offer: fc.record({ nonce: digits, expires: fc.nat() })
})

describe('The message of a challenge', () => {
  it('is this text', () => {
    const scope = { origin: 'wss://star.example:443', socket: 'abc', address: '/dns4/star.example/wss/p2p-websocket-star/p2p/Qm' }
    const message = challengeMessage(scope, { nonce: '00ff', expires: 1_700_000_000_000 })
    assert.equal(toString(message), `libp2p-star join challenge, version 1
star: wss://star.example:443
socket: abc
address: /dns4/star.example/wss/p2p-websocket-star/p2p/Qm
nonce: 00ff
expires: 1700000000000`)
  })

  it('is the same for the same purpose and different for any other', () => {
    fc.assert(fc.property(purpose, purpose, (one, other) => {
      const [first, second] = [one, other].map(({ scope, offer }) => toString(challengeMessage(scope, offer)))
      assert.equal(first === second, JSON.stringify(one) === JSON.stringify(other))
    }), { numRuns: 1_000 })
  })

  it('differs when any single part does', () => {
    const parts = fc.constantFrom('origin', 'socket', 'address', 'nonce', 'expires')
    fc.assert(fc.property(purpose, parts, ({ scope, offer }, part) => {
      const changed = { scope: { ...scope }, offer: { ...offer } }
      if (part === 'nonce') {
        changed.offer.nonce = `${offer.nonce.slice(1)}1`
      } else if (part === 'expires') {
        changed.offer.expires++
      } else {
        changed.scope[part] += 'a'
      }
      assert.notDeepEqual(challengeMessage(changed.scope, changed.offer), challengeMessage(scope, offer))
    }))
  })
})
