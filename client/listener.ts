// A libp2p listener on one star: its address comes and goes with the star, the listener stays.
import { InvalidParametersError, setMaxListeners } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { TypedEventEmitter } from 'main-event'
import { STAR_PROTOCOL, peerOfAddress, requireStarAddress } from '../src/address.ts'
import { StarError } from '../src/errors.ts'
import { StarConnection } from './connection.ts'
import { LINK_PROTOCOL } from './peer.ts'
import type { CounterGroup, CreateListenerOptions, Listener, ListenerEvents, Upgrader } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Hub } from './hub.ts'
import type { Links } from './links.ts'
import type { ResolvedStarInit } from './options.ts'
import type { Member, StreamEnd, StreamSlot } from './star.ts'
import type { StarComponents } from './transport.ts'

/** Listens on one star. */
export class StarListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #components: StarComponents
  readonly #options: ResolvedStarInit
  readonly #hub: Hub
  readonly #links: Links
  readonly #upgrader: Upgrader
  readonly #metrics: CounterGroup | undefined
  readonly #shutdown = new AbortController()
  #member: Member | undefined
  #address: Multiaddr | undefined

  constructor (
    components: StarComponents, options: ResolvedStarInit, { hub, links }: { hub: Hub, links: Links },
    { upgrader }: CreateListenerOptions, metrics?: CounterGroup
  ) {
    super()
    this.#components = components
    this.#options = options
    this.#hub = hub
    this.#links = links
    this.#upgrader = upgrader
    this.#metrics = metrics
    setMaxListeners(Infinity, this.#shutdown.signal)
  }

  /**
   * Joins the star. Resolves also when the star can't be reached: the address appears, with another `listening` event,
   * when it comes up. With the option `required` it rejects instead.
   */
  async listen (ma: Multiaddr): Promise<void> {
    const star = requireStarAddress(ma)
    if (star.peer != null && star.peer !== this.#components.peerId.toString()) {
      throw new InvalidParametersError(`cannot listen as ${star.peer}: this node is ${this.#components.peerId.toString()}`)
    }
    const member = this.#hub.member(star, this.#components)
    this.#member = member
    this.#address = multiaddr(star.star)
    member.addEventListener('joined', this.#onJoined)
    member.addEventListener('down', this.#onDown)
    this.#hub.listen(member, (slot, from, protocol) => this.#answer(member, slot, from, protocol))
    try {
      await member.whenJoined(AbortSignal.any([AbortSignal.timeout(this.#options.listenTimeout), this.#shutdown.signal]))
    } catch (error) {
      if (this.#options.required) {
        await this.close()
        throw error
      }
      const log = this.#components.logger.forComponent('libp2p:star:listener')
      log.error('could not join %s yet, will go on trying - %e', star.star, error)
    }
  }

  getAddrs (): Multiaddr[] {
    return this.#address != null && this.#member?.joined === true ? [this.#address] : []
  }

  updateAnnounceAddrs (): void {
    // the star's address is what it is
  }

  async close (): Promise<void> {
    this.#shutdown.abort(new StarError('ERR_STOPPED'))
    const member = this.#member
    if (member != null) {
      member.removeEventListener('joined', this.#onJoined)
      member.removeEventListener('down', this.#onDown)
      this.#hub.unlisten(member)
      this.#withdraw()
    }
    this.#member = undefined
    // libp2p's transport manager drops another listener when `close` comes while it is still calling this
    queueMicrotask(() => { this.safeDispatchEvent('close') })
  }

  readonly #onJoined = (): void => {
    if (this.#address != null) {
      // without it libp2p announces an address only after somebody else has confirmed it, and nobody checks a star's
      this.#components.addressManager.confirmObservedAddr(this.#address, { type: 'transport', ttl: Infinity })
    }
    queueMicrotask(() => { this.safeDispatchEvent('listening') })
  }

  readonly #onDown = (event: CustomEvent<StarError>): void => {
    this.#withdraw()
    queueMicrotask(() => { this.safeDispatchEvent('listening') })
    if (event.detail.code === 'ERR_REPLACED') {
      this.safeDispatchEvent('error', { detail: event.detail })
    }
  }

  #withdraw (): void {
    if (this.#address != null) {
      this.#components.addressManager.removeObservedAddr(this.#address)
    }
  }

  /** Takes a dial, in what is spoken on its stream. */
  #answer (member: Member, slot: StreamSlot, from: string, protocol: string | undefined): StreamEnd {
    if (protocol === LINK_PROTOCOL) {
      return this.#links.answer(member, slot, from, async connection => {
        await this.#upgrader.upgradeInbound(connection, { signal: this.#shutdown.signal })
      })
    }
    if (protocol != null || this.#links.private) {
      throw new StarError(protocol == null ? 'ERR_LINK_SECRET' : 'ERR_NOT_SPOKEN')
    }
    return this.#answerPlain(slot, from)
  }

  /** A connection whose remote address doesn't name the star's host, which is not where the peer is. */
  #answerPlain (slot: StreamSlot, from: string): StarConnection {
    const peer = peerOfAddress(from)
    if (peer == null) {
      throw new StarError('ERR_DIAL_REFUSED')
    }
    const connection = new StarConnection({
      slot,
      remoteAddr: multiaddr(`/${STAR_PROTOCOL}/p2p/${peer}`),
      log: this.#components.logger.forComponent('libp2p:star:connection'),
      metrics: this.#metrics
    })
    // after the dial was acknowledged, so that nothing is sent before
    queueMicrotask(() => {
      this.#upgrader.upgradeInbound(connection, { signal: this.#shutdown.signal }).catch((error: Error) => {
        connection.log.error('inbound connection failed to upgrade - %e', error)
        connection.abort(error)
      })
    })
    return connection
  }
}
