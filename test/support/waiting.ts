// Waiting in tests: always for something that has a name, and never for ever.

/** Resolves or rejects as the promise does, or rejects after `ms` milliseconds with what was waited for. */
export async function within<T> (what: string, promise: Promise<T>, ms: number = 5_000): Promise<T> {
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
