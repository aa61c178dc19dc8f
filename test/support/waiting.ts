// Waiting in tests: always for something that has a name, and never for ever.

/** Milliseconds after which what has not come will not: more than anything takes on a machine that is slow and busy. */
export const PATIENCE = 20_000

/** How often something may be held up by the machine before it counts as slow. */
const TURNS = 4

/** Resolves or rejects as the promise does, or rejects after `ms` milliseconds with what was waited for. */
export async function within<T> (what: string, promise: Promise<T>, ms: number = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`waited ${ms} ms for ${what}`)) }, ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Does something that tells how many milliseconds it took, which must be less than `ms` one time of a few: a machine that stands
 * still makes anything slow now and then, but what waits for a timer is so each time.
 */
export async function quickly (what: string, ms: number, run: () => Promise<number>): Promise<void> {
  const took: number[] = []
  while (took.every(time => time >= ms)) {
    if (took.length === TURNS) {
      throw new Error(`${what} took ${took.map(time => time.toFixed(0)).join(', ')} ms, and never less than ${ms}`)
    }
    took.push(await run())
  }
}

/** Something whose state changes with events: one can wait until it is as one wants it. */
export class Watched {
  readonly #looks = new Set<() => void>()

  /** Resolves when `holds` returns true, which is looked at after each event. */
  async when (what: string, holds: () => boolean, ms?: number): Promise<void> {
    if (holds()) {
      return
    }
    let look = (): void => {}
    const held = new Promise<void>(resolve => {
      look = () => {
        if (holds()) {
          resolve()
        }
      }
    })
    this.#looks.add(look)
    try {
      await within(what, held, ms)
    } finally {
      this.#looks.delete(look)
    }
  }

  /** To be called after each event. */
  protected changed (): void {
    this.#looks.forEach(look => { look() })
  }
}
