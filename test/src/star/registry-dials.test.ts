// Dials: whom they reach, what each side is told, and how each of them ends exactly once. And the limits of a star.
import assert from 'node:assert/strict'
import { REASONS } from '../../../src/errors.ts'
import { MAX_DIAL_ID, MAX_ERROR } from '../../../src/star/protocol.ts'
import { ORIGIN, Register, STAR, ackOf, options, person, refusalOf } from '../../support/register.ts'
import type { RegistryOptions } from '../../../src/star/contract.ts'
import type { Generation } from '../../../src/star/protocol.ts'

const [alice, bob, carol] = [person(0), person(1), person(2)]
const [A, B, C] = ['socket-0', 'socket-1', 'socket-2'] as const

/** A register with Alice, who dials, Bob, who is dialled, and Carol. */
function three (dialler: Generation = 'star', callee: Generation = 'star', changed: Partial<RegistryOptions> = {}): Register {
  const register = new Register(changed)
  register.add(0, dialler)
  register.add(1, callee)
  register.add(2, 'star')
  return register
}

describe('A dial', () => {
  for (const [dialler, callee, spelling] of [
    ['star', 'star', alice.address], ['star', 'original', alice.old],
    ['original', 'star', alice.address], ['original', 'original', alice.old]
  ] as const) {
    it(`from ${dialler} to ${callee} rings with the caller's address in the callee's spelling`, () => {
      const register = three(dialler, callee)
      const rung = register.dial(A, alice.address, bob.address, 'id')
      assert.deepEqual(rung, [{ do: 'incoming', dialer: A, listener: B, id: 'id', from: spelling }])
      assert.equal(register.registry.dialling, 1)
      const ack = ackOf(register.answer(B, 'id'))
      assert.deepEqual([ack.socket, ack.args, ack.done, ack.refused, ack.kind], [A, [], true, undefined, 'dial'])
      assert.equal(register.registry.dialling, 0)
    })
  }

  it('takes either spelling of either address', () => {
    const register = three()
    let id = 0
    for (const from of [alice.address, alice.old]) {
      for (const to of [bob.address, bob.old]) {
        assert.equal(register.dial(A, from, to, `id ${id++}`)[0]?.do, 'incoming')
      }
    }
  })

  it('finds a peer by its id when the star goes by another name for the dialler', () => {
    const register = three()
    const elsewhere = `/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/p2p/${bob.id}`
    assert.equal(register.dial(A, alice.address, elsewhere, 'one')[0]?.do, 'incoming')
    assert.equal(register.dial(A, alice.address, `/p2p/${bob.id}`, 'two')[0]?.do, 'incoming')
  })

  it('finds a peer by its id in the spelling of a CID', () => {
    const register = new Register()
    register.add(0, 'star')
    register.add(1, 'star')
    const elsewhere = `/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/p2p/${bob.cid}`
    assert.equal(register.dial(A, alice.address, elsewhere, 'one')[0]?.do, 'incoming')
  })

  it('by id reaches the newest address of a peer that is listed', () => {
    const register = new Register()
    register.add(0, 'star')
    for (const [socket, host, listed] of [['first', 'one', true], ['second', 'two', true], ['third', 'three', false]] as const) {
      register.connect(socket, 'star')
      register.joinStar(socket, bob, listed, `/dns4/${host}.example/wss/p2p-websocket-star/p2p/${bob.id}`)
    }
    const [ring] = register.dial(A, alice.address, bob.address, 'id')
    assert.equal(ring?.do === 'incoming' && ring.listener, 'second')
  })

  it('may come from somebody who isn\'t listed', () => {
    const register = three()
    register.connect('hidden', 'star')
    register.joinStar('hidden', person(3), false)
    assert.equal(register.dial('hidden', person(3).address, bob.address, 'id')[0]?.do, 'incoming')
  })

  it('reaches nobody who isn\'t listed, by whatever spelling', () => {
    const register = new Register()
    register.add(0, 'star')
    register.add(1, 'star', false)
    for (const to of [bob.address, bob.old, `/p2p/${bob.id}`]) {
      assert.equal(refusalOf(register.dial(A, alice.address, to, 'id')), 'ERR_PEER_NOT_FOUND')
    }
  })

  const nobody = `${STAR}/p2p/${person(7).id}`
  const refusals: ReadonlyArray<readonly [string, string, unknown, unknown, unknown, keyof typeof REASONS]> = [
    ['from an address that isn\'t joined', A, nobody, bob.address, 'id', 'ERR_NOT_JOINED'],
    ['from somebody else\'s address', A, carol.address, bob.address, 'id', 'ERR_NOT_JOINED'],
    ['from no address', A, null, bob.address, 'id', 'ERR_NOT_JOINED'],
    ['to nobody', A, alice.address, nobody, 'id', 'ERR_PEER_NOT_FOUND'],
    ['to no address', A, alice.address, undefined, 'id', 'ERR_PEER_NOT_FOUND'],
    ['to the star itself', A, alice.address, STAR, 'id', 'ERR_PEER_NOT_FOUND'],
    ['to a text', A, alice.address, 'bob', 'id', 'ERR_PEER_NOT_FOUND'],
    ['to oneself', A, alice.address, alice.old, 'id', 'ERR_DIAL_SELF'],
    ['without an id', A, alice.address, bob.address, '', 'ERR_DIAL_ID'],
    ['with an id that is no text', A, alice.address, bob.address, 1, 'ERR_DIAL_ID'],
    ['with an id that is too long', A, alice.address, bob.address, 'x'.repeat(MAX_DIAL_ID + 1), 'ERR_DIAL_ID']
  ]
  for (const [how, socket, from, to, id, code] of refusals) {
    it(`${how} is refused, and nobody hears of it`, () => {
      const register = three()
      const outputs = register.dial(socket, from, to, id)
      assert.equal(outputs.length, 1)
      assert.deepEqual([refusalOf(outputs), ackOf(outputs).args], [code, [{ code, message: REASONS[code] }]])
      assert.equal(register.registry.dialling, 0)
    })
  }

  it('has the original\'s words for originals', () => {
    const register = three('original')
    assert.deepEqual(ackOf(register.dial(A, bob.old, bob.old, 'id')).args, ['Not authorized for this address'])
    assert.deepEqual(ackOf(register.dial(A, alice.old, nobody, 'id')).args, ['Peer not found'])
  })

  it('may not take an id that rings at the same callee, and may when it rings no more', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    assert.equal(refusalOf(register.dial(C, carol.address, bob.address, 'id')), 'ERR_DIAL_ID')
    assert.equal(register.dial(C, carol.address, alice.address, 'id')[0]?.do, 'incoming')
    register.answer(B, 'id')
    assert.equal(register.dial(C, carol.address, bob.address, 'id')[0]?.do, 'incoming')
  })

  it('is refused by the callee: the pair is closed and the dialler told the code', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    const outputs = register.answer(B, 'id', { code: 'ERR_TOO_MANY_STREAMS', message: 'anything' })
    assert.deepEqual(outputs[0], { do: 'cancel', dialer: A, id: 'id', reason: 'ERR_DIAL_REFUSED' })
    assert.deepEqual(ackOf(outputs).args, [{ code: 'ERR_TOO_MANY_STREAMS', message: REASONS.ERR_TOO_MANY_STREAMS }])
  })

  it('is refused in an original callee\'s own words, cut to length, for original diallers', () => {
    const register = three('original', 'original')
    register.dial(A, alice.old, bob.old, 'id')
    const ack = ackOf(register.answer(B, 'id', 'no '.repeat(10_000)))
    assert.deepEqual([ack.args, ack.refused], [['no '.repeat(10_000).slice(0, MAX_ERROR)], 'ERR_DIAL_REFUSED'])
  })

  it('is refused with a code that star diallers know, whatever an original callee said', () => {
    for (const error of ['busy', {}, true, 7, ['no'], { code: 'ERR_UNHEARD_OF' }]) {
      const register = three('star', 'original')
      register.dial(A, alice.address, bob.address, 'id')
      assert.equal(refusalOf(register.answer(B, 'id', error)), 'ERR_DIAL_REFUSED')
    }
  })

  it('is accepted by what the original takes for no error', () => {
    for (const error of [undefined, null, false, 0, '']) {
      const register = three()
      register.dial(A, alice.address, bob.address, 'id')
      assert.equal(refusalOf(register.answer(B, 'id', error)), undefined)
    }
  })

  it('comes to nothing when no stream can be opened: the dialler is told why, and there is no stream to close', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    const unopened = { type: 'unopened', socket: B, id: 'id', reason: 'ERR_TOO_MANY_STREAMS' } as const
    const outputs = register.tell(unopened)
    assert.deepEqual([outputs.length, refusalOf(outputs), register.registry.dialling], [1, 'ERR_TOO_MANY_STREAMS', 0])
    assert.deepEqual(register.tell(unopened), [])
    assert.deepEqual(register.answer(B, 'id'), [])
  })

  it('is answered once, and only by the callee', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    assert.deepEqual(register.answer(C, 'id'), [])
    assert.deepEqual(register.answer(A, 'id'), [])
    assert.deepEqual(register.answer(B, 'another id'), [])
    assert.equal(register.registry.dialling, 1)
    assert.equal(register.answer(B, 'id').length, 1)
    assert.deepEqual(register.answer(B, 'id', 'changed my mind'), [])
  })

  it('times out: the pair is closed, the dialler told, and an answer comes too late', () => {
    const register = three('star', 'star', { refreshPeerListIntervalMS: 1_000_000, announceDelay: 0 })
    register.wake()
    register.dial(A, alice.address, bob.address, 'one')
    register.now += 10
    register.dial(C, carol.address, bob.address, 'two')
    assert.equal(register.registry.wakeAt, register.now - 10 + options.dialTimeout)
    register.now += options.dialTimeout - 11
    assert.deepEqual(register.wake(), [])
    register.now += 1
    const outputs = register.wake()
    assert.deepEqual(outputs[0], { do: 'cancel', dialer: A, id: 'one', reason: 'ERR_DIAL_TIMEOUT' })
    assert.deepEqual([refusalOf(outputs), register.registry.dialling], ['ERR_DIAL_TIMEOUT', 1])
    assert.deepEqual(register.answer(B, 'one'), [])
    assert.equal(refusalOf(register.pass(10)), 'ERR_DIAL_TIMEOUT')
    assert.deepEqual([register.registry.dialling, register.registry.wakeAt], [0, undefined])
  })

  it('ends with the dialler: nobody is told, and an answer comes too late', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    assert.deepEqual(register.disconnect(A), [])
    assert.deepEqual(register.answer(B, 'id'), [])
    assert.equal(register.registry.dialling, 0)
  })

  it('ends with the callee: the dialler is told', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    const outputs = register.disconnect(B)
    assert.deepEqual([ackOf(outputs).socket, refusalOf(outputs), register.registry.dialling], [A, 'ERR_PEER_NOT_FOUND', 0])
  })

  it('doesn\'t end when the dialler leaves its address', () => {
    const register = three()
    register.dial(A, alice.address, bob.address, 'id')
    register.leave(A, alice.address)
    assert.equal(refusalOf(register.answer(B, 'id')), undefined)
    assert.equal(refusalOf(register.dial(A, alice.address, bob.address, 'id')), 'ERR_NOT_JOINED')
  })

  it('reaches the new owner of an address after a takeover, and the former may dial from it no more', () => {
    const register = three()
    register.connect('new', 'star')
    register.joinStar('new', bob)
    const [ring] = register.dial(A, alice.address, bob.address, 'id')
    assert.equal(ring?.do === 'incoming' && ring.listener, 'new')
    assert.equal(refusalOf(register.dial(B, bob.address, alice.address, 'id')), 'ERR_NOT_JOINED')
  })

  it('from a socket that is gone is nothing', () => {
    const register = three()
    assert.deepEqual(register.dial('nobody', alice.address, bob.address, 'id'), [])
  })
})

describe('The limit', () => {
  it('of dials in flight is each socket\'s own, and is free again when a dial ends', () => {
    const register = three()
    for (let number = 0; number < options.dialsInFlight; number++) {
      register.dial(A, alice.address, bob.address, `id ${number}`)
    }
    assert.equal(refusalOf(register.dial(A, alice.address, carol.address, 'more')), 'ERR_TOO_MANY_IN_FLIGHT')
    assert.equal(register.dial(C, carol.address, bob.address, 'more')[0]?.do, 'incoming')
    register.answer(B, 'id 0')
    assert.equal(register.dial(A, alice.address, carol.address, 'more')[0]?.do, 'incoming')
    register.pass(options.dialTimeout)
    assert.equal(register.dial(A, alice.address, carol.address, 'after')[0]?.do, 'incoming')
  })

  it('of peers refuses newcomers and nobody who is in already', () => {
    const register = new Register({ maxPeers: 2 })
    register.add(0, 'star')
    register.add(1, 'star')
    register.connect(C, 'star')
    assert.equal(refusalOf(register.joinStar(C, carol)), 'ERR_TOO_MANY_PEERS')
    assert.equal(refusalOf(register.joinStar(C, carol, false)), undefined) // one that only dials takes no room
    assert.equal(refusalOf(register.joinStar(C, bob)), undefined) // a takeover needs no more room
    register.disconnect(A)
    assert.equal(refusalOf(register.joinStar(C, carol)), undefined)
  })

  const place = (number: number): string => `/dns4/h${number}.example/wss/p2p-websocket-star/p2p/${alice.id}`

  for (const cryptoChallenge of [true, false]) {
    it(`of addresses is each socket's own ${cryptoChallenge ? 'with' : 'without'} a challenge, until one is left`, () => {
      const register = new Register({ cryptoChallenge })
      const join = (number: number): string | undefined => cryptoChallenge
        ? refusalOf(register.joinStar('a', alice, true, place(number)))
        : refusalOf(register.join('a', place(number), {}))
      register.connect('a', 'star')
      for (let number = 0; number < options.maxAddressesPerSocket; number++) {
        assert.equal(join(number), undefined)
      }
      assert.equal(refusalOf(register.join('a', place(99), {})), 'ERR_TOO_MANY_ADDRESSES')
      assert.equal(join(0), undefined) // again the same
      register.leave('a', place(0))
      assert.equal(join(99), undefined)
    })
  }

  it('of addresses counts challenges until they expire', () => {
    const register = new Register()
    register.connect('a', 'star')
    const introduce = (number: number): string | undefined =>
      refusalOf(register.join('a', place(number), { key: alice.key, origin: ORIGIN, listed: true }))
    for (let number = 0; number < options.maxAddressesPerSocket; number++) {
      assert.equal(introduce(number), undefined)
    }
    assert.equal(introduce(99), 'ERR_TOO_MANY_ADDRESSES')
    register.now += options.challengeTimeout
    assert.equal(introduce(99), undefined)
  })

  it('of addresses counts proofs that are being verified', () => {
    const register = new Register()
    register.connect('a', 'star')
    const questions = Array.from({ length: 2 * options.maxAddressesPerSocket }, (_, number) => {
      const offered = register.join('a', place(number), { key: alice.key, origin: ORIGIN, listed: true })
      return refusalOf(offered) == null ? register.join('a', place(number), { signature: '00' }) : []
    })
    for (const [question] of questions) {
      if (question?.do === 'verify') {
        register.tell({ type: 'verified', call: question.call, valid: true })
      }
    }
    assert.equal(register.registry.size, options.maxAddressesPerSocket)
  })
})
