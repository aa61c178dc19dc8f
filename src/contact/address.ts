// Socket addresses as Rust's standard library spells and reads them, since that is what a contact has on the wire.

/** The two families of addresses. */
export type Family = 'v4' | 'v6'

/** Where a socket is. `ip` is in its one canonical spelling; only that of an IPv6 address may have a scope, `fe80::1%5`. */
export interface SocketAddress {
  readonly ip: string
  readonly port: number
}

const MAX_PORT = 65_535
const MAX_SCOPE = 0xffff_ffff
const MAPPED = 0xffff

/** The family of an address. */
export function familyOf ({ ip }: SocketAddress): Family {
  return ip.includes(':') ? 'v6' : 'v4'
}

/**
 * An address as the platform tells it: one of an IPv4 socket that is open for both families is taken for what it is, and a scope
 * is left out where it is the name of an interface, which means nothing elsewhere. `undefined` for what is none.
 */
export function toSocketAddress (ip: string, port: number): SocketAddress | undefined {
  const [plain = '', scope] = ip.split('%')
  const groups = groupsOf(plain)
  const octets = octetsOf(plain) ?? (groups != null && isMapped(groups) ? octetsIn(groups) : undefined)
  if (octets != null) {
    return parseSocketAddress('v4', `${octets.join('.')}:${port}`)
  }
  return parseSocketAddress('v6', `[${plain}${/^\d+$/.test(scope ?? '') ? `%${scope}` : ''}]:${port}`)
}

/** Spells an address: `1.2.3.4:5`, `[::1]:5`, `[fe80::1%2]:5`. */
export function formatSocketAddress (address: SocketAddress): string {
  return familyOf(address) === 'v4' ? `${address.ip}:${address.port}` : `[${address.ip}]:${address.port}`
}

/**
 * Reads an address of that family, in any spelling that Rust takes: no zeros before the octets of IPv4, but any number before
 * ports and scopes. `undefined` for any other text.
 */
export function parseSocketAddress (family: Family, text: string): SocketAddress | undefined {
  const pattern = family === 'v4' ? /^([\d.]+):(\d+)$/ : /^\[([\da-f:.]+)(?:%(\d+))?\]:(\d+)$/i
  const [, written = '', ...numbers] = pattern.exec(text) ?? []
  const [port, scope] = numbers.map(number => Number(number ?? 0)).toReversed()
  const ip = family === 'v4' ? octetsOf(written)?.join('.') : textOf(groupsOf(written))
  if (ip == null || port == null || port > MAX_PORT || (scope ?? 0) > MAX_SCOPE) {
    return undefined
  }
  return { ip: (scope ?? 0) > 0 ? `${ip}%${scope}` : ip, port }
}

/** The octets of an IPv4 address. */
function octetsOf (ip: string): number[] | undefined {
  const octets = ip.split('.')
  const isAddress = octets.length === 4 && octets.every(octet => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255)
  return isAddress ? octets.map(Number) : undefined
}

/** The eight groups of an IPv6 address, of which the last two may be written as IPv4. */
function groupsOf (ip: string): number[] | undefined {
  const [, front, dotted] = /^(.*:)(\d+(?:\.\d+){3})$/.exec(ip) ?? []
  if (front != null && dotted != null) {
    const [a = 0, b = 0, c = 0, d = 0] = octetsOf(dotted) ?? [NaN]
    return Number.isNaN(a) ? undefined : groupsOf(`${front}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`)
  }
  const halves = ip.split('::')
  const [head = [], tail] = halves.map(half => half === '' ? [] : half.split(':'))
  const given = [...head, ...tail ?? []]
  const fits = tail == null ? given.length === 8 : halves.length === 2 && given.length < 8
  if (!fits || !given.every(group => /^[\da-f]{1,4}$/i.test(group))) {
    return undefined
  }
  const zeros = Array.from({ length: 8 - given.length }, () => '0')
  return [...head, ...zeros, ...tail ?? []].map(group => parseInt(group, 16))
}

function isMapped (groups: readonly number[]): boolean {
  return groups.slice(0, 6).every((group, index) => group === (index < 5 ? 0 : MAPPED))
}

/** The IPv4 address at the end of an IPv6 address. */
function octetsIn (groups: readonly number[]): number[] {
  return groups.slice(6).flatMap(group => [group >> 8, group & 255])
}

/** The one canonical spelling: the longest run of zeros is left out, the first of several, if it is longer than one. */
function textOf (groups: readonly number[] | undefined): string | undefined {
  if (groups == null) {
    return undefined
  }
  if (isMapped(groups)) {
    return `::ffff:${octetsIn(groups).join('.')}`
  }
  const text = groups.map(group => group.toString(16)).join(':')
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)]
  const [longest] = runs.toSorted((one, other) => other[0].length - one[0].length)
  if (longest == null) {
    return text
  }
  const [before, after] = [text.slice(0, longest.index), text.slice(longest.index + longest[0].length)]
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`
}
