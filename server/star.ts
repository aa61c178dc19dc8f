// The star's driver: puts socket.io's events into the register and the relay, and performs what they answer.
import { randomBytes } from 'node:crypto'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import { Server } from 'socket.io'
import { fromString } from 'uint8arrays/from-string'
import { Alarm } from '../src/alarm.ts'
import { StarError } from '../src/errors.ts'
import { eventName } from '../src/pull-stream/protocol.ts'
import { Relay } from '../src/pull-stream/relay.ts'
import { Event, PROTOCOL, encodeError } from '../src/star/protocol.ts'
import { Registry } from '../src/star/registry.ts'
import { Outbox } from './outbox.ts'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import type { RelayOutput } from '../src/pull-stream/relay.ts'
import type { Generation } from '../src/star/protocol.ts'
import type { RegistryEvent, RegistryOutput } from '../src/star/contract.ts'
import type { Door } from './door.ts'
import type { Metrics, StarReadings } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import type { RelayDriver } from './relay.ts'

type Acknowledge = (...args: unknown[]) => void

/** A client, as the driver knows it. */
interface Visitor {
  readonly socket: Socket
  readonly generation: Generation
  readonly ip: string
  readonly outbox: Outbox
  /** Acknowledgements that are owed, by call. */
  readonly calls: Map<number, Acknowledge>
  /** Takes what came behind an event whose limit is being checked. */
  backlog: Array<() => void> | undefined
}

/** Milliseconds between two looks for sockets that take nothing. */
const SWEEP = 1_000

/** Milliseconds that clients have to say goodbye when the star closes. */
const GOODBYE = 1_000

/** Milliseconds that a WebSocket has to speak socket.io. */
const CONNECT_TIMEOUT = 5_000

/** What the driver needs beside its options. */
export interface StarDriverInit {
  readonly options: ResolvedOptions
  readonly http: HttpServer
  readonly metrics: Metrics
  readonly door: Door
  readonly paths: RelayDriver
  /** Whether this star goes by that URL. */
  readonly isOwnName: (origin: string) => boolean
}

/** The socket.io side of a star. */
export class StarDriver {
  readonly #options: ResolvedOptions
  readonly #metrics: Metrics
  readonly #io: Server
  readonly #door: Door
  readonly #paths: RelayDriver
  readonly #registry: Registry
  readonly #relay: Relay
  readonly #visitors = new Map<string, Visitor>()
  readonly #registryAlarm: Alarm
  readonly #relayAlarm: Alarm
  readonly #sweep: NodeJS.Timeout
  #calls = 0
  #closed = false

  constructor ({ options, http, metrics, door, paths, isOwnName }: StarDriverInit) {
    this.#options = options
    this.#metrics = metrics
    this.#door = door
    this.#paths = paths
    this.#registry = new Registry(options, {
      random: bytes => randomBytes(bytes).toString('hex'),
      peerIdOf: key => publicKeyFromProtobuf(fromString(key, 'base16')).toString(),
      isOwnName,
      wallClock: () => Date.now()
    })
    this.#relay = new Relay(options)
    this.#registryAlarm = new Alarm(globalThis, this.#registry, () => { this.#tell({ type: 'wake' }) })
    this.#relayAlarm = new Alarm(globalThis, this.#relay, () => { this.#carry(this.#relay.input({ type: 'wake' }, now())) })
    this.#io = new Server(http, {
      transports: ['websocket'],
      allowEIO3: true,
      serveClient: false,
      maxHttpBufferSize: 1_000_000,
      perMessageDeflate: false,
      pingInterval: options.pingInterval,
      pingTimeout: options.pingTimeout,
      connectTimeout: CONNECT_TIMEOUT,
      destroyUpgrade: false, // the door answers those that are not ours
      allowRequest: (request, decide) => {
        void this.#mayUpgrade(request).then(may => { decide(null, may) })
      }
    })
    this.#io.use((socket, next) => { void this.#admit(socket, next) })
    this.#io.on('connection', socket => { this.#welcome(socket) })
    this.#sweep = setInterval(() => { this.#closeStalled() }, SWEEP)
  }

  /** The addresses that can be dialled. */
  get addresses (): string[] {
    return this.#registry.addresses()
  }

  /** Figures of this moment. */
  get readings (): StarReadings {
    const connections = { original: 0, star: 0 }
    for (const visitor of this.#visitors.values()) {
      connections[visitor.generation]++
    }
    return {
      peers: this.#registry.size,
      connections,
      dialling: this.#registry.dialling,
      streams: this.#relay.size,
      inFlight: this.#relay.inFlight
    }
  }

  /** Tells clients when to come back and closes every socket, the HTTP server included. */
  async close (): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    this.#io.to('star').emit(Event.Restarting, { reconnectIn: this.#options.restartDelay })
    // what is sent goes out at the end of the turn; closing would throw it away
    await new Promise<void>(resolve => { setImmediate(resolve) })
    // a client that sleeps, or whose socket is braked, would keep us waiting for its close frame for half a minute
    const goodbye = setTimeout(() => { this.#door.clear() }, GOODBYE)
    // closing the server, unlike disconnecting its sockets, lets original clients come back by themselves
    await this.#io.close()
    clearTimeout(goodbye)
    // the goodbyes have set them again
    this.#registryAlarm.clear()
    this.#relayAlarm.clear()
  }

  /** Decides whether a request may become a WebSocket at all; what is refused here is told no code. */
  async #mayUpgrade (request: IncomingMessage): Promise<boolean> {
    if (!this.#door.isAllowedOrigin(request)) {
      return false
    }
    const refused = this.#door.isFull('told') || await this.#door.take(this.#door.addressOf(request), 'upgrade') != null
    if (refused) {
      this.#metrics.refused('ERR_TOO_MANY_CONNECTIONS')
    }
    return !refused
  }

  /** Decides whether a socket may stay. */
  async #admit (socket: Socket, decide: (error?: Error) => void): Promise<void> {
    const refusal = this.#visitors.size + this.#paths.size >= this.#options.maxConnections
      ? new StarError('ERR_TOO_MANY_CONNECTIONS', { retryAfter: this.#options.pingTimeout })
      : await this.#door.limits.take('connection', this.#door.addressOf(socket.request, socket.handshake.address))
    if (refusal == null) {
      return decide()
    }
    this.#metrics.refused(refusal.code)
    setImmediate(() => { socket.conn.close() })
    decide(Object.assign(new Error(refusal.message), { data: encodeError('star', refusal) }))
  }

  #welcome (socket: Socket): void {
    const generation: Generation = socket.handshake.auth['protocol'] === PROTOCOL ? 'star' : 'original'
    const outbox = new Outbox(socket, now(), (half, bytes) => {
      this.#carry(this.#relay.input({ type: 'flushed', half, bytes }, now()))
    })
    const ip = this.#door.addressOf(socket.request, socket.handshake.address)
    const visitor: Visitor = { socket, generation, ip, outbox, calls: new Map(), backlog: undefined }
    this.#visitors.set(socket.id, visitor)
    this.#tell({ type: 'connect', socket: socket.id, generation })
    // not `on`: its listeners run a tick later, after the frames that came in behind the event
    socket.onAny((name: unknown, ...args: unknown[]) => { this.#receive(visitor, name, args) })
    socket.on('disconnect', () => { this.#leave(visitor) })
  }

  /** Takes the end of a socket, which comes behind all that came from it. */
  #leave (visitor: Visitor): void {
    const { socket: { id }, backlog } = visitor
    if (backlog != null) {
      backlog.push(() => { this.#leave(visitor) })
      return
    }
    this.#visitors.delete(id)
    this.#carry(this.#relay.input({ type: 'disconnect', socket: id }, now()))
    this.#tell({ type: 'disconnect', socket: id })
    this.#paths.drop(id)
  }

  /** Takes an event, or lets it wait behind one whose limit is being checked: events keep their order. */
  #receive (visitor: Visitor, name: unknown, args: readonly unknown[]): void {
    if (visitor.backlog != null) {
      visitor.backlog.push(() => { this.#receive(visitor, name, args) })
      return
    }
    const checked = this.#handle(visitor, name, args)
    if (checked != null) {
      // holds no more than what came in one piece: the check is over before the socket is read again
      visitor.backlog = []
      void checked.then(() => {
        const backlog = visitor.backlog ?? []
        visitor.backlog = undefined
        backlog.forEach(take => { take() })
      })
    }
  }

  #handle (visitor: Visitor, name: unknown, args: readonly unknown[]): Promise<void> | undefined {
    const socket = visitor.socket.id
    switch (name) {
      case Event.Join: {
        const [address, proof, ack] = args
        return this.#take(visitor, ack, 'join', call => ({ type: 'join', socket, call, address, proof }))
      }
      case Event.Dial: {
        const [from, to, id, ...rest] = args
        const [terms] = rest.slice(0, -1)
        const ack = rest.at(-1)
        return this.#take(visitor, ack, 'dial', call => ({ type: 'dial', socket, call, from, to, id, terms }))
      }
      case Event.Ping: {
        const [ack] = args
        if (typeof ack === 'function') {
          Reflect.apply(ack, undefined, [])
        }
        return undefined
      }
      case Event.Relay:
        this.#announcePath(visitor, args[0], args.at(-1))
        return undefined
      case Event.Leave:
        this.#tell({ type: 'leave', socket, address: args[0] })
        if (!this.#registry.hasJoined(socket)) {
          void visitor.socket.leave(visitor.generation)
        }
        return undefined
      default: {
        const [payload] = args
        if (payload instanceof Uint8Array) {
          this.#metrics.relayed(payload.byteLength)
        }
        this.#carry(this.#relay.input({ type: 'frame', socket, name, payload }, now()))
        return undefined
      }
    }
  }

  /** Takes an event that wants an acknowledgement; without one it is no event of this protocol. */
  async #take (
    visitor: Visitor, ack: unknown, limited: 'join' | 'dial', event: (call: number) => RegistryEvent
  ): Promise<void> {
    if (typeof ack !== 'function') {
      return this.#metrics.refused('ERR_ARGUMENTS')
    }
    const acknowledge: Acknowledge = (...args) => { Reflect.apply(ack, undefined, args) }
    const refusal = await this.#door.limits.take(limited, visitor.ip)
    if (refusal != null) {
      this.#metrics.ended(limited, refusal.code)
      return acknowledge(encodeError(visitor.generation, refusal))
    }
    if (this.#visitors.has(visitor.socket.id)) {
      const call = this.#calls++
      visitor.calls.set(call, acknowledge)
      this.#tell(event(call))
    }
  }

  /** Takes the path of a raw relay from who has joined. */
  #announcePath (visitor: Visitor, path: unknown, ack: unknown): void {
    if (typeof ack !== 'function') {
      return this.#metrics.refused('ERR_ARGUMENTS')
    }
    const { socket: { id }, generation } = visitor
    const refusal = this.#registry.hasJoined(id) ? this.#paths.announce(id, path) : new StarError('ERR_NOT_JOINED')
    if (refusal != null) {
      this.#metrics.refused(refusal.code)
    }
    Reflect.apply(ack, undefined, refusal == null ? [] : [encodeError(generation, refusal)])
  }

  /** Puts an event into the register and performs what it answers. */
  #tell (event: RegistryEvent): void {
    const time = now()
    for (const output of this.#registry.input(event, time)) {
      this.#perform(output)
    }
    this.#registryAlarm.set(time)
  }

  #perform (output: RegistryOutput): void {
    switch (output.do) {
      case 'ack':
        return this.#acknowledge(output)
      case 'verify':
        return this.#verify(output)
      case 'incoming':
        return this.#ring(output)
      case 'cancel':
        return this.#carry(this.#relay.cancel(output.dialer, output.id, output.reason))
      case 'announce':
        this.#io.to('original').except(output.except).emit(Event.Peer, output.address)
        return
      case 'changes':
        this.#io.to('star').emit(Event.Peers, output.changes)
        return
      case 'replaced':
        this.#metrics.replaced()
        this.#visitors.get(output.socket)?.socket.emit(Event.Replaced, output.address)
    }
  }

  #verify ({ call, key, message, signature }: RegistryOutput & { do: 'verify' }): void {
    void verify(key, message, signature).then(valid => {
      if (!this.#closed) {
        this.#tell({ type: 'verified', call, valid })
      }
    })
  }

  #acknowledge (output: RegistryOutput & { do: 'ack' }): void {
    const visitor = this.#visitors.get(output.socket)
    const ack = visitor?.calls.get(output.call)
    visitor?.calls.delete(output.call)
    if (output.done) {
      this.#metrics.ended(output.kind, output.refused)
    }
    if (visitor != null && output.kind === 'join' && output.done && output.refused == null) {
      // hears of others from now on; with the in-memory adapter this takes effect at once
      void visitor.socket.join(visitor.generation)
    }
    ack?.(...output.args)
  }

  /** Joins the two by a stream and tells the one that is dialled. */
  #ring ({ dialer, listener, id, from, terms }: RegistryOutput & { do: 'incoming' }): void {
    const [caller, callee] = [this.#visitors.get(dialer), this.#visitors.get(listener)]
    if (caller == null || callee == null) {
      return this.#tell({ type: 'unopened', socket: listener, id, reason: 'ERR_PEER_NOT_FOUND' })
    }
    const refusal = this.#relay.open(id, end(caller), end(callee))
    if (refusal != null) {
      return this.#tell({ type: 'unopened', socket: listener, id, reason: refusal })
    }
    const said = terms == null ? [id, from] : [id, from, terms]
    callee.socket.timeout(this.#options.dialTimeout).emit(Event.Incoming, ...said, (late: Error | null, error?: unknown) => {
      if (late == null) {
        this.#tell({ type: 'answer', socket: listener, id, error })
      }
    })
  }

  /** Performs what the relay answers. */
  #carry (outputs: readonly RelayOutput[]): void {
    for (const output of outputs) {
      switch (output.do) {
        case 'emit':
          this.#emit(output)
          break
        case 'pause':
        case 'resume':
          this.#webSocket(output.socket)?.[output.do]()
          break
        case 'broken':
          this.#metrics.broken(output.reason)
          break
      }
    }
    this.#relayAlarm.set(now())
  }

  #emit ({ socket, kind, id, side, payload, half }: RelayOutput & { do: 'emit' }): void {
    const visitor = this.#visitors.get(socket)
    if (visitor == null) {
      return
    }
    const name = eventName(kind, id, side)
    if (payload === undefined) {
      visitor.socket.emit(name)
      return
    }
    if (half != null && half.reader.original) {
      visitor.outbox.expect(half, (payload as Uint8Array).byteLength)
    }
    visitor.socket.emit(name, payload)
  }

  #webSocket (id: string): { pause (): void, resume (): void } | undefined {
    const transport = this.#visitors.get(id)?.socket.conn.transport
    return transport != null && 'socket' in transport ? transport.socket as { pause (): void, resume (): void } : undefined
  }

  #closeStalled (): void {
    const time = now()
    for (const visitor of this.#visitors.values()) {
      if (visitor.outbox.stalledFor(time) > this.#options.stallTimeout) {
        this.#metrics.refused('ERR_STALLED')
        visitor.socket.conn.close(true)
      }
    }
  }
}

function end (visitor: Visitor): { socket: string, original: boolean } {
  return { socket: visitor.socket.id, original: visitor.generation === 'original' }
}

/** The machines' clock: milliseconds, never back. */
function now (): number {
  return performance.now()
}

async function verify (key: string, message: Uint8Array, signature: string): Promise<boolean> {
  try {
    return await publicKeyFromProtobuf(fromString(key, 'base16')).verify(message, fromString(signature, 'base16'))
  } catch {
    return false
  }
}
