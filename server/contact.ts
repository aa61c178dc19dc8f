// The contact exchange's driver: TCP, or TLS with the star's own certificate, on one port in both families. With a certificate,
// who comes without TLS may ask where it comes from, and nothing else.
import { lookup } from 'node:dns/promises'
import { createServer, isIP } from 'node:net'
import { TLSSocket, createSecureContext } from 'node:tls'
import { Alarm } from '../src/alarm.ts'
import { toSocketAddress } from '../src/contact/address.ts'
import { Rooms } from '../src/contact/rooms.ts'
import { encodeReply } from '../src/contact/wire.ts'
import { limitKey } from './limits.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { RoomsEvent, RoomsOutput } from '../src/contact/rooms.ts'
import type { Tls } from './http.ts'
import type { ContactReadings, Metrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'

/** Milliseconds of silence after which the system asks whether the other end is still there. */
const KEEP_ALIVE = 60_000
/** The first byte of TLS, which no version of the exchange has. */
const TLS_HANDSHAKE = 0x16
/** Milliseconds in which the other end is to take what was said last. */
const FAREWELL = 2_000
/** How often another port is tried where any will do, and one family has it and the other one hasn't. */
const TRIES = 8
/** What the system says where there is no IPv6. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

/** One connection. */
interface Line {
  socket: Socket
  /** Not read, since it has to wait, or since it takes nothing. */
  held: boolean
  full: boolean
  farewell: NodeJS.Timeout | undefined
}

/** The contact server of a star. */
export class ContactDriver {
  readonly #metrics: Metrics
  readonly #secure: SecureContext | undefined
  readonly #rooms: Rooms
  readonly #alarm: Alarm
  readonly #lines = new Map<number, Line>()
  #servers: readonly Server[] = []
  #numbers = 0
  #closed = false

  constructor (options: ResolvedOptions, tls: Tls | undefined, metrics: Metrics) {
    this.#metrics = metrics
    this.#secure = tls && createSecureContext(tls)
    this.#rooms = new Rooms(options)
    this.#alarm = new Alarm(globalThis, this.#rooms, () => { this.#tell({ type: 'wake' }) })
  }

  /** Figures of this moment. */
  get readings (): ContactReadings {
    const { connections, rooms, waiting } = this.#rooms
    return { connections, rooms, waiting }
  }

  /** Listens at every address that the host has; resolves with the port. Rejects with the system's error. */
  async listen (host: string, port: number): Promise<number> {
    this.#servers = await listenAll(await addressesOf(host), port, socket => { this.#enter(socket) })
    return portOf(this.#servers) ?? port
  }

  /** Stops listening, cuts off all who are there, and resolves when they are. */
  async close (): Promise<void> {
    this.#closed = true
    this.#alarm.clear()
    const closed = closeAll(this.#servers)
    this.#lines.forEach(({ socket }) => { socket.destroy() })
    await closed
  }

  #enter (raw: Socket): void {
    const address = toSocketAddress(raw.remoteAddress ?? '', raw.remotePort ?? 0)
    raw.on('error', () => {}) // `close` follows
    if (address == null || this.#closed) {
      raw.destroy() // it is gone already, or has come too late
      return
    }
    raw.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
    const connection = this.#numbers++
    const line: Line = { socket: raw, held: false, full: false, farewell: undefined }
    this.#lines.set(connection, line)
    raw.once('close', () => {
      clearTimeout(line.farewell)
      this.#lines.delete(connection)
      this.#tell({ type: 'close', connection })
    })
    this.#tell({ type: 'open', connection, address, key: limitKey(address.ip) })
    if (raw.destroyed) {
      return // there are too many
    }
    const secureContext = this.#secure
    if (secureContext == null) {
      return this.#hear(connection, line)
    }
    raw.once('end', () => { this.#tell({ type: 'end', connection }) })
    raw.once('data', (bytes: Buffer) => {
      raw.pause()
      raw.unshift(bytes)
      if (bytes[0] === TLS_HANDSHAKE) {
        line.socket = new TLSSocket(raw, { isServer: true, secureContext })
      } else {
        this.#tell({ type: 'bare', connection })
      }
      this.#hear(connection, line)
    })
  }

  #hear (connection: number, { socket }: Line): void {
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => { this.#tell({ type: 'bytes', connection, bytes }) })
    socket.on('end', () => { this.#tell({ type: 'end', connection }) })
    socket.on('drain', () => { this.#brake(connection, { full: false }) })
    socket.resume()
  }

  #tell (event: RoomsEvent): void {
    if (this.#closed) {
      return
    }
    const now = performance.now()
    for (const output of this.#rooms.input(event, now)) {
      this.#perform(output)
    }
    this.#alarm.set(now)
  }

  #perform (output: RoomsOutput): void {
    const { connection } = output
    const line = this.#lines.get(connection)
    if (line == null) {
      return
    }
    switch (output.do) {
      case 'send':
        this.#metrics.contactReplied(output.reply.type)
        if (!line.socket.write(encodeReply(output.version, output.reply))) {
          this.#brake(connection, { full: true })
        }
        break
      case 'close':
        line.socket.end()
        // what is not read would make the system cut the connection, and what was sent with it
        this.#brake(connection, { full: false, held: false })
        line.farewell = setTimeout(() => { line.socket.destroy() }, FAREWELL)
        break
      case 'refuse':
        this.#metrics.refused('ERR_TOO_MANY_CONNECTIONS')
        line.socket.destroy()
        break
      case 'pause':
      case 'resume':
        this.#brake(connection, { held: output.do === 'pause' })
        break
    }
  }

  /** Reads a connection, or doesn't. */
  #brake (connection: number, state: Partial<Pick<Line, 'held' | 'full'>>): void {
    const line = this.#lines.get(connection)
    if (line != null) {
      const { held, full, socket } = Object.assign(line, state)
      if (held || full) {
        socket.pause()
      } else {
        socket.resume()
      }
    }
  }
}

/** The addresses to listen at: those of a name; and `::` is all of IPv6, so that IPv4 is told apart from it. */
async function addressesOf (host: string): Promise<string[]> {
  if (isIP(host) !== 0) {
    return host === '::' ? ['::', '0.0.0.0'] : [host]
  }
  const found = await lookup(host, { all: true })
  return [...new Set(found.map(({ address }) => address))]
}

/** Listens at all of these, on one port. */
async function listenAll (hosts: readonly string[], port: number, enter: (socket: Socket) => void): Promise<Server[]> {
  for (let tries = 1; ; tries++) {
    const servers: Server[] = []
    try {
      for (const host of hosts) {
        const server = await listenAt(host, portOf(servers) ?? port, enter).catch((error: unknown) => {
          if (host === hosts.at(-1) && servers.length === 0 || !(host.includes(':') && NO_IPV6.has(codeOf(error)))) {
            throw error
          }
        })
        servers.push(...server == null ? [] : [server])
      }
      return servers
    } catch (error) {
      await closeAll(servers)
      if (port !== 0 || servers.length === 0 || codeOf(error) !== 'EADDRINUSE' || tries === TRIES) {
        throw error
      }
    }
  }
}

async function listenAt (host: string, port: number, enter: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, enter)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, ipv6Only: true }, () => {
      server.off('error', reject)
      server.on('error', () => {}) // one connection could not be accepted; the next one may
      resolve()
    })
  })
  return server
}

async function closeAll (servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map(async server => {
    await new Promise<void>(resolve => { server.close(() => { resolve() }) })
  }))
}

function portOf ([server]: readonly Server[]): number | undefined {
  return (server?.address() as AddressInfo | null | undefined)?.port
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
