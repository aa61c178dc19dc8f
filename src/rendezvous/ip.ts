// IP addresses by their bytes: which ones can be dialled at all, and which of them only who is in their network.
import { parseIPv4, parseIPv6 } from '@chainsafe/is-ip/parse'
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
 * The bytes of an address, in the family that it really is of; `undefined` when it is none, or has meaning only on one device.
 */
export function parse (ip: string): Uint8Array | undefined {
  if (ip.includes('%')) {
    return undefined
  }
  const bytes = parseIPv4(ip) ?? parseIPv6(ip)
  const isMapped = bytes?.byteLength === 16 && bytes.subarray(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 0xff))
  return isMapped ? bytes.subarray(12) : bytes
}

/** An address as a socket for both families spells it, in the spelling of its own family. */
export function unmapped (ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.)/i, '')
}

/** False for what stands for any address, or for many. */
export function isDialable (bytes: Uint8Array): boolean {
  const [first = 0] = bytes
  return bytes.some(byte => byte !== 0) && (bytes.byteLength === 4 ? first !== 0 && first < 224 : first !== 0xff)
}

/** An address of the device itself. */
export function isLoopback (bytes: Uint8Array): boolean {
  return bytes.byteLength === 4 ? bytes[0] === 127 : bytes.subarray(0, 15).every(byte => byte === 0) && bytes[15] === 1
}

/** An IPv6 address that is known on its own cable alone. */
export function isLinkLocal (bytes: Uint8Array): boolean {
  return bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80
}

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

/** Whether an address is in the network that another one and so many bits of it say. */
function isWithin (bytes: Uint8Array, network: Uint8Array, prefix: number): boolean {
  return bytes.byteLength === network.byteLength && bytes.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * index))
    const mask = 0xff00 >> bits & 0xff
    return (byte & mask) === ((network[index] ?? 0) & mask)
  })
}
