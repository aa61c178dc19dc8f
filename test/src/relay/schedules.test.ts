// The raw relay's paths under any order of announcing, entering, leaving and waking, beside a count of who is where.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Pairing } from '../../../src/relay/pairing.ts'
import type { PairingEvent, PairingOutput } from '../../../src/relay/pairing.ts'

const PATHS = ['p', 'q', 'r']
const WAIT = 100

type Step =
  | { readonly step: 'announce', readonly owner: string, readonly path: string }
  | { readonly step: 'enter', readonly path: string | undefined, readonly address: string }
  | { readonly step: 'leave' | 'fault' | 'exhausted', readonly which: number, readonly code: number }
  | { readonly step: 'drop', readonly owner: string }
  | { readonly step: 'pass', readonly milliseconds: number, readonly wake: boolean }

const path = fc.constantFrom(...PATHS)
const owner = fc.constantFrom('one', 'two')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ step: fc.constant('announce' as const), owner, path }) },
  { weight: 6, arbitrary: fc.record({ step: fc.constant('enter' as const), path, address: fc.constantFrom('a', 'b') }) },
  { weight: 1, arbitrary: fc.constant<Step>({ step: 'enter', path: undefined, address: 'a' }) },
  {
    weight: 5,
    arbitrary: fc.record({
      step: fc.constantFrom('leave' as const, 'leave' as const, 'fault' as const, 'exhausted' as const),
      which: fc.nat(20),
      code: fc.constantFrom(1000, 1006, 4100)
    })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('drop' as const), owner }) },
  { weight: 3, arbitrary: fc.record({ step: fc.constant('pass' as const), milliseconds: fc.nat(80), wake: fc.boolean() }) }
)

/** What the driver of a pairing knows. */
class World {
  readonly pairing: Pairing
  now = 0
  /** Sockets that are there, with their path. */
  readonly there = new Map<number, string | undefined>()
  readonly closing = new Set<number>()
  /** The other end of each that was ever paired. */
  readonly partners = new Map<number, number>()
  #sockets = 0

  constructor (openRelay: boolean) {
    this.pairing = new Pairing({ openRelay, relayWait: WAIT, relayPairs: 2, relayPairsPerAddress: 5 })
  }

  take (what: Step): void {
    switch (what.step) {
      case 'announce':
        this.pairing.announce(what.owner, what.path, this.now)
        break
      case 'enter':
        if (this.pairing.admits(what.path, what.address) == null) {
          this.there.set(this.#sockets, what.path)
          this.tell({ type: 'enter', socket: this.#sockets++, path: what.path, address: what.address })
        }
        break
      case 'leave':
      case 'fault':
      case 'exhausted': {
        const sockets = [...this.there.keys()]
        const socket = sockets[what.which % Math.max(1, sockets.length)]
        if (socket != null && what.step === 'leave') {
          this.leave(socket, what.code)
        } else if (socket != null && what.step !== 'leave') {
          this.tell({ type: what.step, socket })
          assert.ok(this.closing.has(socket))
        }
        break
      }
      case 'drop':
        this.tell({ type: 'drop', owner: what.owner })
        break
      case 'pass':
        this.now += what.milliseconds
        if (what.wake) {
          this.tell({ type: 'wake' })
          assert.ok((this.pairing.wakeAt ?? Infinity) > this.now, 'it wants waking for what is over')
        }
        break
    }
    this.check()
  }

  leave (socket: number, code: number): void {
    const partner = this.partners.get(socket)
    this.there.delete(socket)
    this.tell({ type: 'leave', socket, code })
    assert.ok(partner == null || !this.there.has(partner) || this.closing.has(partner), 'the other end was not told')
  }

  tell (event: PairingEvent): void {
    this.pairing.input(event, this.now).forEach(output => { this.#perform(output) })
  }

  #perform (output: PairingOutput): void {
    if (output.do === 'close') {
      assert.ok(this.there.has(output.socket) && !this.closing.has(output.socket), 'closed twice, or after it was gone')
      this.closing.add(output.socket)
      return
    }
    const { first, second } = output
    assert.notEqual(first, second)
    for (const socket of [first, second]) {
      assert.ok(this.there.has(socket) && !this.closing.has(socket) && !this.partners.has(socket), 'paired twice, or too late')
    }
    assert.equal(this.there.get(first), this.there.get(second))
    this.partners.set(first, second)
    this.partners.set(second, first)
  }

  check (): void {
    const waiting = [...this.there.keys()].filter(socket => !this.closing.has(socket) && !this.partners.has(socket))
    const paired = [...this.there.keys()].filter(socket => this.partners.has(socket))
    const pairs = new Set(paired.map(socket => Math.min(socket, this.partners.get(socket) ?? socket)))
    assert.deepEqual([this.pairing.waiting, this.pairing.pairs], [waiting.length, pairs.size])
    assert.ok(waiting.length + pairs.size <= 2, 'more than the relay may have')
    assert.ok(waiting.length === 0 || this.pairing.wakeAt != null, 'who waits would wait for ever')
    assert.ok((this.pairing.wakeAt ?? 0) <= this.now + WAIT)
  }
}

for (const open of [false, true]) {
  describe(`The paths of ${open ? 'an open' : 'a closed'} relay, under any order of events`, () => {
    it('never hold three, tell each end once, and leave nothing behind', () => {
      fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const world = new World(open)
        steps.forEach(what => { world.take(what) })
        for (const socket of [...world.there.keys()]) {
          world.leave(socket, 1006)
        }
        world.check()
        world.now += WAIT
        world.tell({ type: 'wake' })
        assert.equal(world.pairing.wakeAt, undefined)
        assert.equal(world.pairing.pairs, 0)
        // whoever had announced them, all paths are free again
        PATHS.forEach(name => { assert.equal(world.pairing.announce('three', name, world.now), undefined) })
        assert.equal(world.pairing.wakeAt, world.now + WAIT)
      }), { numRuns: 500 })
    })
  })
}
