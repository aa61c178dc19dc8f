// What it costs to move a connection past the server, and what the server is spared.
import { median, quantile } from '../harness.ts'
import type { Case } from '../harness.ts'

const MIB = 1024 * 1024

export const moves: Case = {
  name: 'moves',
  title: 'A connection that moves',
  about: ({ quick }) => `${count(quick)} times a round a connection moves from the star to TCP, and back again: the longest ` +
    'round trip of 32 bytes from before the move until after it, with nothing else on the connection, and in the middle of a ' +
    'flood of 64 MiB; beside it the longest one in such a flood through the star alone. Then what a flood costs the star ' +
    'before the move and after it.',
  rivals: ['star-move'],
  columns: [
    { key: 'idle50', title: 'longest RTT of a move p50 ms', better: 'less' },
    { key: 'idle99', title: 'p99', better: 'less' },
    { key: 'flood50', title: 'of a move in a flood p50 ms', better: 'less' },
    { key: 'flood99', title: 'p99', better: 'less' },
    { key: 'still50', title: 'in a flood without a move p50 ms', better: 'less' },
    { key: 'before', title: 'server CPU before ms/MB', better: 'less' },
    { key: 'after', title: 'after', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, { listen: false })
    await dialler!.call('link', [peer!])
    await dialler!.call('flood', 64 * MIB, false)
    const flood = async (): Promise<number> => {
      const [, [server]] = await stage.cost([stage.server], async () => await dialler!.call('flood', 256 * MIB, false))
      return server!.cpu / (256 * MIB / 1e6)
    }
    const before = await flood()
    const still: number[] = []
    for (let i = 0; i < count(quick) / 5; i++) {
      still.push(Math.max(...(await dialler!.call('flood', 64 * MIB, true)).rtts))
    }
    const idle = await dialler!.call('move', count(quick), 0)
    const flooded = await dialler!.call('move', count(quick) / 5, 64 * MIB)
    await dialler!.call('leave')
    const after = await flood()
    return {
      idle50: median(idle),
      idle99: quantile(idle, 0.99),
      flood50: median(flooded),
      flood99: quantile(flooded, 0.99),
      still50: median(still),
      before,
      after
    }
  }
}

function count (quick: boolean): number {
  return quick ? 10 : 100
}
