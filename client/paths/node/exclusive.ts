// A port that can't listen while a dial begins. Where a dial may be followed by a listener (`plain`, Linux) it doesn't listen for
// as long as a dial takes to begin: the same turn of the event loop. Who comes in just then is refused, and has to come again.
// Elsewhere (`portable`) there is one dial at a time, and nobody is listened to until it has come to something or to nothing.
import net from 'node:net'
import type { Server, Socket } from 'node:net'
import type { PunchMode } from '../../../src/contact/candidates.ts'
import type { TcpTarget } from '../platform.ts'
import type { Place, Sharing } from './port.ts'

/** Milliseconds after which it is tried again to listen, when something was in the way. */
const RETRY = 500

/** Makes the sockets of one port. */
export function exclusive (mode: PunchMode): Sharing {
  return new Exclusive(mode)
}

class Exclusive implements Sharing {
  readonly #portable: boolean
  #servers: readonly Server[] = []
  #reopen: () => Promise<Server[]> = async () => []
  /** What is to be dialled next. */
  #queue: Array<() => void> = []
  /** Dials that are not connected. */
  readonly #dialling = new Set<Socket>()
  #busy = false
  #closed = false
  #retry: NodeJS.Timeout | undefined

  constructor (mode: PunchMode) {
    this.#portable = mode === 'portable'
  }

  async listen ({ host, family }: Place, port: number, onSocket: (socket: Socket) => void): Promise<Server> {
    const server = net.createServer(onSocket)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host, ipv6Only: family === 6 }, () => {
        server.off('error', reject)
        server.on('error', () => {}) // one connection could not be accepted; the next one may
        resolve()
      })
    })
    return server
  }

  begin (servers: readonly Server[], reopen: () => Promise<Server[]>): void {
    this.#servers = servers
    this.#reopen = reopen
  }

  dial ({ ip, port, family }: TcpTarget, { host }: Place, own: number): Socket {
    const socket = new net.Socket()
    if (this.#portable && this.#dialling.size > 0) {
      return socket.destroy(Object.assign(new Error(`port ${own} is dialled from already`), { code: 'EADDRINUSE' }))
    }
    this.#dialling.add(socket)
    const settle = (): void => {
      if (this.#dialling.delete(socket) && this.#portable) {
        void this.#turn()
      }
    }
    socket.once('connect', settle).once('close', settle)
    this.#queue.push(() => {
      try {
        if (!socket.destroyed) {
          socket.connect({ host: ip, port, family, localAddress: host, localPort: own })
        }
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    void this.#turn()
    return socket
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#queue = []
    this.#dialling.forEach(socket => {
      if (!socket.connecting) {
        socket.destroy() // it has not begun
      }
    })
    this.#stopListening()
  }

  /** Begins the dials that wait, without a listener, and listens again as soon as that goes. */
  async #turn (): Promise<void> {
    clearTimeout(this.#retry)
    if (this.#busy) {
      return
    }
    this.#busy = true
    while (this.#queue.length > 0 || (this.#servers.length === 0 && this.#mayListen)) {
      if (this.#queue.length > 0) {
        this.#stopListening()
        this.#queue.splice(0).forEach(dial => { dial() })
        await new Promise(resolve => { process.nextTick(resolve) }) // a dial begins a tick after it was asked for
      } else if (!await this.#listenAgain() && this.#queue.length === 0) {
        break
      }
    }
    this.#busy = false
  }

  get #mayListen (): boolean {
    return !this.#closed && !(this.#portable && this.#dialling.size > 0)
  }

  async #listenAgain (): Promise<boolean> {
    try {
      this.#servers = await this.#reopen()
    } catch {
      this.#retry = setTimeout(() => { void this.#turn() }, RETRY)
      return false
    }
    if (this.#closed) {
      this.#stopListening()
    }
    return true
  }

  #stopListening (): void {
    this.#servers.forEach(server => server.close())
    this.#servers = []
  }
}
