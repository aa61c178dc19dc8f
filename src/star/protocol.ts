// The star's signalling: every event with its arguments, for both generations of clients, and the checks that they pass first.
//
//   client → star                                        acknowledged with
//   ss-join  address, proof                              (error) | (null, challenge) | (null, null, peers)
//   ss-leave address                                     -
//   ss-dial  from, to, dial id, terms (optional)         (error) | ()
//   ss-ping                                              ()                 is the star there?
//   ss-relay path                                        (error) | ()       two WebSockets may meet at /relay/PATH
//   star → client
//   ss-incomming  dial id, from, terms (as dialled)      (error) | ()       spelled like that on the wire
//   ws-peer       address                                -                  original clients only, each address each period
//   ss-peers      { joined, left }                       -                  star clients only, what changed
//   ss-replaced   address                                -                  star clients only
//   ss-restarting { reconnectIn }                        -                  star clients only
//
// Source for the original generation: libp2p-websocket-star 0.10.2 and libp2p-websocket-star-rendezvous 0.4.1.
import { StarError, isReason } from '../errors.ts'
import type { Reason } from '../errors.ts'

/** The names of the signalling events. */
export const Event = {
  Join: 'ss-join',
  Leave: 'ss-leave',
  Dial: 'ss-dial',
  Ping: 'ss-ping',
  Relay: 'ss-relay',
  Incoming: 'ss-incomming',
  Peer: 'ws-peer',
  Peers: 'ss-peers',
  Replaced: 'ss-replaced',
  Restarting: 'ss-restarting'
} as const

/** What a star client puts under `protocol` into the socket.io handshake (`auth`); an EIO3 client can't send one. */
export const PROTOCOL = 'libp2p-star/1'

/** `original`: libp2p-websocket-star 0.10.2 and its like; `star`: ours. */
export type Generation = 'original' | 'star'

/** The longest address taken, in characters. */
export const MAX_ADDRESS = 512
/** The longest dial id taken, in characters. */
export const MAX_DIAL_ID = 128
/** The longest hex of a public key or signature taken, in characters: an RSA key of 8192 bits has 2,100. */
export const MAX_HEX = 8_192
/** The longest name of a protocol taken, in characters. */
export const MAX_SPOKEN_NAME = 64
/** The most protocols that a peer may say it speaks. */
export const MAX_SPOKEN = 8
const LAST_PORT = 65_535
/** The longest error text passed on from one peer to the other, in characters. */
export const MAX_ERROR = 256

/** First step of a star client's join: who it is and by which name it dialled the star. */
export interface Introduction {
  /** The libp2p protobuf public key, hex. */
  readonly key: string
  /** The star's URL as the client dialled it, `wss://star.example:443`. */
  readonly origin: string
  /** False for a client that only dials: it is not announced and can't be dialled. */
  readonly listed: boolean
  /** What the client speaks on streams beside plain bytes; a dial that asks for anything else doesn't reach it. */
  readonly speaks?: readonly string[]
}

/** What a dial asks for. */
export interface DialTerms {
  /** What is spoken on the stream; plain bytes when it isn't said. */
  readonly protocol?: string
}

/** Second step of a star client's join. */
export interface Answer {
  /** The signature of the challenge's message, hex. */
  readonly signature: string
}

/** What a star client is asked to sign, with what it knows itself: socket, address, origin. */
export interface ChallengeOffer {
  /** 32 random bytes, hex. */
  readonly nonce: string
  /** Milliseconds since 1970 by the star's clock. The star alone judges it. */
  readonly expires: number
}

/** What a star client gets when it has joined. */
export interface Welcome {
  /** Peer ids of the others; a sample in a star with more peers than it announces at once. */
  readonly peers: readonly string[]
  /** Bytes that may be on the way in each direction of a stream. */
  readonly window: number
  /** The TCP port of the contact exchange at the star's host, if there is one. */
  readonly contact?: number
}

/** What changed since the last batch. */
export interface PeerChanges {
  readonly joined: readonly string[]
  readonly left: readonly string[]
}

/** An error as a star client gets it; an original client gets a string. */
export interface WireError {
  readonly code: Reason
  readonly message: string
  /** Milliseconds. */
  readonly retryAfter?: number
}

/** The texts of the original server, which its clients show to their users. */
const ORIGINAL_TEXTS: Partial<Record<Reason, string>> = {
  ERR_ADDRESS: 'Invalid multiaddr',
  ERR_PROOF_REQUIRED: 'Crypto Challenge required but no Id provided',
  ERR_KEY: 'Id is not matching',
  ERR_SIGNATURE: 'Signature Invalid',
  ERR_NOT_JOINED: 'Not authorized for this address',
  ERR_PEER_NOT_FOUND: 'Peer not found'
}

/** Spells a refusal for a client of that generation. */
export function encodeError (generation: Generation, error: StarError): WireError | string {
  if (generation === 'original') {
    return ORIGINAL_TEXTS[error.code] ?? error.message
  }
  const { code, message, retryAfter } = error
  return retryAfter == null ? { code, message } : { code, message, retryAfter }
}

/** Reads a refusal from the wire, whatever a hostile or an old peer put there; unknown codes become `fallback`. */
export function decodeError (value: unknown, fallback: Reason): StarError {
  const code = isRecord(value) ? value['code'] : value
  const retryAfter = isRecord(value) ? value['retryAfter'] : undefined
  const text = isRecord(value) ? value['message'] : value
  if (isReason(code)) {
    return new StarError(code, isCount(retryAfter) ? { retryAfter } : {})
  }
  return new StarError(fallback, typeof text === 'string' ? { detail: text.slice(0, MAX_ERROR) } : {})
}

/** A name: a string that isn't empty and not longer than `max` characters. */
export function isName (value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= max
}

/** An address: a name of visible ASCII characters only, so that it can stand in a line of its own. */
export function isAddress (value: unknown): value is string {
  return isName(value, MAX_ADDRESS) && /^[\x21-\x7e]+$/.test(value)
}

/** Hex digits in either case, two a byte. */
export function isHex (value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_HEX && value.length % 2 === 0 && /^[0-9a-f]*$/i.test(value)
}

/** A path of the raw relay: 32 bytes as lowercase hex, which the two who are to meet there made at random. */
export function isRelayPath (value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

/** Checks the first step of a star client's join. */
export function isIntroduction (value: unknown): value is Introduction {
  return isRecord(value) && isHex(value['key']) && isAddress(value['origin']) && typeof value['listed'] === 'boolean' &&
    (value['speaks'] === undefined || isSpoken(value['speaks']))
}

/** Checks what a dial asks for; nothing at all is plain bytes. */
export function isDialTerms (value: unknown): value is DialTerms | undefined {
  return value === undefined ||
    (isRecord(value) && (value['protocol'] === undefined || isName(value['protocol'], MAX_SPOKEN_NAME)))
}

/** Checks the second step of a star client's join. */
export function isAnswer (value: unknown): value is Answer {
  return isRecord(value) && isHex(value['signature'])
}

/** Checks the challenge that a star sent. */
export function isChallengeOffer (value: unknown): value is ChallengeOffer {
  return isRecord(value) && isHex(value['nonce']) && value['nonce'].length === 64 && isCount(value['expires'])
}

/** The welcome of a star client, by the star's options. */
export function welcomeOf (peers: readonly string[], options: { pairBudget: number, contactPort?: number | undefined }): Welcome {
  const { pairBudget: window, contactPort } = options
  return contactPort == null ? { peers, window } : { peers, window, contact: contactPort }
}

/** Checks the welcome that a star sent. */
export function isWelcome (value: unknown): value is Welcome {
  return isRecord(value) && isNames(value['peers']) && isCount(value['window']) &&
    (value['contact'] === undefined || (isCount(value['contact']) && value['contact'] > 0 && value['contact'] <= LAST_PORT))
}

/** Checks a batch of changes that a star sent. */
export function isPeerChanges (value: unknown): value is PeerChanges {
  return isRecord(value) && isNames(value['joined']) && isNames(value['left'])
}

/** Reads the milliseconds after which a star that goes down wants its clients back; 0 when it didn't say. */
export function restartDelay (value: unknown): number {
  return isRecord(value) && isCount(value['reconnectIn']) ? value['reconnectIn'] : 0
}

function isSpoken (value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= MAX_SPOKEN && value.every(name => isName(name, MAX_SPOKEN_NAME))
}

function isNames (value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isAddress)
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
