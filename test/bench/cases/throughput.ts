// One stream through the relay: how fast, at what cost to whom, and how long others wait meanwhile.
import { median, quantile } from '../harness.ts'
import type { Case, Stage } from '../harness.ts'
import type { Worker } from '../process.ts'

const MIB = 1024 * 1024

/** Bytes that keep this contender busy for about so long, found by sending some. */
async function size (stage: Stage, dialler: Worker, seconds: number): Promise<number> {
  const probe = 16 * MIB
  // the first one only warms the compiler
  await dialler.call('flood', Math.min(stage.maxFlood, seconds > 1 ? 8 * probe : probe / 4), false)
  const { ms } = await dialler.call('flood', probe, false)
  return Math.min(stage.maxFlood, 1024 * MIB, Math.max(probe, probe / ms * 1000 * seconds))
}

export const throughput: Case = {
  name: 'throughput',
  title: 'One stream through the relay',
  about: () => 'One dialler, one listener and the server in three processes. 64 KiB writes for one to two seconds, until the ' +
    'listener has acknowledged the last byte; then the same with round trips of 32 bytes on a second stream meanwhile. ' +
    'MB = 10⁶ bytes; CPU in milliseconds per MB relayed.',
  rivals: ['star', 'star-plain', 'circuit-relay', 'star-raw', 'original', 'ws'],
  columns: [
    { key: 'rate', title: 'MB/s', better: 'more' },
    { key: 'server', title: 'server CPU ms/MB', better: 'less' },
    { key: 'dialler', title: 'dialler CPU ms/MB', better: 'less' },
    { key: 'listener', title: 'listener CPU ms/MB', better: 'less' },
    { key: 'idle50', title: 'RTT idle p50 ms', better: 'less' },
    { key: 'idle95', title: 'p95', better: 'less' },
    { key: 'loaded50', title: 'RTT during flood p50 ms', better: 'less' },
    { key: 'loaded95', title: 'p95', better: 'less' }
  ],

  run: async (stage, settings) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    await dialler!.call('start', stage.address, 1, { listen: false })
    await dialler!.call('link', [peer!])
    // the first ones only warm the compiler
    await dialler!.call('ping', settings.quick ? 50 : 1_000)
    const idle = await dialler!.call('ping', settings.quick ? 50 : 300)
    const bytes = await size(stage, dialler!, settings.quick ? 0.3 : 1.5)
    const workers = [stage.server, dialler!, listener!]
    const [{ ms }, costs] = await stage.cost(workers, async () => await dialler!.call('flood', bytes, false))
    const { rtts } = await dialler!.call('flood', bytes, true)
    const megabytes = bytes / 1e6
    return {
      rate: megabytes / ms * 1000,
      server: costs[0]!.cpu / megabytes,
      dialler: costs[1]!.cpu / megabytes,
      listener: costs[2]!.cpu / megabytes,
      idle50: median(idle),
      idle95: quantile(idle, 0.95),
      loaded50: median(rtts),
      loaded95: quantile(rtts, 0.95),
      loadedSamples: rtts.length,
      bytes
    }
  }
}
