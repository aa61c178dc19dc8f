// Drives a machine: one event after the other, also those that come of what is performed, and a timer for when it is to be woken.
import { Alarm } from '../src/alarm.ts'
import type { Machine } from '../src/machine.ts'

/** The loop of a driver. */
export class Drive<Event extends { readonly type: string }, Output> {
  readonly #machine: Machine<Event | { readonly type: 'wake' }, Output>
  readonly #perform: (output: Output) => void
  readonly #alarm: Alarm
  readonly #events: Array<Event | { readonly type: 'wake' }> = []
  #performing = false

  constructor (machine: Machine<Event | { readonly type: 'wake' }, Output>, perform: (output: Output) => void) {
    this.#machine = machine
    this.#perform = perform
    this.#alarm = new Alarm(globalThis, machine, () => { this.tell({ type: 'wake' }) })
  }

  /** Puts an event in, and all those that come of it, in their order. */
  tell (event: Event | { readonly type: 'wake' }): void {
    this.#events.push(event)
    if (this.#performing) {
      return
    }
    this.#performing = true
    try {
      for (let next = this.#events.shift(); next != null; next = this.#events.shift()) {
        for (const output of this.#machine.input(next, performance.now())) {
          this.#perform(output)
        }
      }
    } finally {
      this.#performing = false
    }
    this.#alarm.set(performance.now())
  }

  /** The machine is woken no more, until it is told something. */
  clear (): void {
    this.#alarm.clear()
  }
}
