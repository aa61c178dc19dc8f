// Two ends of a link handshake under any schedule: whatever both are and however long things take, they agree on what came of it.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Capability } from '../../../src/link/wire.ts'
import { NOW, STEP, TOTAL, acceptor, dialler } from '../../support/handshake.ts'
import { Random } from '../../support/random.ts'
import type { Reason } from '../../../src/errors.ts'
import type { SuiteName } from '../../../src/link/digest.ts'
import type { HandshakeEvent } from '../../../src/link/handshake.ts'
import type { StatusName } from '../../../src/link/wire.ts'
import type { End } from '../../support/handshake.ts'

const { session, secret } = Capability

/** Two peers: what each is, and what the acceptor makes of the other. */
interface Case {
  readonly suites: readonly [SuiteName, SuiteName]
  /** The secret of each one's star. */
  readonly secrets: readonly [string, string]
  /** Whether each wants a capability that the other has not got. */
  readonly wants: readonly [boolean, boolean]
  readonly resumes: boolean
  readonly linkSecrets: readonly [string, string]
  /** The answer to a name that asks for a new link. */
  readonly status: StatusName
  /** Whether the acceptor holds the link that is to be resumed. */
  readonly knows: boolean
  /** Whether the dialler holds the link that the acceptor holds. */
  readonly holds: boolean
  readonly eager: boolean
  readonly refused: boolean
}

const suite = fc.constantFrom<SuiteName>('hmac-sha256', 'hmac-sha256', 'hmac-sha256', 'sha256', 'md5')
const sameSuites = suite.map((one): readonly [SuiteName, SuiteName] => [one, one])
const seldom = fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true))
const privacy = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<readonly [string, string]>(['', ''], ['s', 's']) },
  fc.constantFrom<readonly [string, string]>(['s', ''], ['', 's'], ['s', 't'])
)

const anyCase: fc.Arbitrary<Case> = fc.record({
  suites: fc.oneof({ weight: 9, arbitrary: sameSuites }, fc.tuple(suite, suite)),
  secrets: privacy,
  wants: fc.tuple(seldom, seldom),
  resumes: fc.boolean(),
  linkSecrets: fc.constantFrom<readonly [string, string]>(['x', 'x'], ['x', 'x'], ['x', 'y']),
  status: fc.constantFrom<StatusName>('ok', 'ok_simultaneous', 'alive', 'alive', 'nok', 'not_allowed'),
  knows: fc.boolean(),
  holds: fc.boolean(),
  eager: fc.boolean(),
  refused: seldom
})

/** What ought to come of it; `undefined` when both ought to be up. */
function expectation (one: Case): Reason | undefined {
  const [mine, theirs] = one.secrets
  if ((mine === '') !== (theirs === '')) {
    return 'ERR_LINK_SECRET'
  }
  if (one.wants.includes(true) || one.suites.filter(name => name === 'hmac-sha256').length === 1) {
    return 'ERR_LINK_CAPABILITY'
  }
  if (one.suites[0] !== one.suites[1]) {
    return 'ERR_LINK_SUITE'
  }
  if (!one.resumes && one.status === 'not_allowed') {
    return 'ERR_LINK_REFUSED'
  }
  if (!one.resumes && (one.status === 'nok' || (one.status === 'alive' && one.holds))) {
    return 'ERR_LINK_EXISTS'
  }
  if (one.resumes && one.knows && (mine !== theirs || one.linkSecrets[0] !== one.linkSecrets[1])) {
    return 'ERR_LINK_PROOF'
  }
  if (mine !== theirs) {
    return 'ERR_LINK_SECRET'
  }
  return one.refused ? 'ERR_LINK_EXISTS' : undefined
}

function endsOf (one: Case): readonly [a: End, b: End] {
  const [a, b] = ([0, 1] as const).map(side => {
    const name = one.suites[side]
    const identity = name === 'hmac-sha256' ? Capability.identity : 0
    const wanted = one.wants[side] ? 1 << (8 + side) : 0
    const kept = session | identity | wanted | (one.secrets[side] === '' ? 0 : secret)
    return { suite: name, secret: one.secrets[side], linkSecret: one.linkSecrets[side], capabilities: kept, required: kept }
  })
  return [
    dialler({ ...a, resume: one.resumes ? 5n : 0n, holds: () => one.holds }),
    acceptor({
      ...b,
      eager: one.eager,
      decide: ({ resume }) => resume === 0n ? { status: one.status, link: 5n } : { status: one.knows ? 'alive' : 'nok', link: 5n }
    })
  ]
}

/** What is still to happen, in time. */
interface Coming {
  readonly at: number
  readonly happen: () => void
}

/** A path, two drivers and a clock: everything takes its time, and what was said arrives in its order. */
class World {
  readonly ends: readonly [a: End, b: End]
  readonly #random: Random
  readonly #delay: number
  readonly #coming: Coming[] = []
  readonly #arrivals = [NOW, NOW]
  now = NOW

  constructor (one: Case, random: Random, delay: number) {
    this.#random = random
    this.#delay = delay
    this.ends = endsOf(one)
    this.ends[1].refuses = one.refused ? 5n : undefined
    this.ends.forEach(end => { end.answers = false })
    this.#tell(1, { type: 'start' })
    this.#tell(0, { type: 'start' })
  }

  run (): void {
    for (;;) {
      const wakes = this.ends.map((end, side) => ({
        at: end.machine.wakeAt ?? Infinity,
        happen: () => { this.#tell(side, { type: 'wake' }) }
      }))
      const [next] = [...this.#coming, ...wakes].toSorted((one, other) => one.at - other.at)
      if (next == null || next.at === Infinity) {
        return
      }
      const index = this.#coming.indexOf(next)
      if (index >= 0) {
        this.#coming.splice(index, 1)
      }
      this.now = Math.max(this.now, next.at)
      next.happen()
    }
  }

  #later (least: number, happen: () => void): number {
    const at = Math.max(least, this.now + this.#random.next() * this.#delay)
    const behind = this.#coming.findLastIndex(coming => coming.at <= at)
    this.#coming.splice(behind + 1, 0, { at, happen })
    return at
  }

  /** In its order after what was said to the same end before. */
  #arrive (side: number, happen: () => void): void {
    this.#arrivals[side] = this.#later(this.#arrivals[side] ?? NOW, happen)
  }

  #tell (side: number, event: HandshakeEvent): void {
    const end = this.ends[side] as End
    const other = this.ends[1 - side] as End
    end.now = this.now
    for (const output of end.tell(event)) {
      const answer = end.answer(output)
      if (answer != null) {
        this.#later(0, () => { this.#tell(side, answer) })
      }
      if (output.do === 'send') {
        this.#arrive(1 - side, () => { this.#tell(1 - side, { type: 'message', bytes: output.bytes }) })
      } else if (output.do === 'over') {
        this.#arrive(1 - side, () => { other.machine.drop() }) // the path is closed behind what was said
      }
    }
  }
}

function run (one: Case, seed: number, delay: number): readonly [a: End, b: End] {
  const world = new World(one, new Random(seed), delay)
  world.run()
  return world.ends
}

/** What both ends may believe, whatever happened. */
function checkAgreement (one: Case, [a, b]: readonly [End, End]): void {
  for (const { machine } of [a, b]) {
    assert.deepEqual([machine.over, machine.wakeAt, machine.ports.outstanding.size], [true, undefined, 0])
  }
  if (a.outcome != null) {
    assert.notEqual(b.outcome, undefined, 'who is acknowledged is acknowledged by somebody')
  }
  if (b.outcome != null) {
    assert.equal(a.story.includes('ready'), true)
    assert.equal(expectation(one), undefined)
    const { peer, flags, incarnation, ...common } = b.outcome
    assert.deepEqual([peer, flags, incarnation], [a.machine.options.name, a.machine.options.flags, a.machine.options.incarnation])
    const [ready] = a.outputs.flatMap(output => output.do === 'ready' ? [output.outcome] : [])
    const { peer: name, flags: theirs, incarnation: number, ...same } = a.outcome ?? ready ?? assert.fail('not ready')
    assert.deepEqual([name, theirs, number], [b.machine.options.name, b.machine.options.flags, b.machine.options.incarnation])
    assert.deepEqual(same, common)
    assert.deepEqual([common.resumed, common.replaces !== 0n],
      [one.resumes && one.knows, !one.resumes && one.status === 'alive'])
  }
}

describe('Two ends of a handshake', () => {
  it('agree on what comes of it, and why if nothing does, when nothing takes too long', () => {
    fc.assert(fc.property(anyCase, fc.integer(), (one, seed) => {
      const [a, b] = run(one, seed, TOTAL / 16)
      checkAgreement(one, [a, b])
      const expected = expectation(one)
      assert.deepEqual([a.outcome != null, b.outcome != null], [expected == null, expected == null])
      const codes = new Set([a.code, b.code].filter(code => code != null))
      assert.deepEqual([...codes], expected == null ? [] : [expected])
    }), { numRuns: 3_000 })
  })

  it('never disagree, however long things take: at worst one of them has given up', () => {
    let late = 0
    fc.assert(fc.property(anyCase, fc.integer(), fc.constantFrom(STEP / 2, STEP, TOTAL), (one, seed, delay) => {
      const [a, b] = run(one, seed, delay)
      checkAgreement(one, [a, b])
      const expected = expectation(one)
      for (const { code } of [a, b]) {
        late += code === 'ERR_LINK_TIMEOUT' ? 1 : 0
        assert.equal(code == null || code === 'ERR_LINK_TIMEOUT' || code === expected, true, `${code} in place of ${expected}`)
      }
    }), { numRuns: 3_000 })
    assert.equal(late > 100, true, 'some were late')
  })
})
