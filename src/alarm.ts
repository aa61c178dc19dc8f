// One timer for one machine: set anew after each event, cleared by its owner. The timers themselves come from outside.
import type { Machine } from './machine.ts'

/** The two functions of the platform that an alarm needs; `globalThis` has them everywhere. */
export interface Timers {
  setTimeout (callback: () => void, milliseconds: number): unknown
  clearTimeout (handle: unknown): void
}

/** The longest pause that a timer can hold; an early wake changes nothing in a machine. */
const LONGEST = 2_147_483_647

/** Calls `ring` when the machine wants to be woken. */
export class Alarm {
  readonly #timers: Timers
  readonly #machine: Pick<Machine<unknown, unknown>, 'wakeAt'>
  readonly #ring: () => void
  #handle: unknown
  #at: number | undefined

  constructor (timers: Timers, machine: Pick<Machine<unknown, unknown>, 'wakeAt'>, ring: () => void) {
    this.#timers = timers
    this.#machine = machine
    this.#ring = ring
  }

  /**
   * To be called after each event that went into the machine; `now` is of the machine's clock. A timer that would ring too
   * early is left as it is: an early wake costs less than a new timer for every event.
   */
  set (now: number): void {
    const at = this.#machine.wakeAt
    if (at != null && this.#at != null && this.#at <= at) {
      return
    }
    this.clear()
    if (at != null) {
      this.#at = at
      this.#handle = this.#timers.setTimeout(() => {
        this.#at = undefined
        this.#ring()
      }, Math.min(LONGEST, Math.max(0, Math.ceil(at - now))))
    }
  }

  /** Rings no more until it is set again. */
  clear (): void {
    this.#timers.clearTimeout(this.#handle)
    this.#handle = undefined
    this.#at = undefined
  }
}
