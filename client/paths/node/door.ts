// The port at which other devices are waited for, each with a rendezvous of its own; open as long as there is one, or it is held.
import { Alarm } from '../../../src/alarm.ts'
import { StarError } from '../../../src/errors.ts'
import { unmapped } from '../../../src/ip.ts'
import { Acceptor } from '../../../src/rendezvous/accept.ts'
import { CloseCode } from '../../../src/rendezvous/close.ts'
import { Port } from './port.ts'
import { TcpWire } from './tcp.ts'
import type { Socket } from 'node:net'
import type { AcceptEvent } from '../../../src/rendezvous/accept.ts'
import type { DoorOptions, Guest, HeldPort, TcpDoor } from '../platform.ts'
import type { Wire } from '../wire.ts'

/** A port. */
export class Door implements TcpDoor {
  readonly #options: DoorOptions
  readonly #acceptor = new Acceptor()
  readonly #alarm: Alarm
  readonly #guests = new Map<number, Guest>()
  readonly #strangers = new Map<number, Wire>()
  /** Connections of those who were not let in, until they are closed. */
  readonly #open = new Set<number>()
  readonly #holds = new Set<object>()
  #port: Promise<Port> | undefined
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
    try {
      const { port } = await this.#opened()
      if (!this.#guests.has(offer)) {
        throw new StarError('ERR_STOPPED')
      }
      return port
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
    this.#shut(this.#port)
    this.#look()
  }

  async hold (): Promise<HeldPort> {
    const hold = {}
    this.#holds.add(hold)
    const release = (): void => {
      this.#holds.delete(hold)
      this.#shut(this.#port)
    }
    try {
      const port = await this.#opened()
      if (!this.#holds.has(hold)) {
        throw new StarError('ERR_STOPPED')
      }
      return { port: port.port, mode: port.mode, dial: (target, owner) => port.dial(target, owner), release }
    } catch (error) {
      release()
      throw error
    }
  }

  async close (): Promise<void> {
    const port = this.#port
    this.#guests.forEach(guest => { this.dismiss(guest) })
    this.#holds.clear()
    this.#shut(port)
    await port?.catch(() => {})
    if (this.#open.size > 0) {
      await new Promise<void>(resolve => { this.#onEmpty = resolve })
    }
  }

  get #isWanted (): boolean {
    return this.#guests.size > 0 || this.#holds.size > 0
  }

  async #opened (): Promise<Port> {
    this.#port ??= Port.open({ ...this.#options, onSocket: socket => { this.#enter(socket) } })
    return await this.#port
  }

  /** Closes the port as soon as it is open, unless somebody wants it by then: another one could not have the same number. */
  #shut (port: Promise<Port> | undefined): void {
    port?.then(one => {
      if (!this.#isWanted && this.#port === port) {
        this.#port = undefined
        one.close()
      }
    }, () => {
      this.#port = this.#port === port ? undefined : this.#port
    })
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
