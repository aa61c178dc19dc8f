// An attempt's punching: what this end's port looks like from outside, and the dials from there to where the other peer's is.
// Each connection that comes of it becomes a path of the race, on an id of its own: an id is good for one handshake.
import { Crossing } from './crossing.ts'
import { Reflection } from './reflection.ts'
import { Punch } from '../punch.ts'
import { familyOf } from '../../src/rendezvous/plan.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { StarError } from '../../src/errors.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { Endpoint, PunchContact } from '../../src/contact/candidates.ts'
import type { Rendezvous } from '../../src/rendezvous/keys.ts'
import type { Platform, TcpDoor } from '../paths/platform.ts'
import type { Wire } from '../paths/wire.ts'

/** A path that may come of a punch: in our own rendezvous, where the other peer's dials are, or in the other peer's. */
export interface PunchedPath {
  readonly ours: boolean
  readonly pathId: number
}

/** What a puncher needs. */
export interface PuncherInit {
  /** The contact exchange that is asked. */
  readonly host: string
  readonly port: number
  readonly tcp: NonNullable<Platform['tcp']>
  readonly door: TcpDoor
  /** Whether it is we who nominate. */
  readonly nominator: boolean
  /** Our own rendezvous. */
  readonly mine: Rendezvous
  readonly loopback: boolean
  readonly allow: (target: Endpoint) => boolean
  /** Whether a public address may be told. */
  readonly tell: (ip: string) => boolean
  /** A connection to be proved, and the bytes that came on it. */
  readonly onPath: (path: PunchedPath, wire: Wire, bytes: readonly Uint8Array[]) => void
  /** No connection follows. */
  readonly onOver: () => void
}

/** The ids of the paths that may come of it, in each of the two rendezvous. */
export const PUNCHED: readonly number[] = Array.from({ length: 8 }, (_, index) => 2_000 + index)

/** One attempt's punching, at one of its ends. */
export class Puncher {
  readonly #init: PuncherInit
  readonly #reflection = new Reflection()
  #port: Awaited<ReturnType<TcpDoor['hold']>> | undefined
  #punch: Punch | undefined
  /** What was dialled, by the ids of its paths. */
  readonly #dialled = new Map<number, Wire>()
  /** Of that, what the other peer had dialled, too, by the ids of its paths. */
  readonly #crossed = new Map<number, Wire>()
  #stopped = false

  constructor (init: PuncherInit) {
    this.#init = init
  }

  /** Opens our port, and resolves with where it is seen and what of that may be told; with nothing where nobody says. */
  async look (): Promise<readonly SocketAddress[]> {
    const { host, port, tcp, door, tell } = this.#init
    const [held, ips] = await Promise.all([door.hold(), tcp.lookup(host).catch(() => [])])
    if (this.#stopped) {
      held.release()
      throw new StarError('ERR_STOPPED')
    }
    this.#port = held
    await this.#reflection.ask(held, ips, port)
    return this.#reflection.seen.filter(({ ip }) => tell(ip))
  }

  /** Dials what the other peer's port was seen as, at once and until something comes of it. */
  start (theirs: readonly SocketAddress[]): void {
    const { tcp, loopback, allow, onOver } = this.#init
    const port = this.#port
    if (port == null || this.#stopped) {
      return onOver()
    }
    const local = tcp.addresses(() => 'unknown').map(({ ip }) => ({ ip, port: port.port }))
    this.#punch = new Punch({
      port,
      own: contactOf(this.#reflection.seen, local),
      peer: contactOf(theirs, []),
      loopback,
      allow,
      onWire: wire => { this.#offer(wire) },
      onOver
    })
  }

  /** It is the other peer that is at the other end of this path. */
  verified ({ ours, pathId }: PunchedPath): void {
    const wire = (ours ? this.#crossed : this.#dialled).get(pathId)
    if (wire != null) {
      this.#punch?.verified(wire)
    }
  }

  stop (): void {
    this.#stopped = true
    this.#punch?.stop()
    this.#reflection.close()
    this.#port?.release()
    this.#port = undefined
  }

  #offer (wire: Wire): void {
    const { nominator, mine, onPath } = this.#init
    const pathId = PUNCHED[this.#dialled.size]
    if (pathId == null) {
      return wire.close(CloseCode.protocol)
    }
    this.#dialled.set(pathId, wire)
    const crossing = new Crossing(wire, {
      nominator,
      pathOf: sealed => PUNCHED.find(id => !mine.isClaimed(id) && mine.isHello(id, sealed)),
      onCrossed: (id, crossed, bytes) => {
        this.#crossed.set(id, crossed)
        onPath({ ours: true, pathId: id }, crossed, bytes)
      }
    })
    onPath({ ours: false, pathId }, crossing, [])
  }
}

function contactOf (seen: readonly SocketAddress[], local: readonly Endpoint[]): PunchContact {
  return { v4: seen.find(({ ip }) => familyOf(ip) === 4), v6: seen.find(({ ip }) => familyOf(ip) === 6), local }
}
