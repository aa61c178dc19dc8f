// Which addresses RID offers, and which of them RRD dials, in which order. Pure rules over lists.
import { isDialable, isLinkLocal, isLoopback, parse } from '../ip.ts'
import { MAX_ADDRESSES } from './wire.ts'
import type { IpAddress, NetworkCostName, RendezvousInit } from './wire.ts'

/** An address family. */
type Family = 4 | 6

/** Something to be dialled. */
export interface Dial {
  readonly pathId: number
  readonly target:
    | { readonly kind: 'tcp', readonly ip: string, readonly port: number, readonly family: Family }
    | { readonly kind: 'relay-ws', readonly url: string }
  /** What RID says that the path costs it. */
  readonly networkCost: NetworkCostName
  /** Milliseconds after the first one at which this one is started, whatever has become of the others. */
  readonly after: number
}

/** What may be dialled. */
export interface DialLimits {
  /** The address families that this device has. */
  readonly families: readonly Family[]
  /** Asked for everything that is to be dialled: who wrote the init says where we connect to. */
  readonly allow: (target: Dial['target']) => boolean
}

/** An address of an interface of this device. */
export interface LocalAddress {
  /** The name of the interface. */
  readonly interface: string
  readonly ip: string
  /** So many bits of the address are those of its network. */
  readonly prefix: number
  readonly networkCost: NetworkCostName
  /** Whether the interface is known to be fast, as a cable or a wireless network is. */
  readonly fast: boolean
}

/** What is offered. */
export interface OfferOptions {
  /** The id of the first path; those of the others follow. */
  readonly firstPathId: number
  /** Whether addresses are offered that only this very device can reach. */
  readonly loopback: boolean
}

/** Milliseconds between two dials. */
export const STAGGER = 100

/** What RRD dials: the relay at once, the addresses in the order in which they were offered. */
export function dialPlan ({ relayedWebSocket, directTcpServer }: RendezvousInit, { families, allow }: DialLimits): Dial[] {
  const plan: Dial[] = []
  if (relayedWebSocket != null) {
    const { pathId, networkCost, url } = relayedWebSocket
    const target = { kind: 'relay-ws', url } as const
    if (allow(target)) {
      plan.push({ pathId, target, networkCost, after: 0 })
    }
  }
  const seen = new Set<string>()
  const { port = 0, ipAddresses = [] } = directTcpServer ?? {}
  for (const { pathId, networkCost, ip: text } of port === 0 ? [] : ipAddresses) {
    const bytes = parse(text)
    if (bytes != null && isDialable(bytes)) {
      const family = bytes.byteLength === 4 ? 4 : 6
      const ip = family === 4 ? bytes.join('.') : text
      const target = { kind: 'tcp', ip, port, family } as const
      const key = String(bytes)
      if (families.includes(family) && !seen.has(key) && allow(target)) {
        plan.push({ pathId, target, networkCost, after: STAGGER * seen.size })
        seen.add(key)
      }
    }
  }
  return plan
}

/**
 * What RID offers: no address twice, none that reaches only this device unless that is wanted, and no link-local IPv6 address
 * of an interface that has no other of IPv6. Unmetered ones come first, then metered ones, then those of which nothing is
 * known; fast ones before slow ones; never more than an init may hold.
 */
export function offerAddresses (addresses: readonly LocalAddress[], { firstPathId, loopback }: OfferOptions): IpAddress[] {
  const parsed = addresses.flatMap(address => {
    const bytes = parse(address.ip)
    return bytes == null || !isDialable(bytes) ? [] : [{ ...address, bytes, key: String(bytes) }]
  })
  const routed = new Set(parsed.filter(({ bytes }) => bytes.byteLength === 16 && !isLinkLocal(bytes)).map(one => one.interface))
  const offered = parsed
    .filter(({ bytes }) => loopback || !isLoopback(bytes))
    .filter(one => one.bytes.byteLength === 4 || !isLinkLocal(one.bytes) || routed.has(one.interface))
    .toSorted((one, other) => rank(one) - rank(other))
  const keys = new Set<string>()
  return offered
    .filter(({ key }) => !keys.has(key) && keys.add(key).size <= MAX_ADDRESSES)
    .map(({ ip, networkCost }, index) => ({ pathId: firstPathId + index, networkCost, ip }))
}

/** The family of an address. */
export function familyOf (ip: string): Family {
  return ip.includes(':') ? 6 : 4
}

function rank ({ networkCost, fast }: LocalAddress): number {
  if (networkCost === 'unmetered') {
    return fast ? 0 : 1
  }
  return networkCost === 'metered' && fast ? 2 : 3
}
