// One end of a stream on a raw socket: it sends what a test tells it to, in order or out of it, and keeps all that comes.
import { createHash } from 'node:crypto'
import { INITIAL_CREDIT, chunkCost, eventName, otherSide } from '../../src/pull-stream/protocol.ts'
import { Watched } from './waiting.ts'
import type { Kind, Side } from '../../src/pull-stream/protocol.ts'
import type { RawClient } from './raw.ts'

/** One end of a stream. */
export class RawStream extends Watched {
  readonly client: RawClient
  readonly id: string
  /** The half that this end writes. */
  readonly side: Side
  /** The payload of each `accept`, `credit` and `abort` of our half, and of each `queue` and `error` of the other. */
  readonly got: Record<Kind, unknown[]> = { accept: [], credit: [], abort: [], queue: [], error: [] }
  /** Bytes written, and bytes that came in. */
  written = 0
  received = 0
  /** What a star client may write now; an original doesn't ask. */
  credit = INITIAL_CREDIT
  /** Whether a star client grants what it gets at once. */
  granting = true

  constructor (client: RawClient, id: string, side: Side) {
    super()
    this.client = client
    this.id = id
    this.side = side
  }

  /** All bytes that came in, as text. */
  get text (): string {
    return Buffer.concat(this.got.queue as Uint8Array[]).toString()
  }

  /** The SHA-256 of all bytes that came in. */
  get digest (): string {
    return digestOf(this.got.queue as Uint8Array[])
  }

  /** Takes an event from the socket. */
  receive (kind: Kind, payload: unknown): void {
    this.got[kind].push(payload)
    if (kind === 'accept' && typeof payload === 'number') {
      this.credit += payload - INITIAL_CREDIT
    } else if (kind === 'credit') {
      this.credit += payload as number
    } else if (kind === 'queue') {
      const { byteLength } = payload as Uint8Array
      this.received += byteLength
      if (this.granting && this.client.generation === 'star') {
        this.grant(chunkCost(byteLength))
      }
    }
    this.changed()
  }

  /** Asks for the other end's bytes; a star client with its window. */
  open (window?: number): void {
    this.#tell('accept', otherSide(this.side), ...(window == null ? [] : [window]))
  }

  /** Writes, whether there is credit or not. */
  write (bytes: Uint8Array | string): void {
    const chunk = Buffer.from(bytes)
    this.written += chunk.byteLength
    this.credit -= chunkCost(chunk.byteLength)
    this.#tell('queue', this.side, chunk)
    this.changed()
  }

  /** Writes all of it, a star client as it has credit for it; rejects when the stream is broken off. */
  async send (chunks: Iterable<Uint8Array>, ms?: number): Promise<void> {
    for (const chunk of chunks) {
      if (this.client.generation === 'star' && this.credit < chunkCost(chunk.byteLength)) {
        await this.when('credit', () => this.credit >= chunkCost(chunk.byteLength) || this.got.abort.length > 0, ms)
      }
      if (this.got.abort.length > 0) {
        throw new Error(`aborted: ${String(this.got.abort[0])}`)
      }
      this.write(chunk)
    }
  }

  /** Ends our half: `true` is good order. */
  end (reason: unknown = true): void {
    this.#tell('error', this.side, reason)
  }

  /** Says how much of the other half has been read. */
  grant (bytes: unknown): void {
    this.#tell('credit', otherSide(this.side), bytes)
  }

  /** Says that no more of the other half is read. */
  abort (reason: unknown = 'ERR_STREAM_RESET'): void {
    this.#tell('abort', otherSide(this.side), reason)
  }

  /** Waits for the end of the other half and gives its payload. */
  async ended (ms?: number): Promise<unknown> {
    await this.when(`the end of stream ${this.id}`, () => this.got.error.length > 0, ms)
    return this.got.error[0]
  }

  /** Waits until so many bytes have come in. */
  async reads (bytes: number, ms?: number): Promise<void> {
    await this.when(`${bytes} bytes of stream ${this.id}`, () => this.received >= bytes, ms)
  }

  #tell (kind: Kind, side: Side, ...payload: unknown[]): void {
    this.client.socket.emit(eventName(kind, this.id, side), ...payload)
  }
}

/** The SHA-256 of these chunks, one after the other. */
export function digestOf (chunks: Iterable<Uint8Array>): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) {
    hash.update(chunk)
  }
  return hash.digest('hex')
}
