// What a lost path costs: how long nothing gets through when the path under a connection dies.
import { median, quantile } from '../harness.ts'
import type { Case } from '../harness.ts'

export const cuts: Case = {
  name: 'cuts',
  title: 'A path that dies',
  about: ({ quick }) => `${count(quick)} times a round the path under a connection is given up, and a round trip of 32 bytes ` +
    'begun at once: how long until it is over. A link finds another path and goes on with the same stream. Where there is no ' +
    'link the connection is closed, dialled again, and a new stream opened: the least that an application could do that hears ' +
    'of the loss at once; what was on the way is lost.',
  rivals: ['star', 'star-plain', 'circuit-relay'],
  columns: [
    { key: 'stall50', title: 'stall p50 ms', better: 'less' },
    { key: 'stall95', title: 'p95', better: 'less' },
    { key: 'stall99', title: 'p99', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, { listen: false })
    await dialler!.call('link', [peer!])
    await dialler!.call('cut', peer!, 10)
    const stalls = await dialler!.call('cut', peer!, count(quick))
    return { stall50: median(stalls), stall95: quantile(stalls, 0.95), stall99: quantile(stalls, 0.99) }
  }
}

function count (quick: boolean): number {
  return quick ? 20 : 200
}
