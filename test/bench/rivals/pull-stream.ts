// A channel over a pull-stream, which is what the original client hands out.
import type { Channel } from './types.ts'

type Answer = (end: unknown, chunk?: Uint8Array) => void

/** One direction of a pull-stream. */
type Source = (abort: unknown, answer: Answer) => void

/** Both directions of a pull-stream. */
export interface PullDuplex {
  source: Source
  sink: (source: Source) => void
}

/** Makes a channel of a pull-stream; it never asks the caller to wait, since the original sink pulls without limit. */
export function pullChannel (duplex: PullDuplex): Channel {
  const queue: Uint8Array[] = []
  let waiting: Answer | undefined
  let ended = false

  duplex.sink((abort, answer) => {
    if (abort !== null && abort !== undefined && abort !== false) {
      ended = true
      answer(abort)
    } else if (queue.length > 0) answer(null, queue.shift())
    else if (ended) answer(true)
    else waiting = answer
  })

  const close = async (): Promise<void> => {
    ended = true
    const answer = waiting
    waiting = undefined
    answer?.(true)
  }

  return {
    write: chunk => {
      const answer = waiting
      waiting = undefined
      if (answer === undefined) queue.push(chunk)
      else answer(null, chunk)
      return undefined
    },
    onData: listener => drain(duplex.source, listener, () => { void close() }),
    close
  }
}

/** Reads to the end; a loop and not a recursion, so that many chunks at hand don't fill the stack. */
function drain (source: Source, listener: (chunk: Uint8Array) => void, done: () => void): void {
  let over = false
  const pull = (): void => {
    for (let asked = true; asked && !over;) {
      asked = false
      let inside = true
      source(null, (end, chunk) => {
        if (end !== null && end !== undefined && end !== false) {
          over = true
          done()
          return
        }
        if (chunk !== undefined) listener(chunk)
        if (inside) asked = true
        else pull()
      })
      inside = false
    }
  }
  pull()
}
