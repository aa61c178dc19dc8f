// The libp2p node behind `listen`, `ping`, `send` and `receive`: our transport, and what is needed for end-to-end encryption.
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { createLibp2p } from 'libp2p'
import { connect, star } from '../client/index.ts'
import { peerOfAddress } from '../src/address.ts'
import { Exit, Failure } from './failure.ts'
import { loadIdentity } from './identity.ts'
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import type { Star } from '../client/index.ts'
import type { ClientOptions } from './options.ts'

/** Bytes on the way in one libp2p stream; below the 4 MiB at which libp2p gives up a stream that is paused. */
const STREAM_WINDOW = 2 * 1024 * 1024

/** Milliseconds for a dial, joining the star included. */
const DIAL_TIMEOUT = 10_000

/** How to make a node. */
export interface NodeInit {
  /** Join the star so that others can discover and dial us; without it the star is joined when it is dialled through. */
  readonly listen: boolean
  readonly signal: AbortSignal
}

/** A node, its address, and how to leave. */
export interface StarNode extends AsyncDisposable {
  readonly libp2p: Libp2p
  /** Our address on the star. */
  readonly address: string
  /** What happens to our links. */
  readonly events: Star['events']
}

/** Starts a node. Rejects with the star's reason when it can't be joined. */
export async function startNode (options: ClientOptions, { listen, signal }: NodeInit): Promise<StarNode> {
  if (listen) {
    await reach(options.star, signal)
  }
  const { secret, direct = 'prefer', directLoopback = false, directPort = 0 } = options
  const s = star({
    required: true, direct: direct === 'off' ? false : direct, directLoopback, directPort, ...secret == null ? {} : { secret }
  })
  const libp2p = await createLibp2p({
    start: false,
    ...(options.identity == null ? {} : { privateKey: await loadIdentity(options.identity) }),
    addresses: { listen: listen ? [options.star] : [] },
    transports: [s.transport],
    peerDiscovery: [s.discovery],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW } })],
    connectionMonitor: s.connectionMonitor,
    services: { identify: identify(), ping: ping() }
  })
  await libp2p.start()
  return {
    libp2p,
    address: `${options.star}/p2p/${libp2p.peerId.toString()}`,
    events: s.events,
    [Symbol.asyncDispose]: async () => { await libp2p.stop() }
  }
}

/** Connects to a peer. Rejects with the star's reason, or with why the peer isn't who it should be. */
export async function dial ({ libp2p }: StarNode, peer: Multiaddr, signal: AbortSignal): Promise<Connection> {
  if (peerOfAddress(peer.toString()) === libp2p.peerId.toString()) {
    throw new Failure('ERR_DIAL_SELF', 'that peer is yourself', {
      advice: 'name another peer, or another --identity', exit: Exit.usage
    })
  }
  try {
    // with a signal of ours alone libp2p would wait as long as that one
    return await libp2p.dial(peer, { signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_TIMEOUT)]) })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Error && error.name === 'TimeoutError') {
      throw new Failure('ERR_DIAL_TIMEOUT', 'neither star nor peer answered in time', {
        advice: 'check the addresses, and whether star and peer run', exit: Exit.unreachable, cause: error
      })
    }
    throw error
  }
}

/** Rejects with the reason when the star can't be joined: libp2p passes on no more than a text, and can't be broken off. */
async function reach (address: string, signal: AbortSignal): Promise<void> {
  const client = await connect(address, { listed: false, signal })
  await client.close()
}
