// The rendezvous' messages: numbers, codec, and what is refused.
//
//   RendezvousInit   RID → RRD, outside: over any channel that both trust; says where the paths are and holds the key
//
//   on each path, each message sealed (keys.ts) and in a frame of its own (frame.ts):
//   RRD → RID        Hello       my challenge, my ephemeral key
//   RID → RRD        AuthHello   the answer to yours, my challenge, my ephemeral key
//   RRD → RID        Auth        the answer to yours
//   one of the two   Nominate    this path and no other; it was agreed before who says that
//
// No message says which one it is: the state of the path does. RID made the init, RRD read it. proto3, package `d2d_rendezvous`.
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { StarError } from '../errors.ts'
import { decode, encode } from '../protobuf.ts'
import type { Schema } from '../protobuf.ts'

/** What a path may cost its device; others than these count as `unknown`. */
export const NetworkCost = { unknown: 0, unmetered: 1, metered: 2 } as const

/** A cost by its name. */
export type NetworkCostName = keyof typeof NetworkCost

/** Where a path through a relay is. */
interface RelayedWebSocket {
  readonly pathId: number
  readonly networkCost: NetworkCostName
  /** `wss://…` (or `ws://…`) with the path's 32 random bytes in hex at its end. */
  readonly url: string
}

/** One address of a device. */
export interface IpAddress {
  readonly pathId: number
  readonly networkCost: NetworkCostName
  /** An IPv4 or IPv6 address as text. Not checked here: what is none is never dialled. */
  readonly ip: string
}

/** Where a device listens. */
interface DirectTcpServer {
  /** One for all addresses. */
  readonly port: number
  readonly ipAddresses: readonly IpAddress[]
}

/** What RID hands to RRD over a channel that both trust. */
export interface RendezvousInit {
  /** The authentication key: 32 random bytes, new for each init. */
  readonly ak: Uint8Array
  readonly relayedWebSocket: RelayedWebSocket | undefined
  readonly directTcpServer: DirectTcpServer | undefined
}

/** RRD's first message. */
interface Hello {
  readonly challenge: Uint8Array
  readonly etk: Uint8Array
}

/** RID's answer to it. */
interface AuthHello {
  readonly response: Uint8Array
  readonly challenge: Uint8Array
  readonly etk: Uint8Array
}

/** RRD's answer to that. */
interface Auth {
  readonly response: Uint8Array
}

/** The messages of a path by their names. `nominate` is empty. */
export interface PathMessages {
  readonly hello: Hello
  readonly authHello: AuthHello
  readonly auth: Auth
  readonly nominate: object
}

/** The longest init taken, in bytes. */
export const MAX_INIT = 16_384
/** The most addresses in an init: each of them is dialled by who reads it. */
export const MAX_ADDRESSES = 64
/** Bytes of a challenge, and of its response. */
export const CHALLENGE = 16
/** Bytes of a key. */
export const KEY = 32

/** V1_0. An init of another version is for somebody newer than we are. */
const VERSION = 0
const MAX_URL = 2_048
const MAX_IP = 64
const MAX_PORT = 65_535
const WEB_SOCKET_URL = /^wss?:\/\/[\x21-\x7e]+$/
const SCHEME = 'libp2p-star://rendezvous#'

const COST_NAMES = new Map<number, string>(Object.entries(NetworkCost).map(([name, number]) => [number, name]))

const INIT: Schema = [
  [1, 'version', 'uint32'],
  [2, 'ak', 'bytes'],
  [3, 'relayedWebSocket', [[1, 'pathId', 'uint32'], [2, 'networkCost', 'uint32'], [3, 'url', 'string']]],
  [4, 'directTcpServer', [
    [1, 'port', 'uint32'],
    [2, 'ipAddresses', [[1, 'pathId', 'uint32'], [2, 'networkCost', 'uint32'], [3, 'ip', 'string']], 'repeated']
  ]]
]

const MESSAGES: Readonly<Record<keyof PathMessages, Schema>> = {
  hello: [[1, 'challenge', 'bytes'], [2, 'etk', 'bytes']],
  authHello: [[1, 'response', 'bytes'], [2, 'challenge', 'bytes'], [3, 'etk', 'bytes']],
  auth: [[1, 'response', 'bytes']],
  nominate: []
}

/** How long each field of the messages must be. */
const LENGTHS: Readonly<Record<string, number>> = { challenge: CHALLENGE, response: CHALLENGE, etk: KEY }

/** Spells a message of a path. */
export function encodeMessage<Type extends keyof PathMessages> (type: Type, message: PathMessages[Type]): Uint8Array {
  return encode(MESSAGES[type], message)
}

/** Reads the message that is due on a path; throws {@link StarError} `ERR_PROTOCOL` for anything else. */
export function decodeMessage<Type extends keyof PathMessages> (type: Type, bytes: Uint8Array): PathMessages[Type] {
  const message = decode(MESSAGES[type], bytes) as PathMessages[Type]
  for (const [, name] of MESSAGES[type]) {
    const { byteLength } = Reflect.get(message, name) as Uint8Array
    if (byteLength !== LENGTHS[name]) {
      throw new StarError('ERR_PROTOCOL', { detail: `a ${name} of ${byteLength} bytes` })
    }
  }
  return message
}

/** Every path id in an init, the relay's first. */
export function pathIds ({ relayedWebSocket, directTcpServer }: RendezvousInit): number[] {
  const offers = [...(relayedWebSocket == null ? [] : [relayedWebSocket]), ...(directTcpServer?.ipAddresses ?? [])]
  return offers.map(({ pathId }) => pathId)
}

/** Spells an init; throws {@link StarError} `ERR_RENDEZVOUS_INIT` for one that {@link decodeInit} would refuse. */
export function encodeInit (init: RendezvousInit): Uint8Array {
  check(init)
  const { relayedWebSocket, directTcpServer } = init
  const bytes = encode(INIT, {
    version: VERSION,
    ak: init.ak,
    relayedWebSocket: relayedWebSocket && { ...relayedWebSocket, networkCost: NetworkCost[relayedWebSocket.networkCost] },
    directTcpServer: directTcpServer && {
      port: directTcpServer.port,
      ipAddresses: directTcpServer.ipAddresses.map(one => ({ ...one, networkCost: NetworkCost[one.networkCost] }))
    }
  })
  checkSize(bytes.byteLength)
  return bytes
}

/**
 * Reads an init; throws {@link StarError} `ERR_RENDEZVOUS_INIT` for what is none, or none to be trusted: who reads one dials what
 * is in it, and a path id that comes twice would be a nonce that comes twice.
 */
export function decodeInit (bytes: Uint8Array): RendezvousInit {
  checkSize(bytes.byteLength)
  let raw: RawInit
  try {
    raw = decode(INIT, bytes) as RawInit
  } catch (cause) {
    throw new StarError('ERR_RENDEZVOUS_INIT', { cause })
  }
  if (raw.version !== VERSION) {
    return refuse(`version ${raw.version} is newer than this program`)
  }
  const { relayedWebSocket, directTcpServer } = raw
  const init: RendezvousInit = {
    ak: Uint8Array.from(raw.ak),
    relayedWebSocket: relayedWebSocket && named(relayedWebSocket),
    directTcpServer: directTcpServer && { port: directTcpServer.port, ipAddresses: directTcpServer.ipAddresses.map(named) }
  }
  check(init)
  return init
}

/** An init as a URL of this package, for a QR code or to be pasted: `libp2p-star://rendezvous#` and the init in base64url. */
export function encodeInvitation (init: RendezvousInit): string {
  return SCHEME + toString(encodeInit(init), 'base64url')
}

/** Reads such a URL, padded or not; throws {@link StarError} `ERR_RENDEZVOUS_INIT` for any other. */
export function decodeInvitation (url: string): RendezvousInit {
  const [, text] = /^libp2p-star:\/\/rendezvous\/?#([\w-]+)={0,2}$/.exec(url.trim()) ?? []
  if (text == null) {
    return refuse(`it begins with ${SCHEME}`)
  }
  checkSize(Math.floor(text.length * 3 / 4))
  let bytes: Uint8Array
  try {
    bytes = fromString(text, 'base64url')
  } catch (cause) {
    throw new StarError('ERR_RENDEZVOUS_INIT', { cause })
  }
  return decodeInit(bytes)
}

type Raw<Offer> = Omit<Offer, 'networkCost'> & { readonly networkCost: number }

/** An init as protobuf has it. */
interface RawInit {
  readonly version: number
  readonly ak: Uint8Array
  readonly relayedWebSocket: Raw<RelayedWebSocket> | undefined
  readonly directTcpServer: { readonly port: number, readonly ipAddresses: ReadonlyArray<Raw<IpAddress>> } | undefined
}

function named<Offer extends { readonly networkCost: number }> (
  offer: Offer
): Omit<Offer, 'networkCost'> & { readonly networkCost: NetworkCostName } {
  return { ...offer, networkCost: (COST_NAMES.get(offer.networkCost) ?? 'unknown') as NetworkCostName }
}

function check (init: RendezvousInit): void {
  const { ak, relayedWebSocket, directTcpServer } = init
  const { port = 0, ipAddresses = [] } = directTcpServer ?? {}
  if (ak.byteLength !== KEY) {
    refuse(`a key of ${ak.byteLength} bytes`)
  }
  if (ipAddresses.length > MAX_ADDRESSES) {
    refuse(`${ipAddresses.length} addresses, and no more than ${MAX_ADDRESSES} are taken`)
  }
  if (!isWhole(port, MAX_PORT)) {
    refuse(`port ${port}`)
  }
  if (relayedWebSocket != null && (relayedWebSocket.url.length > MAX_URL || !WEB_SOCKET_URL.test(relayedWebSocket.url))) {
    refuse('the URL of the relay is none of a WebSocket')
  }
  if (ipAddresses.some(({ ip }) => ip.length > MAX_IP)) {
    refuse('an address that is too long')
  }
  const ids = pathIds(init)
  if (!ids.every(id => isWhole(id, 0xffff_ffff))) {
    refuse('a path id that is none')
  }
  if (new Set(ids).size !== ids.length) {
    refuse('a path id comes twice')
  }
}

function checkSize (bytes: number): void {
  if (bytes > MAX_INIT) {
    refuse(`${bytes} bytes, and no more than ${MAX_INIT} are taken`)
  }
}

function isWhole (value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most
}

function refuse (detail: string): never {
  throw new StarError('ERR_RENDEZVOUS_INIT', { detail })
}
