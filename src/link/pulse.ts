// Whether a path still carries something: when it is probed, and when it is given up. A clock's arithmetic and nothing else.

/** How long a path is trusted; times are milliseconds. */
export interface PulseOptions {
  /** A path on which nothing was heard for so long is probed. */
  readonly keepAlive: number
  /** A path on which nothing was acknowledged for so long, while something waits for it, is probed. */
  readonly probeAfter: number
  /** A probe must be answered in this time; in more where answers took long before, or where paths have died in a row. */
  readonly probeTimeout: number
}

/**
 * The most that the two are on a path beside which there is another way: together they leave one that carries nothing within a
 * second. Too hasty costs a move back and a while on the slower way, nothing else. One that still brings something is only slow,
 * and mostly so is every other way: TCP whose answers don't come through brings nothing any more either.
 */
const HASTY = { probeAfter: 250, probeTimeout: 500, heardPatience: 16 }

/** The time for an answer is doubled for each path in a row on which nothing got through, so often at most. */
const MAX_BACKOFF = 5
/** A path that still brings something is given so much longer: answers queue behind what the other end sends. */
const HEARD_PATIENCE = 4
/** A path is given so many times what an answer took lately; that is forgotten by a tenth with each answer. */
const SLOW_PATIENCE = 3
const FORGETTING = 0.9
/** Milliseconds that a wake may be late: later, it was this process that was held up, and answers may lie unread. */
const MAX_LATE = 500

/** The pulse of the path that carries a session. */
export class Pulse {
  readonly #options: PulseOptions
  #heardAt = 0
  #progressAt = 0
  #probedAt: number | undefined
  #deaths = 0
  #slowest = 0
  #hasty = false
  /** Something came on the path that was left, and nothing on this one since. */
  #doubted = false
  #dead = false
  #roundTrip: number | undefined

  constructor (options: PulseOptions) {
    this.#options = options
  }

  /** True from the verdict until there is another path. */
  get dead (): boolean {
    return this.#dead
  }

  /** What the last probe took, in milliseconds. */
  get roundTrip (): number | undefined {
    return this.#roundTrip
  }

  /** There is a path, and from now on it may be expected to bring something; `hasty` when there is another way beside it. */
  start (now: number, hasty: boolean = this.#hasty, roundTrip: number = 0): void {
    this.#heardAt = now
    this.#progressAt = now
    this.#probedAt = undefined
    this.#doubted = false
    this.#dead = false
    if (hasty !== this.#hasty) {
      this.#hasty = hasty
      this.#slowest = 0 // of another kind of path
      this.#deaths = 0
    }
    this.#slowest = Math.max(this.#slowest, roundTrip)
  }

  /** Something came. */
  heard (now: number): void {
    this.#heardAt = now
    this.#doubted = false
  }

  /** Something came on the path that was left: this one is probed as if something waited for it, unless it brings something. */
  doubt (now: number, waiting: boolean): void {
    if (!this.#doubted && !waiting) {
      this.#progressAt = now
    }
    this.#doubted = true
  }

  /** Nothing was on the way, and now something is. */
  waits (now: number): void {
    this.#progressAt = now
  }

  /** Something was answered; `through` when it is something of weight, not just the first word on a new path. */
  answered (now: number, { waiting, through }: { waiting: boolean, through: boolean }): void {
    this.#slowest = Math.max(this.#slowest * FORGETTING, waiting ? now - this.#progressAt : 0)
    this.#progressAt = now
    this.#probedAt = undefined
    if (through) {
      this.#deaths = 0
    }
  }

  /** The probe was answered. */
  echoed (now: number, waiting: boolean): void {
    if (this.#probedAt != null) {
      this.#roundTrip = now - this.#probedAt
      this.answered(now, { waiting, through: true })
    }
  }

  /** When {@link wake} has something to do; `waiting` while something was sent that is not answered. */
  wakeAt (waiting: boolean): number {
    if (this.#dead) {
      return Infinity
    }
    if (this.#probedAt != null) {
      return Math.max(this.#probedAt, this.#progressAt) + this.#patience(this.#probedAt)
    }
    const { keepAlive } = this.#options
    const probeAfter = this.#hasty ? Math.min(HASTY.probeAfter, this.#options.probeAfter) : this.#options.probeAfter
    return waiting || this.#doubted ? this.#progressAt + probeAfter : Math.max(this.#heardAt, this.#progressAt) + keepAlive
  }

  /** What is to be done now, if anything: send a probe, or give the path up. */
  wake (now: number, waiting: boolean): 'probe' | 'dead' | undefined {
    const late = now - this.wakeAt(waiting)
    if (late < 0) {
      return undefined
    }
    if (this.#probedAt == null) {
      this.#probedAt = now
      return 'probe'
    }
    if (late > MAX_LATE) {
      this.#probedAt = now
      return undefined
    }
    this.#deaths = Math.min(this.#deaths + 1, MAX_BACKOFF)
    this.#dead = true
    return 'dead'
  }

  #patience (probedAt: number): number {
    const probeTimeout = this.#hasty ? Math.min(HASTY.probeTimeout, this.#options.probeTimeout) : this.#options.probeTimeout
    const heardPatience = this.#hasty ? HASTY.heardPatience : HEARD_PATIENCE
    const patience = probeTimeout * 2 ** this.#deaths * (this.#heardAt > probedAt ? heardPatience : 1)
    return Math.min(probeTimeout * 2 ** MAX_BACKOFF, Math.max(patience, SLOW_PATIENCE * this.#slowest))
  }
}
