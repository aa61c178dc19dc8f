// The libp2p transport: dials through stars, makes listeners on them, and joins and leaves with the node.
import { serviceCapabilities, transportSymbol } from '@libp2p/interface'
import { CustomProgressEvent } from 'progress-events'
import { STAR_PROTOCOL, parseStarAddress, requireStarAddress } from '../src/address.ts'
import { StarError } from '../src/errors.ts'
import { StarConnection } from './connection.ts'
import { Links } from './links.ts'
import { StarListener } from './listener.ts'
import type {
  ComponentLogger, Connection, CounterGroup, CreateListenerOptions, DialTransportOptions, Libp2pEvents, Listener, Metrics,
  OutboundConnectionUpgradeEvents, PeerId, PrivateKey, Startable, Transport, TypedEventTarget
} from '@libp2p/interface'
import type { AddressManager, Registrar } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { ProgressEvent } from 'progress-events'
import type { StarAddress } from '../src/address.ts'
import type { Hub } from './hub.ts'
import type { Journal } from './journal.ts'
import type { ResolvedStarInit } from './options.ts'
import type { Member } from './star.ts'

/** What the transport needs of a libp2p node. */
export interface StarComponents {
  peerId: PeerId
  privateKey: PrivateKey
  logger: ComponentLogger
  addressManager: AddressManager
  registrar: Registrar
  events: TypedEventTarget<Libp2pEvents>
  metrics?: Metrics
}

/** The stations of a dial, for `onProgress`. */
export type StarDialEvents =
  | ProgressEvent<'star:join', string>
  | ProgressEvent<'star:dial', string>
  | ProgressEvent<'star:accepted', string>
  | OutboundConnectionUpgradeEvents

/** The transport of one node. */
export class StarTransport implements Transport<StarDialEvents>, Startable {
  readonly [transportSymbol] = true
  readonly [Symbol.toStringTag] = 'libp2p-star'
  /** The second one lets @libp2p/webrtc signal over connections through a star as it does over a circuit relay. */
  readonly [serviceCapabilities]: string[] = ['@libp2p/transport', '@libp2p/circuit-relay-v2-transport']
  readonly #components: StarComponents
  readonly #options: ResolvedStarInit
  readonly #hub: Hub
  readonly #metrics: { dialer: CounterGroup, listener: CounterGroup, link: CounterGroup } | undefined
  /** The links of the node. */
  readonly links: Links

  constructor (components: StarComponents, options: ResolvedStarInit, hub: Hub, journal: Journal) {
    this.#components = components
    this.#options = options
    this.#hub = hub
    const group = (who: string): CounterGroup | undefined => {
      const help = `Events of ${who} connections through a star, by type`
      return components.metrics?.registerCounterGroup(`libp2p_star_${who}_events_total`, { label: 'event', help })
    }
    const [dialer, listener, link] = [group('dialer'), group('listener'), group('link')]
    this.#metrics = dialer == null || listener == null || link == null ? undefined : { dialer, listener, link }
    this.links = new Links({ components, options, hub, journal, metrics: this.#metrics })
  }

  async start (): Promise<void> {
    await this.links.start()
  }

  beforeStop (): void {
    this.#hub.unlistAll()
  }

  stop (): void {
    // connections are closing now, through the star
  }

  async afterStop (): Promise<void> {
    await this.links.stop()
    this.#hub.close()
  }

  /**
   * Dials a peer through its star, which is joined for the purpose where it isn't yet. Resolves with the connection that is
   * there already, if there is one: two peers have one link between them. Rejects with {@link StarError}, or with what the
   * upgrader says; a peer with another identity than the address names is refused.
   */
  async dial (ma: Multiaddr, options: DialTransportOptions<StarDialEvents>): Promise<Connection> {
    const { signal, onProgress } = options
    signal.throwIfAborted()
    const star = requireStarAddress(ma)
    if (star.peer == null) {
      throw new StarError('ERR_ADDRESS', { detail: `${ma.toString()} names no peer` })
    }
    const member = this.#hub.member(star, this.#components)
    const release = this.#hub.hold(member) // however long it takes
    try {
      if (!this.links.has(star.peer)) {
        onProgress?.(new CustomProgressEvent('star:join', star.url))
        await member.whenJoined(signal)
        signal.throwIfAborted()
        onProgress?.(new CustomProgressEvent('star:dial', star.canonical))
      }
      return await this.#dialLink(member, star.peer, star, ma, options).catch(async (error: unknown) => {
        if (!(error instanceof StarError && error.code === 'ERR_NOT_SPOKEN') || this.links.private) {
          throw error
        }
        return await this.#dialPlain(member, star, ma, options)
      })
    } finally {
      release()
    }
  }

  async #dialLink (
    member: Member, peer: string, star: StarAddress, ma: Multiaddr, options: DialTransportOptions<StarDialEvents>
  ): Promise<Connection> {
    const { signal, onProgress, upgrader } = options
    return await this.links.dial(peer, {
      route: { member, address: star.canonical },
      remoteAddr: ma,
      signal,
      upgrade: async (connection, initiator, upgrading) => {
        onProgress?.(new CustomProgressEvent('star:accepted', star.canonical))
        const told = onProgress == null ? {} : { onProgress }
        return await upgrader.upgradeOutbound(connection, { signal: upgrading, initiator, ...told })
      }
    })
  }

  /** For peers that know nothing of links: a stream of bytes, which ends with its star. */
  async #dialPlain (
    member: Member, { canonical }: StarAddress, ma: Multiaddr, options: DialTransportOptions<StarDialEvents>
  ): Promise<Connection> {
    const { signal, onProgress, upgrader } = options
    const { end: connection, accepted } = member.dial(canonical, slot => new StarConnection({
      slot,
      remoteAddr: ma,
      log: this.#components.logger.forComponent('libp2p:star:connection'),
      metrics: this.#metrics?.dialer
    }))
    const onAbort = (): void => { connection.abort(toError(signal.reason)) }
    signal.addEventListener('abort', onAbort, { once: true })
    let refusal: unknown
    accepted.then(() => {
      onProgress?.(new CustomProgressEvent('star:accepted', canonical))
    }, (error: unknown) => { refusal = error })
    try {
      // the first bytes go along with the dial: what the peer has to say to them comes after its answer
      return await upgrader.upgradeOutbound(connection, { signal, ...(onProgress == null ? {} : { onProgress }) })
    } catch (error) {
      connection.abort(toError(error))
      signal.throwIfAborted()
      // why the dial failed says more than what the upgrade made of it
      throw refusal ?? error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  createListener (options: CreateListenerOptions): Listener {
    const { hub, links } = { hub: this.#hub, links: this.links }
    return new StarListener(this.#components, this.#options, { hub, links }, options, this.#metrics?.listener)
  }

  /** Star addresses, with or without a peer id. */
  listenFilter (multiaddrs: Multiaddr[]): Multiaddr[] {
    return multiaddrs.filter(ma => parseStarAddress(ma) != null || isInbound(ma))
  }

  /** Star addresses with a peer id. */
  dialFilter (multiaddrs: Multiaddr[]): Multiaddr[] {
    return multiaddrs.filter(ma => parseStarAddress(ma)?.peer != null)
  }
}

function toError (reason: unknown): Error {
  return reason instanceof Error ? reason : new StarError('ERR_STOPPED', { cause: reason })
}

/** The remote address of a connection that came in through a star. */
function isInbound (ma: Multiaddr): boolean {
  return ma.getComponents()[0]?.name === STAR_PROTOCOL
}
