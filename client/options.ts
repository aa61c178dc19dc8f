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
   * PEM of certificate authorities to trust instead of the system's, for stars with a certificate of one's own. Node
   * only: browsers decide for themselves.
   */
  ca?: string | string[]
}

/** The least that a number may be. */
const LEAST: Partial<Record<keyof StarInit, number>> = {
  timeout: 1, retryMin: 1, retryMax: 1, window: 65_536, keepAlive: 1, probeTimeout: 1, handshakeTimeout: 1
}

/** The least length of a secret, in characters or bytes. */
const MIN_SECRET = 16

/** All options, filled in. */
export type ResolvedStarInit = Required<Omit<StarInit, Optional>> & Pick<StarInit, Optional>

type Optional = 'ca' | 'secret'

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
  handshakeTimeout: 10_000
}

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolve (init: StarInit = {}): ResolvedStarInit {
  const given = Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined))
  const resolved: ResolvedStarInit = { ...defaults, ...given }
  checkOptions(resolved, defaults, LEAST, 0)
  const { secret } = resolved
  if (secret != null && (!(typeof secret === 'string' || secret instanceof Uint8Array) || secret.length < MIN_SECRET)) {
    throw new StarError('ERR_OPTIONS', { detail: `secret must be at least ${MIN_SECRET} characters or bytes` })
  }
  return resolved
}
