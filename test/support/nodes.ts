// libp2p nodes on a star, and events waited for, for the tests of the client.
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { star } from '../../client/index.ts'
import { PATIENCE } from './waiting.ts'
import type { Connection, Libp2pEvents } from '@libp2p/interface'
import type { Ping } from '@libp2p/ping'
import type { Libp2p, Libp2pOptions } from 'libp2p'
import type { StarInit } from '../../client/index.ts'

/** The services of a node in these tests. */
export type Services = { ping: Ping }

/** A node in these tests. */
export type Node = Libp2p<Services>

/** libp2p gives dials and closes so few seconds that they fail on a machine that stands still; here only our own limits count. */
const connectionManager = { addressDialTimeout: 3 * PATIENCE, dialTimeout: 3 * PATIENCE, connectionCloseTimeout: 3 * PATIENCE }

/** Makes a started node that listens on these stars, or only dials where there are none. */
export async function createNode (
  listen: string[] = [], init: StarInit = {}, options: Libp2pOptions<Services> = {}
): Promise<Node> {
  const { transport, discovery } = star({ retryMin: 20, ...init })
  return await createLibp2p<Services>({
    addresses: { listen },
    transports: [transport],
    peerDiscovery: [discovery],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager,
    connectionMonitor: { enabled: false },
    services: { ping: ping() },
    ...options
  })
}

/** Resolves with the next event of that type that fits, or rejects after `ms` milliseconds. */
export async function nextEvent<E extends Event> (
  target: EventTarget, type: string, fits: (event: E) => boolean = () => true, ms: number = PATIENCE
): Promise<E> {
  return await new Promise<E>((resolve, reject) => {
    const timer = setTimeout(() => {
      target.removeEventListener(type, listener)
      reject(new Error(`no fitting ${type} event within ${ms} ms`))
    }, ms)
    const listener = (event: Event): void => {
      if (fits(event as E)) {
        clearTimeout(timer)
        target.removeEventListener(type, listener)
        resolve(event as E)
      }
    }
    target.addEventListener(type, listener)
  })
}

/**
 * Resolves when `holds` returns true, which is looked at each time the node says that something has changed about
 * itself or its peers.
 */
export async function whenNode (node: Node, type: keyof Libp2pEvents, holds: () => boolean, ms?: number): Promise<void> {
  if (!holds()) {
    await nextEvent(node, type, holds, ms)
  }
}

/** Resolves when the node has an open connection to the peer that fits. */
export async function whenConnected (node: Node, peer: Node): Promise<Connection> {
  await whenNode(node, 'connection:open', () => node.getConnections(peer.peerId).length > 0)
  const [connection] = node.getConnections(peer.peerId)
  if (connection == null) {
    throw new Error('the connection is gone already')
  }
  return connection
}

/** Looks every few milliseconds, for what tells no one when it changes. */
export async function until (holds: () => boolean | Promise<boolean>, ms: number = PATIENCE): Promise<void> {
  const deadline = Date.now() + ms
  while (!await holds()) {
    if (Date.now() > deadline) {
      throw new Error(`still not so after ${ms} ms: ${holds.toString()}`)
    }
    await new Promise<void>(resolve => { setTimeout(resolve, 5) })
  }
}
