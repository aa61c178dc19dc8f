// When a link that has lost its path looks for another one. A clock's arithmetic and nothing else.

/** How long it waits; times are milliseconds. */
export interface SearchOptions {
  /** Milliseconds that the one who was dialled waits before it looks for a new path itself. */
  readonly grace: number
  /** Milliseconds before the second try to resume; doubled for each further one, up to 4 seconds. */
  readonly retry: number
}

const MAX_RETRY = 4_000
/** A path that lasts no longer, and brings nothing on, is of no use: after more than so many in a row there is a pause. */
const SHORT_LIFE = 1_000
const MAX_USELESS = 3

/** The search for a link's next path. */
export class Search {
  readonly #options: SearchOptions
  #at: number | undefined
  #failures = 0
  #foundAt = -Infinity
  #useless = 0
  #progress = 0

  constructor (options: SearchOptions) {
    this.#options = options
  }

  /** When the next try is due; none while the link has a path, or a try is on. */
  get at (): number | undefined {
    return this.#at
  }

  /**
   * The path is gone; `ours` when it is not for the other end to look for the next one first. `progress` is a number that grows
   * with what gets through.
   */
  lost (now: number, ours: boolean, progress: number): void {
    this.#useless = now - this.#foundAt < SHORT_LIFE && progress === this.#progress ? this.#useless + 1 : 0
    this.#progress = progress
    const pause = this.#useless > MAX_USELESS ? this.#pause(this.#useless - MAX_USELESS - 1) : 0
    this.#failures = 0
    this.#at = now + Math.max(pause, ours ? 0 : this.#options.grace)
  }

  /** A try begins. */
  begin (): void {
    this.#at = undefined
  }

  /** It came to nothing. */
  failed (now: number): void {
    this.#at = now + this.#pause(this.#failures++)
  }

  /** The other peer is there: a try that is waited for is due. */
  seen (now: number): void {
    if (this.#at != null) {
      this.#at = now
      this.#failures = 0
    }
  }

  /** There is a path. */
  found (now: number): void {
    this.#at = undefined
    this.#foundAt = now
  }

  /** The link is over: the next one has a history of its own. */
  over (): void {
    this.#at = undefined
    this.#foundAt = -Infinity
    this.#useless = 0
    this.#progress = 0
  }

  #pause (failures: number): number {
    return Math.min(MAX_RETRY, this.#options.retry * 2 ** failures)
  }
}
