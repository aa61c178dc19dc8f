// A small random generator with a seed, so that a schedule that fast-check finds can be run again.

/** Random choices that follow from a seed alone. */
export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to 1, 1 left out (mulberry32). */
  next (): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from `least` to `most`, both taken in. */
  between (least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** True in so many cases of one. */
  chance (share: number): boolean {
    return this.next() < share
  }

  pick<Item> (items: readonly Item[]): Item {
    const item = items[Math.floor(this.next() * items.length)]
    if (item === undefined) {
      throw new RangeError('nothing to pick from')
    }
    return item
  }

  bytes (length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.between(0, 255))
  }
}
