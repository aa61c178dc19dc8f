// Nodes with links between them, what happened to those, and bytes that are counted, for the tests of links.
import assert from 'node:assert/strict'
import { createHash, randomFillSync } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { star } from '../../client/index.ts'
import { createTestStar } from '../../server/testing.ts'
import { isReason } from '../../src/errors.ts'
import { createNode, nextEvent, until } from './nodes.ts'
import { PATIENCE, Watched, within } from './waiting.ts'
import type { Connection, Stream, StreamCloseEvent } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'
import type { LinkEvent, LinkStatus, Star, StarError, StarInit } from '../../client/index.ts'
import type { Links } from '../../client/links.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { TestStar } from '../../server/testing.ts'
import type { Node, Services } from './nodes.ts'

/** Takes bytes until they end, and answers with their SHA-256. */
const SINK = '/test/sink/1.0.0'
/** Sends every byte back. */
export const ECHO = '/test/echo/1.0.0'

const BLOCK = 65_536
const RESUMING = { retryMin: 20, retryMax: 200 }

type NodeOptions = Libp2pOptions<Services>
type DialOptions = Parameters<Node['dial']>[1]
type NodeOptionsOf = (made: Star) => NodeOptions

/** What a node on a stage is. */
export type LinkedInit = StarInit & { readonly listen?: string[], readonly options?: NodeOptions | NodeOptionsOf }

/** A node, and what its links tell. */
export class Linked extends Watched {
  readonly node: Node
  readonly star: Star
  readonly links: Links
  /** Everything that it told of its links. */
  readonly events: LinkEvent[] = []

  private constructor (node: Node, made: Star, links: Links) {
    super()
    this.node = node
    this.star = made
    this.links = links
    made.events.addEventListener('link', event => {
      this.events.push(event.detail)
      this.changed()
    })
  }

  /** Starts one that listens on these stars. */
  static async start (listen: string[], init: StarInit = {}, options: NodeOptions | NodeOptionsOf = {}): Promise<Linked> {
    const made = star({ ...RESUMING, direct: false, ...init })
    let links: Links | undefined
    const node = await createNode(listen, {}, {
      transports: [components => {
        const transport = made.transport(components)
        links = transport.links
        return transport
      }],
      peerDiscovery: [made.discovery],
      ...typeof options === 'function' ? options(made) : options
    })
    assert.ok(links)
    await node.handle(SINK, sink, { maxInboundStreams: 1_000 })
    await node.handle(ECHO, echo, { maxInboundStreams: 1_000 })
    return new Linked(node, made, links)
  }

  get id (): string {
    return this.node.peerId.toString()
  }

  /** The connections to another one. */
  connections (peer: Linked): Connection[] {
    return this.node.getConnections(peer.node.peerId)
  }

  /** The link to another one, if there is one. */
  link (peer: Linked): LinkStatus | undefined {
    const [status, ...more] = this.links.status(peer.id)
    assert.deepEqual(more, [], 'more than one link to one peer')
    return status
  }

  /** The first event that fits, now or later; `since` is how many events don't count. */
  async told (
    fits: Partial<LinkEvent> | LinkEvent['what'], code?: string, { since = 0, ms = PATIENCE } = {}
  ): Promise<LinkEvent> {
    const wanted = typeof fits === 'string' ? { what: fits } : fits
    const suits = (event: LinkEvent): boolean => (code == null || event.error?.code === code) &&
      Object.entries(wanted).every(([name, value]) => Reflect.get(event, name) === value)
    const find = (): LinkEvent | undefined => this.events.slice(since).find(suits)
    try {
      await this.when(`an event ${JSON.stringify(wanted)} ${code ?? ''}`, () => find() != null, ms)
    } catch (error) {
      throw new Error(`it told ${JSON.stringify(this.brief)}`, { cause: error })
    }
    return find() as LinkEvent
  }

  /** What happened, in short: `path`, `suspended ERR_STAR_LOST`. */
  get brief (): string[] {
    return this.events.map(({ what, error }) => `${what} ${error?.code ?? ''}`.trim())
  }

  /** One cause for each event that has one, and never an unknown one. */
  assertExplained (): void {
    for (const event of this.events) {
      const { what, error, path, link } = event
      const text = `${what} ${error?.code ?? ''}`
      assert.ok(error == null || isReason(error.code), text)
      assert.equal(what === 'path' || what === 'tried', path != null, `${text}: its path`)
      assert.ok(what === 'over' || what === 'tried' || (error == null) === (what === 'path'), `${text}: its cause`)
      assert.ok(what !== 'tried' || (error == null) === (event.roundTrip != null), `${text}: what became of it`)
      assert.ok(link === '' ? what === 'attempt' : /^[0-9a-f]{16}$/.test(link), `${text}: its link`)
    }
  }
}

/** Stars and nodes that are stopped after each test. */
export class LinkStage {
  readonly #stars: TestStar[] = []
  readonly #nodes: Linked[] = []

  /** The first star, which is there when a test begins. */
  get star (): TestStar {
    const [first] = this.#stars
    assert.ok(first)
    return first
  }

  async open (options: ServerOptions = {}): Promise<TestStar> {
    const opened = await createTestStar(options)
    this.#stars.push(opened)
    return opened
  }

  /** A node; on the first star unless told otherwise. */
  async node ({ listen = [this.star.address], options = {}, ...init }: LinkedInit = {}): Promise<Linked> {
    const node = await Linked.start(listen, init, options)
    this.#nodes.push(node)
    return node
  }

  /** Two nodes of the same kind. */
  async pair (init: LinkedInit = {}): Promise<[Linked, Linked]> {
    return await Promise.all([this.node(init), this.node(init)])
  }

  async dial (from: Linked, to: Linked, options?: DialOptions, through: string = this.star.address): Promise<Connection> {
    return await from.node.dial(multiaddr(`${through}/p2p/${to.id}`), options)
  }

  /** Dials, and waits until both ends have what it takes to outlive a path. */
  async link (from: Linked, to: Linked, through?: string): Promise<Connection> {
    const connection = await this.dial(from, to, {}, through)
    await until(() => [from.link(to), to.link(from)].every(link => link?.resumable === true && link.state === 'open'))
    return connection
  }

  async close (): Promise<void> {
    const nodes = this.#nodes.splice(0)
    await Promise.all(nodes.map(async ({ node }) => { await node.stop() }))
    await Promise.all(this.#stars.splice(0).map(async opened => { await opened.close() }))
    nodes.forEach(node => { node.assertExplained() })
  }
}

/** Gives a stage for the tests of a suite, with one star on it when a test begins. */
export function linkStage (options: ServerOptions = {}): LinkStage {
  const stage = new LinkStage()
  beforeEach(async () => { await stage.open(options) })
  afterEach(async () => { await stage.close() })
  return stage
}

/** Both links are the same one, and the only one. */
export function assertOneLink (one: Linked, other: Linked): void {
  assert.deepEqual([one.connections(other).length, other.connections(one).length], [1, 1], 'connections')
  const [here, there] = [one.link(other), other.link(one)]
  assert.ok(here != null && there != null, 'there is a link')
  assert.equal(here.link, there.link)
  assert.notEqual(here.dialled, there.dialled)
}

/** Sends a word over the connection, and waits for it to come back; rejects at once when the connection is closed. */
export async function works (connection: Connection, ms?: number): Promise<void> {
  const stream = await connection.newStream(ECHO)
  const back = spoken(stream)
  back.catch(() => undefined) // sending may fail before anybody waits for it
  stream.send(Uint8Array.of(42))
  assert.equal((await within('an echo', back, ms)).byteLength, 1)
  stream.abort(new Error('enough'))
}

/** Bytes on their way to a sink. */
export class Transfer {
  readonly stream: Stream
  /** Resolves when the sink has all of them; rejects when the stream is broken off, or the bytes aren't the same. */
  readonly done: Promise<void>
  /** The longest time between two blocks, milliseconds. */
  pause = 0
  sent = 0
  #size: number
  readonly #looks = new Set<() => void>()

  private constructor (stream: Stream, size: number) {
    this.stream = stream
    this.#size = size
    this.done = this.#run()
    this.done.catch(() => undefined) // whoever waits for it sees it
  }

  static async start (connection: Connection, size: number): Promise<Transfer> {
    return new Transfer(await connection.newStream(SINK, { maxOutboundStreams: 1_000 }), size)
  }

  /** Sends no more than it has sent, and ends: for one that was started with no end. */
  end (): void {
    this.#size = Math.min(this.#size, this.sent)
  }

  /** Resolves when so many bytes have been given to libp2p. */
  async reaches (bytes: number, ms: number = 20_000): Promise<void> {
    if (this.sent >= bytes) {
      return
    }
    const reached = new Promise<void>(resolve => {
      this.#looks.add(() => {
        if (this.sent >= bytes) {
          resolve()
        }
      })
    })
    await within(`${bytes} bytes to be sent`, Promise.race([reached, this.done]), ms)
  }

  async #run (): Promise<void> {
    const hash = createHash('sha256')
    const answer = spoken(this.stream)
    answer.catch(() => undefined)
    let last = performance.now()
    for (; this.sent < this.#size; this.sent += BLOCK) {
      const block = stamped(this.sent)
      hash.update(block)
      if (!this.stream.send(block)) {
        await room(this.stream)
        const now = performance.now()
        this.pause = Math.max(this.pause, now - last)
        last = now
      }
      this.#looks.forEach(look => { look() })
    }
    await this.stream.close()
    assert.equal(Buffer.from(await answer).toString('hex'), hash.digest('hex'), 'the bytes are the same')
  }
}

const noise = randomFillSync(new Uint8Array(BLOCK))

/** A block that is like no other: it has its place written on it. */
export function stamped (position: number): Uint8Array {
  const block = noise.slice()
  new DataView(block.buffer).setFloat64(0, position)
  return block
}

/** Resolves when the stream takes more, a turn later, or rejects when it is closed. */
export async function room (stream: Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (!stream.writableNeedsDrain) {
      setImmediate(resolve)
      return
    }
    const onDrain = (): void => {
      stream.removeEventListener('close', onClose)
      setImmediate(resolve)
    }
    const onClose = (event: StreamCloseEvent): void => {
      stream.removeEventListener('drain', onDrain)
      reject(event.error ?? new Error('the stream was closed'))
    }
    stream.addEventListener('drain', onDrain, { once: true })
    stream.addEventListener('close', onClose, { once: true })
  })
}

/** Resolves with the first thing that is said on a stream; rejects when it is closed before, with its error if it has one. */
async function spoken (stream: Stream): Promise<Uint8Array> {
  return await new Promise((resolve, reject) => {
    stream.addEventListener('message', ({ data }) => { resolve(data.subarray()) }, { once: true })
    stream.addEventListener('close', event => { reject(event.error ?? new Error('the stream was closed')) }, { once: true })
  })
}

/** Resolves with the close event of a stream or of a connection. */
export async function closed (subject: Stream | Connection, ms?: number): Promise<Event & { error?: StarError }> {
  return await nextEvent<Event & { error?: StarError }>(subject, 'close', undefined, ms)
}

function sink (stream: Stream): void {
  const hash = createHash('sha256')
  stream.addEventListener('message', ({ data }) => { hash.update(data.subarray()) })
  stream.addEventListener('remoteCloseWrite', () => {
    stream.send(hash.digest())
    void stream.close().catch(() => undefined)
  })
}

function echo (stream: Stream): void {
  stream.addEventListener('message', ({ data }) => { stream.send(data.subarray()) })
}
