// The options of the client side, for libp2p's transport and for the client without libp2p alike.
import { StarError } from '../src/errors.ts'
import { checkOptions } from '../src/options.ts'

/** Options of {@link star} and {@link connect}. */
export interface StarInit {
  /**
   * A libp2p node whose star can't be reached when it starts fails to start. By default it starts, and joins when the
   * star comes up.
   *
   * @default false
   */
  required?: boolean
  /**
   * Milliseconds that a star may take for each of its answers.
   *
   * @default 10_000
   */
  timeout?: number
  /**
   * Milliseconds that `listen()`, and so the start of a libp2p node, waits for a star that doesn't answer at all.
   *
   * @default 5_000
   */
  listenTimeout?: number
  /**
   * Milliseconds before the first try to come back to a star that was lost; doubled for each further one, half of it
   * left to chance.
   *
   * @default 500
   */
  retryMin?: number
  /**
   * Milliseconds, the longest pause between two tries.
   *
   * @default 30_000
   */
  retryMax?: number
  /**
   * Bytes that may be on the way to us in each stream or connection; the star may allow less.
   *
   * @default 1_048_576
   */
  window?: number
  /**
   * Milliseconds for which a star is kept that was only dialled through and that no connection needs any more.
   *
   * @default 10_000
   */
  linger?: number
  /**
   * Milliseconds for which a connection outlives its path, waiting for another one: nothing is lost, nothing moves. 0 ends it
   * with its path.
   *
   * @default 30_000
   */
  resumeTimeout?: number
  /**
   * Milliseconds after which a path on which nothing was heard is probed.
   *
   * @default 15_000
   */
  keepAlive?: number
  /**
   * Milliseconds in which a probe of a path, or of a star, must be answered. A path that carries nothing while something waits
   * for it is probed after a third of this.
   *
   * @default 3_000
   */
  probeTimeout?: number
  /**
   * Milliseconds that a link handshake may take, half of it for each single answer.
   *
   * @default 10_000
   */
  handshakeTimeout?: number
  /**
   * Makes the star private: only peers that were given the same secret can connect, whoever else is on the star. At least 16
   * bytes, or a text of at least 16 characters; give random ones (`openssl rand -hex 32`), for whoever
   * records a handshake can try out guesses.
   */
  secret?: string | Uint8Array
  /**
   * Whether connections move past the star: `'prefer'` moves them when there is a way, `false` leaves them where they are.
   * With `'require'` a connection that has no way past the star in `directTimeout` is closed with `ERR_NOT_DIRECT`, and `dial()`
   * waits for that way.
   *
   * @default prefer
   */
  direct?: false | 'prefer' | 'require'
  /**
   * Milliseconds that a connection may run through the star where `direct` is `'require'`, from its beginning and whenever it has
   * lost its direct path. libp2p itself gives a dial 6 seconds for each address (`connectionManager.addressDialTimeout`).
   *
   * @default 5_000
   */
  directTimeout?: number
  /**
   * Milliseconds, the longest pause between two tries to find a better path: one second after the first that failed, doubled for
   * each further one.
   *
   * @default 60_000
   */
  directInterval?: number
  /**
   * Bytes that may be on the way to us in each connection while it runs past the star, where only the two peers keep them; never
   * less than `window`.
   *
   * @default 2_097_152
   */
  directWindow?: number
  /**
   * The TCP port at which other peers may come; 0 takes any that is free. Node only.
   *
   * @default 0
   */
  directPort?: number
  /**
   * Offer and dial addresses that only this very device can reach, too. Node only.
   *
   * @default false
   */
  directLoopback?: boolean
  /**
   * Use the star's WebSocket relay where there is no direct path: faster than a stream over socket.io.
   *
   * @default true
   */
  directRelay?: boolean
  /**
   * Seal the data on such paths, too, which libp2p has encrypted already: only the link's own words are sealed otherwise. It is
   * done when one of the two peers wants it.
   *
   * @default false
   */
  directSealed?: boolean
  /**
   * Whether an address of this device may be told to a peer; all but loopback may, by default. It is asked for the public
   * address, too, as the star sees it, with an empty `interface`. Node only.
   */
  offerAddress?: (address: { readonly ip: string, readonly interface: string }) => boolean
  /**
   * Whether an address that a peer tells may be dialled. By default those of the internet may, private ones only in networks
   * that this device is in and at ports above 1023. Node only.
   */
  dialAddress?: (address: { readonly ip: string, readonly port: number }) => boolean
  /**
   * PEM of certificate authorities to trust instead of the system's, for stars with a certificate of one's own. Node
   * only: browsers decide for themselves.
   */
  ca?: string | string[]
}

/** The least that a number may be. */
const LEAST: Partial<Record<keyof StarInit, number>> = {
  timeout: 1, retryMin: 1, retryMax: 1, window: 65_536, keepAlive: 1, probeTimeout: 1, handshakeTimeout: 1,
  directTimeout: 1, directInterval: 1_000, directWindow: 65_536
}

/** The least length of a secret, in characters or bytes. */
const MIN_SECRET = 16

/** All options, filled in. */
export type ResolvedStarInit = Required<Omit<StarInit, Optional>> & Pick<StarInit, Optional>

type Optional = 'ca' | 'secret' | 'offerAddress' | 'dialAddress'

/** What an option is when it is not given. */
export const defaults: Required<Omit<StarInit, Optional>> = {
  required: false,
  timeout: 10_000,
  listenTimeout: 5_000,
  retryMin: 500,
  retryMax: 30_000,
  window: 1_048_576,
  linger: 10_000,
  resumeTimeout: 30_000,
  keepAlive: 15_000,
  probeTimeout: 3_000,
  handshakeTimeout: 10_000,
  direct: 'prefer',
  directTimeout: 5_000,
  directInterval: 60_000,
  directWindow: 2_097_152,
  directPort: 0,
  directLoopback: false,
  directRelay: true,
  directSealed: false
}

/** Ways to treat direct paths. */
const DIRECT: ReadonlySet<unknown> = new Set([false, 'prefer', 'require'])

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolve (init: StarInit = {}): ResolvedStarInit {
  const given = Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined))
  const resolved: ResolvedStarInit = { ...defaults, ...given }
  const { secret, direct, directPort } = resolved
  checkOptions({ ...resolved, direct: String(direct) }, defaults, LEAST, 0)
  if (!DIRECT.has(direct)) {
    throw new StarError('ERR_OPTIONS', { detail: "direct must be false, 'prefer' or 'require'" })
  }
  if (directPort > 65_535) {
    throw new StarError('ERR_OPTIONS', { detail: 'directPort must be at most 65535' })
  }
  for (const name of ['offerAddress', 'dialAddress'] as const) {
    if (resolved[name] != null && typeof resolved[name] !== 'function') {
      throw new StarError('ERR_OPTIONS', { detail: `${name} must be a function` })
    }
  }
  if (secret != null && (!(typeof secret === 'string' || secret instanceof Uint8Array) || secret.length < MIN_SECRET)) {
    throw new StarError('ERR_OPTIONS', { detail: `secret must be at least ${MIN_SECRET} characters or bytes` })
  }
  return resolved
}
