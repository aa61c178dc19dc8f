// Peer discovery: hands every peer that a star announces to libp2p, under the address by which this node knows the star.
import { peerDiscoverySymbol } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { TypedEventEmitter } from 'main-event'
import type { PeerDiscovery, PeerDiscoveryEvents, Startable } from '@libp2p/interface'
import type { StarAddress } from '../src/address.ts'
import type { Hub } from './hub.ts'

/** The discovery of one node. */
export class StarDiscovery extends TypedEventEmitter<PeerDiscoveryEvents> implements PeerDiscovery, Startable {
  readonly [Symbol.toStringTag] = 'libp2p-star-discovery'
  readonly #hub: Hub

  constructor (hub: Hub) {
    super()
    this.#hub = hub
  }

  get [peerDiscoverySymbol] (): PeerDiscovery {
    return this
  }

  start (): void {
    this.#hub.onPeer(this.#onPeer)
  }

  stop (): void {
    this.#hub.offPeer(this.#onPeer)
  }

  readonly #onPeer = (peer: string, star: StarAddress): void => {
    try {
      const id = peerIdFromString(peer)
      this.safeDispatchEvent('peer', { detail: { id, multiaddrs: [multiaddr(`${star.star}/p2p/${peer}`)] } })
    } catch {
      // a star that announces what is no peer id harms nobody
    }
  }
}
