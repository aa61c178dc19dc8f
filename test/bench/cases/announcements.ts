// Announcements: what it costs to tell peers of each other, while they come and while nothing changes.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from '../harness.ts'

export const announcements: Case = {
  name: 'announcements',
  title: 'Announcements',
  about: ({ quick }) => `${count(quick)} peers join, 16 at once, from one process, then stay; per join, and per period of ` +
    `${period(quick) / 1000} s in which nothing changes. Bytes are all that the server sends on TCP.`,
  rivals: ['star-raw', 'original-raw'],
  maxRounds: 3,
  columns: [
    { key: 'joinBytes', title: 'bytes per join', better: 'less' },
    { key: 'joinCpu', title: 'server CPU ms per join', better: 'less' },
    { key: 'bytes', title: 'bytes per period', better: 'less' },
    { key: 'cpu', title: 'server CPU ms per period', better: 'less' },
    { key: 'client', title: 'CPU ms per period of all peers', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const n = count(quick)
    const [client] = await stage.open(['client'], { announceEvery: period(quick) })
    const [, [joining]] = await stage.cost([stage.server], async () => {
      await client!.call('start', stage.address, n, {})
      await sleep(500)
    })
    const [, [staying, peers]] = await stage.cost([stage.server, client!], async () => await sleep(period(quick) * 2))
    return {
      joinBytes: joining!.sent / n,
      joinCpu: joining!.cpu / n,
      bytes: staying!.sent / 2,
      cpu: staying!.cpu / 2,
      client: peers!.cpu / 2
    }
  }
}

function count (quick: boolean): number {
  return quick ? 50 : 200
}

function period (quick: boolean): number {
  return quick ? 1000 : 10_000
}
