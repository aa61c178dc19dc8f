// How often one network address may do something: bursts, refusals with a time to wait, and what counts as one address.
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { Limits, limitKey } from '../../server/limits.ts'
import type { StarError } from '../../src/errors.ts'
import type { Limited } from '../../server/limits.ts'

const RATES = { connectionsPerSecond: 1, joinsPerSecond: 2, dialsPerSecond: 3 }

describe('The limits of a network address', () => {
  beforeEach(() => { mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }) })
  afterEach(() => { mock.timers.reset() })

  /** Takes so many at once; the refusals, or `undefined` for what was let through. */
  async function takeMany (limits: Limits, count: number, what: Limited, ip: string): Promise<Array<StarError | undefined>> {
    return await Promise.all(Array.from({ length: count }, async () => await limits.take(what, ip)))
  }

  it('let ten seconds\' worth through at once, and refuse what is more with the time to wait', async () => {
    for (const [what, burst, code] of [
      ['connection', 10, 'ERR_TOO_MANY_CONNECTIONS'], ['join', 20, 'ERR_TOO_MANY_JOINS'], ['dial', 30, 'ERR_TOO_MANY_DIALS']
    ] as const) {
      const taken = await takeMany(new Limits(RATES), burst + 2, what, '192.0.2.1')
      assert.deepEqual(taken.map(refusal => refusal?.code), [...Array.from({ length: burst }, () => undefined), code, code])
      const wait = taken.at(-1)?.retryAfter ?? 0
      assert.equal(wait > 0 && wait <= 10_000, true)
    }
  })

  it('are free again when the time to wait is over', async () => {
    const limits = new Limits(RATES)
    const [refusal] = (await takeMany(limits, 11, 'connection', '192.0.2.1')).slice(10)
    assert.equal(refusal?.retryAfter, 10_000)
    mock.timers.tick(9_999)
    assert.equal((await limits.take('connection', '192.0.2.1'))?.retryAfter, 1)
    mock.timers.tick(1)
    assert.equal(await limits.take('connection', '192.0.2.1'), undefined)
  })

  it('are each address\'s own, and each kind\'s own', async () => {
    const limits = new Limits(RATES)
    await takeMany(limits, 11, 'connection', '192.0.2.1')
    assert.equal(await limits.take('connection', '192.0.2.2'), undefined)
    assert.equal(await limits.take('join', '192.0.2.1'), undefined)
    assert.equal((await limits.take('connection', '192.0.2.1'))?.code, 'ERR_TOO_MANY_CONNECTIONS')
  })
})

describe('The address that limits go by', () => {
  it('is an IPv4 address as it is, mapped into IPv6 or not', () => {
    assert.equal(limitKey('192.0.2.1'), '192.0.2.1')
    assert.equal(limitKey('::ffff:192.0.2.1'), '192.0.2.1')
    assert.notEqual(limitKey('192.0.2.1'), limitKey('192.0.2.2'))
  })

  it('is the /64 of an IPv6 address, however it is abbreviated', () => {
    for (const host of ['::', '::1', ':3:4:5:6', '::5:6', ':ffff::', ':0:0:0:1']) {
      const address = `2001:db8:1:2${host}`
      assert.equal(limitKey(address), '2001:db8:1:2::/64', address)
    }
    assert.equal(limitKey('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(limitKey('2001:db8::3:4:5:6:7'), '2001:db8:0:3::/64')
    assert.equal(limitKey('::1'), '0:0:0:0::/64')
    assert.equal(limitKey('::'), '0:0:0:0::/64')
  })

  it('is different for different networks', () => {
    const networks = ['2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2::1', 'fe80::1', '::1']
    assert.equal(new Set(networks.map(limitKey)).size, networks.length)
  })
})
