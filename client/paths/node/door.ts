// The port at which other devices are waited for, each with a rendezvous of its own; open as long as there is one.
import { createServer } from 'node:net'
import { Alarm } from '../../../src/alarm.ts'
import { StarError } from '../../../src/errors.ts'
import { Acceptor } from '../../../src/rendezvous/accept.ts'
import { CloseCode } from '../../../src/rendezvous/close.ts'
import { unmapped } from '../../../src/rendezvous/ip.ts'
import { TcpWire } from './tcp.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { AcceptEvent } from '../../../src/rendezvous/accept.ts'
import type { DoorOptions, Guest, TcpDoor } from '../platform.ts'
import type { Wire } from '../wire.ts'

/** What the system says where there is no IPv6. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

/** A port. */
export class Door implements TcpDoor {
  readonly #options: DoorOptions
  readonly #acceptor = new Acceptor()
  readonly #alarm: Alarm
  readonly #guests = new Map<number, Guest>()
  readonly #strangers = new Map<number, Wire>()
  /** Connections of those who were not let in, until they are closed. */
  readonly #open = new Set<number>()
  #server: Promise<Server> | undefined
  #next = 0
  #onEmpty: (() => void) | undefined

  constructor (options: DoorOptions) {
    this.#options = options
    this.#alarm = new Alarm(globalThis, this.#acceptor, () => { this.#tell({ type: 'wake' }) })
  }

  async admit (guest: Guest): Promise<number> {
    const offer = this.#next++
    this.#guests.set(offer, guest)
    this.#tell({ type: 'offer', offer, rendezvous: guest.rendezvous, offered: guest.offered })
    this.#server ??= this.#listen()
    try {
      const server = await this.#server
      if (!this.#guests.has(offer)) {
        throw new StarError('ERR_STOPPED')
      }
      return (server.address() as AddressInfo).port
    } catch (error) {
      this.dismiss(guest)
      throw error
    }
  }

  dismiss (guest: Guest): void {
    for (const [offer, one] of this.#guests) {
      if (one === guest) {
        this.#guests.delete(offer)
        this.#tell({ type: 'withdraw', offer })
      }
    }
    if (this.#guests.size === 0) {
      this.#shut(this.#server)
      this.#look()
    }
  }

  /** Closes the port as soon as it is open, unless somebody is waited for by then: another one could not have the same number. */
  #shut (server: Promise<Server> | undefined): void {
    server?.then(one => {
      if (this.#guests.size === 0 && this.#server === server) {
        this.#server = undefined
        one.close() // its callback would wait for the connections that were made, too
      }
    }, () => {
      this.#server = this.#server === server ? undefined : this.#server
    })
  }

  async close (): Promise<void> {
    const server = this.#server
    this.#guests.forEach(guest => { this.dismiss(guest) })
    await server?.catch(() => {})
    if (this.#open.size > 0) {
      await new Promise<void>(resolve => { this.#onEmpty = resolve })
    }
  }

  /** Listens at one address, or at all of them, in both families where the system has both. */
  async #listen (): Promise<Server> {
    const { host } = this.#options
    try {
      return await this.#listenAt(host ?? '::')
    } catch (error) {
      if (host == null && error instanceof Error && 'code' in error && NO_IPV6.has(String(error.code))) {
        return await this.#listenAt('0.0.0.0')
      }
      throw error
    }
  }

  async #listenAt (host: string): Promise<Server> {
    const server = createServer(socket => { this.#enter(socket) })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port: this.#options.port, host }, () => {
        server.off('error', reject)
        server.on('error', () => {}) // one connection could not be accepted; the next one may
        resolve()
      })
    })
    return server
  }

  #enter (socket: Socket): void {
    const localAddress = unmapped(socket.localAddress ?? '').replace(/%.*$/, '')
    if (this.#guests.size === 0 || !this.#options.allow(localAddress)) {
      socket.on('error', () => {}).destroy()
      return
    }
    const connection = this.#next++
    this.#open.add(connection)
    const wire = new TcpWire(socket, {
      onOpen: () => {},
      // a copy: the system's memory of a chunk is much larger than what a stranger says
      onBytes: bytes => { this.#tell({ type: 'bytes', connection, bytes: Uint8Array.from(bytes) }) },
      onTaken: () => {},
      onClose: () => {
        this.#strangers.delete(connection)
        this.#open.delete(connection)
        this.#tell({ type: 'lost', connection })
        this.#look()
      }
    })
    this.#strangers.set(connection, wire)
    this.#tell({ type: 'connected', connection, localAddress })
  }

  #tell (event: AcceptEvent): void {
    const now = performance.now()
    for (const output of this.#acceptor.input(event, now)) {
      const wire = this.#strangers.get(output.connection)
      this.#strangers.delete(output.connection)
      if (output.do === 'close') {
        wire?.close(CloseCode.protocol)
      } else if (wire != null) {
        this.#open.delete(output.connection)
        this.#guests.get(output.offer)?.onClaim(output.pathId, wire, output.bytes)
      }
    }
    this.#alarm.set(now)
  }

  #look (): void {
    if (this.#open.size === 0) {
      this.#onEmpty?.()
    }
  }
}
