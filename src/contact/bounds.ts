// What the rooms count and time: deadlines that follow each other, and how many there are of something.

/** Moments at which something is due, each the same time after it was set: so the one that was set first is due first. */
export class Deadlines<Key> {
  readonly #time: number
  readonly #moments = new Map<Key, number>()

  /** `time` is in milliseconds. */
  constructor (time: number) {
    this.#time = time
  }

  /** The first of them. */
  get next (): number | undefined {
    const [next] = this.#moments.values()
    return next
  }

  /** Sets one from now on, also if it was set. */
  set (key: Key, now: number): void {
    this.#moments.delete(key)
    this.#moments.set(key, now + this.#time)
  }

  /** Sets one unless it is set. */
  start (key: Key, now: number): void {
    if (!this.#moments.has(key)) {
      this.set(key, now)
    }
  }

  delete (key: Key): void {
    this.#moments.delete(key)
  }

  /** Those that are due, which are set no more. */
  * due (now: number): Generator<Key, void, void> {
    for (const [key, moment] of this.#moments) {
      if (moment > now) {
        return
      }
      this.#moments.delete(key)
      yield key
    }
  }
}

/** How many there are, by network address. */
export class Tally {
  readonly #counts = new Map<string, number>()

  /** How many network addresses are counted. */
  get size (): number {
    return this.#counts.size
  }

  of (key: string): number {
    return this.#counts.get(key) ?? 0
  }

  add (key: string): void {
    this.#counts.set(key, this.of(key) + 1)
  }

  remove (key: string): void {
    const count = this.of(key) - 1
    if (count > 0) {
      this.#counts.set(key, count)
    } else {
      this.#counts.delete(key)
    }
  }

  clear (): void {
    this.#counts.clear()
  }
}
