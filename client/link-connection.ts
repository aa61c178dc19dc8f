// A link as libp2p's MultiaddrConnection: it lives on while its path changes.
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import { StarError } from '../src/errors.ts'
import type { AbortOptions, CounterGroup, Logger } from '@libp2p/interface'
import type { SendResult } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Link } from '../src/link/pair.ts'
import type { SessionOutput } from '../src/link/session.ts'

/** What a connection is made of. */
export interface LinkConnectionInit {
  readonly link: Link
  readonly remoteAddr: Multiaddr
  readonly direction: 'inbound' | 'outbound'
  readonly log: Logger
  readonly metrics?: CounterGroup | undefined
  /** Performs what the link's session says. */
  perform (outputs: readonly SessionOutput[]): void
}

/** A connection over a link. */
export class LinkConnection extends AbstractMultiaddrConnection {
  readonly #init: LinkConnectionInit
  /** Bytes that came while libp2p had paused. */
  #unread = 0
  #paused = false
  #onClosed: (() => void) | undefined
  #closed = false

  constructor (init: LinkConnectionInit) {
    const { remoteAddr, log, direction, metrics } = init
    super({ remoteAddr, log, direction, ...(metrics == null ? {} : { metrics }) })
    this.#init = init
  }

  override sendData (data: Uint8ArrayList): SendResult {
    const { session } = this.#init.link
    const sentBytes = Math.min(data.byteLength, session.room)
    if (sentBytes > 0) {
      this.#init.perform(session.write(sentBytes === data.byteLength ? data : data.sublist(0, sentBytes)))
    }
    const canSendMore = sentBytes === data.byteLength
    if (!canSendMore) {
      session.want()
    }
    return { sentBytes, canSendMore }
  }

  override async sendClose (options?: AbortOptions): Promise<void> {
    this.#init.perform(this.#init.link.session.end())
    if (this.#closed) {
      return
    }
    const signal = options?.signal
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => { reject(signal?.reason instanceof Error ? signal.reason : new StarError('ERR_STREAM_CLOSED')) }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#onClosed = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
    })
  }

  override sendReset (error: Error): void {
    const { session } = this.#init.link
    this.#init.perform(session.reset(error instanceof StarError ? error : new StarError('ERR_STREAM_RESET', { cause: error })))
  }

  override sendPause (): void {
    this.#paused = true
  }

  override sendResume (): void {
    this.#paused = false
    const size = this.#unread
    this.#unread = 0
    this.#init.perform(this.#init.link.session.consumed(size))
  }

  /** Bytes came over the link. */
  deliver (bytes: Uint8Array): void {
    this.onData(bytes)
    if (this.#paused) {
      this.#unread += bytes.byteLength
    } else {
      this.#init.perform(this.#init.link.session.consumed(bytes.byteLength))
    }
  }

  /** There is room again. */
  drain (): void {
    this.safeDispatchEvent('drain')
  }

  /** The other end has ended its half: there is no half-closed connection in libp2p. */
  ended (): void {
    this.#init.perform(this.#init.link.session.end())
    if (this.status === 'open') {
      this.onTransportClosed()
    }
  }

  /** The link is over. */
  closed (error: StarError | undefined): void {
    this.#closed = true
    this.#onClosed?.()
    if (this.status !== 'open' && this.status !== 'closing') {
      return
    }
    if (error?.code === 'ERR_STREAM_RESET') {
      this.onRemoteReset()
    } else {
      this.onTransportClosed(error)
    }
  }
}
