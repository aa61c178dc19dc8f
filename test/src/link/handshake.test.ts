// The link handshake as documented: what is said when, what comes of it at both ends, and who waits for whom how long.
import assert from 'node:assert/strict'
import { SUITES } from '../../../src/link/digest.ts'
import { decodeMessage, encodeMessage } from '../../../src/link/wire.ts'
import { ATTEMPT, NOW, STEP, TOTAL, acceptor, altering, converse, dialler } from '../../support/handshake.ts'
import type { SuiteName } from '../../../src/link/digest.ts'
import type { HandshakeEvent, Outcome } from '../../../src/link/handshake.ts'
import type { AuthenticationMessage, NameMessage, StatusName } from '../../../src/link/wire.ts'
import type { AcceptorSetup, DiallerSetup, End } from '../../support/handshake.ts'

interface Pair {
  readonly a: End
  readonly b: End
  /** The flight in which the dialler may send its first data, and how many there were. */
  readonly ready: number
  readonly flights: number
}

/** Lets `a` dial `b`. */
function shake (dials: DiallerSetup = {}, accepts: AcceptorSetup = {}, refuses?: bigint): Pair {
  const a = dialler(dials)
  const b = acceptor(accepts)
  b.refuses = refuses
  const said = converse(a, b)
  const reply = said.find(({ bytes }) => decodeMessage(bytes).type === 'client_challenge')
  return { a, b, ready: reply?.flight ?? 0, flights: said.at(-1)?.flight ?? 0 }
}

/** The name that a dialler says. */
function sayName (setup: DiallerSetup = {}): NameMessage {
  const end = dialler(setup)
  end.tell({ type: 'start' })
  const message = decodeMessage(end.sent[0] ?? new Uint8Array())
  assert.equal(message.type, 'name')
  return message.value as NameMessage
}

const ABSENT = new Uint8Array()
const SUITE_NAMES = Object.keys(SUITES) as SuiteName[]
const OUTCOME: Omit<Outcome, 'peer' | 'flags' | 'incarnation'> =
  { connectionId: ATTEMPT, resume: 0n, resumed: false, replaces: 0n }

function checkUp ({ a, b }: Pair, expected: Partial<Outcome> = {}): void {
  assert.deepEqual([a.error?.message, b.error?.message], [undefined, undefined])
  const theirs = ({ machine: { options } }: End): Outcome =>
    ({ ...OUTCOME, peer: options.name, flags: options.flags, incarnation: options.incarnation, ...expected })
  assert.deepEqual(a.outcome, theirs(b))
  assert.deepEqual(b.outcome, theirs(a))
  checkOver(a, b)
}

function checkOver (...ends: readonly End[]): void {
  for (const { machine } of ends) {
    assert.deepEqual([machine.over, machine.wakeAt, machine.ports.outstanding.size], [true, undefined, 0])
  }
}

describe('A link handshake', () => {
  it('is six messages at most, and one round trip before the first data', () => {
    const pair = shake()
    assert.deepEqual(pair.a.story, ['name', 'sign', 'client_challenge', 'ready', 'verify', 'proved'])
    assert.deepEqual(pair.b.story, ['ok', 'server_challenge', 'verify', 'proved', 'sign', 'server_ack', 'up'])
    assert.deepEqual([pair.ready, pair.flights], [3, 4], 'name out, challenge back: the reply goes with the data')
    checkUp(pair)
  })

  it('takes the same time when the acceptor holds another link, if it is eager', () => {
    const decide = (): { status: StatusName, link: bigint } => ({ status: 'alive', link: 5n })
    const eager = shake({}, { decide })
    assert.deepEqual(eager.a.story, ['name', 'true', 'sign', 'client_challenge', 'ready', 'verify', 'proved'])
    assert.deepEqual(eager.b.story, ['alive', 'server_challenge', 'verify', 'proved', 'sign', 'server_ack', 'up'])
    assert.deepEqual([eager.ready, eager.flights], [3, 4])
    checkUp(eager, { replaces: 5n })

    const patient = shake({}, { decide, eager: false })
    assert.deepEqual(patient.a.story, eager.a.story)
    assert.deepEqual(patient.b.story, eager.b.story)
    assert.deepEqual([patient.ready, patient.flights], [5, 6])
    checkUp(patient, { replaces: 5n })
  })

  it('says without being eager what it says when it is, when there is nothing to wait for', () => {
    const pair = shake({}, { eager: false })
    assert.deepEqual(pair.b.story, shake().b.story)
    assert.deepEqual([pair.ready, pair.flights], [3, 4])
    checkUp(pair)
  })

  for (const suite of SUITE_NAMES) {
    it(`works with the suite ${suite}, with a secret and without`, () => {
      for (const secret of ['', 'secret']) {
        checkUp(shake({ suite, secret }, { suite, secret }))
      }
    })
  }

  it('proves no identity where nobody has one: the acceptor then waits for nothing', () => {
    const pair = shake({ suite: 'md5' }, { suite: 'md5' })
    assert.deepEqual(pair.a.story, ['name', 'client_challenge', 'ready', 'proved'])
    assert.deepEqual(pair.b.story, ['ok', 'server_challenge', 'proved', 'server_ack', 'up'])
  })

  it('tells the dialler of a crossing dial, which changes nothing', () => {
    const pair = shake({}, { decide: () => ({ status: 'ok_simultaneous' }) })
    assert.equal(pair.b.story[0], 'ok_simultaneous')
    checkUp(pair)
  })

  it('asks what to answer once, with the name as it was said', () => {
    const names: unknown[] = []
    shake({}, { decide: name => { names.push(name); return { status: 'ok' } } })
    assert.deepEqual(names, [sayName()])
  })

  it('says the suite that it uses, whatever else it was told to say', () => {
    const flags = { version: 1, capabilities: 0, required: 0, suite: 'hmac-sha256', window: 1 }
    assert.deepEqual(sayName({ suite: 'md5', flags }).flags, { ...flags, suite: 'md5' })
  })

  it('takes its challenge from wherever in memory the random bytes are', () => {
    const outstanding = new Set<number>()
    const random = (bytes: number): Uint8Array => Uint8Array.of(9, 9, 9, 9, ...new Uint8Array(bytes).fill(1)).subarray(4)
    dialler({ random, outstanding })
    assert.deepEqual([...outstanding], [0x01010101])
  })
})

describe('A link that the acceptor holds already', () => {
  const alive: AcceptorSetup = { decide: () => ({ status: 'alive', link: 5n }) }

  for (const eager of [true, false]) {
    it(`is replaced when the dialler no longer holds it, and stays when it does (${eager ? 'eager' : 'not eager'})`, () => {
      const asked: bigint[] = []
      checkUp(shake({ holds: link => { asked.push(link); return false } }, { ...alive, eager }), { replaces: 5n })
      const { a, b } = shake({ holds: link => { asked.push(link); return true } }, { ...alive, eager })
      assert.deepEqual(a.story, ['name', 'false', 'over ERR_LINK_EXISTS'])
      assert.equal(b.story.at(-1), 'over ERR_LINK_EXISTS')
      assert.deepEqual([a.stays, b.stays, asked], [5n, 5n, [5n, 5n]])
      assert.deepEqual([a.proved, b.proved], [false, false])
      checkOver(a, b)
    })

    it(`gets a new path when both hold it and prove its secret (${eager ? 'eager' : 'not eager'})`, () => {
      const pair = shake({ resume: 5n, linkSecret: 'x' }, { ...alive, linkSecret: 'x', eager })
      assert.deepEqual(pair.a.story, ['name', 'false', 'sign', 'client_challenge', 'ready', 'verify', 'proved'])
      assert.equal(pair.ready, eager ? 3 : 5)
      checkUp(pair, { resume: 5n, resumed: true })
    })
  }

  it('gets none from one who doesn\'t know its secret, nor from one who knows it but not that of the star', () => {
    for (const [one, other] of [[{ linkSecret: 'y' }, {}], [{ linkSecret: 'x', secret: 's' }, { secret: 't' }]] as const) {
      const { a, b } = shake({ resume: 5n, ...one }, { ...alive, linkSecret: 'x', ...other })
      assert.deepEqual([a.code, b.code], ['ERR_LINK_PROOF', 'ERR_LINK_PROOF'])
      assert.deepEqual([a.proved, b.proved], [false, false])
    }
  })

  it('is not the one that is to be resumed: the dialler stops', () => {
    const { a, b } = shake({ resume: 6n, linkSecret: 'x' }, { ...alive, linkSecret: 'x' })
    assert.deepEqual([a.code, b.proved], ['ERR_PROTOCOL', false])
  })

  it('is not resumed under another id, even where nothing binds what was said', () => {
    const suite = 'md5'
    const [a, b] = [dialler({ suite, resume: 6n, linkSecret: 'x' }), acceptor({ ...alive, suite, linkSecret: 'x' })]
    converse(a, b, altering('server_status', value => ({ ...value, link: 6n })))
    assert.deepEqual([b.code, b.stays, b.proved, a.proved], ['ERR_LINK_EXISTS', 5n, false, false])
  })

  it('can\'t be both resumed and no longer held', () => {
    const [a, b] = [dialler({ resume: 5n, linkSecret: 'x' }), acceptor({ ...alive, linkSecret: 'x' })]
    converse(a, b, altering('client_status', () => ({ status: true })))
    assert.match(b.error?.message ?? '', /does not hold/)
    assert.deepEqual([a.proved, b.proved], [false, false])
  })
})

describe('A link that the acceptor no longer holds', () => {
  const gone: AcceptorSetup = { decide: () => ({ status: 'nok', link: 9n }) }

  it('is given up for one who has proved to be the peer, without the link\'s secret', () => {
    const pair = shake({ resume: 5n, linkSecret: 'x' }, gone)
    assert.deepEqual(pair.b.story.slice(0, 2), ['nok', 'server_challenge'])
    checkUp(pair, { resume: 5n })
  })

  it('is not given up for one who has not', () => {
    const { a } = shake({ resume: 5n }, { ...gone, signsAs: 'c' })
    assert.deepEqual([a.code, a.proved], ['ERR_LINK_PROOF', false])
    assert.equal(shake({ resume: 5n, secret: 's' }, { ...gone, secret: 't' }).a.code, 'ERR_LINK_SECRET')
  })
})

describe('How long a handshake waits', () => {
  const said = converse(dialler(), acceptor({ decide: () => ({ status: 'alive', link: 5n }) }))
  const bytesOf = (type: AuthenticationMessage['type']): Uint8Array =>
    said.find(({ bytes }) => decodeMessage(bytes).type === type)?.bytes ?? assert.fail(type)

  it('is a step for each answer, and all of it in total: at the dialler', () => {
    const a = dialler()
    assert.equal(a.machine.wakeAt, undefined)
    a.tell({ type: 'start' })
    assert.equal(a.machine.wakeAt, NOW + STEP)
    a.now += 4_000
    a.hear(bytesOf('server_status'))
    assert.equal(a.machine.wakeAt, NOW + 4_000 + STEP)
    a.answers = false
    a.now += 4_000
    a.hear(bytesOf('server_challenge'))
    assert.equal(a.machine.wakeAt, NOW + TOTAL, 'a step would be longer')
    a.tell({ type: 'signed', signature: new Uint8Array(1) })
    a.pass(TOTAL - 8_000 - 1)
    assert.equal(a.machine.over, false)
    a.pass(1)
    assert.equal(a.code, 'ERR_LINK_TIMEOUT')
    checkOver(a)
  })

  it('is as long as the total for the acknowledgement, which may wait for the acceptor\'s own dial', () => {
    const [a, b] = [dialler(), acceptor()]
    b.answers = false
    converse(a, b)
    assert.equal(a.story.at(-1), 'ready')
    assert.equal(a.machine.wakeAt, NOW + TOTAL)
  })

  it('is a step for each answer, and all of it in total: at the acceptor', () => {
    const b = acceptor({ decide: () => ({ status: 'alive', link: 5n }) })
    b.tell({ type: 'start' })
    for (const type of ['name', 'client_status'] as const) {
      assert.equal(b.machine.wakeAt, b.now + STEP)
      b.now += 4_000
      b.hear(bytesOf(type))
    }
    assert.equal(b.machine.wakeAt, NOW + TOTAL)
    b.answers = false
    b.hear(bytesOf('client_challenge'))
    assert.equal(b.tell({ type: 'verified', valid: true })[0]?.do, 'proved')
    b.pass(TOTAL)
    assert.equal(b.code, 'ERR_LINK_TIMEOUT')
    checkOver(b)
  })

  it('is no longer than a step where nothing comes at all, or only a name', () => {
    for (const [end, heard] of [[dialler(), []], [acceptor(), []], [acceptor(), [bytesOf('name')]]] as const) {
      end.tell({ type: 'start' })
      heard.forEach(bytes => { end.hear(bytes) })
      end.pass(STEP - 1)
      assert.equal(end.machine.over, false)
      end.pass(1)
      assert.equal(end.code, 'ERR_LINK_TIMEOUT')
      checkOver(end)
    }
  })

  it('counts for what the driver has to say too', () => {
    const b = acceptor()
    b.answers = false
    converse(dialler(), b)
    assert.equal(b.story.at(-1), 'verify')
    b.pass(STEP)
    assert.deepEqual(b.tell({ type: 'verified', valid: true }), [], 'too late')
    assert.deepEqual([b.code, b.proved], ['ERR_LINK_TIMEOUT', false])
  })

  it('is as long as the total for the verdict on who has proved himself, and a wake before that changes nothing', () => {
    const b = acceptor()
    b.answers = false
    converse(dialler(), b)
    b.tell({ type: 'verified', valid: true })
    assert.equal(b.machine.wakeAt, NOW + TOTAL)
    assert.deepEqual(b.tell({ type: 'wake' }), [])
    b.pass(TOTAL - 1)
    b.tell({ type: 'admit' })
    assert.equal(b.story.at(-1), 'sign')
  })

  it('ends with the path', () => {
    for (const end of [dialler(), acceptor()]) {
      end.tell({ type: 'start' })
      end.machine.drop()
      checkOver(end)
      assert.deepEqual(end.tell({ type: 'wake' }), [])
    }
  })
})

describe('What comes at the wrong time', () => {
  /** The messages of a handshake in which everything is said, and the way of each end through its states. */
  const script = converse(dialler(), acceptor({ decide: () => ({ status: 'alive', link: 5n }), eager: false }))
    .map(({ bytes }) => bytes)
  const types = script.map(bytes => decodeMessage(bytes).type)
  const [NAME = ABSENT, STATUS = ABSENT, CLIENT = ABSENT, CHALLENGE = ABSENT, REPLY = ABSENT] = script
  const refusal = encodeMessage({ type: 'server_status', value: { status: 'nok', link: 3n, missing: 0, reason: '' } })
  const signed: HandshakeEvent = { type: 'signed', signature: new Uint8Array(1) }
  const verified: HandshakeEvent = { type: 'verified', valid: true }

  type Step = HandshakeEvent | Uint8Array
  const START: HandshakeEvent = { type: 'start' }
  const DIALLER: Record<string, readonly Step[]> = {
    new: [],
    named: [START],
    accepted: [START, STATUS],
    signing: [START, STATUS, CHALLENGE],
    replied: [START, STATUS, CHALLENGE, signed]
  }
  const ACCEPTOR: Record<string, readonly Step[]> = {
    new: [],
    listening: [START],
    alive: [START, NAME],
    challenging: [START, NAME, CLIENT],
    verifying: [START, NAME, CLIENT, REPLY],
    proved: [START, NAME, CLIENT, REPLY, verified],
    signing: [START, NAME, CLIENT, REPLY, verified, { type: 'admit' }]
  }
  /** What may come when. */
  const MAY: Record<string, readonly string[]> = {
    'dialler named': ['server_status'],
    'dialler accepted': ['server_challenge'],
    'dialler replied': ['server_status', 'server_ack'],
    'acceptor listening': ['name'],
    'acceptor alive': ['client_status'],
    'acceptor challenging': ['client_challenge']
  }

  function after (role: string, way: readonly Step[]): End {
    const end = role === 'dialler' ? dialler() : acceptor({ decide: () => ({ status: 'alive', link: 5n }), eager: false })
    end.answers = false
    way.forEach(step => { end.tell(step instanceof Uint8Array ? { type: 'message', bytes: step } : step) })
    assert.equal(end.machine.over, false)
    return end
  }

  it('is any message but the one that is due: in every state', () => {
    assert.deepEqual(types, ['name', 'server_status', 'client_status', 'server_challenge', 'client_challenge', 'server_ack'])
    for (const [role, states] of [['dialler', DIALLER], ['acceptor', ACCEPTOR]] as const) {
      for (const [state, way] of Object.entries(states)) {
        for (const bytes of script) {
          const { type } = decodeMessage(bytes)
          const end = after(role, way)
          end.hear(bytes)
          const why = `${type} at a ${role} that is ${state}`
          if (MAY[`${role} ${state}`]?.includes(type) === true) {
            assert.doesNotMatch(end.error?.message ?? '', new RegExp(`${type} when ${state}`), why)
          } else {
            assert.match(end.error?.message ?? '', new RegExp(`broke the protocol \\(${type} when ${state}\\)$`), why)
            assert.equal(end.proved && state !== 'proved' && state !== 'signing', false, why)
            checkOver(end)
          }
        }
      }
    }
  })

  it('is a status that is no refusal, once the reply is out', () => {
    const replied = DIALLER['replied'] ?? []
    const end = after('dialler', replied)
    end.hear(refusal)
    assert.deepEqual([end.code, end.stays], ['ERR_LINK_EXISTS', 3n])
    const other = after('dialler', replied)
    other.hear(STATUS)
    assert.match(other.error?.message ?? '', /alive when replied/)
  })

  it('is a reply before the answer to alive, even if it came before its turn to an eager acceptor', () => {
    const b = acceptor({ suite: 'md5', decide: () => ({ status: 'alive', link: 5n }) })
    converse(dialler({ suite: 'md5' }), b, (said, message) => message.type === 'client_status' ? [] : [said.bytes])
    assert.match(b.error?.message ?? '', /client_challenge when challenging/)
    assert.equal(b.proved, false)
  })

  it('changes nothing when it is the driver\'s', () => {
    const events: readonly HandshakeEvent[] =
      [signed, verified, { type: 'admit' }, { type: 'refuse', link: 1n }, START, { type: 'wake' }]
    const due: Record<string, string> = {
      'dialler new': 'start', 'dialler signing': 'signed', 'acceptor new': 'start', 'acceptor verifying': 'verified',
      'acceptor proved': 'admit refuse', 'acceptor signing': 'signed'
    }
    for (const [role, states] of [['dialler', DIALLER], ['acceptor', ACCEPTOR]] as const) {
      for (const [state, way] of Object.entries(states)) {
        for (const event of events) {
          const end = after(role, way)
          if (due[`${role} ${state}`]?.split(' ').includes(event.type) !== true) {
            const before = end.machine.wakeAt
            assert.deepEqual(end.tell(event), [], `${event.type} at a ${role} that is ${state}`)
            assert.equal(end.machine.wakeAt, before)
          }
        }
      }
    }
  })

  it('is anything at all after the end', () => {
    const { a, b } = shake()
    for (const end of [a, b]) {
      const before = end.story.length
      script.forEach(bytes => { end.hear(bytes) })
      end.tell(START)
      end.tell({ type: 'wake' })
      assert.equal(end.story.length, before)
    }
  })
})
