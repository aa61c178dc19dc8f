// A process of its own with a star or with one node, in a network of its own if need be: it links, sends, tells what happens to
// its link, and breaks its direct connections when it is told to.
import { spawn } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { createTestStar } from '../../server/testing.ts'
import { parseStarAddress } from '../../src/address.ts'
import { Linked, Transfer } from './links.ts'
import { until } from './nodes.ts'
import { Watched } from './waiting.ts'
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { LinkEvent, LinkStatus, StarInit } from '../../client/index.ts'
import type { Namespace } from './netns.ts'

/** How a node is set up: options that can be handed to another process, and what may be dialled. */
export interface NodeInit extends Pick<StarInit, 'directLoopback' | 'directRelay' | 'directInterval'> {
  /** `any`: any address. `later`: none before {@link DirectWorker.allow}. The library's own rule by default. */
  readonly dials?: 'any' | 'later'
}

/** What a worker is told to do. */
type Order =
  /** Serve a star on all addresses; the answer is where. */
  | { readonly do: 'serve' }
  /** Start a node on a star; the answer is its id. */
  | { readonly do: 'start', readonly star: string, readonly init: NodeInit }
  /** Link to a peer, so that the link outlives its path. */
  | { readonly do: 'dial', readonly peer: string }
  /** Send so many bytes to a peer that there is a connection to, or bytes until `stop`; the answer is a {@link Sent}. */
  | { readonly do: 'send', readonly peer: string, readonly bytes: number | undefined }
  /** End what is being sent. */
  | { readonly do: 'stop' }
  /** Dial addresses from now on, and move to one. */
  | { readonly do: 'allow', readonly peer: string }
  /** Destroy every TCP connection but those to the star; the answer is how many there were. */
  | { readonly do: 'cut' }
  /** Where the link stands. */
  | { readonly do: 'look', readonly peer: string }

/** How a transfer went. */
export interface Sent {
  /** Milliseconds, in all and at most between two blocks. */
  readonly took: number
  readonly pause: number
}

/** What happened to a link. */
export type Told = Pick<LinkEvent, 'at' | 'what'> & { readonly kind?: string | undefined, readonly code?: string | undefined }

/** What a worker has seen. */
export interface Sight {
  readonly status: LinkStatus | undefined
  /** Connections that were closed. */
  readonly closed: number
}

type Message =
  | { readonly told: Told }
  | { readonly moved: number }
  | { readonly order: number, readonly answer?: unknown, readonly failure?: string }

const SCRIPT = fileURLToPath(import.meta.url)

/** A worker, seen from the test. */
export class DirectWorker extends Watched {
  /** What happened to its link so far. */
  readonly told: Told[] = []
  /** Bytes that it has given to libp2p. */
  moved = 0
  readonly #child: ChildProcess
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>()
  #orders = 0

  constructor (namespace?: Namespace) {
    super()
    const [file, ...args] = [...namespace?.enter ?? [], process.execPath, '--enable-source-maps', SCRIPT, 'worker']
    this.#child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (message: Message) => { this.#take(message) })
    this.#child.on('exit', (code, signal) => {
      this.#answers.forEach(({ reject }) => { reject(new Error(`the worker ended: ${signal ?? code}`)) })
    })
  }

  /** What its link runs on; `undefined` while it has no path. */
  get kind (): string | undefined {
    return this.told.findLast(({ what }) => what === 'path' || what === 'suspended' || what === 'over')?.kind
  }

  /** The kinds of paths that its link has had since then, one after the other. */
  kinds (since = 0): string[] {
    return this.told.slice(since).flatMap(({ what, kind }) => what === 'path' && kind != null ? [kind] : [])
  }

  async serve (): Promise<string[]> {
    return await this.#ask({ do: 'serve' }) as string[]
  }

  async start (star: string, init: NodeInit = {}): Promise<string> {
    return await this.#ask({ do: 'start', star, init }) as string
  }

  async dial (peer: string): Promise<void> {
    await this.#ask({ do: 'dial', peer })
  }

  async send (peer: string, bytes?: number): Promise<Sent> {
    return await this.#ask({ do: 'send', peer, bytes }) as Sent
  }

  async stop (): Promise<void> {
    await this.#ask({ do: 'stop' })
  }

  async allow (peer: string): Promise<void> {
    await this.#ask({ do: 'allow', peer })
  }

  async cut (): Promise<number> {
    return await this.#ask({ do: 'cut' }) as number
  }

  async look (peer: string): Promise<Sight> {
    return await this.#ask({ do: 'look', peer }) as Sight
  }

  /** Resolves when the process is gone. */
  async end (): Promise<void> {
    if (this.#child.exitCode == null && this.#child.signalCode == null) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    }
  }

  #take (message: Message): void {
    if ('told' in message) {
      this.told.push(message.told)
      this.changed()
    } else if ('moved' in message) {
      this.moved = message.moved
      this.changed()
    } else {
      const { order, answer, failure } = message
      const asked = this.#answers.get(order)
      this.#answers.delete(order)
      if (failure == null) {
        asked?.resolve(answer)
      } else {
        asked?.reject(new Error(failure))
      }
    }
  }

  async #ask (order: Order): Promise<unknown> {
    const number = this.#orders++
    const asked = Promise.withResolvers<unknown>()
    this.#answers.set(number, asked)
    this.#child.send([number, order])
    return await asked.promise
  }
}

/** Resolves when both run on a path of one of these kinds. */
export async function bothOn (kinds: readonly string[], workers: readonly DirectWorker[], ms: number): Promise<void> {
  await Promise.all(workers.map(async worker => {
    await worker.when(`a path of kind ${kinds.join(' or ')}`, () => kinds.includes(worker.kind ?? ''), ms)
  }))
}

/** The process itself. */
class Worker {
  readonly #sockets = new Set<Socket>()
  #linked: Linked | undefined
  #transfer: Transfer | undefined
  #star = ''
  #allowed = false
  #closed = 0

  constructor () {
    for (const channel of ['net.client.socket', 'net.server.socket']) {
      subscribe(channel, message => {
        const { socket } = message as { readonly socket: Socket }
        this.#sockets.add(socket.on('close', () => { this.#sockets.delete(socket) }))
      })
    }
  }

  async obey (order: Order): Promise<unknown> {
    switch (order.do) {
      case 'serve':
        return (await createTestStar({ host: '::', contactPort: 0 })).server.addresses
      case 'start':
        return await this.#start(order.star, order.init)
      case 'dial':
        return await this.#dial(order.peer)
      case 'send':
        return await this.#send(order.peer, order.bytes ?? Infinity)
      case 'stop':
        return this.#transfer?.end()
      case 'allow':
        return await this.#allow(order.peer)
      case 'cut':
        return this.#cut()
      case 'look':
        return { status: this.#node.links.status(order.peer)[0], closed: this.#closed } satisfies Sight
    }
  }

  get #node (): Linked {
    if (this.#linked == null) {
      throw new Error('no node was started')
    }
    return this.#linked
  }

  async #start (star: string, { dials, ...init }: NodeInit): Promise<string> {
    const linked = await Linked.start([star], {
      direct: 'prefer',
      ...init,
      ...dials == null ? {} : { dialAddress: () => dials === 'any' || this.#allowed }
    }, ({ connectionMonitor }) => ({ connectionMonitor }))
    linked.star.events.addEventListener('link', ({ detail: { at, what, path, error } }) => {
      tell({ told: { at, what, kind: path?.kind, code: error?.code } })
    })
    linked.node.addEventListener('connection:close', () => { this.#closed++ })
    this.#linked = linked
    this.#star = star
    return linked.id
  }

  async #dial (peer: string): Promise<void> {
    await this.#node.node.dial(multiaddr(`${this.#star}/p2p/${peer}`))
    await until(() => this.#node.links.status(peer)[0]?.resumable === true)
  }

  async #send (peer: string, bytes: number): Promise<Sent> {
    const { node } = this.#node
    const find = () => node.getConnections().find(({ remotePeer }) => remotePeer.toString() === peer)
    await until(() => find() != null)
    const connection = find()
    if (connection == null) {
      throw new Error('there is no connection')
    }
    const begin = performance.now()
    const transfer = await Transfer.start(connection, bytes)
    this.#transfer = transfer
    const telling = setInterval(() => { tell({ moved: transfer.sent }) }, 20)
    try {
      await transfer.done
    } finally {
      clearInterval(telling)
    }
    return { took: performance.now() - begin, pause: transfer.pause }
  }

  async #allow (peer: string): Promise<void> {
    this.#allowed = true
    await this.#node.links.upgrades.try(peer, ['tcp'])
  }

  #cut (): number {
    const port = Number(new URL(parseStarAddress(this.#star)?.url ?? '').port)
    const sockets = [...this.#sockets].filter(({ remotePort }) => remotePort != null && remotePort !== port)
    sockets.forEach(socket => { socket.destroy() })
    return sockets.length
  }
}

function tell (message: Message): void {
  process.send?.(message)
}

if (process.argv[1] === SCRIPT && process.argv[2] === 'worker') {
  const worker = new Worker()
  process.on('message', ([order, what]: readonly [number, Order]) => {
    worker.obey(what).then(answer => { tell({ order, answer }) }, (error: unknown) => { tell({ order, failure: String(error) }) })
  })
  process.on('disconnect', () => { process.exit() })
}
