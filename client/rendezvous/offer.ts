// RID: listens, says where in an invitation, and waits for the device that has read it. It is nominated to.
import { StarError } from '../../src/errors.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { familyOf, offerAddresses } from '../../src/rendezvous/plan.ts'
import { KEY, encodeInvitation } from '../../src/rendezvous/wire.ts'
import { Door } from '../paths/node/door.ts'
import { localAddresses } from '../paths/node/interfaces.ts'
import { nodeCrypto } from '../paths/node/crypto.ts'
import { RaceDriver } from '../race-driver.ts'
import { Duplex } from './connection.ts'
import { resolveOffer } from './options.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'
import type { Guest } from '../paths/platform.ts'
import type { RendezvousConnection } from './connection.ts'
import type { RendezvousOfferOptions } from './options.ts'

/** An invitation, and what becomes of it. */
export interface RendezvousOffer {
  /** The invitation as a URL. Whoever has it can connect: it is a secret. */
  readonly url: string
  readonly init: RendezvousInit
  /**
   * The connection to the device that has read the invitation, which is good for one. Rejects with {@link StarError}, or with
   * the signal's reason.
   */
  readonly connected: Promise<RendezvousConnection>
  /** Stops waiting, and resolves when nothing is open any more. A connection that was made stays: it has a `close` of its own. */
  close (): Promise<void>
}

/**
 * Listens on a port for one other device, and makes the invitation that it needs. Throws {@link StarError}
 * `ERR_RENDEZVOUS_FAILED` when there is no address to offer, and what the system says when it cannot listen.
 */
export async function offerRendezvous (options: RendezvousOfferOptions = {}): Promise<RendezvousOffer> {
  const { allow, signal, networkCost, loopback, port, timeout, handshakeTimeout } = resolveOffer(options)
  signal?.throwIfAborted()
  const all = localAddresses(networkCost)
  const allowed = all.filter(({ ip }) => allow({ ip, family: familyOf(ip) }))
  const offered = offerAddresses(allowed, { firstPathId: 1, loopback })
  if (offered.length === 0) {
    throw new StarError('ERR_RENDEZVOUS_FAILED', { detail: 'this device has no address that may be offered' })
  }
  const refused = new Set(all.filter(one => !allowed.includes(one)).map(({ ip }) => ip))
  const door = new Door({ port, host: offered.length === 1 ? offered[0]?.ip : undefined, allow: ip => !refused.has(ip) })
  const ak = nodeCrypto.random(KEY)
  const rendezvous = new Rendezvous(nodeCrypto, 'rid', ak)
  const guest: Guest = {
    rendezvous, offered, onClaim: (pathId, wire, bytes) => { driver.attach(pathId, wire, bytes) }
  }
  const driver = new RaceDriver<Duplex>({
    nominator: false,
    handshakeTimeout,
    collectTime: 0,
    raceTimeout: timeout,
    signal,
    connect: channel => new Duplex(channel),
    onSettled: () => {
      settled = true
      door.dismiss(guest)
    }
  })
  let settled = false
  const listening = await door.admit(guest).catch((error: unknown) => {
    signal?.throwIfAborted()
    throw error
  })
  for (const { pathId, ip } of offered) {
    driver.await(pathId, { rendezvous, pathId, kind: 'tcp', unmetered: false }, ip)
  }
  driver.complete()
  const init = { ak, relayedWebSocket: undefined, directTcpServer: { port: listening, ipAddresses: offered } }
  return {
    url: encodeInvitation(init),
    init,
    connected: driver.connected,
    close: async () => {
      if (!settled) {
        driver.stop(new StarError('ERR_STOPPED', { detail: 'the invitation was withdrawn' }))
        await driver.closed
      }
      await door.close()
    }
  }
}
