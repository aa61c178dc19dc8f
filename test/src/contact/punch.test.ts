// The schedule of a punch: a story for each rule, and that no course of events breaks a bound, or has it never end.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  MAX_QUICK, MAX_UNVERIFIED, OTHER_REDIALS, PUNCH_TIME, PunchMachine, REFUSED_JITTER, REFUSED_REDIAL, SLOW_JITTER, SLOW_REDIAL,
  TURN, VERIFY_TIME
} from '../../../src/contact/punch.ts'
import { contacts } from '../../support/contacts.ts'
import type { PunchContact, PunchMode } from '../../../src/contact/candidates.ts'
import type { PunchEvent, PunchOptions, PunchOutput } from '../../../src/contact/punch.ts'

const OWN: PunchContact = {
  v4: { ip: '198.51.100.11', port: 5_000 }, v6: { ip: '2001:db8:1::2', port: 5_000 }, local: [], mapping: 'same'
}
const PEER: PunchContact = { v4: { ip: '198.51.100.12', port: 6_000 }, local: [], mapping: 'same' }
const BOTH: PunchContact = { ...PEER, v6: { ip: '2001:db8:2::2', port: 7_000 } }
const BEGIN = 1_000
/** More dials than this to one address the timers don't allow. */
const MOST_DIALS = 1 + MAX_QUICK + Math.ceil(PUNCH_TIME / SLOW_REDIAL)

function told (output: PunchOutput): string {
  switch (output.do) {
    case 'dial': return `dial ${output.candidate}`
    case 'abort': return `abort ${output.candidate}`
    case 'offer': return `offer ${output.connection}`
    case 'close': return `close ${output.connection}`
    case 'over': return `over ${output.error?.code ?? ''}`.trim()
  }
}

/** A machine, and its clock. */
class Story {
  readonly machine: PunchMachine
  now = BEGIN

  constructor (options: Partial<PunchOptions> = {}) {
    this.machine = new PunchMachine({
      own: OWN, peer: PEER, mode: 'shared', loopback: false, allow: () => true, time: PUNCH_TIME, random: () => 0.5, ...options
    })
  }

  tell (event: PunchEvent): string[] {
    return this.machine.input(event, this.now).map(told)
  }

  /** Wakes it when it wants to be woken; with the milliseconds that have passed until then. */
  wake (): [number, string[]] {
    const { wakeAt } = this.machine
    assert.ok(wakeAt != null)
    const passed = wakeAt - this.now
    this.now = wakeAt
    return [passed, this.tell({ type: 'wake' })]
  }

  fail (code?: string, candidate = 0): string[] {
    return this.tell({ type: 'failed', candidate, code })
  }
}

function begun (options: Partial<PunchOptions> = {}): Story {
  const story = new Story(options)
  story.tell({ type: 'start' })
  return story
}

describe('A punch', () => {
  it('dials everything at once, hands over what connects, and ends with the one that is verified', () => {
    const story = new Story({ peer: BOTH })
    assert.deepEqual([story.tell({ type: 'wake' }), story.machine.wakeAt], [[], undefined])
    assert.deepEqual(story.tell({ type: 'start' }), ['dial 0', 'dial 1'])
    assert.deepEqual(story.tell({ type: 'connected', candidate: 1, connection: 7 }), ['offer 7'])
    assert.deepEqual(story.tell({ type: 'accepted', connection: 8 }), ['offer 8'])
    assert.deepEqual(story.tell({ type: 'verified', connection: 9 }), [])
    assert.deepEqual(story.tell({ type: 'verified', connection: 8 }), ['abort 0', 'over'])
    assert.deepEqual([story.machine.over, story.machine.wakeAt], [true, undefined])
    assert.deepEqual(story.tell({ type: 'accepted', connection: 10 }), ['close 10'])
    assert.deepEqual(story.tell({ type: 'closed', connection: 8 }), [])
  })

  it('leaves a SYN that is on its way to the system, and ends in time', () => {
    const story = begun()
    assert.deepEqual(story.wake(), [PUNCH_TIME, ['abort 0', 'over ERR_PATH_TIMEOUT']])
  })

  it('dials again at once where it was refused, so often, and then now and then', () => {
    for (const code of ['ECONNREFUSED', 'ECONNRESET']) {
      const story = begun()
      for (let times = 1; times <= MAX_QUICK; times++) {
        assert.deepEqual(story.fail(code), [])
        assert.deepEqual(story.wake(), [REFUSED_REDIAL + REFUSED_JITTER / 2, ['dial 0']])
      }
      story.fail(code)
      assert.deepEqual(story.wake(), [SLOW_REDIAL + SLOW_JITTER / 2, ['dial 0']])
    }
  })

  it('dials again later and later where nothing leads there', () => {
    const story = begun()
    for (const pause of [...OTHER_REDIALS, 1_000]) {
      story.fail('EHOSTUNREACH')
      assert.deepEqual(story.wake(), [pause, ['dial 0']])
    }
  })

  it('gives a connection that is there already some time, and looks again: it may have come to nothing', () => {
    const story = begun()
    for (const pause of OTHER_REDIALS) {
      story.fail('EADDRNOTAVAIL')
      assert.deepEqual(story.wake(), [pause, ['dial 0']])
    }
    assert.deepEqual(story.tell({ type: 'accepted', connection: 1 }), ['offer 1'])
  })

  it('dials again when what was connected has ended unverified', () => {
    const story = begun()
    story.tell({ type: 'connected', candidate: 0, connection: 1 })
    story.tell({ type: 'closed', connection: 1, code: 'ECONNRESET' })
    assert.deepEqual(story.wake(), [REFUSED_REDIAL + REFUSED_JITTER / 2, ['dial 0']])
    story.tell({ type: 'connected', candidate: 0, connection: 2 })
    assert.deepEqual(story.wake(), [VERIFY_TIME, ['close 2']])
    assert.deepEqual(story.wake(), [OTHER_REDIALS[0], ['dial 0']])
  })

  it('never dials itself again', () => {
    const story = begun()
    story.fail('ERR_DIAL_SELF')
    assert.deepEqual(story.wake(), [PUNCH_TIME, ['over ERR_PATH_TIMEOUT']])
  })

  it('has the oldest of those who came in go when there are too many', () => {
    const story = begun()
    story.tell({ type: 'connected', candidate: 0, connection: 0 })
    for (let connection = 1; connection < MAX_UNVERIFIED; connection++) {
      story.tell({ type: 'accepted', connection })
    }
    assert.deepEqual(story.tell({ type: 'accepted', connection: 50 }), ['close 1', 'offer 50'])
  })

  it('has one dial at a time where ports are portable, each in its turn', () => {
    const story = new Story({ peer: BOTH, mode: 'portable' })
    assert.deepEqual(story.tell({ type: 'start' }), ['dial 0'])
    assert.deepEqual(story.wake(), [TURN, ['abort 0', 'dial 1']])
    assert.deepEqual(story.fail('ECONNREFUSED', 1), ['dial 0'])
    story.tell({ type: 'connected', candidate: 0, connection: 1 })
    assert.deepEqual(story.wake(), [VERIFY_TIME, ['close 1', 'dial 1']])
  })

  it('dials a peer that comes from another port once where ports are plain, and waits for it where they are portable', () => {
    const peer = { ...PEER, mapping: 'sym' } as const
    const plain = begun({ peer, mode: 'plain' })
    plain.fail('ECONNREFUSED')
    assert.deepEqual(plain.wake(), [PUNCH_TIME, ['over ERR_PATH_TIMEOUT']])
    const portable = new Story({ peer, mode: 'portable' })
    assert.deepEqual(portable.tell({ type: 'start' }), [])
    assert.deepEqual(portable.tell({ type: 'accepted', connection: 3 }), ['offer 3'])
  })

  it('is over at once where nothing can come of it, or when it is stopped, also before it began', () => {
    const hopeless = new Story({ own: { ...OWN, mapping: 'sym' }, peer: { ...PEER, mapping: 'sym' } })
    assert.deepEqual(hopeless.tell({ type: 'start' }), ['over ERR_PATH_LOST'])
    const story = begun({ peer: BOTH })
    story.tell({ type: 'connected', candidate: 0, connection: 4 })
    assert.deepEqual(story.tell({ type: 'stop' }), ['abort 1', 'close 4', 'over'])
    const early = new Story()
    assert.deepEqual([early.tell({ type: 'stop' }), early.tell({ type: 'start' })], [['over'], []])
  })
})

/** Drives a machine as events come, and holds every bound against what it puts out. */
class Watch {
  readonly machine: PunchMachine
  readonly options: PunchOptions
  readonly pending = new Set<number>()
  /** Connections that are open, with the candidates that were dialled. */
  readonly open = new Map<number, number | undefined>()
  readonly dials = new Map<number, number>()
  /** Not to be dialled before. */
  readonly rest = new Map<number, number>()
  now = BEGIN
  next = 0
  verified = false
  over = false

  constructor (options: PunchOptions) {
    this.options = options
    this.machine = new PunchMachine(options)
  }

  tell (event: PunchEvent): readonly PunchOutput[] {
    const outputs = this.machine.input(event, this.now)
    outputs.forEach(output => { this.#check(output) })
    assert.ok(this.open.size <= MAX_UNVERIFIED || this.verified)
    if (this.options.mode === 'portable') {
      assert.ok(this.pending.size + [...this.open.values()].filter(one => one != null).length <= 1 || this.verified)
    }
    if (this.over) {
      assert.deepEqual([this.machine.over, this.machine.wakeAt, this.pending.size], [true, undefined, 0])
      assert.ok(this.verified || this.open.size === 0)
    } else if (event.type === 'wake') {
      assert.ok((this.machine.wakeAt ?? Infinity) > this.now)
    }
    return outputs
  }

  #check (output: PunchOutput): void {
    const isLate = this.over
    switch (output.do) {
      case 'dial': {
        const { candidate, target } = output
        assert.ok(!isLate && !this.pending.has(candidate) && ![...this.open.values()].includes(candidate))
        const dials = (this.dials.get(candidate) ?? 0) + 1
        assert.ok(dials <= Math.min(target.dials, MOST_DIALS))
        assert.ok(this.now >= (this.rest.get(candidate) ?? 0), 'too early')
        this.dials.set(candidate, dials)
        this.pending.add(candidate)
        return
      }
      case 'abort': {
        assert.ok(!isLate && this.pending.delete(output.candidate))
        return
      }
      case 'offer': {
        assert.ok(!isLate && this.open.has(output.connection))
        return
      }
      case 'close': {
        assert.ok(this.open.delete(output.connection))
        return
      }
      case 'over': {
        assert.ok(!isLate)
        this.over = true
      }
    }
  }
}

describe('A punch, whatever happens,', () => {
  const CODES = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ETIMEDOUT', 'EADDRNOTAVAIL', 'EADDRINUSE', undefined]
  const step = fc.tuple(fc.nat(9), fc.nat(30), fc.nat(20), fc.constantFrom(...CODES))

  function follow (watch: Watch, [what, pick, wait, code]: readonly [number, number, number, string | undefined]): void {
    const pending = [...watch.pending]
    const candidate = pending[pick % Math.max(1, pending.length)]
    const open = [...watch.open.keys()]
    const connection = open[pick % Math.max(1, open.length)]
    if (what <= 3 && candidate != null) { // most dials come to nothing
      watch.pending.delete(candidate)
      const pause = ['ECONNREFUSED', 'ECONNRESET'].includes(code ?? '') ? REFUSED_REDIAL : SLOW_REDIAL
      watch.rest.set(candidate, watch.now + pause)
      watch.tell({ type: 'failed', candidate, code })
    } else if (what === 4 && candidate != null) {
      watch.pending.delete(candidate)
      watch.open.set(watch.next, candidate)
      watch.tell({ type: 'connected', candidate, connection: watch.next++ })
    } else if (what === 5) {
      watch.open.set(watch.next, undefined)
      watch.tell({ type: 'accepted', connection: watch.next++ })
    } else if (what === 6 && connection != null) {
      watch.open.delete(connection)
      watch.tell({ type: 'closed', connection, code })
    } else if (what === 7 && connection != null && pick === 0) {
      watch.verified = true
      watch.tell({ type: 'verified', connection })
    } else if (what === 8) { // what it knows nothing of
      watch.tell({ type: 'failed', candidate: 99, code })
      watch.tell({ type: 'closed', connection: 9_999 })
    } else {
      const { wakeAt } = watch.machine
      watch.now += wait * 10
      if (wakeAt != null && watch.now < wakeAt) {
        assert.deepEqual(watch.tell({ type: 'wake' }), [], 'an early wake changes nothing')
        assert.equal(watch.machine.wakeAt, wakeAt)
      } else if (wakeAt != null) {
        watch.now = wakeAt
        assert.notDeepEqual(watch.tell({ type: 'wake' }), [], 'it is woken for something')
      }
    }
  }

  it('keeps its bounds, wakes when something is due, and ends in time', () => {
    const modes = fc.constantFrom<PunchMode>('shared', 'plain', 'portable')
    const known = fc.constantFrom(PEER, BOTH, { ...PEER, mapping: 'sym' } as const)
    let ended = 0
    fc.assert(fc.property(modes, fc.oneof(known, contacts), fc.boolean(), fc.array(step, { maxLength: 150, size: 'max' }),
      (mode, peer, loopback, steps) => {
        const watch = new Watch({
          own: OWN, peer, mode, loopback, allow: () => true, time: PUNCH_TIME, random: () => 0
        })
        watch.tell({ type: 'start' })
        for (const one of steps) {
          follow(watch, one)
          assert.ok(watch.over || (watch.machine.wakeAt ?? Infinity) <= BEGIN + PUNCH_TIME)
        }
        while (!watch.over) {
          watch.now = Math.max(watch.now, watch.machine.wakeAt ?? Infinity)
          assert.ok(watch.now <= BEGIN + PUNCH_TIME)
          watch.tell({ type: 'wake' })
        }
        ended++
      }), { numRuns: 2_000 })
    assert.equal(ended, 2_000)
  })

  it('dials no address more often than its timers allow, even if it is always refused', () => {
    for (const code of ['ECONNREFUSED', 'EHOSTUNREACH']) {
      const watch = new Watch({
        own: OWN, peer: BOTH, mode: 'shared', loopback: false, allow: () => true, time: PUNCH_TIME, random: () => 0
      })
      watch.tell({ type: 'start' })
      while (!watch.over) {
        for (const candidate of [...watch.pending]) {
          watch.pending.delete(candidate)
          watch.tell({ type: 'failed', candidate, code })
        }
        watch.now = watch.machine.wakeAt ?? Infinity
        watch.tell({ type: 'wake' })
      }
      assert.ok([...watch.dials.values()].every(count => count <= MOST_DIALS))
    }
  })
})
