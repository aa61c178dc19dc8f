// Errors: a stable code, a sentence, and nothing of a stranger's taken for a code.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { REASONS, StarError, isReason } from '../../src/errors.ts'
import type { Reason } from '../../src/errors.ts'

describe('A star error', () => {
  it('says what its code means', () => {
    for (const code of Object.keys(REASONS) as Reason[]) {
      const error = new StarError(code)
      assert.equal(error.message, REASONS[code])
      assert.equal(error.code, code)
      assert.match(code, /^ERR_[A-Z_]+$/)
      assert.equal(error.retryAfter, undefined)
    }
  })

  it('carries the particulars, the cause and the time to wait', () => {
    const cause = new Error('broken pipe')
    const error = new StarError('ERR_STAR_LOST', { detail: 'wss://star.example', cause, retryAfter: 5 })
    assert.equal(error.message, `${REASONS.ERR_STAR_LOST} (wss://star.example)`)
    assert.equal(error.cause, cause)
    assert.equal(error.retryAfter, 5)
    assert.equal(error.name, 'StarError')
  })

  it('has a different sentence for each code', () => {
    const sentences = Object.values<string>(REASONS)
    assert.equal(new Set(sentences).size, sentences.length)
  })
})

describe('A code from the wire', () => {
  it('is known or it is none, whatever it is', () => {
    fc.assert(fc.property(fc.anything(), value => {
      assert.equal(isReason(value), typeof value === 'string' && Object.keys(REASONS).includes(value))
    }))
    for (const inherited of ['toString', 'constructor', '__proto__', '']) {
      assert.equal(isReason(inherited), false)
    }
  })
})
