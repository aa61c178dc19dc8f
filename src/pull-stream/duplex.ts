// A stream as async-iterable source and sink, for `it-pipe`: half-close, errors, and back-pressure in both directions.
import { StarError } from '../errors.ts'
import { Pump } from '../pump.ts'
import { Endpoint } from './endpoint.ts'
import { MAX_CHUNK } from './protocol.ts'
import type { EndpointOptions, EndpointOutput, Send } from './endpoint.ts'
import type { ByteSource } from '../pump.ts'
import type { Kind, Side } from './protocol.ts'

/** What a duplex tells its driver. */
export interface DuplexInit extends EndpointOptions {
  /** Puts an event on the socket. */
  send (event: Send): void
  /** The stream is over and may be forgotten. */
  onClose (): void
}

/**
 * One end of a stream.
 *
 * `source` yields the bytes of the other end, chunk by chunk as they were sent, ends when the other end ends, and
 * throws {@link StarError} when the stream breaks; a reader that pauses is felt by the writer. Leaving the loop early
 * tells the writer to stop. `sink` sends everything of a source, waits for credit, and resolves when all of it was
 * handed over and the half is ended; it throws when the other end reads no more. Each can be used once.
 */
export class PullDuplex {
  readonly source: AsyncGenerator<Uint8Array, void, void>
  readonly sink: (source: ByteSource) => Promise<void>
  readonly #init: DuplexInit
  readonly #endpoint: Endpoint
  readonly #chunks: Uint8Array[] = []
  #ended = false
  #error: StarError | undefined
  #unread: StarError | undefined
  readonly #pump = new Pump({
    check: () => { this.#throwIfUnwritable() },
    write: async bytes => { await this.#send(bytes) },
    end: () => {
      this.#throwIfUnwritable()
      this.#perform(this.#endpoint.end())
    },
    fail: cause => {
      if (cause !== this.#error && cause !== this.#unread) {
        this.abort(cause instanceof Error ? cause : new StarError('ERR_STREAM_RESET', { detail: String(cause) }))
      }
    }
  })
  #reader: (() => void) | undefined
  #writer: (() => void) | undefined

  constructor (init: DuplexInit) {
    this.#init = init
    this.#endpoint = new Endpoint(init)
    this.source = this.#read()
    // a generator that has not started runs none of its `finally` when it is told to return
    const leave = this.source.return.bind(this.source)
    this.source.return = async value => {
      this.#perform(this.#endpoint.stopReading())
      this.#ended = true
      this.#reader?.() // may be waiting for bytes that won't come any more
      return await leave(value)
    }
    this.sink = async source => { await this.#pump.run(source) }
  }

  /** Asks the other end for its bytes; to be called once, when events can be received. */
  open (): void {
    this.#perform(this.#endpoint.accept())
  }

  /** An event of this stream came from the socket. */
  receive (kind: Kind, side: Side, payload: unknown): void {
    this.#perform(this.#endpoint.receive(kind, side, payload))
  }

  /** Breaks the stream off, in both directions. */
  abort (error: Error = new StarError('ERR_STREAM_RESET')): void {
    this.#perform(this.#endpoint.reset(error instanceof StarError ? error : new StarError('ERR_STREAM_RESET', { cause: error })))
  }

  /** The socket is gone. */
  lose (error: StarError): void {
    this.#perform(this.#endpoint.lose(error))
  }

  async * #read (): AsyncGenerator<Uint8Array, void, void> {
    try {
      while (true) {
        const chunk = this.#chunks.shift()
        if (chunk != null) {
          this.#perform(this.#endpoint.consumed(chunk.byteLength))
          yield chunk
        } else if (this.#ended) {
          return // also when the stream broke later: this half was complete
        } else if (this.#error != null) {
          throw this.#error
        } else {
          await new Promise<void>(resolve => { this.#reader = resolve })
        }
      }
    } finally {
      this.#chunks.length = 0
      this.#perform(this.#endpoint.stopReading())
    }
  }

  async #send (bytes: Uint8Array): Promise<void> {
    let offset = 0
    while (offset < bytes.byteLength) {
      this.#throwIfUnwritable()
      const size = Math.min(bytes.byteLength - offset, MAX_CHUNK, this.#endpoint.credit)
      if (size > 0) {
        this.#perform(this.#endpoint.write(bytes.subarray(offset, offset + size)))
        offset += size
      } else {
        this.#endpoint.want()
        await new Promise<void>(resolve => { this.#writer = resolve })
      }
    }
  }

  #throwIfUnwritable (): void {
    const error = this.#error ?? this.#unread
    if (error != null) {
      throw error
    }
  }

  #perform (outputs: readonly EndpointOutput[]): void {
    for (const output of outputs) {
      switch (output.do) {
        case 'send':
          this.#init.send(output)
          break
        case 'deliver':
          this.#chunks.push(output.bytes)
          this.#reader?.()
          break
        case 'writable':
          this.#writer?.()
          break
        case 'ended':
          this.#ended = true
          this.#reader?.()
          break
        case 'unread':
          this.#unread = output.error
          this.#writer?.()
          this.#pump.breakOff(output.error)
          break
        case 'closed':
          this.#error ??= output.error
          this.#ended ||= output.error == null
          this.#reader?.()
          this.#writer?.()
          if (this.#error != null) {
            this.#pump.breakOff(this.#error)
          }
          this.#init.onClose()
          break
      }
    }
  }
}
