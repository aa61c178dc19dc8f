// The link handshake against a path that cuts, changes, repeats and swaps what is said, and peers that are not who they say.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../../src/errors.ts'
import { SUITES, isEqual, signedMessage, transcript, unproved } from '../../../src/link/digest.ts'
import { Capability, MAX_MESSAGE, decodeMessage, encodeMessage } from '../../../src/link/wire.ts'
import { STEP, TOTAL, acceptor, altering, converse, dialler, keyOf, signatureOf } from '../../support/handshake.ts'
import { anyMessage } from '../../support/handshake-messages.ts'
import type { SuiteName } from '../../../src/link/digest.ts'
import type { Decide } from '../../../src/link/handshake.ts'
import type { AuthenticationMessage } from '../../../src/link/wire.ts'
import type { AcceptorSetup, DiallerSetup, End, Path, Setup } from '../../support/handshake.ts'

const SUITE_NAMES = Object.keys(SUITES) as SuiteName[]
const NONE = new Uint8Array()

/** The decision of an acceptor that holds a link. */
const holding: Decide = () => ({ status: 'alive', link: 5n })

interface Situation {
  readonly dials: DiallerSetup
  readonly accepts: AcceptorSetup
}

/** Handshakes of every kind that would come to something. */
const SITUATIONS: Readonly<Record<string, Situation>> = {
  'a public star': { dials: {}, accepts: {} },
  'a private star': { dials: { secret: 's' }, accepts: { secret: 's' } },
  'a link that is replaced': { dials: { secret: 's' }, accepts: { secret: 's', decide: holding } },
  'a link that is resumed': {
    dials: { resume: 5n, linkSecret: 'x' },
    accepts: { linkSecret: 'x', decide: holding, eager: false }
  },
  'a link that is unknown': { dials: { resume: 5n }, accepts: { decide: () => ({ status: 'nok' }) } }
}

const TYPES: ReadonlyArray<AuthenticationMessage['type']> =
  ['name', 'server_status', 'client_status', 'server_challenge', 'client_challenge', 'server_ack']
/** What the dialler's proof is about. */
const BEFORE_PROOF = TYPES.slice(0, 4)

const situation = fc.constantFrom(...Object.values(SITUATIONS))

interface Meddler {
  readonly path: Path
  /** Whether it has done it. */
  readonly done: () => boolean
}

/** Hands on all but the first message of a type, of which `alter` makes something else. */
function once (type: AuthenticationMessage['type'], alter: (bytes: Uint8Array) => Uint8Array[]): Meddler {
  let done = false
  const path: Path = ({ bytes }, message) => {
    if (done || message.type !== type) {
      return [bytes]
    }
    done = true
    return alter(bytes)
  }
  return { path, done: () => done }
}

/** Ended with no more than what the other end's fault is called. */
const FAULTS: readonly unknown[] = [
  'ERR_PROTOCOL', 'ERR_LINK_NAME', 'ERR_LINK_SUITE', 'ERR_LINK_SECRET', 'ERR_LINK_PROOF', 'ERR_LINK_CAPABILITY',
  'ERR_LINK_REFUSED', 'ERR_LINK_EXISTS'
]

/** Nobody waits for ever, and whoever ended has a reason. */
function checkEnds (...ends: readonly End[]): void {
  for (const end of ends) {
    end.pass(TOTAL)
    assert.deepEqual([end.machine.over, end.machine.wakeAt, end.machine.ports.outstanding.size], [true, undefined, 0])
    assert.equal(end.outcome != null || end.error instanceof StarError, true)
  }
}

describe('A path that meddles', () => {
  it('would do no harm if it didn\'t: all of these come to something', () => {
    for (const [what, { dials, accepts }] of Object.entries(SITUATIONS)) {
      const [a, b] = [dialler(dials), acceptor(accepts)]
      converse(a, b)
      assert.deepEqual([a.proved, b.proved, a.outcome != null, b.outcome != null], [true, true, true, true], what)
    }
  })

  it('is noticed when it changes any bit of any message: nobody is believed after that', () => {
    fc.assert(fc.property(situation, fc.constantFrom(...TYPES), fc.nat(), ({ dials, accepts }, type, bit) => {
      const [a, b] = [dialler(dials), acceptor(accepts)]
      const { path, done } = once(type, bytes => {
        const changed = Uint8Array.from(bytes)
        const index = (bit >>> 3) % changed.byteLength
        changed[index] = (changed[index] ?? 0) ^ (1 << (bit & 7))
        return [changed]
      })
      converse(a, b, path)
      assert.equal(a.proved && done(), false)
      assert.equal(b.proved && done() && BEFORE_PROOF.includes(type), false)
      checkEnds(a, b)
    }), { numRuns: 3_000 })
  })

  it('is noticed when it puts any other message in the place of one', () => {
    fc.assert(fc.property(situation, fc.constantFrom(...TYPES), anyMessage, ({ dials, accepts }, type, message) => {
      const [a, b] = [dialler(dials), acceptor(accepts)]
      const other = encodeMessage(message)
      let same = false
      const { path, done } = once(type, bytes => { same = isEqual(bytes, other); return [other] })
      converse(a, b, path)
      fc.pre(!same)
      assert.equal(done() && a.proved, false)
      assert.equal(done() && b.proved && type !== 'server_ack', false)
      checkEnds(a, b)
    }), { numRuns: 2_000 })
  })

  it('is blamed for what is cut off, too long or nothing at all', () => {
    const spoil: ReadonlyArray<readonly [string, (bytes: Uint8Array) => Uint8Array]> = [
      ['cut off', bytes => bytes.subarray(0, -1)],
      ['halved', bytes => bytes.subarray(0, bytes.byteLength / 2)],
      ['followed by more', bytes => Uint8Array.of(...bytes, 0x0a)],
      ['empty', () => NONE],
      ['too long', () => new Uint8Array(MAX_MESSAGE + 1)],
      ['too long at its end', bytes => Uint8Array.of(...bytes, ...new Uint8Array(MAX_MESSAGE))]
    ]
    for (const type of TYPES) {
      for (const [what, how] of spoil) {
        const { dials, accepts } = SITUATIONS['a link that is replaced'] as Situation
        const [a, b] = [dialler(dials), acceptor(accepts)]
        converse(a, b, once(type, bytes => [how(bytes)]).path)
        const hearer = ['name', 'client_status', 'client_challenge'].includes(type) ? b : a
        assert.equal(hearer.code, 'ERR_PROTOCOL', `${type} ${what}`)
        assert.equal(a.proved, false)
        checkEnds(a, b)
      }
    }
  })

  it('is noticed when it repeats a message, leaves one out or swaps two', () => {
    for (const type of TYPES) {
      for (const times of [0, 2]) {
        const { dials, accepts } = SITUATIONS['a link that is replaced'] as Situation
        const [a, b] = [dialler(dials), acceptor(accepts)]
        converse(a, b, once(type, bytes => new Array<Uint8Array>(times).fill(bytes)).path)
        // who has heard the last word that concerns it is done, and what follows is its driver's affair
        assert.equal(a.proved, times === 2 && ['client_challenge', 'server_ack'].includes(type), `${type}, ${times} times`)
        checkEnds(a, b)
      }
    }
    const [a, b] = [dialler(), acceptor()]
    a.tell({ type: 'start' })
    b.tell({ type: 'start' })
    a.speak().forEach(bytes => { b.hear(bytes) })
    b.speak().toReversed().forEach(bytes => { a.hear(bytes) })
    assert.match(a.error?.message ?? '', /server_challenge when named/)
  })

  it('can end a dial but not take part: with no secret and signatures it may compute every digest itself', () => {
    // what is said of the peers' capabilities is changed for each, and proofs are made anew over what the other one heard
    const { session } = Capability
    const less = altering('name', value => ({ ...value, flags: { ...value.flags, capabilities: Capability.identity } }))
    const heard: Uint8Array[] = []
    const path: Path = (said, message) => {
      const [bytes = said.bytes] = less(said, message)
      if (message.type !== 'client_challenge') {
        heard.push(bytes)
        return [bytes]
      }
      const [name = NONE, status = NONE, challenge = NONE] = heard
      const hash = transcript([name, status, NONE, challenge, unproved(message)])
      const digest = SUITES['hmac-sha256'].prove({ prover: 'dialler', secret: NONE, challenge: 0, transcript: hash })
      return [encodeMessage({ ...message, value: { ...message.value, digest } })]
    }
    const flags = { capabilities: Capability.identity | session, required: Capability.identity }
    const [a, b] = [dialler(flags), acceptor(flags)]
    converse(a, b, path)
    assert.deepEqual([a.code, b.code, b.story.includes('verify'), b.proved], ['ERR_LINK_PROOF', 'ERR_LINK_PROOF', true, false])
  })

  it('can\'t keep a peer\'s identity from being asked for', () => {
    const { identity } = Capability
    for (const type of ['name', 'server_challenge'] as const) {
      const [a, b] = [dialler(), acceptor()]
      converse(a, b, altering(type, value => {
        const { capabilities, required } = value.flags
        return { ...value, flags: { ...value.flags, capabilities: capabilities & ~identity, required: required & ~identity } }
      }))
      assert.equal((type === 'name' ? b : a).code, 'ERR_LINK_CAPABILITY')
      assert.deepEqual([a.proved, b.proved], [false, false])
    }
  })
})

describe('Random messages', () => {
  const event = fc.oneof(
    { weight: 4, arbitrary: anyMessage.map(encodeMessage) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) }
  )

  it('are never believed, never thrown at anybody, and end it', () => {
    const ends: fc.Arbitrary<(setup: Setup) => End> = fc.constantFrom(dialler, acceptor)
    fc.assert(fc.property(ends, fc.constantFrom(...SUITE_NAMES), fc.array(event, { maxLength: 6 }), (make, suite, messages) => {
      const end = make({ suite, secret: 's', peer: null })
      end.tell({ type: 'start' })
      messages.forEach(bytes => { end.hear(bytes) })
      assert.equal(end.proved, false)
      assert.equal(end.code == null || FAULTS.includes(end.code), true)
      checkEnds(end)
    }), { numRuns: 3_000 })
  })
})

describe('A peer that has heard another handshake', () => {
  for (const suite of SUITE_NAMES) {
    it(`can say none of it again: ${suite}`, () => {
      const setup = { suite, secret: 's' }
      for (const [what, { dials, accepts }] of Object.entries(SITUATIONS)) {
        const said = converse(dialler({ ...dials, ...setup }), acceptor({ ...accepts, ...setup }))
        const b = acceptor({ ...accepts, ...setup, seed: 4 })
        b.tell({ type: 'start' })
        said.filter(({ from }) => from === 'dialler').forEach(({ bytes }) => { b.hear(bytes) })
        assert.equal(b.proved, false, what)
        const a = dialler({ ...dials, ...setup, seed: 3 })
        a.tell({ type: 'start' })
        said.filter(({ from }) => from === 'acceptor').forEach(({ bytes }) => { a.hear(bytes) })
        assert.equal(a.proved, false, what)
        assert.deepEqual([a.code != null, b.code != null], [true, true])
      }
    })
  }

  it('can\'t prove a link\'s secret with a proof that was good once, nor with one for another link', () => {
    const decide: Decide = ({ resume }) => ({ status: 'alive', link: resume })
    const said = converse(dialler({ resume: 5n, linkSecret: 'x' }), acceptor({ linkSecret: 'x', decide }))
    const digests = said.flatMap(({ bytes }) => {
      const message = decodeMessage(bytes)
      return message.type === 'client_challenge' ? [message.value.digest] : []
    })
    const [good = NONE] = digests
    for (const [resume, digest] of [[5n, good], [6n, good], [5n, NONE], [5n, new Uint8Array(32)]] as const) {
      const [a, b] = [dialler({ resume, linkSecret: 'y', seed: 5 }), acceptor({ linkSecret: 'x', decide, seed: 6 })]
      converse(a, b, altering('client_challenge', value => ({ ...value, digest })))
      assert.deepEqual([a.code, b.code, a.proved, b.proved], ['ERR_LINK_PROOF', 'ERR_LINK_PROOF', false, false])
    }
  })
})

/**
 * A peer `m` without the secret is dialled by `v`, dials `v` itself, and hands every challenge and proof of the one handshake on
 * to the other. Returns `v`'s ends: the one that dialled and the one that accepted.
 */
function reflect (setup: Setup, shared: boolean): readonly [dialled: End, accepted: End] {
  const both = new Set<number>()
  const ports = (): Setup => ({ outstanding: shared ? both : new Set() })
  const capabilities = { capabilities: setup.suite === 'hmac-sha256' ? Capability.identity : 0, required: 0 }
  const dialled = dialler({ ...setup, ...capabilities, ...ports(), name: 'v', peer: 'm' })
  const accepted = acceptor({ ...setup, ...capabilities, ...ports(), name: 'v', peer: null })
  const model = dialler({ ...setup, ...capabilities, name: 'm', peer: null })
  for (const end of [dialled, accepted, model]) {
    end.tell({ type: 'start' })
  }
  const [name = NONE] = model.speak()
  accepted.hear(name)
  const [status = NONE, challenge = NONE] = accepted.speak()
  dialled.speak()
  dialled.hear(status)
  const asked = decodeMessage(challenge) as AuthenticationMessage & { type: 'server_challenge' }
  dialled.hear(encodeMessage({ ...asked, value: { ...asked.value, name: 'm' } }))
  const [reply] = dialled.speak()
  if (reply != null) {
    const { type, value } = decodeMessage(reply) as AuthenticationMessage & { type: 'client_challenge' }
    const own = { publicKey: keyOf('m'), signature: signatureOf('m', signedMessage('dialler', NONE)) }
    accepted.hear(encodeMessage({ type, value: { ...value, ...own } }))
    // and if there was no way in there, perhaps the proof is good for an acknowledgement
    const [ack = encodeMessage({ type: 'server_ack', value: { digest: value.digest, ...own } })] = accepted.speak()
    dialled.hear(ack)
  }
  return [dialled, accepted]
}

describe('A peer that hands back what it was asked', () => {
  for (const suite of SUITE_NAMES) {
    it(`gets nowhere: ${suite}`, () => {
      const ends = reflect({ suite, secret: 's' }, true)
      assert.deepEqual(ends.map(end => end.proved), [false, false])
      assert.equal(ends[0].code != null, true)
    })
  }

  it('would get in by the weak suites if a node didn\'t know its own challenges, and never by the default', () => {
    const proved = SUITE_NAMES.map(suite => reflect({ suite, secret: 's' }, false).some(end => end.proved))
    assert.deepEqual(SUITE_NAMES.map((suite, index) => [suite, proved[index]]),
      [['hmac-sha256', false], ['sha256', true], ['md5', true]])
  })

  it('is blamed for a challenge of our own in a reply too', () => {
    for (const suite of ['sha256', 'md5'] as const) {
      const outstanding = new Set([4_711])
      const [a, b] = [dialler({ suite, secret: 's' }), acceptor({ suite, secret: 's', outstanding })]
      converse(a, b, altering('client_challenge', value => ({ ...value, challenge: 4_711 })))
      assert.deepEqual([b.code, b.proved, outstanding.size], ['ERR_PROTOCOL', false, 1])
    }
  })

  it('gets nothing for our own words either', () => {
    for (const suite of SUITE_NAMES) {
      const a = dialler({ suite, peer: null })
      a.tell({ type: 'start' })
      a.speak().forEach(bytes => { a.hear(bytes) })
      assert.equal(a.code, 'ERR_PROTOCOL')
    }
  })

  it('must send a nonce for the default suite, as long as ours', () => {
    for (const nonce of [NONE, new Uint8Array(31), new Uint8Array(33)]) {
      const [a, b] = [dialler(), acceptor()]
      converse(a, b, altering('server_challenge', value => ({ ...value, nonce })))
      assert.equal(a.code, 'ERR_PROTOCOL')
      const [c, d] = [dialler(), acceptor()]
      converse(c, d, altering('client_challenge', value => ({ ...value, nonce })))
      assert.deepEqual([b.proved, d.code], [false, 'ERR_PROTOCOL'])
    }
  })
})

/** `m`, without the secret, is dialled by `a` and dials `b`: it gives each its own name and hands everything else on. */
function relay (suite: SuiteName): readonly [a: End, b: End] {
  const flags = { capabilities: suite === 'hmac-sha256' ? Capability.identity : 0, required: 0 }
  const a = dialler({ suite, secret: 's', peer: 'm', ...flags })
  const b = acceptor({ suite, secret: 's', peer: 'm', ...flags })
  const own = { publicKey: keyOf('m'), signature: NONE }
  const path: Path = ({ bytes }, message) => {
    switch (message.type) {
      case 'name':
      case 'server_challenge':
        return [encodeMessage({ ...message, value: { ...message.value, name: 'm' } } as typeof message)]
      case 'client_challenge':
      case 'server_ack':
        return [encodeMessage({ ...message, value: { ...message.value, ...own } } as typeof message)]
      case 'server_status':
      case 'client_status':
        return [bytes]
    }
  }
  converse(a, b, path)
  return [a, b]
}

describe('A peer that stands between two others and is neither', () => {
  it('gets nowhere with the default suite', () => {
    assert.deepEqual(relay('hmac-sha256').map(end => [end.proved, end.code]),
      [[false, 'ERR_LINK_SECRET'], [false, 'ERR_LINK_SECRET']])
  })

  it('gets in with the suites of others, which is why they have to be asked for', () => {
    for (const suite of ['sha256', 'md5'] as const) {
      assert.deepEqual(relay(suite).map(end => end.proved), [true, true])
    }
  })
})

describe('A peer that says a name and stalls', () => {
  it('is asked about, believed nothing, and cut off after a step', () => {
    const asked: string[] = []
    const b = acceptor({ peer: null, decide: ({ name }) => { asked.push(name); return { status: 'alive', link: 5n } } })
    const a = dialler()
    a.tell({ type: 'start' })
    b.tell({ type: 'start' })
    a.speak().forEach(bytes => { b.hear(bytes) })
    b.pass(STEP)
    assert.deepEqual([asked, b.code, b.proved, b.outcome], [['a'], 'ERR_LINK_TIMEOUT', false, undefined])
  })

  it('gains nothing by answering each time just before it is too late', () => {
    const [a, b] = [dialler(), acceptor({ decide: holding, eager: false })]
    a.tell({ type: 'start' })
    b.tell({ type: 'start' })
    let turns = 0
    while (!a.machine.over && !b.machine.over && turns++ < 10) {
      for (const [from, to] of [[a, b], [b, a]] as const) {
        const said = from.speak()
        a.pass(STEP - 1)
        b.pass(STEP - 1)
        said.forEach(bytes => { to.hear(bytes) })
      }
    }
    checkEnds(a, b)
    assert.deepEqual([a.proved, b.proved, a.code, b.code], [false, false, 'ERR_LINK_TIMEOUT', 'ERR_LINK_TIMEOUT'])
  })
})
