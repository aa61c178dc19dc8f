// How often one network address may connect, join and dial.
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { StarError } from '../src/errors.ts'
import type { Reason } from '../src/errors.ts'
import type { ResolvedOptions } from './options.ts'

/** What is limited. */
export type Limited = 'connection' | 'join' | 'dial'

const REFUSALS: Record<Limited, Reason> = {
  connection: 'ERR_TOO_MANY_CONNECTIONS',
  join: 'ERR_TOO_MANY_JOINS',
  dial: 'ERR_TOO_MANY_DIALS'
}

/** Rates are counted over this many seconds, which makes the burst as many times the rate. */
const WINDOW = 10

/** Above this many blocked addresses those whose time is over are swept out. */
const MAX_BLOCKED = 10_000

/** The rates of one star. */
export class Limits {
  readonly #limiters: Record<Limited, RateLimiterMemory>
  /** Until when an address is refused, in milliseconds of `performance.now()`. */
  readonly #blocked = new Map<string, number>()

  constructor (options: Pick<ResolvedOptions, 'connectionsPerSecond' | 'joinsPerSecond' | 'dialsPerSecond'>) {
    const limiter = (rate: number): RateLimiterMemory => new RateLimiterMemory({ points: rate * WINDOW, duration: WINDOW })
    this.#limiters = {
      connection: limiter(options.connectionsPerSecond),
      join: limiter(options.joinsPerSecond),
      dial: limiter(options.dialsPerSecond)
    }
  }

  /**
   * Counts one; returns the refusal when the address has had too many. The counting is asynchronous and the answer
   * isn't, so that events keep their order: what is one too many is let through, and what follows it is refused.
   */
  take (what: Limited, ip: string): StarError | undefined {
    const key = `${what} ${ip}`
    const now = performance.now()
    const until = this.#blocked.get(key)
    if (until != null && until > now) {
      return new StarError(REFUSALS[what], { retryAfter: Math.ceil(until - now) })
    }
    this.#blocked.delete(key)
    this.#limiters[what].consume(ip).catch((refusal: unknown) => {
      if (refusal instanceof RateLimiterRes) {
        this.#block(key, now + refusal.msBeforeNext)
      }
    })
    return undefined
  }

  #block (key: string, until: number): void {
    if (this.#blocked.size >= MAX_BLOCKED) {
      for (const [other, time] of this.#blocked) {
        if (time <= performance.now()) {
          this.#blocked.delete(other)
        }
      }
    }
    this.#blocked.set(key, until)
  }
}

/**
 * The address that limits go by: IPv4 as it is, IPv6 by its /64, since whoever has one address there has them all.
 */
export function limitKey (address: string): string {
  if (address.startsWith('::ffff:') && address.includes('.')) {
    return address.slice('::ffff:'.length)
  }
  if (!address.includes(':')) {
    return address
  }
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const rest = tail == null || tail === '' ? [] : tail.split(':')
  const zeros = tail == null ? [] : Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => '0')
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':') + '::/64'
}
