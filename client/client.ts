// The star without libp2p: join, discover, dial, and take streams that `it-pipe` can use. The streams are not
// encrypted; libp2p's are.
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { TypedEventEmitter } from 'main-event'
import { parseStarAddress, requireStarAddress } from '../src/address.ts'
import { StarError } from '../src/errors.ts'
import { PullDuplex } from '../src/pull-stream/duplex.ts'
import { resolve } from './options.ts'
import { Member } from './star.ts'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import type { StarInit } from './options.ts'
import type { StreamSlot } from './star.ts'

/** Options of {@link connect}. */
export interface ConnectOptions extends StarInit {
  /** The identity to join with; an Ed25519 key of its own when there is none. */
  privateKey?: PrivateKey
  /** False to dial only: nobody discovers or dials us. Default: true. */
  listed?: boolean
  /** Gives the first join up. */
  signal?: AbortSignal
}

/** What happens on a star. */
export interface StarClientEvents {
  /** A peer is there: its address. */
  peer: CustomEvent<string>
  /** A peer has left: its address. */
  left: CustomEvent<string>
  /** Joined again after the star was lost. */
  joined: CustomEvent
  /** The star was lost, and why; the client comes back by itself. */
  down: CustomEvent<StarError>
}

/** A stream through the star: `source` and `sink` for `it-pipe`. */
export class StarStream extends PullDuplex {
  /** The dial id, the same at both ends. */
  readonly id: string
  /** The address of the other end. */
  readonly remote: string

  constructor (slot: StreamSlot, remote: string) {
    super(slot)
    this.id = slot.id
    this.remote = remote
  }
}

/** Incoming streams that nobody has taken yet; further dials are refused. */
const MAX_PENDING = 64

/** A client of one star. `for await (const stream of client)` takes the streams that others dial. */
export class StarClient extends TypedEventEmitter<StarClientEvents> implements AsyncIterable<StarStream> {
  readonly id: PeerId
  readonly #member: Member
  readonly #pending: StarStream[] = []
  readonly #takers: Array<(result: IteratorResult<StarStream, undefined>) => void> = []
  #closed = false

  /** Use {@link connect}. */
  constructor (member: Member, id: PeerId) {
    super()
    this.id = id
    this.#member = member
    member.answer = (slot, from) => this.#answer(slot, from)
    member.addEventListener('peer', event => { this.safeDispatchEvent('peer', { detail: this.#addressOf(event.detail) }) })
    member.addEventListener('left', event => { this.safeDispatchEvent('left', { detail: this.#addressOf(event.detail) }) })
    member.addEventListener('joined', () => { this.safeDispatchEvent('joined') })
    member.addEventListener('down', event => { this.safeDispatchEvent('down', { detail: event.detail }) })
  }

  /** Our address: the star's with our peer id. */
  get address (): string {
    return this.#member.address
  }

  /** Whether the star knows us now. */
  get joined (): boolean {
    return this.#member.joined
  }

  /** The addresses of the peers that are on the star, as far as it told. */
  peers (): string[] {
    return this.#member.peers.map(peer => this.#addressOf(peer))
  }

  /**
   * Dials a peer by its address or peer id. Rejects with {@link StarError} `ERR_PEER_NOT_FOUND`, `ERR_DIAL_REFUSED`,
   * `ERR_DIAL_TIMEOUT` or what else the star says, and with the signal's reason when it is aborted.
   */
  async dial (peer: string | PeerId, options: { signal?: AbortSignal } = {}): Promise<StarStream> {
    const { signal } = options
    if (this.#closed) {
      throw new StarError('ERR_STOPPED')
    }
    const name = peer.toString()
    const to = name.startsWith('/') ? requireStarAddress(name).canonical : this.#addressOf(name)
    await this.#member.whenJoined(signal)
    signal?.throwIfAborted()
    const { end, accepted } = this.#member.dial(to, slot => new StarStream(slot, to))
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        end.abort()
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', onAbort)
      // without waiting for a peer that may never answer
      void accepted.then(resolve, reject).finally(() => { signal?.removeEventListener('abort', onAbort) })
    })
    return end
  }

  /** Leaves the star; streams end with `ERR_STOPPED`, and so does the loop over this client. */
  async close (): Promise<void> {
    this.#closed = true
    this.#member.stop()
    this.#pending.length = 0
    for (const take of this.#takers.splice(0)) {
      take({ done: true, value: undefined })
    }
  }

  [Symbol.asyncIterator] (): AsyncIterator<StarStream, undefined> {
    return { next: async () => await this.#take() }
  }

  async #take (): Promise<IteratorResult<StarStream, undefined>> {
    const stream = this.#pending.shift()
    if (stream != null) {
      return { done: false, value: stream }
    }
    if (this.#closed) {
      return { done: true, value: undefined }
    }
    return await new Promise(resolve => { this.#takers.push(resolve) })
  }

  #answer (slot: StreamSlot, from: string): StarStream {
    const taker = this.#takers.shift()
    if (taker == null && this.#pending.length >= MAX_PENDING) {
      throw new StarError('ERR_DIAL_REFUSED')
    }
    const stream = new StarStream(slot, parseStarAddress(from)?.canonical ?? from)
    if (taker == null) {
      this.#pending.push(stream)
    } else {
      taker({ done: false, value: stream })
    }
    return stream
  }

  #addressOf (peer: string): string {
    return `${this.#member.star.star}/p2p/${peer}`
  }
}

/**
 * Joins a star. Rejects with {@link StarError} when the star can't be reached or refuses; once joined, the client comes
 * back by itself whenever the star is lost.
 *
 * ```ts
 * const client = await connect('/dns4/star.example/tcp/443/wss/p2p-websocket-star')
 * const stream = await client.dial(peer)
 * await pipe([new TextEncoder().encode('hello')], stream, async source => {
 *   for await (const chunk of source) console.log(chunk)
 * })
 * ```
 */
export async function connect (star: string, options: ConnectOptions = {}): Promise<StarClient> {
  const { privateKey = await generateKeyPair('Ed25519'), listed = true, signal, ...init } = options
  const id = peerIdFromPrivateKey(privateKey)
  const member = new Member({ star: requireStarAddress(star), privateKey, self: id.toString(), options: resolve(init) })
  const client = new StarClient(member, id)
  member.list(listed)
  try {
    await member.whenJoined(signal)
  } catch (error) {
    await client.close()
    throw error
  }
  return client
}
