// Close codes of the raw relay: what goes from one end to the other.
import assert from 'node:assert/strict'
import { reflect } from '../../../src/relay/close.ts'

describe('A close code', () => {
  it('is handed on when it means something to the other end', () => {
    for (const code of [1000, 4100, 4142, 4199]) {
      assert.equal(reflect(code), code)
    }
  })

  it('is 4004 to the other end in every other case', () => {
    for (const code of [1001, 1005, 1006, 1009, 1011, 3000, 4000, 4003, 4004, 4099, 4200, 4999]) {
      assert.equal(reflect(code), 4004)
    }
  })
})
