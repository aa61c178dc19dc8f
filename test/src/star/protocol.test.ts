// The signalling events: what passes each check, what doesn't, and how refusals are spelled and read.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { REASONS, StarError } from '../../../src/errors.ts'
import {
  MAX_ADDRESS, MAX_ERROR, MAX_HEX, decodeError, encodeError, isAddress, isAnswer, isChallengeOffer, isHex, isIntroduction,
  isName, isPeerChanges, isRelayPath, isWelcome, restartDelay
} from '../../../src/star/protocol.ts'
import type { Reason } from '../../../src/errors.ts'

const CODES = Object.keys(REASONS) as Reason[]
const NONCE = '0123456789abcdef'.repeat(4)

interface Case {
  readonly name: string
  readonly check: (value: unknown) => boolean
  readonly taken: readonly unknown[]
  readonly refused: readonly unknown[]
}

const CASES: readonly Case[] = [
  {
    name: 'a name',
    check: value => isName(value, 3),
    taken: ['a', 'abc', '\n', ' '],
    refused: ['', 'abcd', 1, null, undefined, ['a']]
  },
  {
    name: 'an address',
    check: isAddress,
    taken: ['/', '~', 'x'.repeat(MAX_ADDRESS)],
    refused: ['', 'x'.repeat(MAX_ADDRESS + 1), 'a b', 'a\nb', 'a\n', '\u007f', 'ä', '\0', ['a'], { length: 1 }]
  },
  {
    name: 'a hex text',
    check: isHex,
    taken: ['', '00', 'aF', 'ab'.repeat(MAX_HEX / 2)],
    refused: ['0', 'abc', 'zz', '0x', 'ab\n', ' ab ', 'ab'.repeat(MAX_HEX / 2 + 1), 12, new Uint8Array(2)]
  },
  {
    name: 'a relay path',
    check: isRelayPath,
    taken: [NONCE, '0'.repeat(64)],
    refused: [NONCE.toUpperCase(), NONCE.slice(1), `${NONCE}0`, `${NONCE}\n`, `/${NONCE.slice(1)}`, 'g'.repeat(64), '', [NONCE],
      null]
  },
  {
    name: 'an introduction',
    check: isIntroduction,
    taken: [{ key: '08', origin: 'ws://h:80', listed: true }, { key: '08', origin: 'ws://h:80', listed: false, more: 1 }],
    refused: [{}, { key: '08', origin: 'ws://h:80' }, { key: 8, origin: 'ws://h:80', listed: true },
      { key: '08', origin: 'a\nb', listed: true }, { key: '08', origin: '', listed: true },
      { key: '08', origin: 'ws://h:80', listed: 1 }, '08', null]
  },
  {
    name: 'an answer',
    check: isAnswer,
    taken: [{ signature: '00' }],
    refused: [{ signature: 0 }, { signature: 'x' }, {}, '00', null]
  },
  {
    name: 'a challenge',
    check: isChallengeOffer,
    taken: [{ nonce: NONCE, expires: 0 }],
    refused: [{ nonce: NONCE.slice(2), expires: 0 }, { nonce: `${NONCE}00`, expires: 0 }, { nonce: 'x'.repeat(64), expires: 0 },
      { nonce: NONCE, expires: -1 }, { nonce: NONCE, expires: 0.5 }, { nonce: NONCE, expires: Number.NaN },
      { nonce: NONCE }, NONCE]
  },
  {
    name: 'a welcome',
    check: isWelcome,
    taken: [{ peers: [], window: 0 }, { peers: ['a', 'b'], window: 65_536 }, { peers: [], window: 0, contact: 65_535 }],
    refused: [{ peers: [''], window: 1 }, { peers: 'a', window: 1 }, { peers: ['a b'], window: 1 }, { peers: [] },
      { peers: [], window: Infinity }, { peers: {}, window: 1 }, [],
      ...[0, 65_536, 1.5, '9', null].map(contact => ({ peers: [], window: 1, contact }))]
  },
  {
    name: 'a batch of changes',
    check: isPeerChanges,
    taken: [{ joined: [], left: [] }, { joined: ['a'], left: ['b'] }],
    refused: [{ joined: [] }, { left: [] }, { joined: [1], left: [] }, { joined: [], left: [['a']] }, null]
  }
]

describe('The checks of the signalling', () => {
  for (const { name, check, taken, refused } of CASES) {
    it(`take ${name} and nothing else`, () => {
      for (const value of taken) {
        assert.equal(check(value), true, JSON.stringify(value))
      }
      for (const value of refused) {
        assert.equal(check(value), false, JSON.stringify(value))
      }
    })
  }

  it('answer for anything and never throw', () => {
    fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withTypedArray: true }), value => {
      for (const { check } of CASES) {
        assert.equal(typeof check(value), 'boolean')
      }
      assert.equal(Number.isSafeInteger(restartDelay(value)), true)
      assert.equal(decodeError(value, 'ERR_PROTOCOL') instanceof StarError, true)
    }), { numRuns: 1_000 })
  })

  it('answer for objects with the right keys and any values', () => {
    const keys = [
      'key', 'origin', 'listed', 'signature', 'nonce', 'expires', 'peers', 'window', 'joined', 'left', 'code', 'retryAfter'
    ]
    const record = fc.dictionary(fc.constantFrom(...keys), fc.anything())
    fc.assert(fc.property(record, value => {
      CASES.forEach(({ check }) => { check(value) })
      decodeError(value, 'ERR_PROTOCOL')
    }))
  })
})

describe('The delay of a restart', () => {
  it('is what the star said, or 0', () => {
    assert.equal(restartDelay({ reconnectIn: 1_500 }), 1_500)
    for (const value of [{ reconnectIn: -1 }, { reconnectIn: '5' }, { reconnectIn: Number.NaN }, {}, 5, null, undefined]) {
      assert.equal(restartDelay(value), 0)
    }
  })
})

describe('A refusal', () => {
  const refusal = fc.record({
    code: fc.constantFrom(...CODES), retryAfter: fc.option(fc.nat(), { nil: undefined }), detail: fc.string()
  })

  it('comes back from the wire with its code and its time to wait, for star clients', () => {
    fc.assert(fc.property(refusal, ({ code, retryAfter, detail }) => {
      const error = new StarError(code, { detail, ...(retryAfter == null ? {} : { retryAfter }) })
      const wire: unknown = JSON.parse(JSON.stringify(encodeError('star', error)))
      assert.deepEqual(wire, { code, message: error.message, ...(retryAfter == null ? {} : { retryAfter }) })
      const back = decodeError(wire, 'ERR_PROTOCOL')
      assert.deepEqual([back.code, back.retryAfter], [code, retryAfter])
    }))
  })

  it('is a text for original clients, which would show an object as [object Object]', () => {
    for (const code of CODES) {
      assert.equal(typeof encodeError('original', new StarError(code)), 'string')
    }
  })

  it('has the text of the original server where that had one', () => {
    const texts: Array<[Reason, string]> = [
      ['ERR_ADDRESS', 'Invalid multiaddr'],
      ['ERR_PROOF_REQUIRED', 'Crypto Challenge required but no Id provided'],
      ['ERR_SIGNATURE', 'Signature Invalid'],
      ['ERR_NOT_JOINED', 'Not authorized for this address'],
      ['ERR_PEER_NOT_FOUND', 'Peer not found'],
      ['ERR_DIAL_TIMEOUT', REASONS.ERR_DIAL_TIMEOUT]
    ]
    for (const [code, text] of texts) {
      assert.equal(encodeError('original', new StarError(code)), text)
    }
  })

  it('keeps a stranger\'s text as a detail, cut to length, and takes the code that is expected', () => {
    const error = decodeError('x'.repeat(100_000), 'ERR_DIAL_REFUSED')
    assert.equal(error.code, 'ERR_DIAL_REFUSED')
    assert.equal(error.message, `${REASONS.ERR_DIAL_REFUSED} (${'x'.repeat(MAX_ERROR)})`)
    const unheard = decodeError({ code: 'ERR_UNHEARD_OF', message: 'no' }, 'ERR_DIAL_REFUSED')
    assert.equal(unheard.message, `${REASONS.ERR_DIAL_REFUSED} (no)`)
    assert.equal(decodeError({}, 'ERR_DIAL_REFUSED').message, REASONS.ERR_DIAL_REFUSED)
  })

  it('is known by its bare code too, and has no nonsensical time to wait', () => {
    assert.equal(decodeError('ERR_DIAL_TIMEOUT', 'ERR_PROTOCOL').code, 'ERR_DIAL_TIMEOUT')
    for (const retryAfter of [-1, 0.5, Number.NaN, Infinity, '5']) {
      assert.equal(decodeError({ code: 'ERR_TOO_MANY_JOINS', retryAfter }, 'ERR_PROTOCOL').retryAfter, undefined)
    }
  })
})
