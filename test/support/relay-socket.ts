// A bare WebSocket on a path of the raw relay, which says what a test tells it to and remembers what it heard.
import { createHash, randomBytes } from 'node:crypto'
import { WebSocket } from 'ws'
import { Watched } from './waiting.ts'
import type { ClientOptions } from 'ws'

/** A new path. */
export function newPath (): string {
  return randomBytes(32).toString('hex')
}

/** One end, or what might have become one. */
export class RelaySocket extends Watched {
  readonly ws: WebSocket
  opened = false
  /** The close code. */
  code: number | undefined
  /** The HTTP status that refused it, and its headers. */
  status: number | undefined
  retryAfter: string | undefined
  received = 0
  /** Messages, as text; long ones only counted. */
  readonly heard: string[] = []
  readonly #hash = createHash('sha256')

  constructor (url: string, path: string, options: ClientOptions = {}) {
    super()
    this.ws = new WebSocket(`${url.replace('http', 'ws')}/relay/${path}`, { perMessageDeflate: false, ...options })
    this.ws.on('open', () => {
      this.opened = true
      this.changed()
    })
    this.ws.on('message', (data: Buffer) => {
      this.received += data.length
      this.#hash.update(data)
      if (data.length < 100) {
        this.heard.push(data.toString())
      }
      this.changed()
    })
    this.ws.on('unexpected-response', (_request, response) => {
      this.status = response.statusCode
      this.retryAfter = response.headers['retry-after']
      response.resume()
      this.changed()
    })
    this.ws.on('error', () => {})
    this.ws.on('close', code => {
      this.code = code
      this.changed()
    })
  }

  /** Waits until it is open. */
  async open (): Promise<this> {
    await this.when('the WebSocket to open', () => this.opened)
    return this
  }

  /** Waits until it is closed and gives the code. */
  async closed (ms?: number): Promise<number | undefined> {
    await this.when('the WebSocket to close', () => this.code != null, ms)
    return this.code
  }

  /** Waits until it is refused with an HTTP status. */
  async refused (): Promise<number | undefined> {
    await this.when('the upgrade to be refused', () => this.status != null)
    return this.status
  }

  /** Waits until so many bytes have come in all. */
  async reads (bytes: number, ms?: number): Promise<void> {
    await this.when(`${bytes} bytes to come`, () => this.received >= bytes, ms)
  }

  /** The SHA-256 of all that came. */
  get digest (): string {
    return this.#hash.copy().digest('hex')
  }

  say (text: string): void {
    this.ws.send(Buffer.from(text))
  }
}
