// `libp2p-star/contact`: two peers that know a room's code learn each other's addresses from a contact server, a star or any
// other that speaks the protocol. Node only: in browsers it is there and says that it can't be done.
import { exchangeContacts as exchange } from '#contact'
import type { ContactExchange, ContactOptions } from './contact/options.ts'

export { StarError } from '../src/errors.ts'
export type { ContactExchange, ContactOptions } from './contact/options.ts'
export type { SocketAddress } from '../src/contact/address.ts'
export type { Contact, FullContact } from '../src/contact/wire.ts'
export type { Reason } from '../src/errors.ts'

/**
 * Meets another peer in a room of a contact server, tells it where this device is, and resolves with where the other one is, as
 * soon as both are there. Whoever knows the room's code may be that other one: prove who it is on the connection that you make.
 *
 * Rejects with the signal's reason, or with {@link StarError}: `ERR_OPTIONS` and `ERR_ARGUMENTS` (a room code that is too long),
 * `ERR_STAR_UNREACHABLE`, `ERR_STAR_TIMEOUT` and `ERR_STAR_LOST` (no server, no answer, the connection is gone),
 * `ERR_ROOM_TAKEN` (the creator's code is in use), `ERR_NO_ROOM` (the other peer's code is not), `ERR_ROOM_TIMEOUT` (nobody
 * came), `ERR_ROOM_ROLE` (somebody else has come as this peer), `ERR_TOO_MANY_REQUESTS`, `ERR_PROTOCOL` (the server makes no
 * sense, or is of another version), and in browsers `ERR_PLATFORM`.
 */
export async function exchangeContacts (options: ContactOptions): Promise<ContactExchange> {
  return await exchange(options)
}
