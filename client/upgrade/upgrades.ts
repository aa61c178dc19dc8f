// The better paths of a node's links: when one is tried, by whom, and what becomes of it. Who dialled a link tries and nominates,
// the other peer answers.
import { Alarm } from '../../src/alarm.ts'
import { StarError } from '../../src/errors.ts'
import { Policy } from '../../src/rendezvous/policy.ts'
import { isDirect } from '../../src/rendezvous/select.ts'
import { Attempt } from './attempt.ts'
import { DialBudget } from './dial-budget.ts'
import { Outlook } from './outlook.ts'
import { RENDEZVOUS_PROTOCOL, answerOffer, exchangeOffers } from './exchange.ts'
import type { ComponentLogger, Connection, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { PolicyEvent } from '../../src/rendezvous/policy.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'
import type { ResolvedStarInit } from '../options.ts'
import type { Platform, TcpDoor } from '../paths/platform.ts'
import type { Tried } from '../race-driver.ts'
import type { Peer } from '../peer.ts'

/** What upgrades need. */
export interface UpgradesInit {
  readonly components: { readonly logger: ComponentLogger, readonly registrar: Registrar }
  readonly options: ResolvedStarInit
  readonly platform: Platform
  /** The driver of a peer that there is something to do with. */
  peer (id: string): Peer | undefined
  /** What became of a path that was tried. */
  onTried (peer: string, link: bigint, tried: Tried): void
}

/** A link, as its upgrade sees it. */
interface Ascent {
  readonly peer: string
  readonly link: bigint
  /** What decides when to try; only at the peer that dialled the link. */
  policy: Policy | undefined
  alarm: Alarm | undefined
  connection: Connection | undefined
  /** What the link runs on. */
  kind: PathKind | undefined
  attempt: Attempt | undefined
  /** When the other peer's last offer was answered. */
  answeredAt: number
  /** Ends a link that has to be direct and isn't in time. */
  deadline: ReturnType<typeof setTimeout> | undefined
  /** Who waits until it is direct. */
  readonly waiting: Set<(error?: StarError) => void>
}

/** Attempts at one time, of all links. */
const MAX_ATTEMPTS = 128
/** All upgrades of one node. */
export class Upgrades {
  /**
   * Milliseconds between two offers of one peer that are answered: each has us dial. Half of what a peer rests that abides by the
   * rules (policy.ts); only tests want less.
   */
  offerPause = 500
  readonly #init: UpgradesInit
  readonly #ascents = new Map<string, Ascent>()
  /** Attempts of which something may still be open, also as paths that carry links. */
  readonly #attempts = new Set<Attempt>()
  #trying = 0
  #door: TcpDoor | undefined
  #punching: { readonly outlook: Outlook, readonly budget: DialBudget } | undefined
  #stop = new AbortController()

  constructor (init: UpgradesInit) {
    this.#init = init
  }

  /** Answers other peers. */
  async start (): Promise<void> {
    const { components: { registrar }, options, platform } = this.#init
    if (options.direct !== false) {
      this.#stop = new AbortController()
      this.#door = platform.tcp?.door({ port: options.directPort, allow: ip => this.#isOffered(ip) })
      if (platform.tcp != null && this.#door != null) {
        this.#punching = { outlook: new Outlook(platform.tcp, this.#door), budget: new DialBudget() }
      }
      await registrar.handle(RENDEZVOUS_PROTOCOL, (stream, connection) => { void this.#answer(stream, connection) }, {
        runOnLimitedConnection: true
      })
    }
  }

  /** Ends every attempt, and every path that came of one. */
  async stop (): Promise<void> {
    const { components: { registrar }, options } = this.#init
    if (options.direct === false) {
      return
    }
    const error = new StarError('ERR_STOPPED')
    this.#stop.abort(error)
    for (const { peer, link } of [...this.#ascents.values()]) {
      this.over(peer, link)
    }
    const attempts = [...this.#attempts]
    attempts.forEach(attempt => { attempt.stop(error) })
    await Promise.all([this.#door?.close(), ...attempts.map(async attempt => { await attempt.closed })])
    await registrar.unhandle(RENDEZVOUS_PROTOCOL)
  }

  /** A link that we have dialled outlives its path from now on: it may move. */
  begin (peer: string, link: bigint, connection: Connection): void {
    const { direct, directInterval } = this.#init.options
    const ascent = this.#ascents.get(peer)
    if (direct === false || ascent?.link !== link || ascent.policy != null) {
      return
    }
    ascent.policy = new Policy({ kinds: this.#kinds, longestRest: directInterval })
    ascent.alarm = new Alarm(globalThis, ascent.policy, () => { this.#feed(ascent, { type: 'wake' }) })
    ascent.connection = connection
    this.#feed(ascent, { type: 'path', kind: ascent.kind })
  }

  /** A link to a peer runs on a path of this kind from now on, or on none. */
  moved (peer: string, link: bigint, kind: PathKind | undefined): void {
    const { direct } = this.#init.options
    if (direct === false) {
      return
    }
    const known = this.#ascents.get(peer)
    if (known?.link !== link) {
      this.over(peer, known?.link ?? link)
      this.#ascents.set(peer, {
        peer, link, kind, policy: undefined, alarm: undefined, connection: undefined, attempt: undefined, deadline: undefined,
        answeredAt: -Infinity, waiting: new Set()
      })
    }
    const ascent = this.#ascents.get(peer) as Ascent
    ascent.kind = kind
    if (kind != null && isDirect(kind)) {
      this.#settle(ascent)
    } else if (direct === 'require') {
      ascent.deadline ??= setTimeout(() => { this.#tooLate(ascent) }, this.#init.options.directTimeout)
    }
    this.#feed(ascent, { type: 'path', kind })
  }

  /** That link is over. */
  over (peer: string, link: bigint): void {
    const ascent = this.#ascents.get(peer)
    if (ascent?.link === link) {
      this.#ascents.delete(peer)
      ascent.alarm?.clear()
      ascent.attempt?.stop(new StarError('ERR_STREAM_CLOSED'))
      this.#settle(ascent, new StarError('ERR_STREAM_CLOSED'))
    }
  }

  /** Resolves when the link to that peer runs past the star; rejects with `ERR_NOT_DIRECT` when it is given up. */
  async whenDirect (peer: string, signal: AbortSignal): Promise<void> {
    const ascent = this.#ascents.get(peer)
    if (ascent == null) {
      throw new StarError('ERR_STREAM_CLOSED')
    }
    if (ascent.kind != null && isDirect(ascent.kind)) {
      return
    }
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown): void => {
        signal.removeEventListener('abort', onAbort)
        ascent.waiting.delete(settle)
        if (error == null) {
          resolve()
        } else {
          reject(error as Error)
        }
      }
      const onAbort = (): void => { settle(signal.reason) }
      ascent.waiting.add(settle)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Tries to move the link to that peer now, instead of a try that is under way; resolves with whether it will. For tests. */
  async try (peer: string, kinds: readonly PathKind[]): Promise<boolean> {
    const ascent = this.#ascents.get(peer)
    return ascent == null ? false : await this.#try(ascent, kinds)
  }

  /** What may be tried, the best first. */
  get #kinds (): readonly PathKind[] {
    const { options: { direct, directRelay }, platform } = this.#init
    return [...platform.tcp == null ? [] : ['tcp' as const], ...directRelay && direct === 'prefer' ? ['relay-ws' as const] : []]
  }

  #settle (ascent: Ascent, error?: StarError): void {
    clearTimeout(ascent.deadline)
    ascent.deadline = undefined
    ascent.waiting.forEach(settle => { settle(error) })
  }

  #tooLate (ascent: Ascent): void {
    const error = new StarError('ERR_NOT_DIRECT')
    this.#settle(ascent, error)
    this.#init.peer(ascent.peer)?.end(ascent.link, error)
  }

  #feed (ascent: Ascent, event: PolicyEvent): void {
    const { peer } = ascent
    if (ascent.policy == null || this.#ascents.get(peer) !== ascent) {
      return // that link is over; the peer may have another one
    }
    const now = performance.now()
    for (const { kinds } of ascent.policy.input(event, now)) {
      void this.#try(ascent, kinds).then(nominated => { this.#feed(ascent, { type: 'tried', nominated }) }, (error: unknown) => {
        this.#log('%s has no rendezvous - %e', peer, error)
        this.#feed(ascent, isUnsupported(error) ? { type: 'unsupported' } : { type: 'tried', nominated: false })
      })
    }
    ascent.alarm?.set(now)
  }

  /** Resolves with whether a path was nominated; rejects when the other peer doesn't know the protocol. */
  async #try (ascent: Ascent, kinds: readonly PathKind[]): Promise<boolean> {
    const { connection, link, peer } = ascent
    if (connection == null || this.#trying >= MAX_ATTEMPTS) {
      return false
    }
    const attempt = this.#attempt(ascent, kinds, true)
    this.#trying++
    try {
      const theirs = await exchangeOffers(connection, await attempt.offer(link), this.#stop.signal)
      if (theirs.link !== link) {
        throw new StarError('ERR_LINK_UNKNOWN')
      }
      await attempt.run(theirs)
      return true
    } catch (error) {
      attempt.stop(error instanceof StarError ? error : new StarError('ERR_RENDEZVOUS_FAILED', { cause: error }))
      if (isUnsupported(error)) {
        throw error
      }
      this.#log('no better path to %s - %e', peer, error)
      return false
    } finally {
      this.#trying--
      release(ascent, attempt)
    }
  }

  async #answer (stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const own: { ascent?: Ascent, attempt?: Attempt } = {}
    try {
      const theirs = await answerOffer(stream, this.#stop.signal, async ({ link }) => {
        own.ascent = this.#admit(peer, link, connection)
        own.attempt = this.#attempt(own.ascent, this.#kinds, false)
        this.#trying++ // and not before: who only opens streams is to take nobody's place
        return await own.attempt.offer(link)
      })
      await own.attempt?.run(theirs)
    } catch (error) {
      own.attempt?.stop(error instanceof StarError ? error : new StarError('ERR_RENDEZVOUS_FAILED', { cause: error }))
      this.#log('no better path from %s - %e', peer, error)
    } finally {
      if (own.ascent != null && own.attempt != null) {
        this.#trying--
        release(own.ascent, own.attempt)
      }
    }
  }

  /** Whose offer it is; throws {@link StarError} when it isn't to be answered. */
  #admit (peer: string, link: bigint, connection: Connection): Ascent {
    const ascent = this.#ascents.get(peer)
    if (ascent?.link !== link || this.#init.peer(peer)?.carries(connection, link) !== true) {
      throw new StarError('ERR_LINK_UNKNOWN')
    }
    const now = performance.now()
    if (this.#trying >= MAX_ATTEMPTS || now - ascent.answeredAt < this.offerPause) {
      throw new StarError('ERR_TOO_MANY_IN_FLIGHT')
    }
    ascent.answeredAt = now
    return ascent
  }

  #attempt (ascent: Ascent, kinds: readonly PathKind[], nominator: boolean): Attempt {
    const { platform, options } = this.#init
    const peer = this.#init.peer(ascent.peer)
    ascent.attempt?.stop(new StarError('ERR_STREAM_CLOSED')) // the other peer answers one at a time, the last one
    const attempt = new Attempt({
      platform,
      options,
      door: this.#door,
      punching: this.#punching,
      nominator,
      kinds,
      member: peer?.member,
      current: () => ({
        kind: ascent.kind ?? 'relay',
        unmetered: false,
        // a stream on socket.io carries half as much as anything else, whatever a single round trip takes
        roundTrip: ascent.kind === 'relay' ? undefined : peer?.link?.session.figures.roundTrip,
        acknowledged: 1,
        received: 1
      }),
      adopt: path => {
        if (peer == null) {
          path.close()
        } else {
          peer.adopt(path, ascent.link)
        }
      },
      onTried: tried => { this.#init.onTried(ascent.peer, ascent.link, tried) }
    })
    ascent.attempt = attempt
    this.#attempts.add(attempt)
    void attempt.closed.then(() => { this.#attempts.delete(attempt) })
    return attempt
  }

  #isOffered (ip: string): boolean {
    const { offerAddress } = this.#init.options
    return offerAddress == null || (this.#init.platform.tcp?.addresses(() => 'unknown') ?? [])
      .every(address => address.ip !== ip || offerAddress({ ip, interface: address.interface }))
  }

  #log (format: string, ...args: unknown[]): void {
    this.#init.components.logger.forComponent('libp2p:star:upgrade')(format, ...args)
  }
}

/** An attempt is over; what came of it lives on as a path of the link. */
function release (ascent: Ascent, attempt: Attempt): void {
  if (ascent.attempt === attempt) {
    ascent.attempt = undefined
  }
}

/** The other peer has said that it doesn't know the protocol. */
function isUnsupported (error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedProtocolError'
}
