// A libp2p node that speaks the protocol of `send` and `receive` by hand, also where the command line wouldn't.
import { deepEqual } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { startNode } from '../../bin/node.ts'
import { StreamReader, write } from '../../bin/transfer/stream.ts'
import { SEND_PROTOCOL, encode } from '../../bin/transfer/wire.ts'
import type { Stream } from '@libp2p/interface'
import type { StarNode } from '../../bin/node.ts'

/** A stream of the protocol. */
export class ForeignStream {
  readonly #stream: Stream
  readonly #reader: StreamReader

  constructor (stream: Stream) {
    this.#stream = stream
    this.#reader = new StreamReader(stream)
  }

  /** Offers a file, or something else, and gives the answer. */
  async offer (offer: unknown): Promise<unknown> {
    return await this.ask(offer)
  }

  /** Sends a message and gives the next one that comes. */
  async ask (message: unknown): Promise<unknown> {
    await this.say(message)
    const answer = await this.message()
    if (typeof answer === 'object' && answer != null && 'error' in answer) {
      await this.#stream.close()
    }
    return answer
  }

  /** Sends a message. */
  async say (message: unknown): Promise<void> {
    await write(this.#stream, encode(message as Parameters<typeof encode>[0]))
  }

  async send (bytes: Uint8Array): Promise<void> {
    await write(this.#stream, bytes)
  }

  async message (): Promise<unknown> {
    return await this.#reader.message()
  }

  /** Reads so many bytes at most; tells how many. */
  async read (most: number): Promise<number> {
    const bytes = await this.#reader.read(most)
    if (bytes == null) {
      throw new Error('the stream has ended')
    }
    return bytes.byteLength
  }

  /** Reads so many bytes. */
  async skip (count: number): Promise<void> {
    for (let read = 0; read < count;) {
      read += await this.read(count - read)
    }
  }

  async close (): Promise<void> {
    await this.#stream.close()
  }

  abort (): void {
    this.#stream.abort(new Error('on purpose'))
  }
}

/** The node. */
export class Foreign {
  readonly address: string
  readonly #node: StarNode
  readonly #taken: Promise<ForeignStream>

  private constructor (node: StarNode, taken: Promise<ForeignStream>) {
    this.address = node.address
    this.#node = node
    this.#taken = taken
  }

  static async start (star: string): Promise<Foreign> {
    const node = await startNode({ star }, { listen: true, signal: new AbortController().signal })
    const { promise, resolve } = Promise.withResolvers<ForeignStream>()
    await node.libp2p.handle(SEND_PROTOCOL, stream => { resolve(new ForeignStream(stream)) })
    return new Foreign(node, promise)
  }

  /** Opens a stream to a peer. */
  async open (address: string): Promise<ForeignStream> {
    return new ForeignStream(await this.#node.libp2p.dialProtocol(multiaddr(address), SEND_PROTOCOL))
  }

  /** Sends a file by hand, and fails unless it is taken. */
  async give (address: string, name: string, bytes: Uint8Array): Promise<void> {
    const stream = await this.open(address)
    deepEqual(await stream.offer({ name, size: bytes.byteLength }), { ok: true })
    await stream.send(bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    deepEqual(await stream.ask({ sha256 }), { ok: true, sha256 })
    await stream.close()
  }

  /** The first stream that somebody opens to us. */
  async taken (): Promise<ForeignStream> {
    return await this.#taken
  }

  async stop (): Promise<void> {
    await this.#node[Symbol.asyncDispose]()
  }
}
