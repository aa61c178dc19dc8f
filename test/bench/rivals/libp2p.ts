// A libp2p node as an end of a bench: the same encryption, muxer and limits whatever the transport.
import type { Connection, PeerId, PrivateKey, Stream } from '@libp2p/interface'
import { generateKeyPair, privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { Circuit } from '@multiformats/multiaddr-matcher'
import type { Libp2p, Libp2pOptions } from 'libp2p'
import type { Channel, End, EndOptions, Link } from './types.ts'

const PROTOCOL = '/star-bench/1.0.0'
const MANY = 100_000

/** The part of a libp2p node that an end needs. */
interface Node {
  peerId: PeerId
  handle: (protocol: string, handler: (stream: Stream) => void, options: object) => Promise<void>
  dial: (peer: ReturnType<typeof multiaddr>, options: { signal: AbortSignal }) => Promise<Connection>
  stop: () => void | Promise<void>
}

/** Options that every node of a bench shares: nothing limits the number of dials, nothing but the bench speaks. */
export async function common (options: { key?: Uint8Array }): Promise<Libp2pOptions & { privateKey: PrivateKey }> {
  return {
    privateKey: options.key === undefined ? await generateKeyPair('Ed25519') : privateKeyFromProtobuf(options.key),
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
    connectionManager: { maxConnections: MANY, inboundConnectionThreshold: MANY, maxIncomingPendingConnections: MANY }
  }
}

/** Makes an end of a started node. */
export async function end (node: Node, address: string, options: EndOptions, cut?: (peer: PeerId) => void): Promise<End> {
  const many = { maxInboundStreams: MANY, maxOutboundStreams: MANY, runOnLimitedConnection: true }
  await node.handle(PROTOCOL, stream => options.onChannel(channel(stream)), many)
  return {
    address,
    dial: async peer => link(await node.dial(multiaddr(peer), { signal: AbortSignal.timeout(10_000) }), cut),
    close: async () => await node.stop()
  }
}

/** {@link End.direct} of libp2p without links: a connection of its own to the peer appears that goes through no relay. */
export async function directConnection (node: Libp2p, peer: string, signal: AbortSignal): Promise<void> {
  await happened<Connection>(listener => { node.addEventListener('connection:open', listener, { signal }) }, connection => {
    return isPeer(connection.remotePeer.toString(), peer) && connection.limits == null && !Circuit.matches(connection.remoteAddr)
  }, signal)
}

/** Whether that is the peer in an address. */
export function isPeer (id: string, address: string): boolean {
  return address.endsWith(`/p2p/${id}`)
}

/** Resolves with the first event that is the right one, rejects when the signal is aborted. */
export async function happened<T> (
  listen: (listener: (event: CustomEvent<T>) => void) => void, isRight: (detail: T) => boolean, signal: AbortSignal
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    listen(({ detail }) => { if (isRight(detail)) resolve() })
    signal.addEventListener('abort', () => { reject(signal.reason as Error) }, { once: true })
  })
}

function link (connection: Connection, cut?: (peer: PeerId) => void): Link {
  return {
    ...cut === undefined ? {} : { cut: () => cut(connection.remotePeer) },
    open: async () => channel(await connection.newStream(PROTOCOL, { maxOutboundStreams: MANY, runOnLimitedConnection: true })),
    close: async () => await connection.close()
  }
}

function channel (stream: Stream): Channel {
  stream.addEventListener('remoteCloseWrite', () => { stream.close().catch(() => {}) })
  return {
    write: chunk => {
      if (stream.send(chunk)) return undefined
      return new Promise((resolve, reject) => {
        stream.addEventListener('drain', () => resolve(), { once: true })
        stream.addEventListener('close', () => reject(new Error('the stream was closed while it was full')), { once: true })
      })
    },
    onData: listener => {
      stream.addEventListener('message', ({ data }) => {
        if (data instanceof Uint8Array) listener(data)
        else for (const chunk of data) listener(chunk)
      })
    },
    close: async () => await stream.close()
  }
}
