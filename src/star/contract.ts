// What goes into a star's register and what comes out of it: the events, the outputs, its options and its ports.
import type { Reason } from '../errors.ts'
import type { AnnouncerOptions } from './announcer.ts'
import type { DialTerms, Generation, PeerChanges } from './protocol.ts'

/** What the register is told. `call` is the driver's name for one acknowledgement; `socket` its name for one client. */
export type RegistryEvent =
  | { readonly type: 'connect', readonly socket: string, readonly generation: Generation }
  | { readonly type: 'join', readonly socket: string, readonly call: number, readonly address: unknown, readonly proof: unknown }
  | { readonly type: 'verified', readonly call: number, readonly valid: boolean }
  | { readonly type: 'leave', readonly socket: string, readonly address: unknown }
  | {
    readonly type: 'dial'
    readonly socket: string
    readonly call: number
    readonly from: unknown
    readonly to: unknown
    readonly id: unknown
    readonly terms?: unknown
  }
  | { readonly type: 'answer', readonly socket: string, readonly id: string, readonly error?: unknown }
  /** No stream could be opened for that dial; the listener was not told of it. */
  | { readonly type: 'unopened', readonly socket: string, readonly id: string, readonly reason: Reason }
  | { readonly type: 'disconnect', readonly socket: string }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type RegistryOutput =
  /** Acknowledge: with these arguments, whatever they are. `refused` is for the counters. */
  | {
    readonly do: 'ack'
    readonly socket: string
    readonly call: number
    readonly args: readonly unknown[]
    readonly kind: 'join' | 'dial'
    /** False for a challenge: there is more to come. */
    readonly done: boolean
    readonly refused?: Reason
  }
  /** Verify the signature (hex) by the key (hex of a libp2p protobuf) and answer with `verified`. */
  | {
    readonly do: 'verify'
    readonly call: number
    readonly key: string
    readonly message: Uint8Array
    readonly signature: string
  }
  /** Open a relayed pair between the two, then tell the listener with `ss-incomming`, then answer with `answer` when it does. */
  | {
    readonly do: 'incoming'
    readonly dialer: string
    readonly listener: string
    readonly id: string
    readonly from: string
    /** Only when the dial asks for something. */
    readonly terms?: DialTerms
  }
  /** Close the relayed pair: the dial has come to nothing. */
  | { readonly do: 'cancel', readonly dialer: string, readonly id: string, readonly reason: Reason }
  /** Tell every original client but this one of the address. */
  | { readonly do: 'announce', readonly address: string, readonly except: string }
  /** Tell every star client what changed. */
  | { readonly do: 'changes', readonly changes: PeerChanges }
  /** Tell this star client that another connection has taken its address over. */
  | { readonly do: 'replaced', readonly socket: string, readonly address: string }

/** The register's bounds and ways; the server's options say what each is for. */
export interface RegistryOptions extends AnnouncerOptions {
  readonly cryptoChallenge: boolean
  readonly strictMultiaddr: boolean
  readonly maxPeers: number
  readonly maxAddressesPerSocket: number
  readonly dialsInFlight: number
  /** Bytes; the register only tells clients. */
  readonly pairBudget: number
  /** The TCP port of the contact exchange, if there is one; the register only tells clients. */
  readonly contactPort?: number | undefined
  /** Milliseconds. */
  readonly dialTimeout: number
  /** Milliseconds. */
  readonly challengeTimeout: number
}

/** What the register needs from outside: randomness, and what it can't know by itself. */
export interface RegistryPorts {
  /** Fresh random bytes as hex, two characters a byte. */
  random (bytes: number): string
  /** The base58btc peer id of a libp2p protobuf public key (hex). Throws when it can't be read. */
  peerIdOf (key: string): string
  /** Whether this star goes by that URL. */
  isOwnName (origin: string): boolean
  /** Milliseconds since 1970, for the expiry that clients are shown. */
  wallClock (): number
}
