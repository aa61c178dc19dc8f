// How often one network address may connect, join and dial.
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { StarError } from '../src/errors.ts'
import type { Reason } from '../src/errors.ts'
import type { ResolvedOptions } from './options.ts'

/** What is limited. */
export type Limited = 'upgrade' | 'connection' | 'join' | 'dial'

const REFUSALS: Record<Limited, Reason> = {
  upgrade: 'ERR_TOO_MANY_CONNECTIONS',
  connection: 'ERR_TOO_MANY_CONNECTIONS',
  join: 'ERR_TOO_MANY_JOINS',
  dial: 'ERR_TOO_MANY_DIALS'
}

/** Rates are counted over this many seconds, which makes the burst as many times the rate. */
const WINDOW = 10

/** The rates of one star. */
export class Limits {
  readonly #limiters: Record<Limited, RateLimiterMemory>

  constructor (options: Pick<ResolvedOptions, 'connectionsPerSecond' | 'joinsPerSecond' | 'dialsPerSecond'>) {
    const limiter = (rate: number): RateLimiterMemory => new RateLimiterMemory({ points: rate * WINDOW, duration: WINDOW })
    this.#limiters = {
      // twice as many, so that whoever comes a little too often still gets to hear why
      upgrade: limiter(2 * options.connectionsPerSecond),
      connection: limiter(options.connectionsPerSecond),
      join: limiter(options.joinsPerSecond),
      dial: limiter(options.dialsPerSecond)
    }
  }

  /** Counts one; resolves with the refusal when it is one too many. */
  async take (what: Limited, ip: string): Promise<StarError | undefined> {
    try {
      await this.#limiters[what].consume(ip)
      return undefined
    } catch (error) {
      if (error instanceof RateLimiterRes) {
        return new StarError(REFUSALS[what], { retryAfter: Math.ceil(error.msBeforeNext) })
      }
      throw error
    }
  }
}

/**
 * The address that limits go by: IPv4 as it is, IPv6 by its /64, since whoever has one address there has them all.
 */
export function limitKey (address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped != null) {
    return mapped
  }
  if (!address.includes(':')) {
    return address
  }
  const [head = '', tail] = address.toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail == null || tail === '' ? [] : tail.split(':')
  const zeros = tail == null ? [] : Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => '0')
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':') + '::/64'
}
