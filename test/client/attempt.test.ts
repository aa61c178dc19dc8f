// When an attempt enters the raw relay: at once where neither of the two can dial the other, later where one can.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { platform } from '#paths'
import { resolve } from '../../client/options.ts'
import { Attempt } from '../../client/upgrade/attempt.ts'
import { StarError } from '../../src/errors.ts'
import type { Platform } from '../../client/paths/platform.ts'
import type { Member } from '../../client/star.ts'
import type { Offer } from '../../client/upgrade/exchange.ts'

/** Milliseconds: more than nothing, and less than an attempt waits. */
const SOON = 250

const MEMBER = { joined: true, star: { url: 'ws://star' }, announceRelay: async () => {} } as unknown as Member

/** Whether the one who is asked enters the relay soon, when that is what the other one has offered. */
async function entersSoon ({ theirs, tcp }: { readonly theirs: Partial<Offer>, readonly tcp: boolean }): Promise<boolean> {
  const entered = Promise.withResolvers<boolean>()
  const watched: Platform = {
    ...platform,
    dialWebSocket: (...args) => {
      entered.resolve(true)
      return platform.dialWebSocket(...args)
    }
  }
  const door = platform.tcp?.door({ port: 0, allow: () => true })
  const attempt = new Attempt({
    platform: watched,
    options: resolve({ directLoopback: true, offerAddress: () => tcp, dialAddress: () => false }),
    door,
    nominator: false,
    kinds: ['tcp', 'relay-ws'],
    member: MEMBER,
    current: () => ({ kind: 'relay', unmetered: false, roundTrip: undefined, acknowledged: 1, received: 1 }),
    adopt () {},
    onTried () {}
  })
  await attempt.offer(1n)
  const run = attempt.run({
    link: 1n,
    sealed: false,
    dials: true,
    seen: [],
    init: {
      ak: new Uint8Array(32).fill(1),
      relayedWebSocket: { pathId: 1, networkCost: 'unknown', url: `ws://star/relay/${'ab'.repeat(32)}` },
      directTcpServer: undefined
    },
    ...theirs
  })
  const stopping = new AbortController()
  const isSoon = await Promise.race([entered.promise, sleep(SOON, false, { signal: stopping.signal })])
  stopping.abort()
  attempt.stop(new StarError('ERR_STOPPED'))
  await assert.rejects(run, { code: 'ERR_STOPPED' })
  await Promise.all([attempt.closed, door?.close()])
  return isSoon
}

describe('An attempt enters the raw relay', () => {
  it('later where the other peer may dial us', async () => {
    assert.equal(await entersSoon({ theirs: {}, tcp: true }), false)
  })

  it('at once where the other peer can dial nobody, or we wait for nobody', async () => {
    assert.equal(await entersSoon({ theirs: { dials: false }, tcp: true }), true)
    assert.equal(await entersSoon({ theirs: {}, tcp: false }), true)
  })
})
