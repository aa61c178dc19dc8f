// RID: listens, says where in an invitation, and waits for the device that has read it. It is nominated to.
import { toString } from 'uint8arrays/to-string'
import { StarError } from '../../src/errors.ts'
import { lostError } from '../../src/rendezvous/close.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { familyOf, offerAddresses } from '../../src/rendezvous/plan.ts'
import { KEY, encodeInvitation } from '../../src/rendezvous/wire.ts'
import { Door } from '../paths/node/door.ts'
import { localAddresses } from '../paths/node/interfaces.ts'
import { nodeCrypto } from '../paths/node/crypto.ts'
import { WebSocketWire } from '../paths/node/web-socket.ts'
import { RaceDriver } from '../race-driver.ts'
import { Duplex } from './connection.ts'
import { resolveOffer } from './options.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'
import type { Guest } from '../paths/platform.ts'
import type { Connect } from '../paths/wire.ts'
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
 * Listens on a port for one other device, waits for it at the relay if there is one, and makes the invitation that it needs.
 * Throws {@link StarError} `ERR_RENDEZVOUS_FAILED` when there is nothing to offer, `ERR_PATH_LOST` when the relay is not there,
 * and what the system says when it cannot listen.
 */
export async function offerRendezvous (options: RendezvousOfferOptions = {}): Promise<RendezvousOffer> {
  const { allow, signal, networkCost, loopback, port, timeout, handshakeTimeout, relay, ca } = resolveOffer(options)
  signal?.throwIfAborted()
  const all = localAddresses(networkCost)
  const allowed = all.filter(({ ip }) => allow({ ip, family: familyOf(ip) }))
  const offered = offerAddresses(allowed, { firstPathId: 1, loopback })
  if (offered.length === 0 && relay == null) {
    throw new StarError('ERR_RENDEZVOUS_FAILED', { detail: 'this device has no address that may be offered' })
  }
  const refused = new Set(all.filter(one => !allowed.includes(one)).map(({ ip }) => ip))
  const door = new Door({ port, host: offered.length === 1 ? offered[0]?.ip : undefined, allow: ip => !refused.has(ip) })
  const ak = nodeCrypto.random(KEY)
  const rendezvous = new Rendezvous(nodeCrypto, 'rid', ak)
  const guest: Guest = {
    rendezvous, offered, onClaim: (pathId, wire, bytes) => { driver.attach(pathId, wire, bytes) }
  }
  let settled = false
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
  for (const { pathId, ip } of offered) {
    driver.await(pathId, { rendezvous, pathId, kind: 'tcp', unmetered: false }, ip)
  }
  const pathId = offered.length + 1
  const [listening, relayedWebSocket] = await Promise.all([
    offered.length === 0 ? undefined : door.admit(guest),
    relay == null ? undefined : atRelay(`${relay.replace(/\/+$/, '')}/relay/${randomHex()}`, ca, pathId, (url, connect) => {
      driver.dial(pathId, { rendezvous, pathId, kind: 'relay-ws', unmetered: false }, url, { after: 0, connect })
    })
  ]).catch((error: unknown) => {
    signal?.throwIfAborted()
    driver.stop(error)
    throw error
  })
  driver.complete()
  const directTcpServer = listening == null ? undefined : { port: listening, ipAddresses: offered }
  const init = { ak, relayedWebSocket, directTcpServer }
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

/** Waits at a relay, which is not in the invitation before we are there; rejects when we don't get there. */
async function atRelay (
  url: string, ca: string | string[] | undefined, pathId: number, dial: (url: string, connect: Connect) => void
): Promise<NonNullable<RendezvousInit['relayedWebSocket']>> {
  await new Promise<void>((resolve, reject) => {
    dial(new URL(url).origin, owner => new WebSocketWire(url, ca, {
      onOpen: () => {
        owner.onOpen()
        resolve()
      },
      onBytes: bytes => { owner.onBytes(bytes) },
      onTaken: () => { owner.onTaken() },
      onClose: (code, error) => {
        owner.onClose(code, error)
        reject(error ?? lostError(code))
      }
    }))
  })
  return { pathId, networkCost: 'unknown', url }
}

function randomHex (): string {
  return toString(nodeCrypto.random(KEY), 'base16')
}
