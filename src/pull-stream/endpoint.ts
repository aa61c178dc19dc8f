// One end of a stream: what it may send, what it owes its reader, when it is over. A machine without I/O, the same for
// Node and browsers.
import { StarError, isReason } from '../errors.ts'
import { CHUNK_COST, INITIAL_CREDIT, chunkCost, isCredit, otherSide } from './protocol.ts'
import type { Kind, Side } from './protocol.ts'

/** An event to put on the socket. */
export interface Send {
  readonly do: 'send'
  readonly kind: Kind
  readonly side: Side
  readonly payload?: unknown
}

/** What the driver is to do. */
export type EndpointOutput =
  | Send
  /** Hand these bytes to the reader, and say `consumed` when it has taken them. */
  | { readonly do: 'deliver', readonly bytes: Uint8Array }
  /** There is credit again for a writer that ran out of it. */
  | { readonly do: 'writable' }
  /** The other end has ended its half. */
  | { readonly do: 'ended' }
  /** The other end reads no more, for this reason. */
  | { readonly do: 'unread', readonly error: StarError }
  /** The stream is over: with an error, or because both halves have ended. Nothing follows. */
  | { readonly do: 'closed', readonly error?: StarError }

/** A half of the stream: open, ended in good order, or broken off. */
type HalfState = 'open' | 'over'

/** How an end is set up. */
export interface EndpointOptions {
  /** The side that this end writes. */
  readonly side: Side
  /** Bytes, chunk costs included, that the other end may have on the way to us; no more than the star allows. */
  readonly window: number
}

/** A reader grants credit when it has consumed this part of its window, so that grants are few. */
const GRANT_FRACTION = 4

/**
 * Original writers know no window, and the star brakes them only after the fact: so much more is taken before the
 * stream is given up.
 */
const SLACK = 2_097_152

/** One end of one stream. Each call returns what is to be done, in order. */
export class Endpoint {
  readonly side: Side
  readonly #window: number
  #credit = INITIAL_CREDIT
  #accepted = false
  #wanting = false
  #writing: HalfState = 'open'
  #reading: HalfState = 'open'
  #unconsumed = 0
  #ungranted = 0

  constructor (options: EndpointOptions) {
    this.side = options.side
    this.#window = options.window
  }

  /** Bytes that may be written now. */
  get credit (): number {
    return this.#writing === 'open' ? Math.max(0, this.#credit - CHUNK_COST) : 0
  }

  /** True while the half that we write is open. */
  get writable (): boolean {
    return this.#writing === 'open'
  }

  /** True when both halves are over. */
  get closed (): boolean {
    return this.#writing === 'over' && this.#reading === 'over'
  }

  /** Asks the other end for its bytes. The first thing to do. */
  accept (): readonly EndpointOutput[] {
    return [this.#toWriter('accept', this.#window)]
  }

  /** Sends bytes; no more than {@link credit} of them. */
  write (bytes: Uint8Array): readonly EndpointOutput[] {
    if (this.#writing === 'over') {
      throw new StarError('ERR_STREAM_CLOSED')
    }
    const cost = chunkCost(bytes.byteLength)
    if (cost > this.#credit) {
      throw new StarError('ERR_BUDGET')
    }
    this.#credit -= cost
    return [this.#toReader('queue', bytes)]
  }

  /** Says that a writer waits for credit; `writable` comes when there is some. */
  want (): void {
    this.#wanting = true
  }

  /** Ends the half that we write, in good order. */
  end (): readonly EndpointOutput[] {
    if (this.#writing === 'over') {
      return []
    }
    this.#writing = 'over'
    return [this.#toReader('error', true), ...this.#closedIfOver()]
  }

  /** Reads no more; the other end is told to write no more. */
  stopReading (): readonly EndpointOutput[] {
    if (this.#reading === 'over') {
      return []
    }
    this.#reading = 'over'
    return [this.#toWriter('abort', 'ERR_STREAM_RESET'), ...this.#closedIfOver()]
  }

  /** Breaks both halves off and tells the other end. */
  reset (error: StarError): readonly EndpointOutput[] {
    const outputs: EndpointOutput[] = []
    if (this.#writing === 'open') {
      outputs.push(this.#toReader('error', error.code))
    }
    if (this.#reading === 'open') {
      outputs.push(this.#toWriter('abort', error.code))
    }
    return [...outputs, ...this.lose(error)]
  }

  /** The socket is gone, or there is nobody left to tell. */
  lose (error: StarError): readonly EndpointOutput[] {
    if (this.closed) {
      return []
    }
    this.#writing = 'over'
    this.#reading = 'over'
    return [{ do: 'closed', error }]
  }

  /** The reader has taken a chunk of so many bytes that was delivered to it. */
  consumed (bytes: number): readonly EndpointOutput[] {
    this.#unconsumed -= chunkCost(bytes)
    this.#ungranted += chunkCost(bytes)
    if (this.#reading === 'over' || this.#ungranted < this.#window / GRANT_FRACTION) {
      return []
    }
    const grant = this.#ungranted
    this.#ungranted = 0
    return [this.#toWriter('credit', grant)]
  }

  /** An event of this stream came from the socket. What makes no sense in it breaks the stream off. */
  receive (kind: Kind, side: Side, payload: unknown): readonly EndpointOutput[] {
    const mine = side === this.side
    switch (kind) {
      case 'accept':
        return mine ? this.#onAccept(payload) : this.#misfit()
      case 'credit':
        return mine && isCredit(payload) ? this.#onCredit(payload) : this.#misfit()
      case 'abort':
        return mine ? this.#onAbort(payload) : this.#misfit()
      case 'queue':
        return mine ? this.#misfit() : this.#onQueue(payload)
      case 'error':
        return mine ? this.#misfit() : this.#onError(payload)
    }
  }

  #onAccept (window: unknown): readonly EndpointOutput[] {
    if (this.#accepted) {
      return []
    }
    this.#accepted = true
    return this.#onCredit(isCredit(window) ? window - INITIAL_CREDIT : 0)
  }

  #onCredit (bytes: number): readonly EndpointOutput[] {
    this.#credit += bytes
    if (!this.#wanting || this.credit <= 0) {
      return []
    }
    this.#wanting = false
    return [{ do: 'writable' }]
  }

  #onAbort (reason: unknown): readonly EndpointOutput[] {
    if (this.#writing === 'over') {
      return []
    }
    this.#writing = 'over'
    return [{ do: 'unread', error: toError(reason) }, ...this.#closedIfOver()]
  }

  #onQueue (payload: unknown): readonly EndpointOutput[] {
    if (this.#reading === 'over') {
      return []
    }
    const bytes = toBytes(payload)
    if (bytes == null) {
      return this.#misfit()
    }
    this.#unconsumed += chunkCost(bytes.byteLength)
    if (this.#unconsumed > this.#window + SLACK) {
      return this.reset(new StarError('ERR_BUDGET'))
    }
    return [{ do: 'deliver', bytes }]
  }

  #onError (reason: unknown): readonly EndpointOutput[] {
    if (this.#reading === 'over') {
      return []
    }
    if (reason !== true) {
      // our half would stay open in the star otherwise: an original writer that fails breaks off its own half only
      const error = toError(reason)
      return [...this.#writing === 'open' ? [this.#toReader('error', error.code)] : [], ...this.lose(error)]
    }
    this.#reading = 'over'
    return [{ do: 'ended' }, ...this.#closedIfOver()]
  }

  #misfit (): readonly EndpointOutput[] {
    return this.closed ? [] : this.reset(new StarError('ERR_PROTOCOL'))
  }

  #closedIfOver (): readonly EndpointOutput[] {
    return this.closed ? [{ do: 'closed' }] : []
  }

  #toReader (kind: Kind, payload: unknown): Send {
    return { do: 'send', kind, side: this.side, payload }
  }

  #toWriter (kind: Kind, payload: unknown): Send {
    return { do: 'send', kind, side: otherSide(this.side), payload }
  }
}

/** Bytes as they come from socket.io: `Buffer` in Node, `ArrayBuffer` in browsers. */
function toBytes (payload: unknown): Uint8Array | undefined {
  if (payload instanceof Uint8Array) {
    return payload
  }
  return payload instanceof ArrayBuffer ? new Uint8Array(payload) : undefined
}

function toError (reason: unknown): StarError {
  if (isReason(reason)) {
    return new StarError(reason)
  }
  return new StarError('ERR_STREAM_RESET', typeof reason === 'string' ? { detail: reason.slice(0, 256) } : {})
}
