// The options of both ends of a stand-alone rendezvous.
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
}

/** Options of {@link offerRendezvous}. */
export interface RendezvousOfferOptions extends RendezvousOptions {
  /** Offer the addresses that only this very device can reach, too. */
  loopback?: boolean
  /** Where to listen; 0, the default, takes any port that is free. */
  port?: number
  /** Milliseconds for which the other device is waited for. 600,000 by default. */
  timeout?: number
}

/** Options of {@link joinRendezvous}. */
export interface RendezvousJoinOptions extends RendezvousOptions {
  /** Milliseconds for all of it. 30,000 by default. */
  timeout?: number
  /** Milliseconds for which better paths are waited for once there is one. 1,000 by default. */
  collectTime?: number
}

const COMMON = { handshakeTimeout: 10_000, allow: (): boolean => true, networkCost: (): NetworkCostName => 'unknown' }
const OFFER = { ...COMMON, loopback: false, port: 0, timeout: 600_000 }
const JOIN = { ...COMMON, timeout: 30_000, collectTime: 1_000 }
const LEAST = { handshakeTimeout: 1, timeout: 1 }

type Resolved<Options extends RendezvousOptions> = Required<Omit<Options, 'signal'>> & Pick<Options, 'signal'>

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolveOffer (options: RendezvousOfferOptions): Resolved<RendezvousOfferOptions> {
  const resolved = { ...OFFER, ...given(options) }
  checkOptions(resolved, OFFER, LEAST, 0)
  return resolved
}

/** Likewise. */
export function resolveJoin (options: RendezvousJoinOptions): Resolved<RendezvousJoinOptions> {
  const resolved = { ...JOIN, ...given(options) }
  checkOptions(resolved, JOIN, LEAST, 0)
  return resolved
}

function given<Options extends RendezvousOptions> (options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options
}
