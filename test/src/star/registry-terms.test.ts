// What peers say they speak on streams, and dials that ask for it: nobody is dialled in what they don't speak.
import assert from 'node:assert/strict'
import { MAX_SPOKEN, MAX_SPOKEN_NAME } from '../../../src/star/protocol.ts'
import { ORIGIN, Register, ackOf, person, refusalOf } from '../../support/register.ts'

const [alice, bob] = [person(0), person(1)]

/** Alice, who dials, and Bob, who speaks these. */
function two (speaks?: readonly string[]): Register {
  const register = new Register()
  register.add(0, 'star')
  register.connect('b', 'star')
  register.joinStar('b', bob, true, bob.address, speaks)
  return register
}

describe('The terms of a dial', () => {
  it('come to a peer that speaks what is asked for', () => {
    const [rung] = two(['other/2', 'link/1']).dial('socket-0', alice.address, bob.address, 'id', { protocol: 'link/1' })
    assert.deepEqual(rung, {
      do: 'incoming', dialer: 'socket-0', listener: 'b', id: 'id', from: alice.address, terms: { protocol: 'link/1' }
    })
  })

  it('are left out for plain bytes, which everybody speaks', () => {
    for (const terms of [undefined, {}]) {
      const [rung] = two(['link/1']).dial('socket-0', alice.address, bob.address, 'id', terms)
      assert.deepEqual(rung, { do: 'incoming', dialer: 'socket-0', listener: 'b', id: 'id', from: alice.address })
    }
  })

  for (const [name, speaks] of [['nothing', undefined], ['none', []], ['others', ['link/2']]] as const) {
    it(`end the dial when the peer has said ${name}, and the peer isn't told`, () => {
      const outputs = two(speaks).dial('socket-0', alice.address, bob.address, 'id', { protocol: 'link/1' })
      assert.equal(refusalOf(outputs), 'ERR_NOT_SPOKEN')
      assert.equal(outputs.length, 1)
    })
  }

  it('end the dial to an original client', () => {
    const register = new Register()
    register.add(0, 'star')
    register.add(1, 'original')
    const outputs = register.dial('socket-0', alice.address, bob.address, 'id', { protocol: 'link/1' })
    assert.equal(refusalOf(outputs), 'ERR_NOT_SPOKEN')
  })

  for (const terms of [7, 'link/1', null, { protocol: 7 }, { protocol: '' }, { protocol: 'x'.repeat(MAX_SPOKEN_NAME + 1) }]) {
    it(`are refused when they are ${JSON.stringify(terms).slice(0, 30)}`, () => {
      assert.equal(refusalOf(two(['link/1']).dial('socket-0', alice.address, bob.address, 'id', terms)), 'ERR_ARGUMENTS')
    })
  }

  const [long, many] = [['x'.repeat(MAX_SPOKEN_NAME + 1)], Array.from({ length: MAX_SPOKEN + 1 }, () => 'a')]
  for (const speaks of [7, 'link/1', [7], [''], long, many]) {
    it(`can't be met by a peer that says it speaks ${JSON.stringify(speaks).slice(0, 30)}`, () => {
      const register = new Register()
      register.connect('b', 'star')
      const outputs = register.join('b', bob.address, { key: bob.key, origin: ORIGIN, listed: true, speaks })
      assert.equal(refusalOf(outputs), 'ERR_ARGUMENTS')
    })
  }

  it('follow what the peer said last', () => {
    const register = two(['link/1'])
    register.joinStar('b', bob, true, bob.address, [])
    const outputs = register.dial('socket-0', alice.address, bob.address, 'one', { protocol: 'link/1' })
    assert.equal(refusalOf(outputs), 'ERR_NOT_SPOKEN')
    ackOf(register.joinStar('b', bob, true, bob.address, ['link/1']))
    assert.equal(register.dial('socket-0', alice.address, bob.address, 'two', { protocol: 'link/1' })[0]?.do, 'incoming')
  })
})
