// RID: listens, says where in an invitation, and waits for the device that has read it. It is nominated to.
import { createServer } from 'node:net'
import { Alarm } from '../../src/alarm.ts'
import { StarError } from '../../src/errors.ts'
import { Acceptor } from '../../src/rendezvous/accept.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { offerAddresses } from '../../src/rendezvous/plan.ts'
import { KEY, encodeInvitation } from '../../src/rendezvous/wire.ts'
import { nodeCrypto } from './crypto.ts'
import { RaceDriver } from './driver.ts'
import { familyOf, localAddresses } from './interfaces.ts'
import { resolveOffer } from './options.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { AcceptEvent, Offered } from '../../src/rendezvous/accept.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'
import type { RendezvousConnection } from './connection.ts'
import type { RendezvousOfferOptions } from './options.ts'

/** An invitation, and what becomes of it. */
export interface RendezvousOffer {
  /** The invitation as a URL. Whoever has it can connect: it is a secret. */
  readonly url: string
  readonly init: RendezvousInit
  /**
   * The connection to the device that has read the invitation, which is good for one. Rejects with {@link StarError}, or with
   * the signal's reason.
   */
  readonly connected: Promise<RendezvousConnection>
  /** Stops waiting, and resolves when nothing is open any more. A connection that was made stays: it has a `close` of its own. */
  close (): Promise<void>
}

/** What the system says where there is no IPv6. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

/**
 * Listens on a port for one other device, and makes the invitation that it needs. Throws {@link StarError}
 * `ERR_RENDEZVOUS_FAILED` when there is no address to offer, and what the system says when it cannot listen.
 */
export async function offerRendezvous (options: RendezvousOfferOptions = {}): Promise<RendezvousOffer> {
  const { allow, signal, networkCost, loopback, port, timeout, handshakeTimeout } = resolveOffer(options)
  signal?.throwIfAborted()
  const all = localAddresses(networkCost)
  const allowed = all.filter(({ ip }) => allow({ ip, family: familyOf(ip) }))
  const ipAddresses = offerAddresses(allowed, { firstPathId: 1, loopback })
  if (ipAddresses.length === 0) {
    throw new StarError('ERR_RENDEZVOUS_FAILED', { detail: 'this device has no address that may be offered' })
  }
  const server = await listen(port, ipAddresses.length === 1 ? ipAddresses[0]?.ip : undefined)
  if (signal?.aborted === true) {
    await closeServer(server)
    throw signal.reason
  }
  const ak = nodeCrypto.random(KEY)
  const rendezvous = new Rendezvous(nodeCrypto, 'rid', ak)
  const driver = new RaceDriver({
    nominator: false, handshakeTimeout, collectTime: 0, raceTimeout: timeout, signal, onSettled: () => { door.close() }
  })
  const refused = new Set(all.filter(one => !allowed.includes(one)).map(({ ip }) => ip))
  const door = new Door(server, rendezvous, ipAddresses, driver, refused)
  for (const { pathId } of ipAddresses) {
    driver.tell({ type: 'add', path: pathId, entry: { rendezvous, pathId, kind: 'tcp', unmetered: false } })
  }
  driver.tell({ type: 'complete' })
  const init = { ak, relayedWebSocket: undefined, directTcpServer: { port: (server.address() as AddressInfo).port, ipAddresses } }
  return {
    url: encodeInvitation(init),
    init,
    connected: driver.connected,
    close: async () => {
      if (!door.isClosed) {
        driver.stop(new StarError('ERR_STOPPED', { detail: 'the invitation was withdrawn' }))
        await driver.closed
      }
      await door.closed
    }
  }
}

/** The port of a rendezvous: who comes there, until it is known which path that is. */
class Door {
  /** Resolves when the port and all who came and were not let in are gone. */
  readonly closed: Promise<void>
  readonly #acceptor: Acceptor
  readonly #alarm: Alarm
  readonly #driver: RaceDriver
  readonly #server: Server
  readonly #strangers = new Map<number, Socket>()
  /** Those of strangers that are not closed yet, whether they are still waited for or not. */
  readonly #open = new Set<Socket>()
  readonly #onClosed: () => void
  #next = 0
  #closing = false

  constructor (
    server: Server, rendezvous: Rendezvous, offered: readonly Offered[], driver: RaceDriver, refused: ReadonlySet<string>
  ) {
    this.#server = server
    this.#driver = driver
    this.#acceptor = new Acceptor(rendezvous, offered)
    this.#alarm = new Alarm(globalThis, this.#acceptor, () => { this.#tell({ type: 'wake' }) })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.#onClosed = resolve
    server.on('connection', socket => {
      const local = socket.localAddress?.replace(/^::ffff:(?=\d+\.)/i, '') ?? ''
      if (refused.has(local)) {
        socket.on('error', () => {}).destroy()
      } else {
        this.#enter(socket, local)
      }
    })
    server.on('error', () => {}) // one connection could not be accepted; the next one may
  }

  get isClosed (): boolean {
    return this.#closing
  }

  /** Waits for nobody any more. */
  close (): void {
    if (!this.#closing) {
      this.#closing = true
      this.#tell({ type: 'stop' })
      this.#alarm.clear()
      this.#server.close() // its callback would wait for the connection that was made, too
      this.#look()
    }
  }

  #enter (socket: Socket, localAddress: string): void {
    const connection = this.#next++
    this.#strangers.set(connection, socket)
    this.#open.add(socket)
    socket.on('data', (bytes: Buffer) => { this.#tell({ type: 'bytes', connection, bytes: Uint8Array.from(bytes) }) })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => {
      this.#open.delete(socket)
      this.#strangers.delete(connection)
      this.#tell({ type: 'lost', connection })
      this.#look()
    })
    this.#tell({ type: 'connected', connection, localAddress })
  }

  #look (): void {
    if (this.#closing && this.#open.size === 0) {
      this.#onClosed()
    }
  }

  #tell (event: AcceptEvent): void {
    for (const output of this.#acceptor.input(event, performance.now())) {
      const socket = this.#strangers.get(output.connection)
      this.#strangers.delete(output.connection)
      if (socket == null) {
        continue
      }
      if (output.do === 'close') {
        socket.destroy()
      } else {
        this.#open.delete(socket)
        socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close')
        this.#driver.attach(output.pathId, socket)
        this.#driver.tell({ type: 'open', path: output.pathId })
        output.bytes.forEach(bytes => { this.#driver.tell({ type: 'bytes', path: output.pathId, bytes }) })
      }
    }
    if (!this.#closing) {
      this.#alarm.set(performance.now())
    }
  }
}

/** Listens at one address, or at all of them, in both families where the system has both. */
async function listen (port: number, host: string | undefined): Promise<Server> {
  try {
    return await listenAt(port, host ?? '::')
  } catch (error) {
    if (host == null && error instanceof Error && 'code' in error && NO_IPV6.has(String(error.code))) {
      return await listenAt(port, '0.0.0.0')
    }
    throw error
  }
}

async function listenAt (port: number, host: string): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return server
}

async function closeServer (server: Server): Promise<void> {
  await new Promise<void>(resolve => { server.close(() => { resolve() }) })
}
