// The register against a naive model, under any order of events, hostile values included.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isChallengeOffer } from '../../../src/star/protocol.ts'
import { challengeMessage } from '../../../src/star/challenge.ts'
import { ORIGIN, Register, STAR, person, sign } from '../../support/register.ts'
import { RegisterModel } from '../../support/register-model.ts'
import type { RegistryEvent, RegistryOptions, RegistryOutput } from '../../../src/star/contract.ts'
import type { Identity } from '../../support/register.ts'

/** What may happen, by number of socket and person: the run finds out what is possible. */
type Step =
  | { readonly step: 'connect' | 'disconnect', readonly socket: number, readonly original: boolean }
  | {
    readonly step: 'introduce' | 'join'
    readonly socket: number
    readonly who: number
    readonly listed: boolean
    readonly old: boolean
  }
  | { readonly step: 'prove' | 'forge', readonly socket: number, readonly who: number }
  | { readonly step: 'verified', readonly which: number }
  | { readonly step: 'leave', readonly socket: number, readonly who: number }
  | { readonly step: 'dial', readonly socket: number, readonly who: number | undefined, readonly to: number, readonly id: number }
  | { readonly step: 'answer', readonly socket: number, readonly id: number, readonly astray: boolean, readonly error: unknown }
  | { readonly step: 'pass', readonly milliseconds: number }
  | { readonly step: 'hostile', readonly socket: number, readonly values: readonly [unknown, unknown, unknown] }

const socket = fc.constantFrom(0, 1, 2, 3)
const who = fc.constantFrom(0, 1, 2)
const id = fc.constantFrom(0, 1, 2, 3)
const weird = fc.oneof(
  fc.anything({ maxDepth: 1, maxKeys: 2 }),
  fc.constantFrom<unknown>('', null, {}, { signature: '00' }, '/', STAR, person(0).address, person(1).old, person(0).key)
)
const caller = fc.oneof(fc.constantFrom(undefined, undefined, undefined), who)
const verdict = fc.constantFrom(undefined, undefined, 'unopened')
const answer = fc.oneof({ weight: 4, arbitrary: verdict }, { weight: 1, arbitrary: weird })
const proof = fc.constantFrom('prove' as const, 'prove' as const, 'forge' as const)
const introduction = fc.constantFrom('introduce' as const, 'join' as const)
const pause = fc.constantFrom(1, 100, 3_000, 30_000)
/** So much is there before anything else happens, in half of the runs. */
const BEGINNING: readonly Step[] = [0, 1, 2].flatMap(number => [
  { step: 'connect', socket: number, original: number === 1 },
  { step: 'join', socket: number, who: number, listed: true, old: false },
  { step: 'verified', which: 0 }
])
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ step: fc.constant('connect' as const), socket, original: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('disconnect' as const), socket, original: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({ step: introduction, socket, who, listed: fc.boolean(), old: fc.boolean() })
  },
  { weight: 6, arbitrary: fc.record({ step: proof, socket, who }) },
  { weight: 6, arbitrary: fc.record({ step: fc.constant('verified' as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('leave' as const), socket, who }) },
  { weight: 20, arbitrary: fc.record({ step: fc.constant('dial' as const), socket, who: caller, to: who, id }) },
  {
    weight: 12,
    arbitrary: fc.record({ step: fc.constant('answer' as const), socket, id, astray: fc.boolean(), error: answer })
  },
  { weight: 3, arbitrary: fc.record({ step: fc.constant('pass' as const), milliseconds: pause }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('hostile' as const), socket, values: fc.tuple(weird, weird, weird) }) }
)

/** Runs steps on a register and its model at once. */
class Run {
  readonly register: Register
  readonly model = new RegisterModel()
  readonly #offers = new Map<string, unknown>()
  readonly #questions: Array<RegistryOutput & { do: 'verify' }> = []
  #calls = 0

  constructor (changed: Partial<RegistryOptions> = {}) {
    this.register = new Register(changed)
  }

  tell (event: RegistryEvent): readonly RegistryOutput[] {
    const outputs = this.register.tell(event)
    this.model.observe(event, outputs)
    this.#questions.push(...outputs.filter(output => output.do === 'verify'))
    return outputs
  }

  take (step: Step): void {
    switch (step.step) {
      case 'connect':
        if (!this.model.sockets.has(name(step.socket))) {
          this.tell({ type: 'connect', socket: name(step.socket), generation: step.original ? 'original' : 'star' })
        }
        return
      case 'disconnect':
        this.tell({ type: 'disconnect', socket: name(step.socket) })
        return
      case 'join':
      case 'introduce':
        this.#introduce(name(step.socket), person(step.who), step.listed, step.old)
        return step.step === 'join' ? this.#prove(name(step.socket), person(step.who), true) : undefined
      case 'prove':
      case 'forge':
        return this.#prove(name(step.socket), person(step.who), step.step === 'prove')
      case 'verified':
        return this.#verified(step.which)
      case 'leave':
        this.tell({ type: 'leave', socket: name(step.socket), address: person(step.who).old })
        return
      case 'dial': {
        const socket = name(step.socket)
        const [own] = this.model.joined.get(socket) ?? []
        const from = step.who == null ? own : person(step.who).address
        this.tell({ type: 'dial', socket, call: ++this.#calls, from, to: person(step.to).old, id: `${step.id}` })
        return
      }
      case 'answer': {
        const [ringing] = this.model.ringing.keys()
        const [socket = '', id = ''] = step.astray || ringing == null ? [name(step.socket), `${step.id}`] : ringing.split(' ')
        this.tell(step.error === 'unopened'
          ? { type: 'unopened', socket, id, reason: 'ERR_TOO_MANY_STREAMS' }
          : { type: 'answer', socket, id, error: step.error })
        return
      }
      case 'pass':
        return this.#pass(step.milliseconds)
      case 'hostile': {
        const [one, two, three] = step.values
        this.tell({ type: 'join', socket: name(step.socket), call: ++this.#calls, address: one, proof: two })
        this.tell({ type: 'dial', socket: name(step.socket), call: ++this.#calls, from: one, to: two, id: three })
        this.tell({ type: 'leave', socket: name(step.socket), address: three })
      }
    }
  }

  /** Answers and times out everything that is still open. */
  settle (): void {
    while (this.#questions.length > 0) {
      this.#verified(0)
    }
    this.#pass(100_000)
  }

  #introduce (at: string, { key, address, old }: Identity, listed: boolean, oldSpelling: boolean): void {
    const proof = this.model.sockets.get(at) === 'original' ? key : { key, origin: ORIGIN, listed }
    const outputs = this.tell({ type: 'join', socket: at, call: ++this.#calls, address: oldSpelling ? old : address, proof })
    const [ack] = outputs.filter(output => output.do === 'ack')
    if (ack?.done === false) {
      this.#offers.set(`${at} ${address}`, ack.args[1])
    }
  }

  #prove (at: string, { key, address }: Identity, honest: boolean): void {
    const offer = this.#offers.get(`${at} ${address}`)
    const message = isChallengeOffer(offer)
      ? challengeMessage({ origin: ORIGIN, socket: at, address }, offer)
      : new TextEncoder().encode(String(offer))
    const signature = sign(honest ? key : 'another key', message)
    const proof = this.model.sockets.get(at) === 'original' ? signature : { signature }
    this.tell({ type: 'join', socket: at, call: ++this.#calls, address, proof })
  }

  #verified (which: number): void {
    const [question] = this.#questions.splice(which, 1)
    if (question != null) {
      const valid = question.signature === sign(question.key, question.message)
      this.tell({ type: 'verified', call: question.call, valid })
    }
  }

  #pass (milliseconds: number): void {
    const end = this.register.now + milliseconds
    for (let wakes = 0; (this.register.registry.wakeAt ?? Infinity) <= end; wakes++) {
      assert.equal(wakes < 5_000, true, 'the register wants to be woken again and again')
      this.register.now = Math.max(this.register.now, this.register.registry.wakeAt ?? 0)
      this.tell({ type: 'wake' })
    }
    this.register.now = end
  }
}

function name (number: number): string {
  return `socket-${number}`
}

/** What must be true after every step. */
function check (run: Run): void {
  const { register: { registry }, model } = run
  assert.deepEqual(model.faults, [])
  assert.deepEqual(registry.addresses().toSorted(), model.listed())
  assert.equal(registry.size, model.owners.size)
  assert.equal(registry.dialling, model.ringing.size)
  assert.deepEqual(model.forgotten(), [])
  for (const at of model.sockets.keys()) {
    assert.equal(registry.hasJoined(at), (model.joined.get(at)?.size ?? 0) > 0)
  }
}

const rest = fc.array(step, { minLength: 10, maxLength: 100, size: 'max' })
const steps = fc.tuple(fc.constantFrom([], BEGINNING, BEGINNING), rest).map(parts => parts.flat())

describe('A register under any order of events', () => {
  const happened = { join: 0, dial: 0 }

  it('agrees with a naive model at every step, and in the end owes nothing', () => {
    fc.assert(fc.property(steps, taken => {
      const run = new Run()
      for (const one of taken) {
        run.take(one)
        check(run)
      }
      run.settle()
      check(run)
      assert.equal(run.register.registry.dialling, 0)
      for (const [number, call] of run.model.calls) {
        assert.equal(call.acknowledged, 1, `call ${number}`)
      }
      for (const at of run.model.sockets.keys()) {
        run.tell({ type: 'disconnect', socket: at })
      }
      check(run)
      assert.deepEqual([run.register.registry.size, run.register.registry.dialling], [0, 0])
      run.settle()
      assert.equal(run.register.registry.wakeAt, undefined)
      happened.join += run.model.successes.join
      happened.dial += run.model.successes.dial
    }), { numRuns: 150 })
  })

  it('lets enough joins and dials succeed for that to mean something', () => {
    assert.equal(happened.join > 100 && happened.dial > 20, true, JSON.stringify(happened))
  })

  it('stays inside its bounds', () => {
    const tight = { maxPeers: 2, maxAddressesPerSocket: 1, dialsInFlight: 1 }
    fc.assert(fc.property(steps, taken => {
      const run = new Run(tight)
      for (const one of taken) {
        run.take(one)
        check(run)
        assert.equal(run.register.registry.size <= tight.maxPeers, true)
        assert.equal([...run.model.joined.values()].every(addresses => addresses.size <= 1), true)
        const diallers = [...run.model.ringing.values()].map(dial => dial.dialer)
        assert.equal(new Set(diallers).size, diallers.length)
      }
    }), { numRuns: 60 })
  })
})
