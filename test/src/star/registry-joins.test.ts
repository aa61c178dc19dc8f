// Joins: both generations' steps, every refusal, and who has an address when several want it.
import assert from 'node:assert/strict'
import { REASONS } from '../../../src/errors.ts'
import { ORIGIN, Register, STAR, ackOf, options, person, refusalOf, sign } from '../../support/register.ts'
import type { RegistryOptions } from '../../../src/star/contract.ts'
import type { Generation } from '../../../src/star/protocol.ts'

const [alice, bob] = [person(0), person(1)]

/** A register with one connected client, `a`. */
function registerWith (generation: Generation, changed: Partial<RegistryOptions> = {}): Register {
  const register = new Register(changed)
  register.connect('a', generation)
  return register
}

describe('The join of an original client', () => {
  it('is acknowledged with 72 characters to sign, then with the list of the others', () => {
    const register = registerWith('original')
    const challenged = ackOf(register.join('a', alice.old, alice.key))
    const [error, nonce, ...more] = challenged.args
    assert.deepEqual([error, more, challenged.done, challenged.refused], [null, [], false, undefined])
    assert.match(String(nonce), /^[\x21-\x7e]{72}$/)
    const [question] = register.join('a', alice.old, '00')
    assert(question?.do === 'verify')
    assert.deepEqual(question.message, new TextEncoder().encode(String(nonce)))
    assert.deepEqual(question.key, alice.key)
    const done = register.tell({ type: 'verified', call: question.call, valid: true })
    assert.deepEqual(ackOf(done).args, [null, null, []])
    assert.deepEqual(register.registry.addresses(), [alice.address])
  })

  it('lists the others in the order in which they joined, in the spelling that originals read, however they joined', () => {
    const register = registerWith('original', { cryptoChallenge: false })
    const odd = `${STAR}/p2p/${bob.cid}`
    for (const [socket, address] of [['b', odd], ['c', person(2).old], ['a', alice.old]] as const) {
      register.connect(socket, 'original')
      register.join(socket, address, '')
    }
    register.connect('d', 'star')
    register.join('d', person(3).address, {})
    register.connect('e', 'original')
    const [, , others] = ackOf(register.join('e', person(4).old, '')).args
    assert.deepEqual(others, [bob.old, person(2).old, alice.old, person(3).old])
  })

  it('takes hex in upper case', () => {
    const register = registerWith('original')
    assert.equal(ackOf(register.join('a', alice.old, alice.key.toUpperCase())).done, false)
  })

  it('needs no proof where the star asks for none', () => {
    const register = registerWith('original', { cryptoChallenge: false })
    for (const proof of ['', undefined, 7]) {
      assert.deepEqual(ackOf(register.join('a', alice.old, proof)).args, [null, null, []])
    }
  })

  it('takes any multiaddr where the star isn\'t strict, and still only multiaddrs', () => {
    const register = registerWith('original', { cryptoChallenge: false, strictMultiaddr: false })
    assert.deepEqual(ackOf(register.join('a', '/ip4/0.0.0.0', '')).args, [null, null, []])
    assert.deepEqual(ackOf(register.join('a', 'no address', '')).args, ['Invalid multiaddr'])
    assert.deepEqual(register.registry.addresses(), ['/ip4/0.0.0.0'])
  })

  const refusals: ReadonlyArray<readonly [string, unknown, unknown, string, string]> = [
    ['an address of another kind', '/ip4/0.0.0.0', alice.key, 'ERR_ADDRESS', 'Invalid multiaddr'],
    ['an address that is none', 'nowhere', alice.key, 'ERR_ADDRESS', 'Invalid multiaddr'],
    ['an address that isn\'t even a text', { toString: null }, alice.key, 'ERR_ADDRESS', 'Invalid multiaddr'],
    ['no key', alice.old, '', 'ERR_PROOF_REQUIRED', 'Crypto Challenge required but no Id provided'],
    ['a key of another peer', alice.old, bob.key, 'ERR_KEY', 'Id is not matching'],
    ['a key that can\'t be read', alice.old, 'abcd', 'ERR_KEY', 'Id is not matching'],
    ['a key that isn\'t hex', alice.old, 'key', 'ERR_KEY', 'Id is not matching'],
    ['a key that isn\'t a text', alice.old, { key: alice.key }, 'ERR_KEY', 'Id is not matching'],
    ['an address without a peer', STAR, alice.key, 'ERR_KEY', 'Id is not matching']
  ]
  for (const [what, address, proof, code, text] of refusals) {
    it(`is refused with ${what}, in the original's words`, () => {
      const register = registerWith('original')
      const ack = ackOf(register.join('a', address, proof))
      assert.deepEqual([ack.refused, ack.args, ack.done], [code, [text], true])
      assert.equal(register.registry.size, 0)
    })
  }

  it('is refused with a bad signature, and the challenge is used up', () => {
    const register = registerWith('original')
    register.join('a', alice.old, alice.key)
    assert.deepEqual(ackOf(register.verify(register.join('a', alice.old, 'beef'))).args, ['Signature Invalid'])
    assert.equal(ackOf(register.join('a', alice.old, alice.key)).done, false) // a new challenge, not a second try
    assert.deepEqual(ackOf(register.join('a', alice.old, 'not hex')).args, ['Signature Invalid'])
    assert.equal(register.registry.size, 0)
  })
})

describe('The join of a star client', () => {
  it('is acknowledged with a challenge, then with the welcome', () => {
    const register = registerWith('star')
    register.now = 5_000
    const challenged = ackOf(register.join('a', alice.address, { key: alice.key, origin: ORIGIN, listed: true }))
    const expires = 1_700_000_000_000 + 5_000 + options.challengeTimeout
    assert.deepEqual(challenged.args, [null, { nonce: '0'.repeat(64), expires }])
    assert.equal(challenged.done, false)
    const [question] = register.join('a', alice.address, { signature: 'aa' })
    assert(question?.do === 'verify')
    assert.equal(new TextDecoder().decode(question.message).split('\n').length, 6)
    const done = ackOf(register.tell({ type: 'verified', call: question.call, valid: true }))
    assert.deepEqual(done.args, [null, null, { peers: [], window: options.pairBudget }])
  })

  it('is welcomed with the ids of the others, not with its own and not with those that aren\'t listed', () => {
    const register = registerWith('star')
    register.add(1, 'star')
    register.add(2, 'original')
    register.add(3, 'star', false)
    const { args: [, , welcome] } = ackOf(register.joinStar('a', alice))
    assert.deepEqual(welcome, { peers: [bob.id, person(2).id], window: options.pairBudget })
  })

  it('is welcomed with the port of the contact exchange, where there is one', () => {
    const { args: [, , welcome] } = ackOf(registerWith('star', { contactPort: 2_311 }).joinStar('a', alice))
    assert.deepEqual(welcome, { peers: [], window: options.pairBudget, contact: 2_311 })
  })

  it('may be unlisted: joined, and in no list', () => {
    const register = registerWith('star')
    register.joinStar('a', alice, false)
    assert.deepEqual([register.registry.size, register.registry.addresses(), register.registry.hasJoined('a')], [0, [], true])
  })

  it('needs no proof where the star asks for none, and is listed or not as it says', () => {
    const register = registerWith('star', { cryptoChallenge: false })
    assert.equal(refusalOf(register.join('a', alice.address, { key: '', origin: ORIGIN, listed: false })), undefined)
    assert.deepEqual(register.registry.addresses(), [])
    assert.equal(refusalOf(register.join('a', alice.address, { key: '', origin: ORIGIN, listed: true })), undefined)
    assert.deepEqual(register.registry.addresses(), [alice.address])
  })

  const introduction = { key: alice.key, origin: ORIGIN, listed: true }
  const refusals: ReadonlyArray<readonly [string, unknown, unknown, keyof typeof REASONS]> = [
    ['an address that is none', '/dns4/star.example/tcp/1', introduction, 'ERR_ADDRESS'],
    ['an address that is too long', `${STAR}/p2p/${alice.id}${'/'.repeat(600)}`, introduction, 'ERR_ADDRESS'],
    ['a proof of no kind', alice.address, alice.key, 'ERR_ARGUMENTS'],
    ['no proof', alice.address, undefined, 'ERR_ARGUMENTS'],
    ['an introduction with a line feed', alice.address, { ...introduction, origin: `${ORIGIN}\nsocket: b` }, 'ERR_ARGUMENTS'],
    ['somebody else\'s key', alice.address, { ...introduction, key: bob.key }, 'ERR_KEY'],
    ['an unreadable key', alice.address, { ...introduction, key: '00' }, 'ERR_KEY'],
    ['another star\'s name', alice.address, { ...introduction, origin: 'wss://evil.example:443' }, 'ERR_STAR_NAME'],
    ['an answer to no challenge', alice.address, { signature: '00' }, 'ERR_CHALLENGE_EXPIRED']
  ]
  for (const [what, address, proof, code] of refusals) {
    it(`is refused with ${what}`, () => {
      const register = registerWith('star')
      const ack = ackOf(register.join('a', address, proof))
      assert.deepEqual([ack.refused, ack.args, ack.done], [code, [{ code, message: REASONS[code] }], true])
      assert.equal(register.registry.size, 0)
    })
  }

  it('must be a star address even where the star isn\'t strict', () => {
    const register = registerWith('star', { strictMultiaddr: false })
    assert.equal(refusalOf(register.join('a', `/ip4/0.0.0.0/p2p/${alice.id}`, introduction)), 'ERR_ADDRESS')
  })
})

describe('A challenge', () => {
  it('takes one answer: the same signature joins no second time', () => {
    const register = registerWith('original')
    const nonce = String(ackOf(register.join('a', alice.old, alice.key)).args[1])
    const signature = sign(alice.key, new TextEncoder().encode(nonce))
    assert.equal(refusalOf(register.verify(register.join('a', alice.old, signature))), undefined)
    register.leave('a', alice.old)
    assert.equal(refusalOf(register.join('a', alice.old, signature)), 'ERR_KEY') // it is read as a key again
    assert.equal(register.registry.size, 0)
  })

  it('is for one socket: another can\'t answer it', () => {
    const register = registerWith('star')
    register.connect('b', 'star')
    register.join('a', alice.address, { key: alice.key, origin: ORIGIN, listed: true })
    assert.equal(refusalOf(register.join('b', alice.address, { signature: '00' })), 'ERR_CHALLENGE_EXPIRED')
  })

  it('is for one address: an answer under another is none', () => {
    const register = registerWith('star')
    register.join('a', alice.address, { key: alice.key, origin: ORIGIN, listed: true })
    const other = `/dns4/other.example/tcp/443/wss/p2p-websocket-star/p2p/${alice.id}`
    assert.equal(refusalOf(register.join('a', other, { signature: '00' })), 'ERR_CHALLENGE_EXPIRED')
  })

  for (const generation of ['original', 'star'] as const) {
    it(`expires, for ${generation} clients, at its time and not before`, () => {
      for (const [late, refusal] of [[0, 'ERR_CHALLENGE_EXPIRED'], [-1, undefined]] as const) {
        const register = registerWith(generation)
        const introduction = generation === 'original' ? alice.key : { key: alice.key, origin: ORIGIN, listed: true }
        register.join('a', alice.address, introduction)
        register.now += options.challengeTimeout + late
        const outputs = register.join('a', alice.address, generation === 'original' ? '00' : { signature: '00' })
        assert.equal(outputs[0]?.do === 'ack' ? outputs[0].refused : undefined, refusal)
        assert.equal(register.registry.size, 0)
      }
    })
  }

  it('is the same for every spelling of its address', () => {
    const register = registerWith('original')
    register.join('a', alice.old, alice.key)
    assert.equal(register.join('a', alice.address, '00')[0]?.do, 'verify')
  })
})

describe('A verification', () => {
  it('comes to nothing when its socket is gone', () => {
    const register = registerWith('star')
    const [question] = register.prove('a', alice)
    assert(question?.do === 'verify')
    register.disconnect('a')
    assert.deepEqual(register.tell({ type: 'verified', call: question.call, valid: true }), [])
    assert.equal(register.registry.size, 0)
  })

  it('comes to nothing when its address was left meanwhile, which ends the join', () => {
    const register = registerWith('star')
    const [question] = register.prove('a', alice)
    assert(question?.do === 'verify')
    assert.equal(refusalOf(register.leave('a', alice.old)), 'ERR_CHALLENGE_EXPIRED')
    assert.deepEqual(register.tell({ type: 'verified', call: question.call, valid: true }), [])
    assert.equal(register.registry.size, 0)
  })

  it('counts once', () => {
    const register = registerWith('star')
    const [question] = register.prove('a', alice)
    assert(question?.do === 'verify')
    const verified = { type: 'verified', call: question.call, valid: true } as const
    assert.equal(refusalOf(register.tell(verified)), undefined)
    assert.deepEqual(register.tell(verified), [])
    assert.deepEqual(register.tell({ ...verified, call: 999 }), [])
  })
})

describe('A takeover', () => {
  it('gives the address to the newest proof and tells a star client that it lost it', () => {
    const register = registerWith('star')
    register.connect('b', 'star')
    register.joinStar('a', alice)
    const outputs = register.joinStar('b', alice)
    const replaced = outputs.filter(output => output.do === 'replaced')
    assert.deepEqual(replaced, [{ do: 'replaced', socket: 'a', address: alice.address }])
    const { registry } = register
    assert.deepEqual([registry.size, registry.hasJoined('a'), registry.hasJoined('b')], [1, false, true])
  })

  it('tells an original client nothing, which knows no such event', () => {
    const register = registerWith('original')
    register.connect('b', 'star')
    register.joinOriginal('a', alice)
    assert.equal(register.joinStar('b', alice).some(output => output.do === 'replaced'), false)
    assert.deepEqual([register.registry.size, register.registry.hasJoined('a')], [1, false])
  })

  it('is kept when the former owner\'s socket goes, or leaves', () => {
    const register = registerWith('star')
    register.connect('b', 'star')
    register.joinStar('a', alice)
    register.joinStar('b', alice)
    register.leave('a', alice.address)
    register.disconnect('a')
    assert.deepEqual([register.registry.addresses(), register.registry.hasJoined('b')], [[alice.address], true])
  })

  it('is none when the newcomer only dials: the listed one stays, and both may dial', () => {
    const register = registerWith('star')
    register.connect('b', 'star')
    register.joinStar('a', alice)
    const outputs = register.joinStar('b', alice, false)
    assert.deepEqual(outputs.map(output => output.do), ['ack'])
    assert.deepEqual(register.registry.addresses(), [alice.address])
    assert.deepEqual(['a', 'b'].map(socket => register.registry.hasJoined(socket)), [true, true])
  })

  it('of one\'s own address is a join anew', () => {
    const register = registerWith('star')
    register.joinStar('a', alice)
    const outputs = register.joinStar('a', alice, false)
    assert.deepEqual(outputs.map(output => output.do), ['ack'])
    assert.deepEqual([register.registry.size, register.registry.addresses()], [0, []])
  })

  it('finds the address under any spelling', () => {
    const register = registerWith('original')
    register.connect('b', 'original')
    register.joinOriginal('a', alice)
    register.joinOriginal('b', alice, alice.address)
    assert.equal(register.registry.size, 1)
  })
})

describe('Leaving', () => {
  it('frees the address and nothing else, under any spelling', () => {
    const register = registerWith('original')
    const second = `/dns4/other.example/wss/p2p-websocket-star/ipfs/${alice.id}`
    register.joinOriginal('a', alice)
    register.joinOriginal('a', alice, second)
    assert.deepEqual(register.leave('a', alice.address), [])
    assert.deepEqual(register.registry.addresses(), [second.replace('/ipfs/', '/p2p/')])
    assert.equal(register.registry.hasJoined('a'), true)
    register.leave('a', second)
    assert.equal(register.registry.hasJoined('a'), false)
  })

  it('is nobody else\'s to do', () => {
    const register = registerWith('original')
    register.joinOriginal('a', alice)
    register.connect('b', 'original')
    for (const address of [alice.old, alice.address, null, {}, '', 'x']) {
      assert.deepEqual(register.leave('b', address), [])
      assert.deepEqual(register.leave('nobody', address), [])
    }
    assert.equal(register.registry.size, 1)
  })

  it('forgets the challenge', () => {
    const register = registerWith('star')
    register.join('a', alice.address, { key: alice.key, origin: ORIGIN, listed: true })
    register.leave('a', alice.address)
    assert.equal(refusalOf(register.join('a', alice.address, { signature: '00' })), 'ERR_CHALLENGE_EXPIRED')
  })

  it('is done for every address by a disconnect', () => {
    const register = registerWith('original')
    register.joinOriginal('a', alice)
    register.joinOriginal('a', alice, `/dns4/other.example/wss/p2p-websocket-star/ipfs/${alice.id}`)
    register.add(1, 'star')
    register.disconnect('a')
    assert.deepEqual([register.registry.addresses(), register.registry.hasJoined('a')], [[bob.address], false])
  })
})
