// How long a dial takes, warm and cold, and how long until the first byte came back.
import { median, quantile } from '../harness.ts'
import type { Case } from '../harness.ts'

export const dial: Case = {
  name: 'dial',
  title: 'Dial and first byte',
  about: ({ quick }) => `${count(quick)} dials a round, one after another, each closed before the next. Warm: both peers are ` +
    'connected to the server. Cold: a new node is made, started, and dials (in a process that did so before; making its key ' +
    'included). First byte: a byte has come back from the other peer.',
  rivals: ['star', 'star-plain', 'circuit-relay', 'tcp', 'star-raw', 'original', 'ws'],
  columns: [
    { key: 'warm50', title: 'warm dial p50 ms', better: 'less' },
    { key: 'warm95', title: 'p95', better: 'less' },
    { key: 'warmByte50', title: 'warm first byte p50 ms', better: 'less' },
    { key: 'warmByte95', title: 'p95', better: 'less' },
    { key: 'cold50', title: 'cold dial p50 ms', better: 'less' },
    { key: 'cold95', title: 'p95', better: 'less' },
    { key: 'coldByte50', title: 'cold first byte p50 ms', better: 'less' },
    { key: 'coldByte95', title: 'p95', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, { listen: false })
    // The first ones only warm the compiler.
    await dialler!.call('dial', peer!, 10, true)
    await dialler!.call('cold', stage.address, peer!, 3, true)
    const warm = await dialler!.call('dial', peer!, count(quick), true)
    const cold = await dialler!.call('cold', stage.address, peer!, count(quick), true)
    const part = (times: typeof warm, key: 'dial' | 'byte', part: number): number => quantile(times.map(time => time[key]), part)
    return {
      warm50: median(warm.map(time => time.dial)),
      warm95: part(warm, 'dial', 0.95),
      warmByte50: part(warm, 'byte', 0.5),
      warmByte95: part(warm, 'byte', 0.95),
      cold50: part(cold, 'dial', 0.5),
      cold95: part(cold, 'dial', 0.95),
      coldByte50: part(cold, 'byte', 0.5),
      coldByte95: part(cold, 'byte', 0.95)
    }
  }
}

function count (quick: boolean): number {
  return quick ? 10 : 40
}
