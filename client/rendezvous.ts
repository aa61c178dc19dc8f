// `libp2p-star/rendezvous`: two devices that share an invitation, connected directly over TCP, without libp2p and without a star.
// Node only.
export { joinRendezvous } from './rendezvous/join.ts'
export { offerRendezvous } from './rendezvous/offer.ts'
export { StarError } from '../src/errors.ts'
export type { RendezvousConnection } from './rendezvous/connection.ts'
export type { RendezvousOffer } from './rendezvous/offer.ts'
export type { RendezvousAddress, RendezvousJoinOptions, RendezvousOfferOptions } from './rendezvous/options.ts'
export type { Reason } from '../src/errors.ts'
export type { RendezvousInit } from '../src/rendezvous/wire.ts'
