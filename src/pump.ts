// What a sink does with its source: takes one item after the other, hands it on, and stops at once when nobody takes anything
// any more, also while the source takes its time.
import { StarError } from './errors.ts'

/** Bytes, or a list of them, as libp2p's streams yield. */
interface ByteList {
  subarray (): Uint8Array
}

/** What a sink takes: whatever `for await` takes, of bytes. */
export type ByteSource = AsyncIterable<Uint8Array | ByteList> | Iterable<Uint8Array | ByteList>

/** Where a pump leads to. */
export interface Outlet {
  /** Throws the reason when nobody takes anything any more. */
  check (): void
  /** Takes bytes; resolves when there is room for more. */
  write (bytes: Uint8Array): Promise<void>
  /** The source has ended. */
  end (): void | Promise<void>
  /** The source has failed, or one of the others has thrown this. */
  fail (cause: unknown): void
}

/** Pumps one source, once. */
export class Pump {
  readonly #outlet: Outlet
  #used = false
  #breakOff: ((error: StarError) => void) | undefined

  constructor (outlet: Outlet) {
    this.#outlet = outlet
  }

  /** Resolves when all of the source has been taken; throws what went wrong, and `ERR_STREAM_CLOSED` when used again. */
  async run (source: ByteSource): Promise<void> {
    if (this.#used) {
      throw new StarError('ERR_STREAM_CLOSED', { detail: 'the sink was used already' })
    }
    this.#used = true
    const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    try {
      for (let next = await this.#next(items); next.done !== true; next = await this.#next(items)) {
        const item = next.value
        await this.#outlet.write(item instanceof Uint8Array ? item : item.subarray())
      }
      await this.#outlet.end()
    } catch (cause) {
      // not waited for: a source that waits for its own input returns when that comes
      Promise.resolve(items.return?.()).catch(() => {})
      this.#outlet.fail(cause)
      throw cause
    }
  }

  /** Nobody takes anything any more, for this reason: the source isn't waited for. */
  breakOff (error: StarError): void {
    this.#breakOff?.(error)
  }

  async #next<T> (items: AsyncIterator<T> | Iterator<T>): Promise<IteratorResult<T>> {
    this.#outlet.check()
    return await new Promise<IteratorResult<T>>((resolve, reject) => {
      this.#breakOff = reject
      Promise.resolve(items.next()).then(resolve, reject)
    })
  }
}
