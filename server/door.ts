// The star's door for WebSockets: which upgrade goes where, from which pages and how often each network address may come, and
// the TCP sockets under all who came in.
import { STATUS_CODES } from 'node:http'
import { Limits, limitKey } from './limits.ts'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Limited } from './limits.ts'
import type { ResolvedOptions } from './options.ts'

/** Where Engine.IO listens; it takes its upgrades by itself. */
const SOCKET_IO = '/socket.io/'

/** WebSockets above `maxConnections` that may be open for as long as it takes to tell them that there are too many. */
const SPARE = 100

/** Takes an upgrade, to answer it or to refuse it. */
export type Upgrade = (request: IncomingMessage, carrier: Duplex, head: Buffer, door: Door) => Promise<void>

/** Who comes in. */
export class Door {
  /** How often each network address may do what. */
  readonly limits: Limits
  readonly #options: ResolvedOptions
  readonly #carriers = new Set<Duplex>()

  /** `relay` gets the upgrades of the raw relay; those of nobody are answered with 404. */
  constructor (http: HttpServer, options: ResolvedOptions, relay: { takes (url: string): boolean, upgrade: Upgrade }) {
    this.#options = options
    this.limits = new Limits(options)
    http.on('upgrade', (request, carrier, head) => {
      this.#carriers.add(carrier)
      carrier.once('close', () => { this.#carriers.delete(carrier) })
      // it may be reset while its limits are being looked up, when nobody else listens
      carrier.on('error', () => { carrier.destroy() })
      const url = request.url ?? ''
      if (relay.takes(url)) {
        void relay.upgrade(request, carrier, head, this)
      } else if (!url.startsWith(SOCKET_IO)) {
        refuse(carrier, 404)
      }
    })
  }

  /** The network address that limits go by. */
  addressOf (request: IncomingMessage, remote: string | undefined = request.socket.remoteAddress): string {
    const forwarded = this.#options.trustProxy ? lastForwarded(request) : undefined
    return limitKey(forwarded ?? remote ?? '')
  }

  /** WebSockets know no CORS: a server has to look at the page's origin itself. Clients that aren't web pages send none. */
  isAllowedOrigin (request: IncomingMessage): boolean {
    const { origin } = request.headers
    const allowed = this.#options.corsOrigin
    return allowed === '*' || origin == null || allowed.split(',').some(one => one.trim() === origin)
  }

  /** Whether there are as many WebSockets as there may be; `told` are those that can still be told so. */
  isFull (told: 'told' | 'untold'): boolean {
    return this.#carriers.size > this.#options.maxConnections + (told === 'told' ? SPARE : 0)
  }

  /** Counts for all of these; gives the milliseconds to wait when it is one too many for one of them. */
  async take (address: string, ...all: Limited[]): Promise<number | undefined> {
    for (const what of all) {
      const refusal = await this.limits.take(what, address)
      if (refusal != null) {
        return refusal.retryAfter ?? 0
      }
    }
    return undefined
  }

  /** Cuts everybody off who is still there. */
  clear (): void {
    this.#carriers.forEach(carrier => { carrier.destroy() })
  }
}

/** Answers an upgrade with an HTTP status and ends its socket; `retryAfter` is in milliseconds. */
export function refuse (carrier: Duplex, status: number, retryAfter?: number): void {
  const wait = retryAfter == null ? '' : `Retry-After: ${Math.ceil(retryAfter / 1000)}\r\n`
  carrier.once('finish', () => { carrier.destroy() })
  carrier.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\n${wait}Content-Length: 0\r\n\r\n`)
}

function lastForwarded (request: IncomingMessage): string | undefined {
  const header = request.headers['x-forwarded-for']
  const all = Array.isArray(header) ? header.join(',') : header
  return all?.split(',').at(-1)?.trim()
}
