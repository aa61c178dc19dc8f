// An attempt's punching: what this end's port looks like from outside, and the dials from there to where the other peer's is.
// Each connection that comes of it becomes a path of the race, on an id of its own: an id is good for one handshake.
import { Crossing } from './crossing.ts'
import { Punch } from '../punch.ts'
import { familyOf } from '../../src/rendezvous/plan.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { StarError } from '../../src/errors.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { Endpoint, PunchContact } from '../../src/contact/candidates.ts'
import type { Rendezvous } from '../../src/rendezvous/keys.ts'
import type { LocalAddress } from '../../src/rendezvous/plan.ts'
import type { Wire, WireOwner } from '../paths/wire.ts'
import type { DialBudget } from './dial-budget.ts'
import type { Observer, Outlook, View } from './outlook.ts'

/** A path that may come of a punch: in our own rendezvous, where the other peer's dials are, or in the other peer's. */
export interface PunchedPath {
  readonly ours: boolean
  readonly pathId: number
}

/** What a puncher needs. */
export interface PuncherInit {
  /** The star that is asked, and how. */
  readonly observer: Observer
  readonly outlook: Outlook
  readonly budget: Pick<DialBudget, 'take'>
  /** The addresses of this device. */
  readonly addresses: readonly LocalAddress[]
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
  #view: View | undefined
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
    const { observer, outlook, tell } = this.#init
    const view = await outlook.see(observer)
    if (this.#stopped) {
      view?.release()
      throw new StarError('ERR_STOPPED')
    }
    this.#view = view
    return view?.seen.filter(({ ip }) => tell(ip)) ?? []
  }

  /** Dials what the other peer's port was seen as, at once and until something comes of it. */
  start (theirs: readonly SocketAddress[]): void {
    const { addresses, budget, loopback, allow, onOver } = this.#init
    if (this.#view == null) {
      return onOver()
    }
    const { port, seen } = this.#view
    const local = addresses.map(({ ip }) => ({ ip, port: port.port }))
    this.#punch = new Punch({
      port: {
        ...port,
        dial: (target, owner) => budget.take(target.ip, performance.now()) ? port.dial(target, owner) : new NoWire(owner)
      },
      own: contactOf(seen, local),
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
    this.#view?.release()
    this.#view = undefined
  }

  #offer (wire: Wire): void {
    const { nominator, mine, onPath } = this.#init
    const pathId = PUNCHED[this.#dialled.size]
    if (pathId == null) {
      wire.close(CloseCode.protocol)
      return this.#punch?.stop() // whoever is there, it isn't the peer
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

/** What comes of a dial that is not made. */
class NoWire implements Wire {
  readonly via = ''
  readonly queued = 0

  constructor (owner: WireOwner) {
    queueMicrotask(() => { owner.onClose(undefined, new StarError('ERR_BUDGET')) })
  }

  own (): void {
    // nothing comes of it
  }

  send (): void {
    // nobody is there
  }

  pause (): void {
    // nothing is read
  }

  resume (): void {
    // nothing is read
  }

  close (): void {
    // it never was open
  }
}

function contactOf (seen: readonly SocketAddress[], local: readonly Endpoint[]): PunchContact {
  return { v4: seen.find(({ ip }) => familyOf(ip) === 4), v6: seen.find(({ ip }) => familyOf(ip) === 6), local }
}
