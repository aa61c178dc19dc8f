// How two peers hand each other their inits: inside their own encrypted connection, so that the star sees neither keys nor
// private addresses. Who dialled the link asks, the other one answers; the stream ends there.
//
//   dialler → acceptor   Offer
//   acceptor → dialler   Offer
//
//   Offer   link = 1 uint64 (which link it is about), init = 2 RendezvousInit, sealed = 3 bool (data is to be sealed, too),
//           dials = 4 bool (who sends it can dial the addresses that it is given), seen = 5 repeated string (where a star has
//           seen its port, `192.0.2.1:5` and `[2001:db8::1]:5`: holes are punched to there)
//
// Each is proto3 with its length before it, as an unsigned varint.
import { lpStream } from '@libp2p/utils'
import { StarError } from '../../src/errors.ts'
import { formatSocketAddress, parseSocketAddress, toSocketAddress } from '../../src/contact/address.ts'
import { decode, encode } from '../../src/protobuf.ts'
import { MAX_INIT, decodeInit, encodeInit } from '../../src/rendezvous/wire.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { Schema } from '../../src/protobuf.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'

/** The libp2p protocol of the exchange. */
export const RENDEZVOUS_PROTOCOL = '/libp2p-star/rendezvous/1.0.0'

/** What one peer tells the other. */
export interface Offer {
  readonly link: bigint
  readonly init: RendezvousInit
  /** Whether all that is sent is to be sealed. */
  readonly sealed: boolean
  /** Whether who sends it can dial addresses; a browser can't. */
  readonly dials: boolean
  /** Where a star has seen the port that it waits at, one address of each family at most. */
  readonly seen: readonly SocketAddress[]
}

const OFFER: Schema = [
  [1, 'link', 'uint64'], [2, 'init', 'bytes'], [3, 'sealed', 'bool'], [4, 'dials', 'bool'], [5, 'seen', 'string', 'repeated']
]
/** Milliseconds for an answer. */
const TIMEOUT = 10_000
/** Bytes of an offer beside the init. */
const REST = 256

/** Hands an offer over and resolves with the other peer's; throws {@link StarError}, or what libp2p says. */
export async function exchangeOffers (connection: Connection, mine: Offer, stop: AbortSignal): Promise<Offer> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT)])
  const stream = await connection.newStream(RENDEZVOUS_PROTOCOL, { signal, runOnLimitedConnection: true })
  try {
    const messages = lpStream(stream, { maxDataLength: MAX_INIT + REST })
    await messages.write(encodeOffer(mine), { signal })
    const theirs = decodeOffer((await messages.read({ signal })).subarray())
    await stream.close({ signal })
    return theirs
  } catch (error) {
    stream.abort(toError(error))
    throw error
  }
}

/** Reads an offer, has it answered, hands the answer over; gives the offer. An answer that throws breaks the stream off. */
export async function answerOffer (stream: Stream, stop: AbortSignal, answer: (theirs: Offer) => Promise<Offer>): Promise<Offer> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT)])
  try {
    const messages = lpStream(stream, { maxDataLength: MAX_INIT + REST })
    const theirs = decodeOffer((await messages.read({ signal })).subarray())
    await messages.write(encodeOffer(await answer(theirs)), { signal })
    await stream.close({ signal })
    return theirs
  } catch (error) {
    stream.abort(toError(error))
    throw error
  }
}

/** Spells an offer. */
export function encodeOffer ({ init, seen, ...rest }: Offer): Uint8Array {
  return encode(OFFER, { ...rest, init: encodeInit(init), seen: seen.map(formatSocketAddress) })
}

/** Reads an offer; throws {@link StarError} `ERR_PROTOCOL` or `ERR_RENDEZVOUS_INIT` for what is none. */
export function decodeOffer (bytes: Uint8Array): Offer {
  const { init, seen, ...rest } = decode(OFFER, bytes) as RawOffer
  return { ...rest, init: decodeInit(init), seen: seen.map(readAddress) }
}

/** An offer whose parts aren't read yet. */
interface RawOffer extends Omit<Offer, 'init' | 'seen'> {
  readonly init: Uint8Array
  readonly seen: readonly string[]
}

function readAddress (text: string, index: number): SocketAddress {
  const read = parseSocketAddress('v4', text) ?? parseSocketAddress('v6', text)
  const address = read && toSocketAddress(read.ip, read.port) // IPv4 in the spelling of IPv6 is IPv4
  if (address == null || index > 1) {
    throw new StarError('ERR_PROTOCOL', { detail: 'an offer of addresses that make no sense' })
  }
  return address
}

function toError (error: unknown): Error {
  return error instanceof Error ? error : new StarError('ERR_STREAM_RESET', { cause: error })
}
