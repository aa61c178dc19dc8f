// A TCP proxy in front of a star, which does to bytes what networks do: carry them, lose the connection, or swallow everything.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { parseStarAddress } from '../../src/address.ts'
import type { AddressInfo, Server, Socket } from 'node:net'

/** A way to a star that can be broken. */
export class Proxy {
  /** The star's multiaddr by this way. */
  readonly address: string
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #refusing = false

  private constructor (server: Server, port: number) {
    this.#server = server
    this.address = `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}/ws/p2p-websocket-star`
    server.on('connection', socket => {
      if (this.#refusing) {
        socket.destroy()
        return
      }
      const onward = connect(port, '127.0.0.1')
      const pair = [socket, onward] as const
      this.#pairs.add(pair)
      for (const [from, to] of [[socket, onward], [onward, socket]] as const) {
        from.setNoDelay(true)
        from.pipe(to)
        from.on('error', () => { to.destroy() })
        from.on('close', () => {
          this.#pairs.delete(pair)
          to.destroy()
        })
      }
    })
  }

  /** Starts one before a star. */
  static async start (star: string): Promise<Proxy> {
    const { port } = new URL(parseStarAddress(star)?.url ?? '')
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Proxy(server, Number(port))
  }

  /** The connections that are there now. */
  get connections (): number {
    return this.#pairs.size
  }

  /** Breaks all connections. */
  cut (): void {
    this.#pairs.forEach(pair => { pair.forEach(socket => { socket.resetAndDestroy() }) })
    this.#pairs.clear()
  }

  /** Whether new connections are refused. */
  refuse (refusing: boolean): void {
    this.#refusing = refusing
  }

  /** All connections stay open, and carry nothing any more. */
  swallow (): void {
    for (const [one, other] of this.#pairs) {
      for (const [from, to] of [[one, other], [other, one]] as const) {
        from.unpipe(to)
        from.resume() // into nothing
      }
    }
  }

  async close (): Promise<void> {
    this.cut()
    this.#server.close()
  }
}

/** Gives a function that starts proxies; they are closed after each test. To be called in a suite, before what uses them. */
export function proxies (): (star: string) => Promise<Proxy> {
  const open: Proxy[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map(async proxy => { await proxy.close() }))
  })
  return async star => {
    const proxy = await Proxy.start(star)
    open.push(proxy)
    return proxy
  }
}
