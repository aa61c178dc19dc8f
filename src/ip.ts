// IP addresses by their bytes.
import { parseIPv4, parseIPv6 } from '@chainsafe/is-ip/parse'

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

/** Whether an address is in the network that another one and so many bits of it say. */
export function isWithin (bytes: Uint8Array, network: Uint8Array, prefix: number): boolean {
  return bytes.byteLength === network.byteLength && bytes.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * index))
    const mask = 0xff00 >> bits & 0xff
    return (byte & mask) === ((network[index] ?? 0) & mask)
  })
}
