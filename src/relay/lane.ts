// What is on the way to one end of a pair: when its sender is braked, when it goes on, and for how long nothing has moved.
// A pure count without I/O.

/**
 * What a message costs beside its own bytes, as a chunk of a stream does: without it a flood of one-byte messages would cost
 * several hundred times the budget.
 */
export const MESSAGE_COST = 256

/** One direction of a pair. */
export class Lane {
  readonly #budget: number
  #pending = 0
  #braked = false
  #moved = true
  #queued = 0
  #lastProgress: number

  /** `budget` is in bytes, `now` in milliseconds of any clock that never goes back. */
  constructor (budget: number, now: number) {
    this.#budget = budget
    this.#lastProgress = now
  }

  /** The cost of what has been sent and hasn't left the process yet, in bytes. */
  get pending (): number {
    return this.#pending
  }

  /** Whether the sender is to be stopped. */
  get braked (): boolean {
    return this.#braked
  }

  /** A message of that cost is sent; true when its sender is to be stopped for it. */
  send (cost: number): boolean {
    this.#moved ||= this.#pending === 0
    this.#pending += cost
    const brakes = !this.#braked && this.#pending > this.#budget
    this.#braked ||= brakes
    return brakes
  }

  /** A message of that cost has left the process; true when its sender may go on. */
  left (cost: number): boolean {
    this.#moved = true
    this.#pending -= cost
    const released = this.#braked && this.#pending <= this.#budget / 2
    this.#braked &&= !released
    return released
  }

  /**
   * Milliseconds for which something has waited and nothing has moved, as far as the latest looks saw. A long message leaves as a
   * whole: that the reader is slow, and not dead, is seen from `queued`, the bytes that the system still has to take.
   */
  stalledFor (queued: number, now: number): number {
    if (this.#pending === 0 || this.#moved || queued !== this.#queued) {
      this.#lastProgress = now
    }
    this.#moved = false
    this.#queued = queued
    return now - this.#lastProgress
  }
}
