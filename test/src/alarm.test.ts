// Alarms: one timer at a time, set to when the machine wants to be woken.
import assert from 'node:assert/strict'
import { Alarm } from '../../src/alarm.ts'
import type { Timers } from '../../src/alarm.ts'

/** Timers that note what they were asked. */
class FakeTimers implements Timers {
  readonly pending = new Map<number, { readonly callback: () => void, readonly milliseconds: number }>()
  set = 0

  setTimeout (callback: () => void, milliseconds: number): number {
    this.pending.set(++this.set, { callback, milliseconds })
    return this.set
  }

  clearTimeout (handle: unknown): void {
    this.pending.delete(Number(handle))
  }

  /** The pauses that are waited for. */
  get waits (): number[] {
    return [...this.pending.values()].map(({ milliseconds }) => milliseconds)
  }

  fire (): void {
    const [[handle, timer] = assert.fail('no timer is set')] = this.pending
    this.pending.delete(handle)
    timer.callback()
  }
}

interface Rig {
  readonly timers: FakeTimers
  readonly machine: { wakeAt: number | undefined }
  readonly alarm: Alarm
  readonly rings: { count: number }
}

function rig (wakeAt: number | undefined): Rig {
  const timers = new FakeTimers()
  const machine = { wakeAt }
  const rings = { count: 0 }
  return { timers, machine, rings, alarm: new Alarm(timers, machine, () => { rings.count++ }) }
}

describe('An alarm', () => {
  it('waits until the machine wants to be woken, and rings once', () => {
    const { timers, alarm, rings } = rig(150)
    alarm.set(100)
    assert.deepEqual(timers.waits, [50])
    assert.equal(rings.count, 0)
    timers.fire()
    assert.equal(rings.count, 1)
    assert.deepEqual(timers.waits, [])
  })

  it('sets no timer for a machine that wants none', () => {
    const { timers, alarm } = rig(undefined)
    alarm.set(100)
    assert.equal(timers.set, 0)
  })

  it('keeps its timer while the time stays the same', () => {
    const { timers, alarm } = rig(150)
    alarm.set(100)
    alarm.set(120)
    assert.equal(timers.set, 1)
  })

  it('moves its timer with the machine, and never has two', () => {
    const { timers, machine, alarm } = rig(150)
    alarm.set(100)
    machine.wakeAt = 130
    alarm.set(110)
    assert.deepEqual(timers.waits, [20])
    machine.wakeAt = undefined
    alarm.set(110)
    assert.deepEqual(timers.waits, [])
  })

  it('is set anew after it rang too early', () => {
    const { timers, alarm, rings } = rig(150)
    alarm.set(100)
    timers.fire()
    alarm.set(149.5)
    assert.deepEqual(timers.waits, [1])
    timers.fire()
    assert.equal(rings.count, 2)
  })

  it('rings at once for a time that has gone by', () => {
    const { timers, alarm } = rig(50)
    alarm.set(100)
    assert.deepEqual(timers.waits, [0])
  })

  it('never rings before its time for want of whole milliseconds', () => {
    const { timers, alarm } = rig(100.4)
    alarm.set(100)
    assert.deepEqual(timers.waits, [1])
  })

  it('takes no pause longer than a timer can hold', () => {
    const { timers, alarm } = rig(Number.MAX_SAFE_INTEGER)
    alarm.set(0)
    assert.deepEqual(timers.waits, [2 ** 31 - 1])
  })

  it('rings no more when it is cleared, until it is set again', () => {
    const { timers, alarm } = rig(150)
    alarm.set(100)
    alarm.clear()
    assert.deepEqual(timers.waits, [])
    alarm.set(100)
    assert.deepEqual(timers.waits, [50])
  })

  it('can be set by its own ring', () => {
    const timers = new FakeTimers()
    const machine = { wakeAt: 10 }
    const alarm: Alarm = new Alarm(timers, machine, () => {
      machine.wakeAt += 10
      alarm.set(10)
    })
    alarm.set(0)
    timers.fire()
    assert.deepEqual(timers.waits, [10])
  })
})
