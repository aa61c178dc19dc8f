// What the link handshake refuses, and that both ends get to know why.
import assert from 'node:assert/strict'
import { StarError } from '../../../src/errors.ts'
import { SUITES } from '../../../src/link/digest.ts'
import { Capability, decodeMessage, encodeMessage } from '../../../src/link/wire.ts'
import { acceptor, altering, converse, dialler, keyOf } from '../../support/handshake.ts'
import type { Reason } from '../../../src/errors.ts'
import type { SuiteName } from '../../../src/link/digest.ts'
import type { NodeFlags } from '../../../src/link/wire.ts'
import type { AcceptorSetup, DiallerSetup, End, Path } from '../../support/handshake.ts'

const { session, secret, identity } = Capability

/** Lets `a` dial `b`. */
function shake (dials: DiallerSetup, accepts: AcceptorSetup, path?: Path, refuses?: bigint): readonly [a: End, b: End] {
  const [a, b] = [dialler(dials), acceptor(accepts)]
  b.refuses = refuses
  converse(a, b, path)
  return [a, b]
}

/** Both have ended with this error, and neither believes the other. */
function checkRefused ([a, b]: readonly [End, End], code: Reason, saysA = /./, saysB = saysA): void {
  assert.deepEqual([a.code, b.code], [code, code])
  assert.match(a.error?.message ?? '', saysA)
  assert.match(b.error?.message ?? '', saysB)
  assert.deepEqual([a.proved, b.proved], [false, false])
  for (const { machine } of [a, b]) {
    assert.deepEqual([machine.over, machine.wakeAt, machine.ports.outstanding.size], [true, undefined, 0])
  }
}

describe('A link handshake refuses', () => {
  it('a dialler with another name than it came in with, or with the acceptor\'s own', () => {
    checkRefused(shake({ name: 'c' }, {}), 'ERR_LINK_NAME', /name/, /\("c" instead of a\)/)
    checkRefused(shake({ name: 'b' }, { peer: null }), 'ERR_LINK_NAME', /name/, /\("b" instead of another one\)/)
  })

  it('an acceptor with another name than was dialled, or with the dialler\'s own', () => {
    for (const [dials, accepts, says] of [
      [{}, { name: 'c' }, /\("c" instead of b\)/],
      [{ peer: null }, { name: 'a', peer: null }, /name/]
    ] as const) {
      const [a, b] = shake(dials, accepts)
      assert.equal(a.code, 'ERR_LINK_NAME')
      assert.match(a.error?.message ?? '', says)
      assert.deepEqual([a.proved, b.proved], [false, false])
    }
    const own = altering('server_challenge', value => ({ ...value, name: 'a' }))
    assert.equal(shake({ peer: null }, {}, own)[0].code, 'ERR_LINK_NAME')
  })

  it('to put whatever a peer calls itself into a log as it is', () => {
    const [, b] = shake({ name: '\u001b[2J\n'.repeat(200) }, {})
    assert.match(b.error?.message ?? '', /^[ -~]*$/)
    assert.equal((b.error?.message.length ?? 0) < 2_000, true)
  })

  const all = session | identity
  const MISSING: ReadonlyArray<readonly [what: string, DiallerSetup, AcceptorSetup, Reason, a: RegExp, b: RegExp]> = [
    ['that the acceptor wants', { capabilities: identity, required: identity }, {}, 'ERR_LINK_CAPABILITY',
      /\(we lack session\)/, /\(the peer lacks session\)/],
    ['that the dialler wants', {}, { capabilities: identity, required: identity }, 'ERR_LINK_CAPABILITY',
      /\(the peer lacks session\)/, /\(we lack session\)/],
    ['that each wants of the other', { capabilities: all | 8, required: 8 }, { capabilities: all | 16, required: 16 },
      'ERR_LINK_CAPABILITY', /\(we lack capability 4, the peer lacks capability 3\)/,
      /\(we lack capability 3, the peer lacks capability 4\)/],
    ['with the highest number', { capabilities: all | 2 ** 31, required: 2 ** 31 }, {}, 'ERR_LINK_CAPABILITY',
      /\(the peer lacks capability 31\)/, /\(we lack capability 31\)/],
    ['secret, which the acceptor wants', {}, { secret: 's' }, 'ERR_LINK_SECRET',
      /\(we lack secret\)/, /\(the peer lacks secret\)/],
    ['secret, which the dialler wants', { secret: 's' }, {}, 'ERR_LINK_SECRET',
      /\(the peer lacks secret\)/, /\(we lack secret\)/]
  ]
  for (const [what, dials, accepts, code, a, b] of MISSING) {
    it(`a peer without a capability ${what}, and both name it`, () => {
      checkRefused(shake(dials, accepts), code, a, b)
    })
  }

  it('a peer that proves no identity, where the other one does and the suite is the default', () => {
    for (const [dials, accepts] of [[{ capabilities: session, required: 0 }, { required: 0 }],
      [{ required: 0 }, { capabilities: session, required: 0 }]] as const) {
      const [a, b] = shake(dials, accepts)
      checkRefused([a, b], 'ERR_LINK_CAPABILITY', /lacks? identity/)
    }
  })

  const suites = Object.keys(SUITES) as SuiteName[]
  for (const [one, other] of suites.flatMap(a => suites.filter(b => b !== a).map(b => [a, b] as const))) {
    it(`another suite: ${one} dials ${other}`, () => {
      const flags = { capabilities: session, required: 0 }
      checkRefused(shake({ suite: one, ...flags }, { suite: other, ...flags }), 'ERR_LINK_SUITE')
    })
  }

  it('a suite that the path has put in place of the other one\'s', () => {
    const weak = ({ flags }: { readonly flags: NodeFlags }): NodeFlags => ({ ...flags, suite: 'md5' })
    const inName = shake({}, {}, altering('name', value => ({ ...value, flags: weak(value) })))
    checkRefused(inName, 'ERR_LINK_SUITE')
    const [a, b] = shake({}, {}, altering('server_challenge', value => ({ ...value, flags: weak(value) })))
    assert.deepEqual([a.code, a.proved, b.proved], ['ERR_LINK_SUITE', false, false])
  })

  it('to be talked into a weaker suite by a path that tells each what it wants to hear', () => {
    const strong = ({ flags }: { readonly flags: NodeFlags }): NodeFlags => ({ ...flags, suite: 'hmac-sha256', required: 0 })
    const flags = { version: 1, capabilities: session, required: 0, suite: '', window: 0 }
    const [a, b] = shake({ suite: 'md5', flags }, { flags, publicKey: new Uint8Array() },
      altering('name', value => ({ ...value, flags: strong(value) })))
    assert.deepEqual([a.code, a.proved, b.proved], ['ERR_LINK_SUITE', false, false])
  })

  for (const suite of suites) {
    it(`another secret, clearly and at both ends, after one round trip and a half: ${suite}`, () => {
      const [a, b] = shake({ suite, secret: 'one' }, { suite, secret: 'other' })
      checkRefused([a, b], 'ERR_LINK_SECRET', /private.*same secret/)
      assert.deepEqual([a.story.at(-2), b.story.at(-2)], ['ready', 'not_allowed'])
    })

    it(`a secret against none, even if nobody says that there is one: ${suite}`, () => {
      const flags = suite === 'hmac-sha256' ? { capabilities: all, required: all } : { capabilities: session, required: session }
      checkRefused(shake({ suite, secret: 'one', ...flags }, { suite, ...flags }), 'ERR_LINK_SECRET')
      checkRefused(shake({ suite, ...flags }, { suite, secret: 'one', ...flags }), 'ERR_LINK_SECRET')
    })

    it(`an acceptor whose acknowledgement proves nothing: ${suite}`, () => {
      const wrong = altering('server_ack', value => ({ ...value, digest: value.digest.map(byte => byte ^ 1) }))
      const [a] = shake({ suite, secret: 'one' }, { suite, secret: 'one' }, wrong)
      assert.deepEqual([a.code, a.proved], ['ERR_LINK_SECRET', false])
    })
  }

  it('a signature of somebody else, and a key of somebody else, at either end', () => {
    checkRefused(shake({ signsAs: 'c' }, {}), 'ERR_LINK_PROOF')
    checkRefused(shake({ publicKey: keyOf('c'), signsAs: 'c' }, {}), 'ERR_LINK_PROOF')
    for (const accepts of [{ signsAs: 'c' }, { publicKey: keyOf('c'), signsAs: 'c' }]) {
      const [a] = shake({}, accepts)
      assert.deepEqual([a.code, a.proved], ['ERR_LINK_PROOF', false])
    }
  })

  it('whom it is told not to allow', () => {
    checkRefused(shake({}, { decide: () => ({ status: 'not_allowed' }) }), 'ERR_LINK_REFUSED')
  })

  it('a link because of another one, before and after the proof, and says which', () => {
    const early = shake({}, { decide: () => ({ status: 'nok', link: 8n }) })
    checkRefused(early, 'ERR_LINK_EXISTS')
    assert.deepEqual([early[0].stays, early[1].stays], [8n, 8n])
    const [a, b] = shake({}, {}, undefined, 9n)
    assert.deepEqual(a.story, ['name', 'sign', 'client_challenge', 'ready', 'over ERR_LINK_EXISTS'])
    assert.deepEqual([a.stays, b.stays, a.proved, b.outcome], [9n, 9n, false, undefined])
  })

  it('a name without a connection id, by which its link would be called', () => {
    const [, b] = shake({ connectionId: 0n }, {})
    assert.deepEqual([b.code, b.story.length], ['ERR_PROTOCOL', 1])
    const old = { suite: 'md5' } as const
    assert.notEqual(shake({ connectionId: 0n, ...old }, old)[1].outcome, undefined, 'the originals know none')
  })
})

describe('The reason of a refusal', () => {
  function refuse (reason: string, missing = 0): StarError | undefined {
    const a = dialler()
    a.tell({ type: 'start' })
    a.hear(encodeMessage({ type: 'server_status', value: { status: 'not_allowed', link: 0n, missing, reason } }))
    return a.error
  }

  it('is the acceptor\'s, when it is one that an acceptor can have', () => {
    const reasons: readonly Reason[] =
      ['ERR_LINK_NAME', 'ERR_LINK_CAPABILITY', 'ERR_LINK_SUITE', 'ERR_LINK_SECRET', 'ERR_LINK_PROOF']
    assert.deepEqual(reasons.map(reason => refuse(reason)?.code), reasons)
  })

  it('is never a code that means something of our own', () => {
    for (const reason of ['', 'ERR_STOPPED', 'ERR_OPTIONS', 'ERR_LINK_EXISTS', 'ERR_LINK_TIMEOUT', 'toString', 'x'.repeat(500)]) {
      const error = refuse(reason)
      assert.equal(error?.message, new StarError('ERR_LINK_REFUSED').message)
    }
  })

  it('names what is missing, known or not', () => {
    assert.match(refuse('ERR_LINK_CAPABILITY', 2 ** 31 | session | secret)?.message ?? '',
      /\(we lack secret, we lack capability 31, the peer lacks session\)$/)
  })

  it('is said in the status, with the bits that are missing', () => {
    const [, b] = shake({ capabilities: identity, required: 0 }, {})
    const last = decodeMessage(b.sent.at(-1) ?? new Uint8Array())
    assert.deepEqual(last, {
      type: 'server_status', value: { status: 'not_allowed', link: 0n, missing: session, reason: 'ERR_LINK_CAPABILITY' }
    })
  })
})
