// The connection of two devices as async-iterable source and sink, over a nominated path.
//
// Each sealed frame holds bytes; an empty one says that nothing more follows in its direction. So an end is as sure as the bytes
// before it: a connection that somebody cuts is broken and not at its end.
import { StarError } from '../../src/errors.ts'
import { Pump } from '../../src/pump.ts'
import type { ByteSource } from '../../src/pump.ts'
import type { Channel, ChannelOwner } from '../race-driver.ts'

/** What two devices have of each other. */
export interface RendezvousConnection {
  /**
   * The hash of the path, 32 bytes, the same at both ends unless somebody who had the invitation sits between them: people may
   * compare it.
   */
  readonly rph: Uint8Array
  /**
   * The bytes of the other device, up to its end; throws {@link StarError} when the connection breaks. A reader that pauses is
   * felt by the writer. Leaving the loop early breaks the connection off: there is no other way to tell the writer.
   */
  readonly source: AsyncGenerator<Uint8Array, void, void>
  /**
   * Sends all of a source and then the end; resolves when the system has taken it, throws when the connection breaks. To be used
   * once.
   */
  sink (source: ByteSource): Promise<void>
  /** Breaks off what has not ended, and resolves when nothing is open any more. Not needed where both directions have ended. */
  close (): Promise<void>
}

/** The most plaintext in one frame that is sent. */
const CHUNK = 65_536
/** Bytes that may wait for the system before a writer has to. */
const MAX_QUEUED = 262_144
/** Bytes that may wait for the reader before the socket isn't read any more. */
const MAX_HELD = 262_144
/** What a chunk costs beside its bytes: or a flood of tiny ones would cost many times what is counted. */
const CHUNK_COST = 256
const END = new Uint8Array()

/** One end of a connection. */
export class Duplex implements RendezvousConnection, ChannelOwner {
  readonly rph: Uint8Array
  readonly source: AsyncGenerator<Uint8Array, void, void>
  readonly #channel: Channel
  readonly #pump = new Pump({
    check: () => { this.#throwIfBroken() },
    write: async bytes => { await this.#write(bytes) },
    end: async () => {
      this.#throwIfBroken()
      this.#channel.send([END])
      await this.#taken(0)
    },
    fail: cause => {
      if (cause !== this.#error) {
        this.#channel.end(new StarError('ERR_STREAM_RESET', { detail: 'what was to be sent failed', cause }))
      }
    }
  })
  readonly #chunks: Uint8Array[] = []
  #held = 0
  #paused = false
  /** The other end's end has come; ours has gone. */
  #ended = false
  #sent = false
  #error: StarError | undefined
  #reader: (() => void) | undefined
  #writer: (() => void) | undefined

  constructor (channel: Channel) {
    this.rph = channel.rph
    this.#channel = channel
    this.source = this.#read()
    // a generator that has not started runs none of its `finally` when it is told to return
    const leave = this.source.return.bind(this.source)
    this.source.return = async value => {
      this.#leave()
      return await leave(value)
    }
  }

  async sink (source: ByteSource): Promise<void> {
    await this.#pump.run(source)
    this.#sent = true
    this.#endIfDone()
  }

  async close (): Promise<void> {
    this.#channel.end(new StarError('ERR_STREAM_CLOSED'))
    await this.#channel.closed
  }

  /** What came in one frame. */
  deliver (bytes: Uint8Array): void {
    if (this.#ended) {
      this.#channel.end(new StarError('ERR_PROTOCOL', { detail: 'bytes after the end' }))
    } else if (bytes.byteLength === 0) {
      this.#ended = true
      this.#endIfDone()
    } else {
      this.#chunks.push(bytes)
      this.#held += bytes.byteLength + CHUNK_COST
      if (!this.#paused && this.#held >= MAX_HELD) {
        this.#paused = true
        this.#channel.pause()
      }
    }
    this.#reader?.()
  }

  /** The system has taken some of what was sent. */
  drained (): void {
    this.#writer?.()
  }

  /** The connection is no more. */
  fail (error: StarError): void {
    this.#error ??= error
    this.#reader?.()
    this.#writer?.()
    this.#pump.breakOff(this.#error)
  }

  async * #read (): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift()
        if (chunk != null) {
          this.#release(chunk)
          yield chunk
        } else if (this.#ended) {
          return // also when the connection broke later: this half was complete
        } else if (this.#error != null) {
          throw this.#error
        } else {
          await new Promise<void>(resolve => { this.#reader = resolve })
        }
      }
    } finally {
      this.#leave()
    }
  }

  #release ({ byteLength }: Uint8Array): void {
    this.#held -= byteLength + CHUNK_COST
    if (this.#paused && this.#held < MAX_HELD / 2) {
      this.#paused = false
      this.#channel.resume()
    }
  }

  /** Nobody reads any more. */
  #leave (): void {
    const isEarly = !this.#ended || this.#chunks.length > 0
    this.#chunks.length = 0
    if (isEarly) {
      this.#channel.end(new StarError('ERR_STREAM_CLOSED', { detail: 'what came was not read to its end' }))
    }
  }

  #endIfDone (): void {
    if (this.#ended && this.#sent) {
      this.#channel.end()
    }
  }

  async #write (bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.byteLength; offset += CHUNK) {
      await this.#taken(MAX_QUEUED)
      this.#channel.send([bytes.subarray(offset, offset + CHUNK)])
    }
  }

  /** Waits until no more than so many bytes wait for the system. */
  async #taken (most: number): Promise<void> {
    this.#throwIfBroken()
    while (this.#channel.queued > most) {
      await new Promise<void>(resolve => { this.#writer = resolve })
      this.#throwIfBroken()
    }
  }

  #throwIfBroken (): void {
    if (this.#error != null) {
      throw this.#error
    }
  }
}
