// What an idle peer costs the server in memory.
import { setTimeout as sleep } from 'node:timers/promises'
import { difference } from '../harness.ts'
import type { Case, Stage } from '../harness.ts'
import type { Usage } from '../usage.ts'

export const idle: Case = {
  name: 'idle',
  title: 'Memory per idle peer',
  about: ({ quick }) => `${count(quick)} peers join from one process and do nothing; announcements every hour. The memory of ` +
    'the server after garbage collection, from none and (more telling) from the first fifth to all.',
  rivals: ['star-raw', 'socket.io', 'original-raw'],
  maxRounds: 3,
  columns: [
    { key: 'all', title: 'RSS per peer, from 0, KiB', better: 'less' },
    { key: 'rest', title: 'from a fifth, KiB', better: 'less' },
    { key: 'heap', title: 'heap per peer, from a fifth, KiB', better: 'less' },
    { key: 'rss', title: 'RSS in all MiB', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const n = count(quick)
    const [client] = await stage.open(['client'], { announceEvery: 3_600_000 })
    const none = await settled(stage)
    await client!.call('start', stage.address, n / 5, {})
    const fifth = await settled(stage)
    await client!.call('start', stage.address, n * 4 / 5, {})
    const all = await settled(stage)
    const rest = difference(all, fifth)
    return {
      all: difference(all, none).rss / n / 1024,
      rest: rest.rss / (n * 4 / 5) / 1024,
      heap: rest.heap / (n * 4 / 5) / 1024,
      rss: all.rss / 1024 / 1024
    }
  }
}

async function settled (stage: Stage): Promise<Usage> {
  await sleep(1000)
  await stage.server.call('usage', true)
  await sleep(500)
  return await stage.server.call('usage', true)
}

function count (quick: boolean): number {
  return quick ? 200 : 1000
}
