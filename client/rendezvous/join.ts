// RRD: reads an invitation and dials what is in it, one address after the other, side by side. It nominates.
import { isIP } from 'node:net'
import { StarError } from '../../src/errors.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { dialPlan, familyOf } from '../../src/rendezvous/plan.ts'
import { decodeInvitation } from '../../src/rendezvous/wire.ts'
import { isUnmetered, localAddresses } from '../paths/node/interfaces.ts'
import { nodeCrypto } from '../paths/node/crypto.ts'
import { TcpWire } from '../paths/node/tcp.ts'
import { WebSocketWire } from '../paths/node/web-socket.ts'
import { RaceDriver } from '../race-driver.ts'
import { Duplex } from './connection.ts'
import { resolveJoin } from './options.ts'
import type { RendezvousConnection } from './connection.ts'
import type { RendezvousJoinOptions } from './options.ts'

/**
 * Connects to the device that has made the invitation, a URL of {@link offerRendezvous}. Throws {@link StarError}
 * `ERR_RENDEZVOUS_INIT` for a URL that is none, `ERR_RENDEZVOUS_FAILED` when nothing comes of it: its `cause` is what went wrong
 * last.
 */
export async function joinRendezvous (url: string, options: RendezvousJoinOptions = {}): Promise<RendezvousConnection> {
  const { allow, signal, networkCost, timeout, relay, ca, ...times } = resolveJoin(options)
  signal?.throwIfAborted()
  const init = decodeInvitation(url)
  const families = [...new Set(localAddresses(networkCost).map(({ ip }) => familyOf(ip)))]
  const plan = dialPlan(init, {
    families,
    allow: target => target.kind === 'tcp' ? isIP(target.ip) === target.family && allow(target) : relay
  })
  if (plan.length === 0) {
    throw new StarError('ERR_RENDEZVOUS_FAILED', { detail: 'the invitation has nothing that this device can and may dial' })
  }
  const rendezvous = new Rendezvous(nodeCrypto, 'rrd', init.ak)
  const driver = new RaceDriver<Duplex>({
    ...times,
    nominator: true,
    raceTimeout: timeout,
    signal,
    connect: channel => new Duplex(channel),
    onSettled: () => {}
  })
  const free = isUnmetered(networkCost)
  for (const { pathId, target, networkCost: theirs, after } of plan) {
    const entry = { rendezvous, pathId, kind: target.kind, unmetered: free && theirs === 'unmetered' }
    driver.dial(pathId, entry, target.kind === 'tcp' ? target.ip : new URL(target.url).origin, {
      after,
      connect: owner => target.kind === 'tcp' ? TcpWire.dial(target, owner) : new WebSocketWire(target.url, ca, owner)
    })
  }
  driver.complete()
  return await driver.connected
}
