// The bytes that a peer signs to prove to a star who it is: worthless anywhere else, at any other time and for any other address.
import { fromString } from 'uint8arrays/from-string'
import type { ChallengeOffer } from './protocol.ts'

const DOMAIN = 'libp2p-star join challenge, version 1'

/** What both sides know of a join, beside the offer. */
export interface ChallengeScope {
  /** The star's URL as the peer dialled it: a star that passes on another star's challenge can't make it fit. */
  readonly origin: string
  /** The id of the socket, which the star chose. */
  readonly socket: string
  /** The canonical address that is joined. */
  readonly address: string
}

/**
 * The message to sign: UTF-8, a domain line and one `name: value` line for each part. No value contains a line feed
 * (the argument checks see to it), so two different scopes never give the same bytes.
 *
 * The original server's challenge is the bare nonce; a client that signs that signs anything it is told to.
 */
export function challengeMessage (scope: ChallengeScope, offer: ChallengeOffer): Uint8Array {
  const lines = [
    DOMAIN,
    `star: ${scope.origin}`,
    `socket: ${scope.socket}`,
    `address: ${scope.address}`,
    `nonce: ${offer.nonce}`,
    `expires: ${offer.expires}`
  ]
  return fromString(lines.join('\n'))
}
