// Whether a socket still lives: when it is to be asked, and when it has been silent for too long. A pure rule without I/O.

/** What is to be done about a socket: ask it, or give it up. */
export type Verdict = 'ask' | 'dead' | undefined

/** The heartbeat of one socket. */
export class Heartbeat {
  readonly #interval: number
  readonly #timeout: number
  #heard: number
  #asked = false

  /** Asks after `interval` milliseconds of silence, and gives up when there are `timeout` more. */
  constructor (interval: number, timeout: number, now: number) {
    this.#interval = interval
    this.#timeout = timeout
    this.#heard = now
  }

  /** It lives: something came from it, or it took something; or it can't be judged, since it is not read. */
  hear (now: number): void {
    this.#heard = now
    this.#asked = false
  }

  /** To be called now and then; says what is to be done, and says `ask` once for each silence. */
  look (now: number): Verdict {
    const silence = now - this.#heard
    if (silence >= this.#interval + this.#timeout) {
      return 'dead'
    }
    if (silence < this.#interval || this.#asked) {
      return undefined
    }
    this.#asked = true
    return 'ask'
  }
}
