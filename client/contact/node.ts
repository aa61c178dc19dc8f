// A contact exchange's driver in Node: one TCP or TLS connection of each family.
import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { Alarm } from '../../src/alarm.ts'
import { toSocketAddress } from '../../src/contact/address.ts'
import { Exchange } from '../../src/contact/exchange.ts'
import { resolveContact } from './options.ts'
import type { Socket } from 'node:net'
import type { Family } from '../../src/contact/address.ts'
import type { ExchangeEvent, ExchangeOutput } from '../../src/contact/exchange.ts'
import type { ContactExchange, ExchangeContacts, ResolvedContactOptions } from './options.ts'

/** Milliseconds of silence after which the system asks whether the server is still there. */
const KEEP_ALIVE = 60_000

/** See `client/contact.ts`. */
export const exchangeContacts: ExchangeContacts = async options => {
  const resolved = resolveContact(options)
  const { signal, hold } = resolved
  signal?.throwIfAborted()
  const driver = new Driver(resolved)
  const onAbort = (): void => { driver.fail(signal?.reason) }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const exchange = await driver.exchanged
    await (hold ? undefined : exchange.close())
    return exchange
  } catch (error) {
    await driver.close()
    throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

class Driver {
  readonly exchanged: Promise<ContactExchange>
  readonly #options: ResolvedContactOptions
  readonly #machine: Exchange
  readonly #alarm: Alarm
  readonly #sockets = new Map<Family, Socket>()
  #resolve: (exchange: ContactExchange) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor (options: ResolvedContactOptions) {
    this.#options = options
    this.exchanged = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const literal = isIP(options.host)
    const families = (['v6', 'v4'] as const).filter(family => literal === 0 || family === (literal === 6 ? 'v6' : 'v4'))
    const { room, creator, local, timeout } = options
    const now = performance.now()
    this.#machine = new Exchange({ room, creator, local, timeout, families }, now)
    this.#alarm = new Alarm(globalThis, this.#machine, () => { this.#tell({ type: 'wake' }) })
    this.#alarm.set(now)
    families.forEach(family => { this.#connect(family) })
  }

  fail (error: unknown): void {
    this.#alarm.clear()
    this.#reject(error)
  }

  async close (): Promise<void> {
    this.#alarm.clear()
    await Promise.all([...this.#sockets.values()].filter(socket => !socket.closed).map(async socket => {
      const closed = once(socket, 'close')
      socket.destroy()
      await closed
    }))
  }

  #connect (family: Family): void {
    const { host, port, localPort, tls, ca } = this.#options
    // bound before it connects: only then the system lets other sockets have the same port
    const bound = family === 'v6' ? { family: 6, localAddress: '::' } : { family: 4, localAddress: '0.0.0.0' }
    const target = { host, port, localPort, ...bound }
    const socket = tls ? connectTls({ ...target, ...ca == null ? {} : { ca } }) : connect(target)
    this.#sockets.set(family, socket)
    let cause: Error | undefined
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      this.#tell({ type: 'open', family, local: toSocketAddress(socket.localAddress ?? '', socket.localPort ?? 0) })
    })
    socket.on('data', (bytes: Buffer) => { this.#tell({ type: 'bytes', family, bytes }) })
    socket.on('error', error => { cause = error })
    socket.once('close', () => { this.#tell({ type: 'lost', family, ...cause == null ? {} : { cause } }) })
  }

  #tell (event: ExchangeEvent): void {
    const now = performance.now()
    for (const output of this.#machine.input(event, now)) {
      this.#perform(output)
    }
    this.#alarm.set(now)
  }

  #perform (output: ExchangeOutput): void {
    switch (output.do) {
      case 'send':
        this.#sockets.get(output.family)?.write(output.bytes)
        break
      case 'close':
        this.#sockets.get(output.family)?.destroy()
        break
      case 'created':
        this.#options.onRoom?.()
        break
      case 'done':
        this.#resolve({ own: output.own, peer: output.peer, ports: this.#ports(), close: async () => { await this.close() } })
        break
      case 'fail':
        this.fail(output.error)
        break
    }
  }

  /** The ports of the connections that are there. */
  #ports (): ContactExchange['ports'] {
    const open = [...this.#sockets].filter(([, socket]) => socket.localPort != null)
    return Object.fromEntries(open.map(([family, { localPort }]) => [family, localPort]))
  }
}
