// A process of its own with some nodes on a star, which send bytes to nodes elsewhere and say how that went.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { Linked, Transfer } from './links.ts'
import { until } from './nodes.ts'
import { Watched } from './waiting.ts'
import type { ChildProcess } from 'node:child_process'

/** What a worker is told to do. */
type Order =
  /** Start so many nodes on a star; the answer is their ids. */
  | { readonly do: 'start', readonly star: string, readonly nodes: number }
  /** Have each node send bytes to these peers, all at once; the answer is a {@link Report}. */
  | { readonly do: 'send', readonly star: string, readonly to: readonly string[][], readonly bytes: number }
  /** What the nodes have seen; the answer is a {@link Sight}. */
  | { readonly do: 'look' }

/** How transfers went. */
export interface Report {
  /** What went wrong: none when every byte has arrived. */
  readonly errors: readonly string[]
  /** The longest time in each transfer in which nothing moved, milliseconds. */
  readonly pauses: readonly number[]
}

/** What the nodes of a worker have seen. */
export interface Sight {
  /** Connections that were opened and that were closed. */
  readonly opened: number
  readonly closed: number
  /** How often each thing happened to links. */
  readonly events: Readonly<Record<string, number>>
  /** Bytes of memory. */
  readonly memory: number
}

type Message = { readonly moved: number } | { readonly answer: unknown } | { readonly failure: string }

/** A worker, seen from the test. */
export class LinkWorker extends Watched {
  /** Bytes that its nodes have given to libp2p. */
  moved = 0
  readonly #child: ChildProcess
  #answer: PromiseWithResolvers<unknown> | undefined

  constructor () {
    super()
    this.#child = fork(fileURLToPath(import.meta.url), ['worker'], { execArgv: ['--enable-source-maps'] })
    this.#child.on('message', (message: Message) => {
      if ('moved' in message) {
        this.moved = message.moved
        this.changed()
      } else if ('failure' in message) {
        this.#answer?.reject(new Error(message.failure))
      } else {
        this.#answer?.resolve(message.answer)
      }
    })
    this.#child.on('exit', (code, signal) => { this.#answer?.reject(new Error(`the worker ended: ${signal ?? code}`)) })
  }

  async start (star: string, nodes: number): Promise<string[]> {
    return await this.#ask({ do: 'start', star, nodes }) as string[]
  }

  async send (star: string, to: string[][], bytes: number): Promise<Report> {
    return await this.#ask({ do: 'send', star, to, bytes }) as Report
  }

  async look (): Promise<Sight> {
    return await this.#ask({ do: 'look' }) as Sight
  }

  end (): void {
    this.#child.kill('SIGKILL')
  }

  async #ask (order: Order): Promise<unknown> {
    this.#answer = Promise.withResolvers<unknown>()
    this.#child.send(order)
    return await this.#answer.promise
  }
}

/** The process itself. */
class Worker {
  readonly #nodes: Linked[] = []
  #opened = 0
  #closed = 0

  async obey (order: Order): Promise<unknown> {
    switch (order.do) {
      case 'start':
        return await this.#start(order.star, order.nodes)
      case 'send':
        return await this.#send(order.star, order.to, order.bytes)
      case 'look':
        return this.#look()
    }
  }

  async #start (star: string, count: number): Promise<string[]> {
    for (let number = 0; number < count; number++) {
      const init = { retryMin: 100, retryMax: 1_000 }
      const linked = await Linked.start([star], init, ({ connectionMonitor }) => ({ connectionMonitor }))
      linked.node.addEventListener('connection:open', () => { this.#opened++ })
      linked.node.addEventListener('connection:close', () => { this.#closed++ })
      this.#nodes.push(linked)
    }
    return this.#nodes.map(({ id }) => id)
  }

  async #send (star: string, to: readonly string[][], bytes: number): Promise<Report> {
    const transfers = await Promise.all(this.#nodes.flatMap((linked, index) => (to[index] ?? []).map(async peer => {
      const connection = await linked.node.dial(multiaddr(`${star}/p2p/${peer}`))
      await until(() => linked.links.status(peer)[0]?.resumable === true)
      return await Transfer.start(connection, bytes)
    })))
    const telling = setInterval(() => { tell({ moved: transfers.reduce((sum, { sent }) => sum + sent, 0) }) }, 20)
    const results = await Promise.allSettled(transfers.map(async ({ done }) => { await done }))
    clearInterval(telling)
    return {
      errors: results.flatMap(result => result.status === 'rejected' ? [String(result.reason)] : []),
      pauses: transfers.map(({ pause }) => pause)
    }
  }

  #look (): Sight {
    this.#nodes.forEach(linked => { linked.assertExplained() })
    const events: Record<string, number> = {}
    for (const brief of this.#nodes.flatMap(linked => linked.brief)) {
      events[brief] = (events[brief] ?? 0) + 1
    }
    return { opened: this.#opened, closed: this.#closed, events, memory: process.memoryUsage().rss }
  }
}

function tell (message: Message): void {
  process.send?.(message)
}

if (process.argv[2] === 'worker') {
  const worker = new Worker()
  process.on('message', (order: Order) => {
    worker.obey(order).then(answer => { tell({ answer }) }, (error: unknown) => { tell({ failure: String(error) }) })
  })
  process.on('disconnect', () => { process.exit() })
}
