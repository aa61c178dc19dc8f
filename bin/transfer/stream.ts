// A libp2p stream read and written with back-pressure: libp2p's own iteration over a stream never brakes the writer.
import { Uint8ArrayList } from 'uint8arraylist'
import { Failure } from '../failure.ts'
import { MAX_MESSAGE } from './wire.ts'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

/** Bytes that are read before anybody asks for them. */
const HIGH_WATER = 256 * 1024

/** Reads a stream as its owner asks; what isn't asked for stays on the way, and the writer waits. */
export class StreamReader {
  readonly #stream: Stream
  readonly #buffer = new Uint8ArrayList()
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  constructor (stream: Stream) {
    this.#stream = stream
    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('end', this.#onEnd)
    stream.addEventListener('close', this.#onClose)
    if (stream.readStatus === 'closed') {
      this.#ended = true
    }
  }

  /** At least one byte and at most so many; `undefined` at the end. */
  async read (most: number): Promise<Uint8ArrayList | undefined> {
    while (this.#buffer.byteLength === 0) {
      if (this.#error != null) {
        throw this.#error
      }
      if (this.#ended) {
        return undefined
      }
      await this.#more()
    }
    return this.#take(Math.min(most, this.#buffer.byteLength))
  }

  /** The next message. */
  async message (): Promise<unknown> {
    const length = (await this.exactly(4)).getUint32(0)
    if (length > MAX_MESSAGE) {
      throw new Failure('ERR_PROTOCOL', 'the other end sent a message that is too long')
    }
    const text = new TextDecoder().decode((await this.exactly(length)).subarray())
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new Failure('ERR_PROTOCOL', 'the other end sent a message that is no JSON', { cause })
    }
  }

  /** So many bytes. */
  async exactly (count: number): Promise<Uint8ArrayList> {
    const bytes = new Uint8ArrayList()
    while (bytes.byteLength < count) {
      const more = await this.read(count - bytes.byteLength)
      if (more == null) {
        throw endedEarly()
      }
      bytes.append(more)
    }
    return bytes
  }

  #take (count: number): Uint8ArrayList {
    const bytes = this.#buffer.sublist(0, count)
    this.#buffer.consume(count)
    return bytes
  }

  async #more (): Promise<void> {
    const woken = new Promise<void>(resolve => { this.#wake = resolve })
    if (this.#stream.readStatus === 'paused') {
      this.#stream.resume()
    }
    // only now: a stream that is paused within resume() goes on granting window
    this.#brake()
    await woken
  }

  #brake (): void {
    if (this.#buffer.byteLength >= HIGH_WATER && this.#stream.readStatus === 'readable') {
      this.#stream.pause()
    }
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    this.#buffer.append(event.data)
    if (this.#wake == null) {
      this.#brake()
    }
    this.#awake()
  }

  readonly #onEnd = (): void => {
    // before the `close` that brings the error
    this.#ended = this.#stream.status !== 'aborted' && this.#stream.status !== 'reset'
    this.#awake()
  }

  readonly #onClose = (event: StreamCloseEvent): void => {
    this.#error = event.error
    this.#ended = true
    this.#awake()
  }

  #awake (): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

/** Writes, and waits while the way is full. */
export async function write (stream: Stream, bytes: Uint8Array): Promise<void> {
  if (!stream.send(bytes)) {
    // `onDrain()` waits the first time only
    while (stream.writableNeedsDrain) {
      await drained(stream)
    }
  }
}

async function drained (stream: Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (act: () => void): void => {
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      act()
    }
    const onDrain = (): void => { settle(resolve) }
    const onClose = (event: StreamCloseEvent): void => { settle(() => { reject(event.error ?? endedEarly()) }) }
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    if (stream.status !== 'open') {
      settle(() => { reject(endedEarly()) })
    }
  })
}

/** The other end went away in the middle. */
export function endedEarly (): Failure {
  return new Failure('ERR_ENDED', 'the other end hung up in the middle', { advice: 'do star and peer still run?' })
}
