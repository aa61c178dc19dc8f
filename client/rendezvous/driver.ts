// Drives a race over TCP sockets: owns its sockets, its dials and its timer, and makes the connection of what is nominated.
import { Alarm } from '../../src/alarm.ts'
import { StarError } from '../../src/errors.ts'
import { Race } from '../../src/rendezvous/race.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { Duplex } from './connection.ts'
import type { Socket } from 'node:net'
import type { RaceEvent, RaceOptions, RaceOutput } from '../../src/rendezvous/race.ts'
import type { RendezvousConnection } from './connection.ts'

/** The longest frame that is taken: larger ones would have to be held as a whole. */
const MAX_FRAME = 1_048_576 + 16
/** Milliseconds of silence after which the system asks whether the other end is still there. */
const KEEP_ALIVE = 30_000
/** Milliseconds for Nominate: as long as the other end takes to find all of its paths. */
const NOMINATE_TIMEOUT = 60_000

/** How a race is driven. */
export interface DriverInit extends Pick<RaceOptions, 'nominator' | 'handshakeTimeout' | 'collectTime' | 'raceTimeout'> {
  readonly signal: AbortSignal | undefined
  /** Called once, when there is a connection, or there won't be one: nobody is to be waited for any more. */
  onSettled (): void
}

/** One race. */
export class RaceDriver {
  /** Rejects with {@link StarError}, or with the signal's reason. */
  readonly connected: Promise<RendezvousConnection>
  /** Resolves when the race is over and nothing of it is open. */
  readonly closed: Promise<void>
  readonly #init: DriverInit
  readonly #race: Race
  readonly #alarm: Alarm
  readonly #sockets = new Map<number, Socket>()
  readonly #dials = new Map<number, NodeJS.Timeout>()
  readonly #events: RaceEvent[] = []
  #performing = false
  #duplex: Duplex | undefined
  #queued = 0
  #reason: unknown
  #settled = false
  readonly #resolve: (connection: RendezvousConnection) => void
  readonly #reject: (reason: unknown) => void
  readonly #onClosed: () => void

  constructor (init: DriverInit) {
    this.#init = init
    this.#race = new Race({ ...init, maxFrame: MAX_FRAME, plain: false, nominateTimeout: NOMINATE_TIMEOUT })
    this.#alarm = new Alarm(globalThis, this.#race, () => { this.tell({ type: 'wake' }) })
    const { promise, resolve, reject } = Promise.withResolvers<RendezvousConnection>()
    const closing = Promise.withResolvers<void>()
    this.connected = promise
    this.closed = closing.promise
    this.#resolve = resolve
    this.#reject = reject
    this.#onClosed = closing.resolve
    promise.catch(() => {}) // who waits for it is told
    init.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Puts an event in, and all those that come of it, in their order. */
  tell (event: RaceEvent): void {
    this.#events.push(event)
    if (this.#performing) {
      return
    }
    this.#performing = true
    try {
      for (let next = this.#events.shift(); next != null; next = this.#events.shift()) {
        this.#race.input(next, performance.now()).forEach(output => { this.#perform(output) })
      }
    } finally {
      this.#performing = false
    }
    this.#alarm.set(performance.now())
  }

  /** Dials a path after so many milliseconds. */
  dial (path: number, after: number, connect: () => Socket): void {
    this.#dials.set(path, setTimeout(() => {
      this.#dials.delete(path)
      const socket = connect()
      this.attach(path, socket)
      socket.once('connect', () => { this.tell({ type: 'open', path }) })
    }, after))
  }

  /** The socket is that of this path, from now on until it is closed. */
  attach (path: number, socket: Socket): void {
    let cause: Error | undefined
    this.#sockets.set(path, socket)
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
    socket.on('data', bytes => { this.tell({ type: 'bytes', path, bytes }) })
    socket.on('error', error => { cause = error })
    socket.on('close', () => {
      this.#sockets.delete(path)
      const error = cause == null ? undefined : new StarError('ERR_PATH_LOST', { detail: cause.message, cause })
      this.tell({ type: 'lost', path, ...(error == null ? {} : { error }) })
      this.#look()
    })
  }

  /** Ends everything, for this reason. */
  stop (reason: unknown): void {
    this.#reason ??= reason
    this.tell({ type: 'close', code: CloseCode.normal })
  }

  readonly #onAbort = (): void => { this.stop(this.#init.signal?.reason) }

  #perform (output: RaceOutput): void {
    switch (output.do) {
      case 'send': return this.#send(output.path, output.frame)
      case 'deliver': {
        this.#duplex?.deliver(output.bytes)
        return
      }
      case 'nominated': {
        this.#duplex = this.#connect(output.path, output.rph)
        this.#settle()
        return this.#resolve(this.#duplex)
      }
      case 'close': {
        clearTimeout(this.#dials.get(output.path))
        this.#dials.delete(output.path)
        this.#sockets.get(output.path)?.destroy()
        return
      }
      case 'over': {
        this.#alarm.clear()
        const reason = this.#reason ?? output.error ?? new StarError('ERR_PATH_LOST')
        this.#reject(reason)
        this.#duplex?.fail(reason instanceof StarError ? reason : new StarError('ERR_STREAM_CLOSED', { cause: reason }))
        this.#settle()
        return this.#look()
      }
      case 'established':
      case 'warning': // the last one is the cause of the error, when nothing comes of the others
      case 'refused':
    }
  }

  #send (path: number, frame: readonly Uint8Array[]): void {
    const socket = this.#sockets.get(path)
    if (socket == null) {
      return
    }
    const size = frame.reduce((sum, { byteLength }) => sum + byteLength, 0)
    const isData = path === this.#race.nominated && this.#duplex != null
    this.#queued += isData ? size : 0
    socket.cork()
    frame.forEach((part, index) => {
      socket.write(part, index < frame.length - 1 ? undefined : error => {
        if (error != null) {
          return // it was not taken, and `close` follows
        }
        if (isData) {
          this.#queued -= size
          this.#duplex?.drained()
        } else if (!this.#race.over) {
          this.tell({ type: 'written', path })
        }
      })
    })
    socket.uncork()
  }

  #connect (path: number, rph: Uint8Array): Duplex {
    return new Duplex(rph, {
      send: bytes => { this.tell({ type: 'send', bytes }) },
      queued: () => this.#queued,
      pause: () => { this.#sockets.get(path)?.pause() },
      resume: () => { this.#sockets.get(path)?.resume() },
      end: reason => { this.stop(reason) },
      closed: this.closed
    })
  }

  /** There is a connection, or there won't be one. */
  #settle (): void {
    if (!this.#settled) {
      this.#settled = true
      this.#init.signal?.removeEventListener('abort', this.#onAbort)
      this.#init.onSettled()
    }
  }

  #look (): void {
    if (this.#race.over && this.#sockets.size === 0) {
      this.#onClosed()
    }
  }
}
