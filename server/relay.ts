// The raw relay's driver: WebSockets at /relay/PATH, two to a path, and what the one sends goes to the other as it is.
import { WebSocketServer } from 'ws'
import { Alarm } from '../src/alarm.ts'
import { StarError } from '../src/errors.ts'
import { RelayCode } from '../src/relay/close.ts'
import { Heartbeat } from '../src/relay/heartbeat.ts'
import { Lane, MESSAGE_COST } from '../src/relay/lane.ts'
import { Pairing } from '../src/relay/pairing.ts'
import { isRelayPath } from '../src/star/protocol.ts'
import { refuse } from './door.ts'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { PairingEvent, PairingOutput } from '../src/relay/pairing.ts'
import type { Door } from './door.ts'
import type { Metrics, RelayReadings } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'

/** Where the relay's paths are. */
const PREFIX = '/relay/'

/** The longest message, in bytes: devices send 1 MiB at once, and what they wrap around it. */
const MAX_MESSAGE = 1_048_576 + 65_536

/** Bounds of a message that comes in many pieces, each of which costs something beside its bytes. */
const PIECES = { maxFragments: 1_024, maxBufferedChunks: 16_384 }

/** What the first of a pair may send before the second has come: so many bytes, in so many messages. */
const EARLY = { bytes: 65_536, messages: 256 }

/** Milliseconds at most between two looks for sockets that take nothing, or say nothing. */
const SWEEP = 1_000

const BINARY = { binary: true, compress: false }

/** One WebSocket. */
interface End {
  readonly id: number
  readonly ws: WebSocket
  readonly carrier: Duplex
  /** What is on the way to it. */
  readonly lane: Lane
  readonly heartbeat: Heartbeat
  /** What it sent before its other end came. */
  early: Buffer[]
  earlyBytes: number
  other: End | undefined
  /** What both ends of the pair have sent so far. */
  carried: { bytes: number }
  /** Bytes read from its TCP socket when its last message came. */
  read: number
  /** What it is to be closed with; what it sends counts for nothing any more. */
  closing: number | undefined
}

/** The raw WebSocket relay of a star. */
export class RelayDriver {
  readonly #options: ResolvedOptions
  readonly #metrics: Metrics
  readonly #server: WebSocketServer
  readonly #pairing: Pairing
  readonly #alarm: Alarm
  readonly #ends = new Map<number, End>()
  readonly #sweep: NodeJS.Timeout
  #numbers = 0
  #bytes = 0
  #closed = false

  constructor (options: ResolvedOptions, metrics: Metrics) {
    this.#options = options
    this.#metrics = metrics
    // a reader that is slow, and still has much to read before the close frame, has as long as a stalled one
    const bounds = { maxPayload: MAX_MESSAGE, ...PIECES, closeTimeout: options.stallTimeout }
    this.#server = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false, ...bounds })
    this.#pairing = new Pairing(options)
    this.#alarm = new Alarm(globalThis, this.#pairing, () => { this.#tell({ type: 'wake' }) })
    const pause = Math.min(SWEEP, options.stallTimeout, options.pingInterval, options.pingTimeout)
    this.#sweep = setInterval(() => { this.#look() }, pause)
  }

  /** WebSockets that are open, in whatever state. */
  get size (): number {
    return this.#ends.size
  }

  /** Figures of this moment. */
  get readings (): RelayReadings {
    let inFlight = 0
    for (const { lane, earlyBytes } of this.#ends.values()) {
      inFlight += lane.pending + earlyBytes
    }
    return { pairs: this.#pairing.pairs, waiting: this.#pairing.waiting, bytes: this.#bytes, inFlight }
  }

  /** Whether an upgrade with that URL is the relay's. */
  takes (url: string): boolean {
    return url.startsWith(PREFIX)
  }

  /** Takes the announcement of a path by a client of the star that has joined; tells why not when it can't. */
  announce (owner: string, path: unknown): StarError | undefined {
    if (!this.#options.relay) {
      return new StarError('ERR_NO_RELAY')
    }
    if (!isRelayPath(path)) {
      return new StarError('ERR_ARGUMENTS')
    }
    const time = now()
    const reason = this.#pairing.announce(owner, path, time)
    this.#alarm.set(time)
    return reason == null ? undefined : new StarError(reason)
  }

  /** A client of the star is gone, and with it what it announced. */
  drop (owner: string): void {
    this.#tell({ type: 'drop', owner })
  }

  /** Lets a WebSocket in, or refuses it: with an HTTP status, or, where the relay has a close code for it, with that. */
  async upgrade (request: IncomingMessage, carrier: Duplex, head: Buffer, door: Door): Promise<void> {
    const address = door.addressOf(request)
    const [url = ''] = (request.url ?? '').split('?')
    const end = url.slice(PREFIX.length)
    const path = isRelayPath(end) ? end : undefined
    const turned = this.#turn(request, door)
    if (turned != null) {
      return this.#refuse(carrier, turned)
    }
    const wait = await door.take(address, 'upgrade', 'connection')
    if (wait != null) {
      return this.#refuse(carrier, 429, wait)
    }
    // others have come meanwhile
    const full = this.#closed ? 'full' : this.#pairing.admits(path, address)
    if (full != null) {
      return this.#refuse(carrier, full === 'full' ? 503 : 429)
    }
    this.#server.handleUpgrade(request, carrier, head, ws => { this.#enter(ws, carrier, path, address) })
  }

  /** Closes all WebSockets with 1001; who doesn't answer that is cut off by the door. */
  close (): void {
    this.#closed = true
    clearInterval(this.#sweep)
    this.#tell({ type: 'stop' })
    this.#alarm.clear()
  }

  /** The status that refuses a request whoever it comes from. */
  #turn (request: IncomingMessage, door: Door): number | undefined {
    if (!this.#options.relay) {
      return 404
    }
    if (!door.isAllowedOrigin(request)) {
      return 403
    }
    return this.#closed || door.isFull('untold') ? 503 : undefined
  }

  #refuse (carrier: Duplex, status: number, retryAfter?: number): void {
    this.#metrics.relayRefused(status)
    refuse(carrier, status, retryAfter)
  }

  #enter (ws: WebSocket, carrier: Duplex, path: string | undefined, address: string): void {
    const { relayBudget, pingInterval, pingTimeout } = this.#options
    const time = now()
    const end: End = {
      id: this.#numbers++,
      ws,
      carrier,
      lane: new Lane(relayBudget, time),
      heartbeat: new Heartbeat(pingInterval, pingTimeout, time),
      early: [],
      earlyBytes: 0,
      other: undefined,
      carried: { bytes: 0 },
      read: 0,
      closing: undefined
    }
    this.#ends.set(end.id, end)
    ws.on('message', (data: Buffer, isBinary) => { this.#receive(end, data, isBinary) })
    ws.on('ping', () => { end.heartbeat.hear(now()) })
    ws.on('pong', () => { end.heartbeat.hear(now()) })
    // it broke the WebSocket protocol and is being closed for it already; the other end need not wait for that
    ws.on('error', () => { this.#tell({ type: 'fault', socket: end.id }) })
    ws.on('close', code => {
      this.#ends.delete(end.id)
      this.#tell({ type: 'leave', socket: end.id, code })
    })
    this.#tell({ type: 'enter', socket: end.id, path, address })
  }

  #receive (end: End, data: Buffer, isBinary: boolean): void {
    end.heartbeat.hear(now())
    if (end.closing != null) {
      return
    }
    if (!isBinary) {
      this.#tell({ type: 'fault', socket: end.id })
    } else if (end.other == null) {
      this.#keep(end, data)
    } else {
      this.#forward(end, end.other, data)
    }
  }

  #keep (end: End, data: Buffer): void {
    end.earlyBytes += data.length
    if (end.earlyBytes > EARLY.bytes || end.early.length >= EARLY.messages) {
      return this.#tell({ type: 'fault', socket: end.id })
    }
    // a copy: a short message would keep all that came in one piece with it
    end.early.push(Buffer.from(data))
  }

  #forward (from: End, to: End, data: Buffer): void {
    from.carried.bytes += data.length
    if (this.#options.relayBytes > 0 && from.carried.bytes > this.#options.relayBytes) {
      return this.#tell({ type: 'exhausted', socket: from.id })
    }
    this.#bytes += data.length
    // a message is a view of what was read at once, pings included, and keeps all of it: that is what it costs
    const { bytesRead } = from.carrier as Socket
    const cost = Math.max(data.length, bytesRead - from.read) + MESSAGE_COST
    from.read = bytesRead
    if (to.lane.send(cost)) {
      from.ws.pause()
    }
    to.ws.send(data, BINARY, () => {
      if (to.lane.left(cost)) {
        from.ws.resume()
      }
      if (to.closing != null && to.lane.pending === 0) {
        to.ws.close(to.closing)
      }
    })
  }

  /** Puts an event into the pairing and performs what it answers. */
  #tell (event: PairingEvent): void {
    const time = now()
    for (const output of this.#pairing.input(event, time)) {
      this.#perform(output)
    }
    this.#alarm.set(time)
  }

  #perform (output: PairingOutput): void {
    if (output.do === 'close') {
      return this.#close(output.socket, output.code)
    }
    const [first, second] = [this.#ends.get(output.first), this.#ends.get(output.second)]
    if (first != null && second != null) {
      first.other = second
      second.other = first
      second.carried = first.carried
      const { early } = first
      first.early = []
      first.earlyBytes = 0
      early.forEach(data => { this.#forward(first, second, data) })
    }
  }

  #close (socket: number, code: number): void {
    if (code === RelayCode.refused || code === RelayCode.missing) {
      this.#metrics.relayRefused(code)
    }
    const end = this.#ends.get(socket)
    if (end == null) {
      return
    }
    end.closing = code
    end.early = []
    end.earlyBytes = 0
    // nothing of it is passed on any more, but its close frame has to be read
    end.ws.resume()
    if (end.lane.pending === 0) {
      end.ws.close(code)
    }
  }

  /** Ends sockets that take nothing, and those that are dead. */
  #look (): void {
    const time = now()
    for (const { ws, carrier, lane, heartbeat, other, closing } of this.#ends.values()) {
      const stalled = lane.stalledFor(queuedIn(carrier), time)
      if (stalled > this.#options.stallTimeout) {
        this.#metrics.refused('ERR_STALLED')
        ws.terminate()
        continue
      }
      // one that is braked isn't read, and a pong waits behind all that is on the way
      if (other?.lane.braked === true || (lane.pending > 0 && stalled === 0)) {
        heartbeat.hear(time)
      }
      const verdict = heartbeat.look(time)
      if (verdict === 'dead') {
        ws.terminate()
      } else if (verdict === 'ask' && closing == null) {
        ws.ping()
      }
    }
  }
}

/** The machines' clock: milliseconds, never back. */
function now (): number {
  return performance.now()
}

/** Bytes that the system hasn't taken yet, of what it was handed: a private part of Node, 0 where it isn't there. */
function queuedIn (carrier: Duplex): number {
  const handle: unknown = Reflect.get(carrier, '_handle')
  const queued: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : undefined
  return typeof queued === 'number' ? queued : 0
}
