// Which addresses RID offers, and which of them RRD dials, in which order. Pure rules over lists.
import { parseIPv4, parseIPv6 } from '@chainsafe/is-ip/parse'
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

/**
 * The bytes of an address, in the family that it really is of; `undefined` when it is none, or has meaning only on one device.
 */
function parse (ip: string): Uint8Array | undefined {
  if (ip.includes('%')) {
    return undefined
  }
  const bytes = parseIPv4(ip) ?? parseIPv6(ip)
  const isMapped = bytes?.byteLength === 16 && bytes.subarray(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 0xff))
  return isMapped ? bytes.subarray(12) : bytes
}

/** False for what stands for any address, or for many. */
function isDialable (bytes: Uint8Array): boolean {
  const [first = 0] = bytes
  return bytes.some(byte => byte !== 0) && (bytes.byteLength === 4 ? first !== 0 && first < 224 : first !== 0xff)
}

function isLoopback (bytes: Uint8Array): boolean {
  return bytes.byteLength === 4 ? bytes[0] === 127 : bytes.subarray(0, 15).every(byte => byte === 0) && bytes[15] === 1
}

function isLinkLocal (bytes: Uint8Array): boolean {
  return bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80
}

function rank ({ networkCost, fast }: LocalAddress): number {
  if (networkCost === 'unmetered') {
    return fast ? 0 : 1
  }
  return networkCost === 'metered' && fast ? 2 : 3
}
