// One port at which others are waited for and from which they are dialled, in both families. How the two go together depends on
// the system: three ways to do it, behind one class.
import net from 'node:net'
import { networkInterfaces } from 'node:os'
import { StarError } from '../../../src/errors.ts'
import { isLoopback, parse, unmapped } from '../../../src/ip.ts'
import { exclusive } from './exclusive.ts'
import { shared } from './shared.ts'
import { TcpWire } from './tcp.ts'
import type { Server, Socket } from 'node:net'
import type { PunchMode } from '../../../src/contact/candidates.ts'
import type { PunchPort, TcpTarget } from '../platform.ts'
import type { Wire, WireOwner } from '../wire.ts'

/** How a port is made. */
export interface PortOptions {
  /** 0 takes any that is free. */
  readonly port: number
  /** The one address to listen at and to dial from; all of them by default. */
  readonly host?: string | undefined
  /** What the system can do, by default as far as it does. */
  readonly mode?: PunchMode | undefined
  /** Somebody has connected. */
  readonly onSocket: (socket: Socket) => void
}

/** An address of this device, with which a port can be had. */
export interface Place {
  readonly host: string
  readonly family: 4 | 6
}

/** How listening and dialling go together. */
export interface Sharing {
  /** Listens; rejects with what the system says. */
  listen (place: Place, port: number, onSocket: (socket: Socket) => void): Promise<Server>
  /** The servers that listen; to be told before anything is dialled. */
  begin (servers: readonly Server[], reopen: () => Promise<Server[]>): void
  /** Dials, from this place; whatever is wrong with that is an error of the socket. */
  dial (target: TcpTarget, place: Place, port: number): Socket
  close (): void
}

/** What the system says where a family isn't there. */
const NO_FAMILY = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])
/** How often a number that only one family has free is given back for another one. */
const NUMBERS = 16

/** A port. */
export class Port implements PunchPort {
  readonly port: number
  readonly mode: PunchMode
  readonly #places: readonly Place[]
  readonly #sharing: Sharing
  #closed = false

  private constructor (port: number, mode: PunchMode, places: readonly Place[], sharing: Sharing) {
    this.port = port
    this.mode = mode
    this.#places = places
    this.#sharing = sharing
  }

  /** Listens. Rejects with what the system says when it can't. */
  static async open ({ port, host, mode = modeOf(net), onSocket }: PortOptions): Promise<Port> {
    const places: Place[] = host == null
      ? [{ host: '0.0.0.0', family: 4 }, { host: '::', family: 6 }]
      : [{ host, family: host.includes(':') ? 6 : 4 }]
    const sharing = mode === 'shared' ? shared() : exclusive(mode)
    for (let tries = 1; ; tries++) {
      try {
        const servers = await listenAll(sharing, places, port, onSocket)
        const number = portOf(servers)
        const there = places.filter(({ family }) => servers.some(server => familyOf(server) === family))
        sharing.begin(servers, async () => await listenAll(sharing, there, number, onSocket))
        return new Port(number, mode, there, sharing)
      } catch (error) {
        if (port !== 0 || codeOf(error) !== 'EADDRINUSE' || tries === NUMBERS) {
          throw error
        }
      }
    }
  }

  dial (target: TcpTarget, owner: WireOwner): Wire {
    return TcpWire.fromPort(this.#dial(target), target, owner)
  }

  /** Nobody comes in any more, and nobody is dialled. Connections that there are stay. */
  close (): void {
    this.#closed = true
    this.#sharing.close()
  }

  #dial (target: TcpTarget): Socket {
    const place = this.#places.find(({ family }) => family === target.family)
    if (this.#closed) {
      return new net.Socket().destroy(new StarError('ERR_STOPPED'))
    }
    if (place == null) {
      return new net.Socket().destroy(noFamily(target))
    }
    if (target.port === this.port && isOwn(target.ip)) {
      return new net.Socket().destroy(new StarError('ERR_DIAL_SELF'))
    }
    return this.#sharing.dial(target, place, this.port)
  }
}

/** What a system can do: found out by doing it, for where there is no sharing of ports it only fails. */
export function modeOf (
  { BoundSocket }: Partial<Pick<typeof net, 'BoundSocket'>>, platform: string = process.platform
): PunchMode {
  if (BoundSocket != null) {
    try {
      new BoundSocket({ host: '127.0.0.1', reusePort: true }).close()
      return 'shared'
    } catch {
      // a system without it
    }
  }
  return platform === 'linux' ? 'plain' : 'portable'
}

/** Listens in each family that there is, with one number. */
async function listenAll (
  sharing: Sharing, places: readonly Place[], wanted: number, onSocket: (socket: Socket) => void
): Promise<Server[]> {
  const servers: Server[] = []
  let missing: unknown
  for (const place of places) {
    try {
      servers.push(await sharing.listen(place, servers.length === 0 ? wanted : portOf(servers), onSocket))
    } catch (error) {
      if (places.length === 1 || !NO_FAMILY.has(codeOf(error) ?? '')) {
        servers.forEach(server => server.close())
        throw error
      }
      missing = error
    }
  }
  if (servers.length === 0) {
    throw missing
  }
  return servers
}

/** Whether an address is one of this device: a connection to it from the same port would be one with itself. */
function isOwn (ip: string): boolean {
  const bytes = parse(ip.replace(/%.*$/, ''))
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => parse(address)))
  return bytes != null && (isLoopback(bytes) || !bytes.some(byte => byte !== 0) ||
    own.some(one => String(one) === String(bytes)))
}

function portOf (servers: readonly Server[]): number {
  const address = servers[0]?.address()
  return address != null && typeof address === 'object' ? address.port : 0
}

function familyOf (server: Server): 4 | 6 {
  const address = server.address()
  return address != null && typeof address === 'object' && address.family === 'IPv4' ? 4 : 6
}

function codeOf (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

function noFamily ({ ip }: TcpTarget): Error {
  return Object.assign(new Error(`no address of this port can reach ${unmapped(ip)}`), { code: 'ENETUNREACH' })
}
