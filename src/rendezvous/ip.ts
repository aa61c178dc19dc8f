// Addresses that another peer names: which ones are dialled on its word, and which of them only by who is in their network.
import { isDialable, isLinkLocal, isLoopback, isWithin, parse } from '../ip.ts'
import type { LocalAddress } from './plan.ts'

/** The last port that only the system's own services use. */
const PRIVILEGED = 1_023

/**
 * Networks that are not the internet's, with the bits that make them: private ones, those of a carrier, of a cable, for
 * benchmarks, and those of IPv6 in which an IPv4 address is hidden.
 */
const PRIVATE = [
  ['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['100.64.0.0', 10], ['169.254.0.0', 16], ['192.0.0.0', 24],
  ['198.18.0.0', 15], ['::', 96], ['::ffff:0:0:0', 96], ['fc00::', 7], ['fe80::', 10], ['fec0::', 10], ['64:ff9b::', 96],
  ['64:ff9b:1::', 48], ['2002::', 16], ['2001::', 32]
].map(([ip, prefix]) => ({ bytes: parse(String(ip)) ?? new Uint8Array(), prefix: Number(prefix) }))

/**
 * Whether another peer's word is enough to connect there: on the internet yes; in a private network only if this device is in it;
 * on this device itself only when `loopback` says so; and in no network of this device, public ones included, where the system's
 * own services listen. Else anybody who can talk to us could have us knock at doors that are closed to them: what is near is on
 * our side of the firewall.
 */
export function mayDial (
  { ip, port }: { readonly ip: string, readonly port: number }, own: readonly LocalAddress[], loopback: boolean
): boolean {
  const bytes = parse(ip)
  if (bytes == null || !isDialable(bytes)) {
    return false
  }
  const isSelf = isLoopback(bytes)
  const isNear = own.some(address => {
    const mine = parse(address.ip)
    return mine != null && !isLoopback(mine) && isWithin(bytes, mine, address.prefix)
  })
  if (!isSelf && !isNear && !PRIVATE.some(network => isWithin(bytes, network.bytes, network.prefix))) {
    return true
  }
  return port > PRIVILEGED && (isSelf ? loopback : isNear)
}

/** An address as it is dialled: one of a cable of which there may be many goes to the first that this device is on. */
export function withZone (ip: string, own: readonly LocalAddress[]): string {
  const bytes = parse(ip)
  const cable = own.find(address => {
    const mine = parse(address.ip)
    return mine != null && isLinkLocal(mine)
  })
  return bytes != null && isLinkLocal(bytes) && cable != null ? `${ip}%${cable.interface}` : ip
}
