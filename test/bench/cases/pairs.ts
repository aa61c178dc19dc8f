// Many pairs at once through one server.
import type { Case } from '../harness.ts'

export const pairs: Case = {
  name: 'pairs',
  title: 'Many pairs at once',
  about: ({ quick }) => `${count(quick)} diallers in one process send 1 MiB each in 64 KiB writes to as many listeners in ` +
    'another, all at once, three times; the third is measured. The ends share what the server leaves of the machine, so ' +
    'server CPU per MB says more than MB/s.',
  rivals: ['star', 'circuit-relay', 'star-raw', 'original', 'ws'],
  columns: [
    { key: 'rate', title: 'MB/s in all', better: 'more' },
    { key: 'server', title: 'server CPU ms/MB', better: 'less' },
    { key: 'ends', title: 'CPU of both ends ms/MB', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const peers = await listener!.call('start', stage.address, count(quick), {})
    await dialler!.call('start', stage.address, count(quick), { listen: false })
    await dialler!.call('link', peers)
    const bytes = 1024 * 1024
    for (let i = 0; i < 2; i++) await dialler!.call('flood', bytes, false)
    const workers = [stage.server, dialler!, listener!]
    const [{ ms }, costs] = await stage.cost(workers, async () => await dialler!.call('flood', bytes, false))
    const megabytes = bytes * count(quick) / 1e6
    return {
      rate: megabytes / ms * 1000,
      server: costs[0]!.cpu / megabytes,
      ends: (costs[1]!.cpu + costs[2]!.cpu) / megabytes
    }
  }
}

function count (quick: boolean): number {
  return quick ? 20 : 100
}
