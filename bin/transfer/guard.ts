// Ends a transfer that stalls or that is to end: everything that waits for the stream then fails with the reason.
import { Failure } from '../failure.ts'
import type { Stream } from '@libp2p/interface'

/** Milliseconds without a byte after which a transfer is given up. */
const STALL = 60_000

/** Milliseconds that the other end may take to close what is done. */
const FAREWELL = 5_000

/** Watches over one stream until it is disposed. */
export class Guard implements Disposable {
  readonly #stream: Stream
  readonly #signal: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor (stream: Stream, signal: AbortSignal) {
    this.#stream = stream
    this.#signal = signal
    this.#timer = setTimeout(() => {
      stream.abort(new Failure('ERR_STALLED', `nothing has moved for ${STALL / 1000} seconds`, {
        advice: 'does the other end still run?'
      }))
    }, STALL)
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) {
      this.#onAbort()
    }
  }

  /** Something has moved. */
  moved (): void {
    this.#timer.refresh()
  }

  [Symbol.dispose] (): void {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal.reason
    this.#stream.abort(reason instanceof Error ? reason : new Failure('ERR_INTERRUPTED', 'ended'))
  }
}

/** Waits until the other end has closed, but not for long: closing first could cost it our last message. */
export async function seeOff (stream: Stream, reader: { read (most: number): Promise<unknown> }): Promise<void> {
  const timer = setTimeout(() => { stream.abort(new Failure('ERR_ENDED', 'the other end does not close')) }, FAREWELL)
  try {
    await stream.close({ signal: AbortSignal.timeout(FAREWELL) })
    while (await reader.read(65_536) != null) {
      // what comes now is of no use
    }
  } catch {
    // gone is gone
  } finally {
    clearTimeout(timer)
  }
}
