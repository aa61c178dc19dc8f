// A WebSocket as a wire, in browsers: they say neither when something was taken nor can they stop reading.
import { CloseCode } from '../../../src/rendezvous/close.ts'
import { StarError } from '../../../src/errors.ts'
import { gather } from '../gather.ts'
import type { Wire, WireOwner } from '../wire.ts'

/** Said by the system, not by the other end. */
const ABNORMAL = new Set([1005, 1006])
/** Milliseconds between two looks at what was taken, while something waits. */
const LOOK = 10

/** A WebSocket. */
export class WebSocketWire implements Wire {
  readonly via: string
  readonly #socket: WebSocket
  #owner: WireOwner
  #error: StarError | undefined
  #look: ReturnType<typeof setInterval> | undefined

  /** Connects; which certificate authorities are trusted is the browser's affair. */
  constructor (url: string, _ca: string | string[] | undefined, owner: WireOwner) {
    this.#owner = owner
    this.via = new URL(url).origin
    this.#socket = new WebSocket(url)
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.addEventListener('open', () => { this.#owner.onOpen() })
    this.#socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) {
        this.#owner.onBytes(new Uint8Array(data))
      } else {
        this.#error = new StarError('ERR_PROTOCOL', { detail: 'text on a WebSocket' })
        this.close(CloseCode.protocol)
      }
    })
    this.#socket.addEventListener('close', ({ code }) => {
      clearInterval(this.#look)
      this.#owner.onClose(ABNORMAL.has(code) ? undefined : code, this.#error)
    })
  }

  get queued (): number {
    return this.#socket.bufferedAmount
  }

  own (owner: WireOwner): void {
    this.#owner = owner
  }

  send (parts: readonly Uint8Array[]): void {
    for (const message of gather(parts)) {
      this.#socket.send(message as Uint8Array<ArrayBuffer>)
    }
    this.#look ??= setInterval(() => {
      if (this.queued === 0) {
        clearInterval(this.#look)
        this.#look = undefined
      }
      this.#owner.onTaken()
    }, LOOK)
  }

  pause (): void {
    // a browser goes on reading; what may come is bounded by the reader's window
  }

  resume (): void {
    // it was never paused
  }

  close (code: number): void {
    this.#socket.close(code)
  }
}
