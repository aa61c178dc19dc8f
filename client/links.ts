// The links of one node: one peer's driver for each peer that there is something to do with.
import { publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { scrypt } from '@noble/hashes/scrypt.js'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { STAR_PROTOCOL, peerOfAddress } from '../src/address.ts'
import { StarError } from '../src/errors.ts'
import { isGreater } from '../src/link/election.ts'
import { Capability } from '../src/link/wire.ts'
import { SECRET_PROTOCOL, answerSecret, offerSecret } from './link-secret.ts'
import { Peer } from './peer.ts'
import { platform } from '#paths'
import { Upgrades } from './upgrade/upgrades.ts'
import type {
  ComponentLogger, Connection, CounterGroup, Libp2pEvents, PeerId, PrivateKey, TypedEventTarget
} from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { HandshakeOutput } from '../src/link/handshake.ts'
import type { PairOptions, PairPorts } from '../src/link/pair.ts'
import type { Hub } from './hub.ts'
import type { Journal, LinkEvent, LinkStatus } from './journal.ts'
import type { ResolvedStarInit } from './options.ts'
import type { LinkConnection } from './link-connection.ts'
import type { Caller, PeerNote } from './peer-contract.ts'
import type { RelayPath } from './paths/relay.ts'
import type { Member, StreamSlot } from './star.ts'

/** What the links of a node need of it. */
interface LinkComponents {
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly logger: ComponentLogger
  readonly registrar: Registrar
  readonly events: TypedEventTarget<Libp2pEvents>
}

/** How links are set up. */
export interface LinksInit {
  readonly components: LinkComponents
  readonly options: ResolvedStarInit
  readonly hub: Hub
  readonly journal: Journal
  readonly metrics: { dialer: CounterGroup, listener: CounterGroup, link: CounterGroup } | undefined
}

/** Peers that dial and have proved nothing yet; further ones are refused. */
const MAX_UNPROVED = 256
/** Milliseconds that the one who was dialled leaves it to the other to find a new path. */
const GRACE = 2_000
/** Milliseconds before the second try to find a new path. */
const RETRY = 200
/** A text as secret is stretched: 2^15, 8, 1 takes some 100 ms and 32 MiB, once. */
const STRETCH = { N: 32_768, r: 8, p: 1, dkLen: 32 }

/** All links of one node. */
export class Links {
  readonly #init: LinksInit
  readonly #peers = new Map<string, Peer>()
  readonly #connections = new WeakMap<object, Connection>()
  readonly #ports: PairPorts
  readonly #incarnation = random64()
  /** The better paths of the links. */
  readonly upgrades: Upgrades
  #running = false

  constructor (init: LinksInit) {
    this.#init = init
    this.#ports = {
      random: bytes => crypto.getRandomValues(new Uint8Array(bytes)),
      outstanding: new Set(),
      secret: stretched(init.options.secret)
    }
    this.upgrades = new Upgrades({
      components: init.components,
      options: init.options,
      platform,
      peer: id => this.#peers.get(id),
      onTried: (peer, link, { kind, via, roundTrip, error }) => {
        this.#record(peer, link, 'tried', {
          path: { kind, via }, ...roundTrip == null ? {} : { roundTrip }, ...error == null ? {} : { error }
        })
      }
    })
  }

  /** True for a private star: plain streams are refused. */
  get private (): boolean {
    return this.#init.options.secret != null
  }

  /** Takes the secrets of links that others dial. */
  async start (): Promise<void> {
    const { registrar, events } = this.#init.components
    this.#running = true
    this.#init.journal.sources.add(this)
    events.addEventListener('connection:open', this.#onOpen)
    this.#init.hub.onPeer(this.#onPeer)
    await registrar.handle(SECRET_PROTOCOL, async (stream, connection) => {
      const peer = this.#peers.get(connection.remotePeer.toString())
      await answerSecret(stream, (link, secret) => peer?.share(connection, link, secret) ?? false)
    }, { runOnLimitedConnection: true })
    await this.upgrades.start()
  }

  /** Ends every link with `ERR_STOPPED`. */
  async stop (): Promise<void> {
    const { registrar, events } = this.#init.components
    this.#running = false
    this.#init.journal.sources.delete(this)
    this.#peers.forEach(peer => { peer.close(new StarError('ERR_STOPPED')) })
    this.#peers.clear()
    events.removeEventListener('connection:open', this.#onOpen)
    this.#init.hub.offPeer(this.#onPeer)
    await this.upgrades.stop()
    await registrar.unhandle(SECRET_PROTOCOL)
  }

  /** Whether there is a link to that peer. */
  has (peer: string): boolean {
    return this.#peers.get(peer)?.link != null
  }

  /** Resolves with the connection over the one link to that peer, which is made where there is none. */
  async dial (peer: string, caller: Caller): Promise<Connection> {
    if (!this.#running) {
      throw new StarError('ERR_STOPPED')
    }
    const connection = await this.#peer(peer).dial(caller)
    if (this.#init.options.direct === 'require') {
      await this.upgrades.whenDirect(peer, caller.signal)
    }
    return connection
  }

  /** Takes a stream on which another peer wants to speak of links; throws {@link StarError} to refuse it. */
  answer (
    member: Member, slot: StreamSlot, from: string, upgrade: (connection: LinkConnection) => Promise<void>
  ): RelayPath {
    const id = peerOfAddress(from)
    const unproved = [...this.#peers.values()].filter(peer => peer.unproved).length
    if (id == null || !this.#running) {
      throw new StarError('ERR_DIAL_REFUSED')
    }
    if (!this.#peers.has(id) && unproved >= MAX_UNPROVED) {
      throw new StarError('ERR_TOO_MANY_IN_FLIGHT')
    }
    const remoteAddr = multiaddr(`/${STAR_PROTOCOL}/p2p/${id}`)
    return this.#peer(id).answer(slot, { member, address: `${member.star.star}/p2p/${id}` }, {
      remoteAddr,
      upgrade: async connection => {
        await upgrade(connection)
        const opened = this.#connections.get(connection.timeline)
        if (opened == null) {
          throw new StarError('ERR_STREAM_CLOSED')
        }
        return opened
      }
    })
  }

  /** Gives the path of the link to that peer up, as if it had died: the link finds another. False when there is none. */
  drop (peer: string): boolean {
    return this.#peers.get(peer)?.drop() ?? false
  }

  /** Where the links stand: that to one peer, or all. */
  status (peer?: string): LinkStatus[] {
    return [...this.#peers].filter(([id]) => peer == null || id === peer).flatMap(([id, { link, path, resumable }]) => {
      if (link == null) {
        return []
      }
      const { state, figures: { roundTrip, ...figures } } = link.session
      return [{
        peer: id,
        link: hex(link.id),
        dialled: link.dialled,
        state,
        resumable,
        ...path == null ? {} : { path: { kind: path.kind, via: path.via } },
        ...figures,
        ...roundTrip == null ? {} : { roundTrip }
      }]
    })
  }

  readonly #onPeer = (peer: string): void => {
    this.#peers.get(peer)?.seen()
  }

  readonly #onOpen = ({ detail }: CustomEvent<Connection>): void => {
    this.#connections.set(detail.timeline, detail)
  }

  #peer (id: string): Peer {
    const known = this.#peers.get(id)
    if (known != null) {
      return known
    }
    const { components: { privateKey, logger, peerId }, metrics, hub } = this.#init
    const peer = new Peer({
      options: this.#optionsFor(peerIdFromString(id), peerId),
      ports: this.#ports,
      log: logger.forComponent('libp2p:star:link'),
      metrics,
      sign: message => privateKey.sign(message),
      verify,
      hold: member => hub.hold(member),
      exchange: offerSecret,
      onResumable: (link, connection) => { this.upgrades.begin(id, link.id, connection) },
      onNote: note => { this.#note(id, note) },
      onIdle: () => { this.#peers.delete(id) }
    })
    this.#peers.set(id, peer)
    return peer
  }

  #optionsFor (peer: PeerId, self: PeerId): PairOptions {
    const { window, directWindow, resumeTimeout, keepAlive, probeTimeout, handshakeTimeout } = this.#init.options
    const capabilities = Capability.session | Capability.identity | (this.private ? Capability.secret : 0)
    return {
      name: self.toString(),
      peer: peer.toString(),
      greater: isGreater(self.toMultihash().bytes, peer.toMultihash().bytes),
      flags: { version: 1, capabilities, required: capabilities, suite: 'hmac-sha256', window },
      suite: 'hmac-sha256',
      connectionString: '',
      publicKey: publicKeyToProtobuf(this.#init.components.privateKey.publicKey),
      incarnation: this.#incarnation,
      stepTimeout: Math.ceil(handshakeTimeout / 2),
      totalTimeout: handshakeTimeout,
      window,
      directWindow: Math.max(window, directWindow),
      initialLimit: window,
      resumeTimeout,
      keepAlive,
      probeAfter: Math.ceil(probeTimeout / 3),
      probeTimeout,
      grace: GRACE,
      retry: RETRY
    }
  }

  #note (peer: string, { what, link, path, error }: PeerNote): void {
    this.#record(peer, link, what, {
      ...what !== 'path' || path == null ? {} : { path: { kind: path.kind, via: path.via } },
      ...error == null ? {} : { error }
    })
    if (what === 'over') {
      this.upgrades.over(peer, link)
    } else if (what !== 'attempt') {
      this.upgrades.moved(peer, link, what === 'path' ? path?.kind : undefined)
    }
  }

  #record (peer: string, link: bigint, what: LinkEvent['what'], rest: Pick<LinkEvent, 'path' | 'roundTrip' | 'error'>): void {
    const { journal, metrics, components } = this.#init
    const { path, error } = rest
    const name = what === 'tried' ? `tried_${path?.kind ?? ''}` : what
    metrics?.link.increment({ [error == null ? name : `${name}_${error.code}`]: true })
    components.logger.forComponent('libp2p:star:link')('%s of link %s to %s - %e', name, hex(link), peer, error)
    journal.add({ at: Date.now(), peer, link: link === 0n ? '' : hex(link), what, ...rest })
  }
}

/** Whether the key is that of the peer, and the signature that of the key. */
async function verify ({ peer, publicKey, signature, message }: HandshakeOutput & { do: 'verify' }): Promise<boolean> {
  try {
    const key = publicKeyFromProtobuf(publicKey)
    return peerIdFromPublicKey(key).toString() === peer && await key.verify(message, signature)
  } catch {
    return false
  }
}

function stretched (secret: string | Uint8Array | undefined): Uint8Array {
  return typeof secret === 'string' ? scrypt(secret, 'libp2p-star secret', STRETCH) : secret ?? new Uint8Array()
}

function random64 (): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] || 1n
}

function hex (id: bigint): string {
  return id.toString(16).padStart(16, '0')
}
