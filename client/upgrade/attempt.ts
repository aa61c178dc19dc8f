// One try to find a better path for a link: what this peer offers, what the other one does, and the race between all of it.
import { toString } from 'uint8arrays/to-string'
import { StarError } from '../../src/errors.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { unmapped } from '../../src/ip.ts'
import { mayDial, withZone } from '../../src/rendezvous/ip.ts'
import { dialPlan, familyOf, offerAddresses } from '../../src/rendezvous/plan.ts'
import { KEY } from '../../src/rendezvous/wire.ts'
import { NominatedPath } from '../paths/nominated.ts'
import { RaceDriver } from '../race-driver.ts'
import { PUNCHED, Puncher } from './puncher.ts'
import type { Dial, LocalAddress } from '../../src/rendezvous/plan.ts'
import type { Entry } from '../../src/rendezvous/race.ts'
import type { Candidate, PathKind } from '../../src/rendezvous/select.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'
import type { ResolvedStarInit } from '../options.ts'
import type { Guest, Platform, TcpDoor } from '../paths/platform.ts'
import type { WireOwner, Wire } from '../paths/wire.ts'
import type { Tried } from '../race-driver.ts'
import type { Member } from '../star.ts'
import type { DialBudget } from './dial-budget.ts'
import type { Offer } from './exchange.ts'
import type { Outlook } from './outlook.ts'
import type { PunchedPath } from './puncher.ts'

/** What an attempt is made of. */
export interface AttemptInit {
  readonly platform: Platform
  readonly options: ResolvedStarInit
  readonly door: TcpDoor | undefined
  /** How the door's port is seen from outside, and what holes may cost others; absent where none are to be punched. */
  readonly punching?: { readonly outlook: Outlook, readonly budget: Pick<DialBudget, 'take'> } | undefined
  /** Whether it is we who nominate. */
  readonly nominator: boolean
  /** What may be tried. */
  readonly kinds: readonly PathKind[]
  /** The star through which the link runs. */
  readonly member: Member | undefined
  /** What the link runs on now. */
  current (): Candidate
  /** There is a path; called before anything can come on it. */
  adopt (path: NominatedPath): void
  onTried (tried: Tried): void
}

/** Milliseconds for the handshake on each path. */
const HANDSHAKE_TIMEOUT = 5_000
/** Milliseconds for which better paths are waited for once there is one, unless it can't be beaten. */
const COLLECT_TIME = 250
/** Milliseconds for all of it. */
const RACE_TIMEOUT = 10_000
/** Milliseconds by which a path through the star is tried later than one past it: mostly it is not needed then. */
const RELAY_DELAY = 500
/** The id of the path through the relay; those of addresses are 1 and on. */
const RELAY_PATH = 1_000
/** Where the paths of the other peer's init are counted from. */
const THEIRS = 1_000_000
const FREE = 'unknown'

/** One try, at one of its ends. */
export class Attempt {
  readonly #init: AttemptInit
  readonly #ak: Uint8Array
  readonly #mine: Rendezvous
  readonly #driver: RaceDriver<NominatedPath>
  readonly #addresses: readonly LocalAddress[]
  readonly #puncher: Puncher | undefined
  #guest: Guest | undefined
  #theirs: Rendezvous | undefined
  #settled = false
  /** The path that was announced. */
  #relay: string | undefined
  /** As long as it isn't known whether the other peer wants everything sealed, everything is. */
  #sealed = true

  constructor (init: AttemptInit) {
    const { platform, options, nominator } = init
    this.#init = init
    this.#ak = platform.crypto.random(KEY)
    this.#mine = new Rendezvous(platform.crypto, 'rid', this.#ak)
    this.#addresses = platform.tcp?.addresses(() => FREE) ?? []
    this.#driver = new RaceDriver<NominatedPath>({
      nominator,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      collectTime: COLLECT_TIME,
      raceTimeout: RACE_TIMEOUT,
      eager: true,
      plain: !options.directSealed,
      current: () => init.current(),
      connect: channel => {
        const path = new NominatedPath(channel, () => this.#sealed)
        init.adopt(path)
        return path
      },
      onSettled: () => { this.#settle() },
      onTried: (tried, path) => {
        if (tried.roundTrip != null) {
          this.#puncher?.verified({ ours: path < THEIRS, pathId: path % THEIRS })
        }
        init.onTried(tried)
      }
    })
    this.#puncher = this.#newPuncher()
  }

  /** Resolves when nothing of it, or of the path that came of it, is open any more. */
  get closed (): Promise<void> {
    return this.#driver.closed
  }

  /** Opens what can be opened, and resolves with the offer that tells of it. */
  async offer (link: bigint): Promise<Offer> {
    const { platform, kinds, options } = this.#init
    this.#announce()
    const seen = await this.#puncher?.look().catch(() => []) ?? [] // what is wrong with the port is told below
    if (this.#settled) {
      throw new StarError('ERR_STOPPED')
    }
    const directTcpServer = await this.#listen(seen.length > 0)
    const relay = this.#relay
    return {
      link,
      init: {
        ak: this.#ak,
        relayedWebSocket: relay == null ? undefined : { pathId: RELAY_PATH, networkCost: FREE, url: this.#relayUrl(relay) },
        directTcpServer
      },
      sealed: options.directSealed,
      dials: platform.tcp != null && kinds.includes('tcp'),
      seen: directTcpServer == null ? [] : seen
    }
  }

  /** Tries everything; resolves when there is a path, and rejects with {@link StarError}. */
  async run ({ init, sealed, dials, seen }: Offer): Promise<void> {
    const { platform, options } = this.#init
    this.#sealed = sealed || options.directSealed
    const rendezvous = new Rendezvous(platform.crypto, 'rrd', init.ak)
    this.#theirs = rendezvous
    const plan = dialPlan(init, {
      families: [...new Set(this.#addresses.map(({ ip }) => familyOf(ip)))],
      allow: target => this.#mayDial(target)
    })
    const punches = this.#puncher != null && seen.length > 0
    const isTcp = punches || (dials && this.#guest != null) || plan.some(({ target }) => target.kind === 'tcp')
    const after = isTcp ? RELAY_DELAY : 0
    if (this.#relay != null) {
      this.#dialRelay(RELAY_PATH, { rendezvous: this.#mine, pathId: RELAY_PATH }, this.#relay, after)
    }
    for (const [index, { pathId, target, after: when }] of plan.entries()) {
      const keys = { rendezvous, pathId }
      if (target.kind === 'relay-ws') {
        // the path is theirs, the star is ours: nobody has us connect to a server of their choice
        const hex = /\/([0-9a-f]{64})$/.exec(target.url)?.[1]
        if (hex != null) {
          this.#dialRelay(THEIRS + index, keys, hex, after)
        }
      } else {
        const zoned = { ...target, ip: withZone(target.ip, this.#addresses) }
        const connect = (owner: WireOwner): Wire => (platform.tcp as NonNullable<Platform['tcp']>).dial(zoned, owner)
        this.#driver.dial(THEIRS + index, { ...keys, kind: 'tcp', unmetered: false }, target.ip, { after: when, connect })
      }
    }
    if (punches) {
      this.#puncher?.start(seen)
    } else {
      this.#driver.complete()
    }
    await this.#driver.connected
  }

  /** Ends it, and the path that came of it. */
  stop (reason: StarError): void {
    this.#settle()
    this.#driver.stop(reason)
  }

  /** The addresses at which the other peer may come. */
  get #offered (): ReturnType<typeof offerAddresses> {
    const { platform, kinds, options, door } = this.#init
    if (door == null || platform.tcp == null || !kinds.includes('tcp')) {
      return []
    }
    const allowed = this.#addresses.filter(({ ip, interface: name }) => options.offerAddress?.({ ip, interface: name }) ?? true)
    return offerAddresses(allowed, { firstPathId: 1, loopback: options.directLoopback })
  }

  #newPuncher (): Puncher | undefined {
    const { options, punching, nominator, member } = this.#init
    if (punching == null || member?.contact == null || this.#offered.length === 0) {
      return undefined
    }
    return new Puncher({
      observer: { host: new URL(member.star.url).hostname.replace(/^\[|\]$/g, ''), port: member.contact },
      ...punching,
      addresses: this.#addresses,
      nominator,
      mine: this.#mine,
      loopback: options.directLoopback,
      allow: ({ ip, port }) => this.#mayDial({ kind: 'tcp', ip, port, family: familyOf(ip) }),
      tell: ip => options.offerAddress?.({ ip: unmapped(ip), interface: '' }) ?? true,
      onPath: (path, wire, bytes) => { this.#enter(path, wire, bytes) },
      onOver: () => { this.#driver.complete() }
    })
  }

  /** A connection that was made by punching is one more path. */
  #enter ({ ours, pathId }: PunchedPath, wire: Wire, bytes: readonly Uint8Array[]): void {
    const rendezvous = ours ? this.#mine : this.#theirs
    if (rendezvous != null) {
      const path = ours ? pathId : THEIRS + pathId
      this.#driver.await(path, { rendezvous, pathId, kind: 'tcp', unmetered: false }, wire.via)
      this.#driver.attach(path, wire, bytes)
    }
  }

  async #listen (punches: boolean): Promise<RendezvousInit['directTcpServer']> {
    const { options, door } = this.#init
    const ipAddresses = this.#offered
    if (door == null || ipAddresses.length === 0) {
      return undefined
    }
    this.#guest = {
      rendezvous: this.#mine,
      offered: [...ipAddresses, ...punches ? PUNCHED.map(pathId => ({ pathId, ip: '' })) : []],
      onClaim: (pathId, wire, bytes) => {
        if (PUNCHED.includes(pathId)) {
          this.#enter({ ours: true, pathId }, wire, bytes)
        } else {
          this.#driver.attach(pathId, wire, bytes)
        }
      }
    }
    let port: number
    try {
      port = await door.admit(this.#guest)
    } catch (cause) {
      this.#guest = undefined
      if (!(cause instanceof StarError)) { // it is when it was stopped meanwhile
        const error = new StarError('ERR_PATH_LOST', { detail: 'this device cannot listen', cause })
        this.#init.onTried({ kind: 'tcp', via: `port ${options.directPort}`, error })
      }
      return undefined
    }
    for (const { pathId, ip } of ipAddresses) {
      this.#driver.await(pathId, { rendezvous: this.#mine, pathId, kind: 'tcp', unmetered: false }, ip)
    }
    return { port, ipAddresses }
  }

  /**
   * Has the star serve a path; who nominates does. Its answer isn't waited for: it has been told before the other peer hears of
   * the path.
   */
  #announce (): void {
    const { kinds, nominator, member, platform } = this.#init
    if (!nominator || member?.joined !== true || !kinds.includes('relay-ws')) {
      return
    }
    const hex = toString(platform.crypto.random(32), 'base16')
    this.#relay = hex
    member.announceRelay(hex).catch((cause: unknown) => {
      this.#relay = undefined
      const error = cause instanceof StarError ? cause : new StarError('ERR_STAR_LOST', { cause })
      this.#init.onTried({ kind: 'relay-ws', via: member.star.url, error })
    })
  }

  #dialRelay (path: number, keys: Pick<Entry, 'rendezvous' | 'pathId'>, hex: string, after: number): void {
    const { platform, options: { ca }, kinds, member } = this.#init
    if (member != null && kinds.includes('relay-ws')) {
      const connect = (owner: WireOwner): Wire => platform.dialWebSocket(this.#relayUrl(hex), ca, owner)
      this.#driver.dial(path, { ...keys, kind: 'relay-ws', unmetered: false }, member.star.url, { after, connect })
    }
  }

  #relayUrl (hex: string): string {
    return `${this.#init.member?.star.url ?? ''}/relay/${hex}`
  }

  #mayDial (target: Dial['target']): boolean {
    const { platform, kinds, options: { dialAddress, directLoopback }, member } = this.#init
    if (target.kind === 'relay-ws') {
      return member != null
    }
    const { ip, port } = target
    return platform.tcp != null && kinds.includes('tcp') &&
      (dialAddress == null ? mayDial(target, this.#addresses, directLoopback) : dialAddress({ ip, port }))
  }

  #settle (): void {
    this.#settled = true
    if (this.#guest != null) {
      this.#init.door?.dismiss(this.#guest)
    }
    this.#puncher?.stop()
  }
}
