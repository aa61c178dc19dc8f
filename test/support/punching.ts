// Two ends of an attempt that punch: what each is told of the other one, and who else is at the addresses that they are told.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { platform } from '../../client/paths/node/platform.ts'
import { resolve } from '../../client/options.ts'
import { Attempt } from '../../client/upgrade/attempt.ts'
import { DialBudget } from '../../client/upgrade/dial-budget.ts'
import { Outlook } from '../../client/upgrade/outlook.ts'
import { isOpen } from './ports.ts'
import { Watched } from './waiting.ts'
import { Owner } from './wires.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Path } from '../../client/paths/path.ts'
import type { Platform, TcpDoor } from '../../client/paths/platform.ts'
import type { Tried } from '../../client/race-driver.ts'
import type { Member } from '../../client/star.ts'
import type { Offer } from '../../client/upgrade/exchange.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'
import type { SocketAddress } from '../../src/contact/address.ts'

/** Attempts at one door share what is known of it. */
const outlooks = new WeakMap<TcpDoor, Outlook>()

function outlookOf (door: TcpDoor, tcp: ConstructorParameters<typeof Outlook>[0]): Outlook {
  const outlook = outlooks.get(door) ?? new Outlook(tcp, door)
  outlooks.set(door, outlook)
  return outlook
}

/** What an end is made of. */
export interface PunchEndInit {
  readonly nominator: boolean
  /** The port of the contact exchange; none by default. */
  readonly contact?: number | undefined
  /** The host of the star. */
  readonly host?: string
  readonly offerAddress?: () => boolean
  /** The port to listen at. */
  readonly port?: number
  readonly door?: TcpDoor
  readonly kinds?: readonly PathKind[]
  readonly lookup?: NonNullable<Platform['tcp']>['lookup']
  readonly budget?: Pick<DialBudget, 'take'>
}

/** One end of an attempt, with a door of its own. */
export class PunchEnd extends Watched {
  readonly door: TcpDoor
  readonly attempt: Attempt
  readonly paths: Path[] = []
  readonly owner = new Owner()
  readonly tried: Tried[] = []

  constructor ({ nominator, contact, port = 0, kinds = ['tcp'], ...rest }: PunchEndInit) {
    super()
    const { host = rest.lookup == null ? '127.0.0.1' : 'localhost' } = rest
    const { tcp } = platform
    assert.ok(tcp)
    this.door = rest.door ?? tcp.door({ port, allow: () => true })
    const url = `ws://${host.includes(':') ? `[${host}]` : host}:1`
    const own = { ...tcp, ...rest.lookup == null ? {} : { lookup: rest.lookup } }
    this.attempt = new Attempt({
      platform: { ...platform, tcp: own },
      punching: { outlook: outlookOf(this.door, own), budget: rest.budget ?? new DialBudget() },
      options: resolve({ directLoopback: true, ...rest.offerAddress == null ? {} : { offerAddress: rest.offerAddress } }),
      door: this.door,
      nominator,
      kinds,
      member: { joined: true, contact, star: { url }, announceRelay: async () => {} } as unknown as Member,
      current: () => ({ kind: 'relay', unmetered: false, roundTrip: undefined, acknowledged: 1, received: 1 }),
      adopt: path => {
        this.paths.push(path)
        path.own(this.owner)
        this.changed()
      },
      onTried: tried => {
        this.tried.push(tried)
        this.changed()
      }
    })
  }

  /** Why paths to that address came to nothing. */
  failures (via: string): ReadonlyArray<string | undefined> {
    return this.tried.filter(one => one.via === via && one.error != null).map(({ error }) => error?.code)
  }

  /** Runs with what the other end has offered, as if it were seen there and could not be dialled otherwise. */
  async run (theirs: Offer, seen: readonly SocketAddress[]): Promise<void> {
    await this.attempt.run({ ...theirs, dials: false, seen, init: { ...theirs.init, directTcpServer: undefined } })
  }

  /** Resolves when nothing of it is open. */
  async closed (): Promise<void> {
    this.paths.forEach(path => { path.close() })
    await Promise.all([this.attempt.closed, this.door.close()])
  }
}

/** Somebody at a port, who does something with each who comes. */
export class Somebody extends Watched {
  readonly sockets: Socket[] = []
  readonly #server: Server
  closed = 0

  private constructor (server: Server, onSocket: (socket: Socket) => void) {
    super()
    this.#server = server.on('connection', socket => {
      this.sockets.push(socket.on('error', () => {}).on('close', () => {
        this.closed++
        this.changed()
      }).resume())
      onSocket(socket)
      this.changed()
    })
  }

  static async at (host: string, onSocket: (socket: Socket) => void = () => {}): Promise<Somebody> {
    const somebody = new Somebody(createServer(), onSocket)
    somebody.#server.listen(0, host)
    await once(somebody.#server, 'listening')
    return somebody
  }

  get address (): SocketAddress {
    const { address, port } = this.#server.address() as AddressInfo
    return { ip: address, port }
  }

  /** As paths say it. */
  get via (): string {
    const { ip, port } = this.address
    return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
  }

  async met (count: number): Promise<void> {
    await this.when(`connection ${count}`, () => this.sockets.length >= count)
  }

  /** Resolves when all who came are gone. */
  async left (): Promise<void> {
    await this.when('them to be gone', () => this.closed === this.sockets.length)
  }

  async close (): Promise<void> {
    this.sockets.forEach(socket => socket.destroy())
    await new Promise(done => { this.#server.close(done) })
  }
}

/** Where two dials meet: each who comes to one of the two has who comes to the other one at the other end. */
export async function meetingPoint (): Promise<readonly [Somebody, Somebody]> {
  const waiting: [Socket[], Socket[]] = [[], []]
  const meet = (index: 0 | 1) => (socket: Socket): void => {
    const other = waiting[index === 0 ? 1 : 0].find(one => !one.destroyed)
    if (other == null) {
      waiting[index].push(socket.pause())
      return
    }
    waiting[index === 0 ? 1 : 0] = []
    socket.pipe(other).on('close', () => socket.destroy())
    other.pipe(socket).on('close', () => other.destroy())
  }
  return [await Somebody.at('127.0.0.1', meet(0)), await Somebody.at('127.0.0.1', meet(1))]
}

/** Fails unless that port can be listened at. */
export async function assertFree (port: number): Promise<void> {
  const server = createServer().listen(port)
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

/** Fails unless somebody listens there. */
export async function assertOpen (port: number): Promise<void> {
  assert.ok(await isOpen(port), `${port}`)
}
