// How often a node dials what other peers say they were seen as. A punch dials again and again, and it is only a peer's word who
// is there: however many peers say the same, nobody else is to be flooded by us.

/** Milliseconds over which dials are counted. */
const PERIOD = 10_000
/** As many as a punch may take that is refused all the time. */
const MOST_TO_ONE = 64
const MOST = 512

/** A node's dials to addresses, whoever they are for. */
export class DialBudget {
  readonly #dials = new Map<string, number>()
  #count = 0
  #until = -Infinity

  /** Whether that address may be dialled once more now. */
  take (ip: string, now: number): boolean {
    if (now >= this.#until) {
      this.#until = now + PERIOD
      this.#dials.clear()
      this.#count = 0
    }
    const dials = this.#dials.get(ip) ?? 0
    if (dials >= MOST_TO_ONE || this.#count >= MOST) {
      return false
    }
    this.#dials.set(ip, dials + 1)
    this.#count++
    return true
  }
}
