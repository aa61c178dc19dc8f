// A process of its own that punches: it has a port at which it listens and from which it dials, asks a server what is seen of it,
// and meets another one of its kind. Or it is the server, a stranger, or an echo.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Punch } from '../../client/punch.ts'
import { localAddresses } from '../../client/paths/node/interfaces.ts'
import { Port } from '../../client/paths/node/port.ts'
import { TcpWire } from '../../client/paths/node/tcp.ts'
import { unmapped } from '../../src/ip.ts'
import { mayDial } from '../../src/rendezvous/ip.ts'
import { PlainHello } from './plain-hello.ts'
import type { ChildProcess } from 'node:child_process'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Endpoint, PunchContact, PunchMode } from '../../src/contact/candidates.ts'
import type { Wire } from '../../client/paths/wire.ts'
import type { Namespace } from './netns.ts'
import type { Role } from './plain-hello.ts'

/** A punch to be tried. */
export interface PunchOrder {
  /** What `open` gave. */
  readonly port: number
  readonly peer: PunchContact
  readonly role: Role
  readonly key: string
  /** Milliseconds to wait before. */
  readonly after?: number
  readonly time?: number
}

/** What came of it. */
export interface Punched {
  /** How the connection was had; absent when there is none. */
  readonly how?: 'dialled' | 'accepted'
  /** The code of what went wrong. */
  readonly error?: string | undefined
  /** To whom. */
  readonly via?: string
  /** Milliseconds. */
  readonly took: number
  /** Connections that were handed out. */
  readonly seen: number
}

/** What a worker is told to do. */
type Order =
  /** Tell everybody who connects which address they come from; the answer is the port. */
  | { readonly do: 'serve' }
  /** Say to everybody who connects what they say; the answer is the port. */
  | { readonly do: 'echo' }
  /** Open a port and ask the servers; the answer is a {@link Opened}. */
  | {
    readonly do: 'open', readonly number: number, readonly servers: readonly Endpoint[], readonly mode: PunchMode | undefined
  }
  | { readonly do: 'punch' } & PunchOrder
  /** Connect to somebody so many times, and say this. */
  | { readonly do: 'knock', readonly target: Endpoint, readonly count: number, readonly word: string }
  | { readonly do: 'close', readonly port: number }
  /** Close everything, and end by itself. */
  | { readonly do: 'end' }

/** A port that was opened. */
export interface Opened {
  readonly port: number
  readonly mode: PunchMode
  readonly contact: PunchContact
}

type Message = { readonly order: number, readonly answer?: unknown, readonly failure?: string }

const SCRIPT = fileURLToPath(import.meta.url)
/** The interface that isn't one of the networks that are tested. */
const UNDER = 'under'
const CLOSE = 4000
/** Milliseconds that a worker has to end by itself. */
const END_TIME = 3_000
/** Milliseconds for the answer of a server. */
const ASK_TIME = 3_000

/** A worker, seen from the test. */
export class PunchWorker {
  readonly #child: ChildProcess
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>()
  #orders = 0
  static #port = 10_000

  constructor (namespace: Namespace) {
    const [file, ...args] = [...namespace.enter, process.execPath, '--enable-source-maps', SCRIPT, 'worker']
    this.#child = spawn(file as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', ({ order, answer, failure }: Message) => {
      const waiting = this.#answers.get(order)
      this.#answers.delete(order)
      if (failure == null) {
        waiting?.resolve(answer)
      } else {
        waiting?.reject(new Error(failure))
      }
    })
    this.#child.on('exit', (code, signal) => {
      this.#answers.forEach(({ reject }) => { reject(new Error(`the worker ended: ${signal ?? code}`)) })
    })
  }

  async serve (): Promise<number> {
    return await this.#ask({ do: 'serve' }) as number
  }

  async echo (): Promise<number> {
    return await this.#ask({ do: 'echo' }) as number
  }

  /** Opens a port of which no router has heard before: they remember for a while how it was mapped. */
  async open (servers: readonly Endpoint[], mode?: PunchMode): Promise<Opened> {
    return await this.#ask({ do: 'open', number: PunchWorker.#port++, servers, mode }) as Opened
  }

  async punch (order: PunchOrder): Promise<Punched> {
    return await this.#ask({ do: 'punch', ...order }) as Punched
  }

  async knock (target: Endpoint, count: number, word: string): Promise<void> {
    await this.#ask({ do: 'knock', target, count, word })
  }

  async close (port: number): Promise<void> {
    await this.#ask({ do: 'close', port })
  }

  /** Ends it: it is asked to, and killed when it doesn't. */
  async end (): Promise<void> {
    if (this.#child.exitCode == null && this.#child.signalCode == null) {
      this.#child.send([this.#orders++, { do: 'end' } satisfies Order])
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_TIME)
      await once(this.#child, 'exit')
      clearTimeout(timer)
    }
  }

  async #ask (what: Order): Promise<unknown> {
    const order = this.#orders++
    const answer = Promise.withResolvers<unknown>()
    this.#answers.set(order, answer)
    this.#child.send([order, what])
    return await answer.promise
  }
}

/** A port of a worker, and what is open of it. */
interface Held {
  readonly port: Port
  readonly contact: PunchContact
  readonly probes: Wire[]
  readonly wires: Set<Wire>
  onSocket: (socket: Socket) => void
}

/** A worker, in its process. */
class Worker {
  readonly #held = new Map<number, Held>()
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  async obey (order: Order): Promise<unknown> {
    switch (order.do) {
      case 'serve': return await this.#listen(socket => {
        socket.write(`${unmapped(socket.remoteAddress ?? '')} ${socket.remotePort ?? 0}\n`)
      })
      case 'echo': return await this.#listen(socket => { socket.pipe(socket) })
      case 'open': return await this.#open(order.number, order.servers, order.mode)
      case 'punch': return await this.#punch(order)
      case 'knock': return await this.#knock(order.target, order.count, order.word)
      case 'close': return this.#close(order.port)
      case 'end': return process.disconnect()
    }
  }

  /** Closes everything: the process must end then. */
  end (): void {
    [...this.#held.keys()].forEach(port => { this.#close(port) })
    this.#servers.forEach(server => server.close())
    this.#sockets.forEach(socket => socket.destroy())
  }

  async #listen (onSocket: (socket: Socket) => void): Promise<number> {
    const server = createServer(socket => {
      this.#sockets.add(socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket)))
      onSocket(socket)
    })
    this.#servers.push(server)
    server.listen(0)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async #open (number: number, servers: readonly Endpoint[], mode: PunchMode | undefined): Promise<Opened> {
    let held: Held | undefined
    const port = await Port.open({ port: number, mode, onSocket: socket => {
      if (held == null) {
        socket.destroy()
      } else {
        held.onSocket(socket)
      }
    } })
    const probes: Wire[] = []
    const seen: Endpoint[] = []
    for (const server of servers) { // one after the other: there may be one dial at a time
      seen.push(await askServer(port, server, probes))
    }
    const v4 = seen.filter(({ ip }) => !ip.includes(':'))
    const contact: PunchContact = {
      v4: v4[0],
      v6: seen.find(({ ip }) => ip.includes(':')),
      local: ownAddresses().map(({ ip }) => ({ ip, port: port.port })),
      mapping: v4.length < 2 ? undefined : v4.every(one => one.port === v4[0]?.port) ? 'same' : 'sym'
    }
    held = { port, contact, probes, wires: new Set(), onSocket: socket => { socket.on('error', () => {}).destroy() } }
    this.#held.set(port.port, held)
    return { port: port.port, mode: port.mode, contact }
  }

  async #punch ({ port: number, peer, role, key, after = 0, time }: PunchOrder): Promise<Punched> {
    const held = this.#held.get(number)
    if (held == null) {
      throw new Error('there is no such port')
    }
    await new Promise(resolve => { setTimeout(resolve, after) })
    const begin = performance.now()
    const result = Promise.withResolvers<Omit<Punched, 'took' | 'seen'>>()
    let seen = 0
    let taken: Wire | undefined
    const secret = Buffer.from(key)
    const punch = new Punch({
      port: held.port,
      own: held.contact,
      peer,
      loopback: false,
      time,
      allow: target => mayDial(target, ownAddresses(), false),
      onWire: (wire, target) => {
        seen++
        held.wires.add(wire)
        const hello: PlainHello = new PlainHello(wire, role, secret, () => {
          if (taken != null) {
            return false
          }
          taken = wire
          return true
        }, () => {
          result.resolve({ how: target == null ? 'accepted' : 'dialled', via: hello.wire.via })
          punch.verified(wire)
        })
      },
      onOver: error => {
        result.resolve({ error: error?.code })
      }
    })
    held.onSocket = socket => { punch.accept(new TcpWire(socket), []) }
    const outcome = await result.promise
    return { ...outcome, took: performance.now() - begin, seen }
  }

  async #knock ({ ip, port }: Endpoint, count: number, word: string): Promise<void> {
    await Promise.all(Array.from({ length: count }, async () => {
      const socket = connect({ host: ip, port })
      this.#sockets.add(socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket)))
      await once(socket, 'connect').catch(() => {}) // it may be refused, or sent away
      socket.write(word)
    }))
  }

  #close (number: number): void {
    const held = this.#held.get(number)
    this.#held.delete(number)
    held?.port.close()
    for (const wire of [...held?.probes ?? [], ...held?.wires ?? []]) {
      wire.close(CLOSE)
    }
  }
}

/** What a server sees of a port; the connection is kept, and the port's mapping with it. */
async function askServer (port: Port, { ip, port: at }: Endpoint, probes: Wire[]): Promise<Endpoint> {
  return await new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => { reject(new Error(`the server at ${ip} is silent`)) }, ASK_TIME)
    probes.push(port.dial({ ip, port: at, family: ip.includes(':') ? 6 : 4 }, {
      onOpen () {},
      onTaken () {},
      onBytes: bytes => {
        text += Buffer.from(bytes).toString()
        const [, seen, number] = /^(\S+) (\d+)\n/.exec(text) ?? []
        if (seen != null) {
          clearTimeout(timer)
          resolve({ ip: seen, port: Number(number) })
        }
      },
      onClose: (_, error) => { reject(error ?? new Error('the server has closed')) }
    }))
  })
}

function ownAddresses (): ReturnType<typeof localAddresses> {
  return localAddresses(() => 'unknown').filter(one => one.interface !== UNDER)
}

if (process.argv[1] === SCRIPT && process.argv[2] === 'worker') {
  const worker = new Worker()
  const tell = (message: Message): void => {
    if (process.connected) {
      process.send?.(message)
    }
  }
  process.on('message', ([order, what]: readonly [number, Order]) => {
    worker.obey(what).then(answer => { tell({ order, answer }) }, (error: unknown) => { tell({ order, failure: String(error) }) })
  })
  process.on('disconnect', () => { worker.end() })
}
