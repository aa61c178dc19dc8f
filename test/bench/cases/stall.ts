// A receiver that stops reading: how much of what is offered piles up in the server.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from '../harness.ts'

const MIB = 1024 * 1024

export const stall: Case = {
  name: 'stall',
  title: 'A receiver that stops reading',
  about: ({ quick }) => 'After 16 MiB on a stream the process of the listener is stopped, so that nobody reads ' +
    `its TCP connection; the dialler offers ${offered(quick)} MiB more in 64 KiB writes, until all is taken or nothing ` +
    'has moved for three seconds.',
  rivals: ['star', 'circuit-relay', 'star-raw', 'original', 'ws'],
  maxRounds: 3,
  columns: [
    { key: 'taken', title: 'taken from the writer MiB', better: 'less' },
    { key: 'peak', title: 'growth of server RSS, peak MiB', better: 'less' },
    { key: 'after', title: 'after 5 s and garbage collection MiB', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, { listen: false })
    await dialler!.call('link', [peer!])
    await dialler!.call('prepare', 16 * MIB)
    await sleep(500)
    const before = (await stage.server.call('usage', true)).rss
    listener!.freeze(true)
    let peak = 0
    const look = async (): Promise<void> => { peak = Math.max(peak, (await stage.server.call('usage', false)).rss) }
    const watching = setInterval(() => { look().catch(() => {}) }, 100)
    const taken = await dialler!.call('offer', offered(quick) * MIB, 3000).finally(() => clearInterval(watching))
    await look()
    await sleep(quick ? 500 : 5000)
    await look()
    const after = (await stage.server.call('usage', true)).rss
    return { taken: taken / MIB, peak: (peak - before) / MIB, after: (after - before) / MIB }
  }
}

function offered (quick: boolean): number {
  return quick ? 50 : 200
}
