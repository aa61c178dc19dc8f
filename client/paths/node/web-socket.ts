// A WebSocket as a wire, in Node.
import { WebSocket } from 'ws'
import { CloseCode } from '../../../src/rendezvous/close.ts'
import { StarError } from '../../../src/errors.ts'
import { gather } from '../gather.ts'
import { FAREWELL } from '../wire.ts'
import type { Wire, WireOwner } from '../wire.ts'

/** The longest message that is taken, in bytes: as long as what other implementations send at once, and a frame's header. */
const MAX_MESSAGE = 1_114_112
/** Said by the system, not by the other end. */
const ABNORMAL = new Set([1005, 1006])

/** A WebSocket. */
export class WebSocketWire implements Wire {
  readonly via: string
  readonly #socket: WebSocket
  #owner: WireOwner
  #queued = 0
  #error: StarError | undefined
  #farewell: NodeJS.Timeout | undefined

  /** Connects; `ca` are the certificate authorities to trust instead of the system's. */
  constructor (url: string, ca: string | string[] | undefined, owner: WireOwner) {
    this.#owner = owner
    this.via = new URL(url).origin
    this.#socket = new WebSocket(url, {
      perMessageDeflate: false, skipUTF8Validation: true, maxPayload: MAX_MESSAGE, ...ca == null ? {} : { ca }
    })
    this.#socket.on('open', () => { this.#owner.onOpen() })
    this.#socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) {
        this.#owner.onBytes(data)
      } else {
        this.#error = new StarError('ERR_PROTOCOL', { detail: 'text on a WebSocket' })
        this.close(CloseCode.protocol)
      }
    })
    this.#socket.on('error', cause => { this.#error ??= new StarError('ERR_PATH_LOST', { detail: cause.message, cause }) })
    this.#socket.on('close', code => {
      clearTimeout(this.#farewell)
      this.#owner.onClose(ABNORMAL.has(code) ? undefined : code, this.#error)
    })
  }

  get queued (): number {
    return this.#queued
  }

  own (owner: WireOwner): void {
    this.#owner = owner
  }

  send (parts: readonly Uint8Array[]): void {
    for (const message of gather(parts)) {
      const { byteLength } = message
      this.#queued += byteLength
      this.#socket.send(message, error => {
        if (error == null) { // otherwise `close` follows
          this.#queued -= byteLength
          this.#owner.onTaken()
        }
      })
    }
  }

  pause (): void {
    this.#socket.pause()
  }

  resume (): void {
    this.#socket.resume()
  }

  close (code: number): void {
    this.#socket.resume()
    this.#socket.close(code)
    this.#farewell ??= setTimeout(() => { this.#socket.terminate() }, FAREWELL)
  }
}
