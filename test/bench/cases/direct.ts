// How long until a connection that begins at a server is a direct one.
import { quantile } from '../harness.ts'
import type { Case } from '../harness.ts'

/** Milliseconds in which a connection has to become direct. */
const PATIENCE = 10_000
/** So many that never become direct are enough. */
const HOPELESS = 3
const WARM = 3

export const direct: Case = {
  name: 'direct',
  title: 'From the dial to a direct connection',
  about: ({ quick }) => `${count(quick)} dials a round, each from a new node that is connected to the server already. First ` +
    'byte: a byte has come back from the other peer, over whichever path. Direct: bytes go from peer to peer; never, if not ' +
    `within ${PATIENCE / 1000} s (after ${HOPELESS} such dials the round is over). Both ends are on one machine: no NAT, and ` +
    'no round trip to speak of.',
  rivals: ['star-moving', 'dcutr', 'dcutr-punch', 'tcp'],
  columns: [
    { key: 'byte50', title: 'first byte p50 ms', better: 'less' },
    { key: 'byte95', title: 'p95', better: 'less' },
    { key: 'direct50', title: 'direct p50 ms', better: 'less' },
    { key: 'direct95', title: 'p95', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [dialler, listener] = await stage.open(['dialler', 'listener'])
    const [peer] = await listener!.call('start', stage.address, 1, {})
    const dials: Array<{ byte: number, direct: number }> = []
    // The first ones only warm the compiler.
    for (let i = 0; i < WARM + count(quick) && dials.filter(isHopeless).length < HOPELESS; i++) {
      dials.push(await dialler!.call('direct', stage.address, peer!, PATIENCE))
    }
    const counted = dials.length > WARM ? dials.slice(WARM) : dials
    const part = (key: 'byte' | 'direct', part: number): number => quantile(counted.map(times => times[key]), part)
    return {
      byte50: part('byte', 0.5),
      byte95: part('byte', 0.95),
      direct50: part('direct', 0.5),
      direct95: part('direct', 0.95)
    }
  }
}

function isHopeless ({ direct }: { direct: number }): boolean {
  return direct === Number.POSITIVE_INFINITY
}

function count (quick: boolean): number {
  return quick ? 10 : 40
}
