// Star addresses: what they look like, which URL they stand for, and how each generation of clients writes them.
import { multiaddr } from '@multiformats/multiaddr'
import { StarError } from './errors.ts'
import type { Component, Multiaddr } from '@multiformats/multiaddr'

const HOSTS: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'])

/** What a host name may consist of: anything else could change the meaning of the URL. */
const NAME = /^[\w.-]+$/

/** The component that makes a multiaddr a star address, code 479 of the multiaddr table. */
export const STAR_PROTOCOL = 'p2p-websocket-star'

/** A star address, taken apart. */
export interface StarAddress {
  /** The address as libp2p prints it: `/p2p/`, never `/ipfs/`. */
  readonly canonical: string
  /** The star alone, without the peer: `/dns4/star.example/tcp/443/wss/p2p-websocket-star`. */
  readonly star: string
  /** Where the star's socket.io server is: `wss://star.example:443`. One star, one URL. */
  readonly url: string
  /** The peer id at the end, base58btc or CID; absent when the address names only the star. */
  readonly peer?: string
}

/**
 * Takes a star address apart; `undefined` when it is none.
 *
 * Accepted: `/(ip4|ip6)/H/tcp/P/(ws|wss|tls/ws)/p2p-websocket-star`, `/(dns|dns4|dns6|dnsaddr)/H[/tcp/P]/…` with the scheme's own
 * port where `tcp` is missing, each with `/p2p/ID` or `/ipfs/ID` at the end or without. Nothing may follow the peer id.
 */
export function parseStarAddress (address: string | Multiaddr): StarAddress | undefined {
  let parts: Component[]
  try {
    // through the bytes, so that every spelling of an ip6 address or a peer id comes out the same
    parts = multiaddr(multiaddr(address).bytes).getComponents()
  } catch {
    return undefined
  }
  const host = parts.shift()
  if (host?.value == null || !HOSTS.has(host.name) || (host.name.startsWith('dns') && !NAME.test(host.value))) {
    return undefined
  }
  const tcp = parts[0]?.name === 'tcp' ? parts.shift() : undefined
  if (tcp == null && host.name.startsWith('ip')) {
    return undefined
  }
  const tls = parts[0]?.name === 'tls' ? parts.shift() : undefined
  const scheme = parts.shift()?.name
  const secure = scheme === 'wss' || (tls != null && scheme === 'ws')
  if ((scheme !== 'ws' && scheme !== 'wss') || (tls != null && !secure) || parts.shift()?.name !== STAR_PROTOCOL) {
    return undefined
  }
  const peer = parts.shift()
  if (parts.length > 0 || (peer != null && (peer.name !== 'p2p' || peer.value == null))) {
    return undefined
  }
  const port = tcp?.value ?? (secure ? '443' : '80')
  const web = `${tls == null ? '' : '/tls'}/${scheme}`
  const star = `/${host.name}/${host.value}${tcp == null ? '' : `/tcp/${port}`}${web}/${STAR_PROTOCOL}`
  return {
    canonical: peer == null ? star : `${star}/p2p/${peer.value}`,
    star,
    url: starUrl(host, port, secure),
    ...(peer?.value == null ? {} : { peer: peer.value })
  }
}

/** Takes a star address apart or throws {@link StarError} `ERR_ADDRESS`. */
export function requireStarAddress (address: string | Multiaddr): StarAddress {
  const parsed = parseStarAddress(address)
  if (parsed == null) {
    throw new StarError('ERR_ADDRESS', { detail: address.toString() })
  }
  return parsed
}

/**
 * The text under which two spellings of one address are equal, for any multiaddr: `/ipfs/ID` and `/p2p/ID` are the same.
 * `undefined` when the text is no multiaddr at all.
 */
export function canonicalAddress (address: string): string | undefined {
  try {
    return multiaddr(multiaddr(address).bytes).toString()
  } catch {
    return undefined
  }
}

/** The spelling that original clients understand: they print and compare `/ipfs/ID`, and die of `/p2p/ID` and of CIDs. */
export function originalSpelling (canonical: string): string {
  return canonical.replace(/\/p2p\/([^/]+)$/, '/ipfs/$1')
}

/** The peer id at the end of an address, in either spelling; `undefined` when there is none. */
export function peerOfAddress (address: string): string | undefined {
  return /\/(?:p2p|ipfs)\/([^/]+)$/.exec(address)?.[1]
}

function starUrl (host: Component, port: string, secure: boolean): string {
  const name = host.name === 'ip6' ? `[${host.value}]` : host.value
  return `${secure ? 'wss' : 'ws'}://${name}:${port}`
}
