// A stream through the star as libp2p's MultiaddrConnection: what libp2p writes goes out in few large events, what
// comes in obeys pause and resume.
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { StarError } from '../src/errors.ts'
import { Endpoint } from '../src/pull-stream/endpoint.ts'
import { MAX_CHUNK } from '../src/pull-stream/protocol.ts'
import type { AbortOptions, CounterGroup, Logger } from '@libp2p/interface'
import type { SendResult } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { EndpointOutput } from '../src/pull-stream/endpoint.ts'
import type { Kind, Side } from '../src/pull-stream/protocol.ts'
import type { StreamEnd, StreamSlot } from './star.ts'

/** What a connection is made of. */
export interface StarConnectionInit {
  readonly slot: StreamSlot
  readonly remoteAddr: Multiaddr
  readonly log: Logger
  readonly metrics?: CounterGroup | undefined
  readonly metricPrefix?: string
}

/** A connection through the star. */
export class StarConnection extends AbstractMultiaddrConnection implements StreamEnd {
  readonly #slot: StreamSlot
  readonly #endpoint: Endpoint
  /** Written in this turn of the event loop and not yet sent: libp2p writes a frame's header and body one after the other. */
  readonly #pending = new Uint8ArrayList()
  #flushing = false
  /** Sizes of the chunks that came while libp2p had paused: they are acknowledged when it goes on. */
  #unread: number[] = []
  #paused = false
  #onSent: (() => void) | undefined

  constructor ({ slot, remoteAddr, log, metrics, metricPrefix = '' }: StarConnectionInit) {
    super({
      remoteAddr,
      log,
      direction: slot.side === 'dialer' ? 'outbound' : 'inbound',
      metricPrefix,
      ...(metrics == null ? {} : { metrics })
    })
    this.#slot = slot
    this.#endpoint = new Endpoint(slot)
  }

  open (): void {
    this.#perform(this.#endpoint.accept())
  }

  receive (kind: Kind, side: Side, payload: unknown): void {
    this.#perform(this.#endpoint.receive(kind, side, payload))
  }

  lose (error: StarError): void {
    this.#perform(this.#endpoint.lose(error))
  }

  override sendData (data: Uint8ArrayList): SendResult {
    const sentBytes = Math.max(0, Math.min(data.byteLength, this.#endpoint.credit - this.#pending.byteLength))
    if (sentBytes > 0) {
      this.#pending.append(sentBytes === data.byteLength ? data : data.sublist(0, sentBytes))
      this.#flushSoon()
    }
    const canSendMore = sentBytes === data.byteLength
    if (!canSendMore) {
      this.#endpoint.want()
    }
    return { sentBytes, canSendMore }
  }

  override async sendClose (options?: AbortOptions): Promise<void> {
    this.#flush()
    if (this.#pending.byteLength > 0) {
      await this.#allSent(options?.signal)
    }
    this.#perform(this.#endpoint.end())
    this.#perform(this.#endpoint.stopReading())
  }

  override sendReset (error: Error): void {
    this.#pending.consume(this.#pending.byteLength)
    this.#perform(this.#endpoint.reset(error instanceof StarError ? error : new StarError('ERR_STREAM_RESET', { cause: error })))
  }

  override sendPause (): void {
    this.#paused = true
  }

  override sendResume (): void {
    this.#paused = false
    for (const size of this.#unread.splice(0)) {
      this.#perform(this.#endpoint.consumed(size))
    }
  }

  #flushSoon (): void {
    if (this.#pending.byteLength >= MAX_CHUNK) {
      this.#flush()
    } else if (!this.#flushing) {
      this.#flushing = true
      queueMicrotask(() => {
        this.#flushing = false
        this.#flush()
      })
    }
  }

  #flush (): void {
    while (this.#pending.byteLength > 0 && this.#endpoint.writable) {
      const size = Math.min(this.#pending.byteLength, MAX_CHUNK, this.#endpoint.credit)
      if (size === 0) {
        return this.#endpoint.want()
      }
      const bytes = this.#pending.subarray(0, size)
      this.#pending.consume(size)
      this.#perform(this.#endpoint.write(bytes))
    }
    this.#onSent?.()
  }

  async #allSent (signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => { reject(signal?.reason instanceof Error ? signal.reason : new StarError('ERR_STREAM_CLOSED')) }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#onSent = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
    })
  }

  #perform (outputs: readonly EndpointOutput[]): void {
    for (const output of outputs) {
      switch (output.do) {
        case 'send':
          this.#slot.send(output)
          break
        case 'deliver':
          this.#deliver(output.bytes)
          break
        case 'writable':
          this.#flush()
          this.safeDispatchEvent('drain')
          break
        case 'ended':
          // there is no half-closed connection in libp2p: what ends the one direction ends the other
          this.#flush()
          this.#perform(this.#endpoint.end())
          this.onTransportClosed()
          break
        case 'unread':
          break
        case 'closed':
          this.#closed(output.error)
          break
      }
    }
  }

  #deliver (bytes: Uint8Array): void {
    this.onData(bytes)
    if (this.#paused) {
      this.#unread.push(bytes.byteLength)
    } else {
      this.#perform(this.#endpoint.consumed(bytes.byteLength))
    }
  }

  #closed (error: StarError | undefined): void {
    this.#slot.onClose()
    this.#onSent?.()
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
