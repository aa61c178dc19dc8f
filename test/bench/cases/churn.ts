// Many dials between one long-lived pair: what the server never gives back.
import { setTimeout as sleep } from 'node:timers/promises'
import { difference } from '../harness.ts'
import type { Case } from '../harness.ts'

export const churn: Case = {
  name: 'churn',
  title: 'Many dials between one long-lived pair',
  about: ({ quick }) => `${count(quick).toLocaleString('en')} times dial and close between the same two peers, 8 at once; how ` +
    'the memory of the server grew, after garbage collection, from what it was after a first thousand.',
  rivals: ['star-raw', 'original', 'ws'],
  maxRounds: 3,
  columns: [
    { key: 'rate', title: 'dials/s', better: 'more' },
    { key: 'cpu', title: 'server CPU ms per dial', better: 'less' },
    { key: 'rss', title: 'growth of server RSS MiB', better: 'less' },
    { key: 'heap', title: 'growth of heap per dial, bytes', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const n = count(quick)
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, {})
    await dialler!.call('churn', peer!, 1000, 8)
    await sleep(1000)
    const before = await stage.server.call('usage', true)
    const [ms, [cost]] = await stage.cost([stage.server], async () => await dialler!.call('churn', peer!, n, 8))
    await sleep(1000)
    const growth = difference(await stage.server.call('usage', true), before)
    return { rate: n / ms * 1000, cpu: cost!.cpu / n, rss: growth.rss / 1024 / 1024, heap: growth.heap / n }
  }
}

function count (quick: boolean): number {
  return quick ? 1000 : 20_000
}
