// A stream through a star as a path.
import { concat } from 'uint8arrays/concat'
import { StarError } from '../../src/errors.ts'
import { Endpoint } from '../../src/pull-stream/endpoint.ts'
import { CHUNK_COST, MAX_CHUNK } from '../../src/pull-stream/protocol.ts'
import type { EndpointOutput } from '../../src/pull-stream/endpoint.ts'
import type { Kind, Side } from '../../src/pull-stream/protocol.ts'
import type { Path, PathOwner } from './path.ts'
import type { StreamEnd, StreamSlot } from '../star.ts'

/** Credit that is kept for the last words of a link: a chunk of some dozen bytes. */
const LAST_WORDS = CHUNK_COST + 64
/** Less than this is no budget: an acknowledgement would not fit, and nobody would ask for more. */
const LEAST = 32

/** A path through a star. */
export class RelayPath implements Path, StreamEnd {
  readonly kind = 'relay'
  readonly prompt = false
  readonly via: string
  readonly #slot: StreamSlot
  readonly #endpoint: Endpoint
  #owner: PathOwner | undefined
  /** What came before the path was released, in bytes of each chunk: it is acknowledged then. */
  #unreleased: number[] | undefined = []

  constructor (slot: StreamSlot, via: string) {
    this.#slot = slot
    this.via = via
    this.#endpoint = new Endpoint(slot)
  }

  own (owner: PathOwner): void {
    this.#owner = owner
  }

  get budget (): number {
    const budget = this.reserve - LAST_WORDS
    if (budget >= LEAST) {
      return budget
    }
    this.#endpoint.want()
    return 0
  }

  get reserve (): number {
    return Math.min(this.#endpoint.credit, MAX_CHUNK)
  }

  send (parts: readonly Uint8Array[]): void {
    const [first, ...more] = parts
    if (first != null) {
      this.#perform(this.#endpoint.write(more.length === 0 ? first : concat([...parts])))
    }
  }

  release (): void {
    const sizes = this.#unreleased ?? []
    this.#unreleased = undefined
    for (const size of sizes) {
      this.#perform(this.#endpoint.consumed(size))
    }
  }

  close (): void {
    this.#owner = undefined
    this.#perform(this.#endpoint.end())
    this.#perform(this.#endpoint.stopReading())
  }

  open (): void {
    this.#perform(this.#endpoint.accept())
  }

  receive (kind: Kind, side: Side, payload: unknown): void {
    this.#perform(this.#endpoint.receive(kind, side, payload))
  }

  lose (error: StarError): void {
    this.#perform(this.#endpoint.reset(error)) // where the socket is gone, nothing is sent
  }

  #perform (outputs: readonly EndpointOutput[]): void {
    for (const output of outputs) {
      switch (output.do) {
        case 'send':
          this.#slot.send(output)
          break
        case 'deliver':
          this.#owner?.onBytes(output.bytes, false)
          this.#taken(output.bytes.byteLength)
          break
        case 'writable':
          this.#owner?.onRoom()
          break
        case 'ended':
        case 'unread':
          // half a path is none: the link ends its halves by itself
          this.#gone(output.do === 'unread' ? output.error : new StarError('ERR_STREAM_CLOSED'))
          this.close()
          break
        case 'closed':
          this.#slot.onClose()
          this.#gone(output.error ?? new StarError('ERR_STREAM_CLOSED'))
          break
      }
    }
  }

  #taken (size: number): void {
    if (this.#unreleased == null) {
      this.#perform(this.#endpoint.consumed(size))
    } else {
      this.#unreleased.push(size)
    }
  }

  #gone (error: StarError): void {
    const owner = this.#owner
    this.#owner = undefined
    owner?.onGone(error)
  }
}
