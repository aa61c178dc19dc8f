// The options of both ends of a stand-alone rendezvous.
import { StarError } from '../../src/errors.ts'
import { checkOptions } from '../../src/options.ts'
import type { NetworkCostName } from '../../src/rendezvous/wire.ts'

/** An address that may be offered or dialled. */
export interface RendezvousAddress {
  readonly ip: string
  readonly family: 4 | 6
  /** The port that is to be dialled; none where an address of this device is asked for. */
  readonly port?: number
}

/** What both ends can be told. */
interface RendezvousOptions {
  /**
   * Asked for each address before it is offered or dialled. Who makes an invitation decides where its reader connects to: a
   * reader that doesn't trust it says here what may be dialled. All may, by default.
   */
  allow?: (address: RendezvousAddress) => boolean
  /** Ends the rendezvous as long as there is no connection; what is thrown is its reason. */
  signal?: AbortSignal
  /** What an interface costs, by its name: paths that cost neither end anything are preferred. Unknown by default. */
  networkCost?: (name: string) => NetworkCostName
  /** Milliseconds for the handshake on each path. 10,000 by default. */
  handshakeTimeout?: number
  /** PEM of certificate authorities to trust instead of the system's, for a relay with a certificate of one's own. */
  ca?: string | string[]
}

/** Options of {@link offerRendezvous}. */
export interface RendezvousOfferOptions extends RendezvousOptions {
  /** Offer the addresses that only this very device can reach, too. */
  loopback?: boolean
  /** Where to listen; 0, the default, takes any port that is free. */
  port?: number
  /**
   * The URL of a star whose raw relay serves paths that nobody has announced (`openRelay`), `wss://star.example`: for two devices
   * of which neither can reach the other. It carries what is sealed. None by default.
   */
  relay?: string
  /** Milliseconds for which the other device is waited for. 600,000 by default. */
  timeout?: number
}

/** Options of {@link joinRendezvous}. */
export interface RendezvousJoinOptions extends RendezvousOptions {
  /** Milliseconds for all of it. 30,000 by default. */
  timeout?: number
  /** Milliseconds for which better paths are waited for once there is one. 1,000 by default. */
  collectTime?: number
  /** Whether the relay in the invitation is connected to, a server of the other device's choice. True by default. */
  relay?: boolean
}

const COMMON = { handshakeTimeout: 10_000, allow: (): boolean => true, networkCost: (): NetworkCostName => 'unknown' }
const OFFER = { ...COMMON, loopback: false, port: 0, timeout: 600_000 }
const JOIN = { ...COMMON, timeout: 30_000, collectTime: 1_000, relay: true }
const LEAST = { handshakeTimeout: 1, timeout: 1 }

type Resolved<Options, Optional extends keyof Options> = Required<Omit<Options, Optional>> & Pick<Options, Optional>

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolveOffer (options: RendezvousOfferOptions): Resolved<RendezvousOfferOptions, 'signal' | 'ca' | 'relay'> {
  const resolved = { ...OFFER, ...given(options) }
  checkOptions(resolved, OFFER, LEAST, 0)
  const { relay } = resolved
  if (relay != null && !(URL.canParse(relay) && /^wss?:$/.test(new URL(relay).protocol))) {
    throw new StarError('ERR_OPTIONS', { detail: 'relay must be the ws:// or wss:// URL of a star' })
  }
  return resolved
}

/** Likewise. */
export function resolveJoin (options: RendezvousJoinOptions): Resolved<RendezvousJoinOptions, 'signal' | 'ca'> {
  const resolved = { ...JOIN, ...given(options) }
  checkOptions(resolved, JOIN, LEAST, 0)
  return resolved
}

function given<Options extends RendezvousOptions> (options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options
}
