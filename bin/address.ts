// Peers as they are written on the command line: a peer id on the star that is meant, or a full star address.
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { parseStarAddress } from '../src/address.ts'
import { Exit, Failure } from './failure.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/** The full address of a peer that is given as an address, or as a peer id on the star. */
export function peerAddress (peer: string, star: string): Multiaddr {
  const parsed = parseStarAddress(peer.startsWith('/') ? peer : `${star}/p2p/${peer}`)
  if (parsed?.peer == null || !isPeerId(parsed.peer)) {
    throw new Failure('ERR_ADDRESS', `${peer} is no peer`, {
      advice: 'write a peer id (12D3KooW…), or a full star address (/ip4/…/p2p-websocket-star/p2p/12D3KooW…)', exit: Exit.usage
    })
  }
  return multiaddr(parsed.canonical)
}

/** The peer id in an address, or the peer id itself. */
export function peerIdOf (peer: string, star: string): string {
  return peerIdFromString(parseStarAddress(peerAddress(peer, star))?.peer ?? '').toString()
}

function isPeerId (text: string): boolean {
  try {
    peerIdFromString(text)
    return true
  } catch {
    return false
  }
}
