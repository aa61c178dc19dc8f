// The link handshake over one path: two machines, one for each role, that say the six messages and prove what is to be proved.
//
//   dialler   name ─▸ status ─▸ [client status ─▸] challenge ─▸ reply ─▸ ack
//   acceptor  ─▸ name, status ─▸ [client status] , challenge ─▸ reply, ─▸ ack
//
// An acceptor that is `eager` sends its challenge behind the status without waiting: name out, status and challenge back, and the
// reply goes out together with the first data, one round trip after the name. Erlang nodes aren't eager.
//
// This is the contract of both machines; what they share is in role.ts.
import type { StarError } from '../errors.ts'
import type { SuiteName } from './digest.ts'
import type { NameMessage, NodeFlags, StatusName } from './wire.ts'

export { Acceptor } from './acceptor.ts'
export { Dialler } from './dialler.ts'

/** What a handshake is told. */
export type HandshakeEvent =
  /** The path is open; a dialler then says its name. */
  | { readonly type: 'start' }
  /** A whole message came: its bytes. */
  | { readonly type: 'message', readonly bytes: Uint8Array }
  /** The answer to `sign`. */
  | { readonly type: 'signed', readonly signature: Uint8Array }
  /** The answer to `verify`. */
  | { readonly type: 'verified', readonly valid: boolean }
  /** The answer to an acceptor's `proved`: take the link, or don't because of that other one. */
  | { readonly type: 'admit' }
  | { readonly type: 'refuse', readonly link: bigint }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type HandshakeOutput =
  | { readonly do: 'send', readonly bytes: Uint8Array }
  /** Sign these bytes with the key of our peer id and answer with `signed`. */
  | { readonly do: 'sign', readonly message: Uint8Array }
  /** Find out whether the key is that of the peer id and the signature that of the key, and answer with `verified`. */
  | {
    readonly do: 'verify'
    readonly peer: string
    readonly publicKey: Uint8Array
    readonly signature: Uint8Array
    readonly message: Uint8Array
  }
  /** Dialler: the reply is out, data may follow it at once. Whether the acceptor is who it says is not known yet. */
  | { readonly do: 'ready', readonly outcome: Outcome }
  /** The other end has proved itself. An acceptor now wants `admit` or `refuse`; a dialler is done. */
  | { readonly do: 'proved', readonly outcome: Outcome }
  /** Acceptor: the ack is out, data may follow. */
  | { readonly do: 'up', readonly outcome: Outcome }
  /** Nothing comes of it: the error says why; `link` is the one that stays instead, if that is the reason. Nothing follows. */
  | { readonly do: 'over', readonly error: StarError, readonly link?: bigint }

/** What came of a handshake. */
export interface Outcome {
  /** The attempt's id: that of the link, if it becomes one. */
  readonly connectionId: bigint
  readonly peer: string
  readonly flags: NodeFlags
  /** The other one's incarnation. */
  readonly incarnation: bigint
  /** The link that this was to be a new path for; 0 for none. */
  readonly resume: bigint
  /** True when both hold the link `resume`: it gets the path. */
  readonly resumed: boolean
  /** The acceptor's link that the dialler no longer holds, and that may be replaced; 0 for none. */
  readonly replaces: bigint
}

/** How a handshake is set up. */
export interface HandshakeOptions {
  /** Our name. */
  readonly name: string
  /** The name that the other one must have; any when there is none. */
  readonly peer?: string
  /** What we say of ourselves; the suite in it is always {@link suite}. */
  readonly flags: NodeFlags
  /** With the default suite, who proves its identity wants the same of the other one, or a word left out on the way would do. */
  readonly suite: SuiteName
  readonly connectionString: string
  /** The libp2p protobuf public key of our name; empty for a node that proves no identity. */
  readonly publicKey: Uint8Array
  readonly incarnation: bigint
  /** Milliseconds for each answer. */
  readonly stepTimeout: number
  /** Milliseconds for all of it. */
  readonly totalTimeout: number
}

/** What a handshake needs from outside. */
export interface HandshakePorts {
  random (bytes: number): Uint8Array
  /** What both must hold; with a link's id also that link's secret. */
  secret (resumed: bigint): Uint8Array
  /** Challenges that are out on any path of this node: one that comes back as the other end's own is a reflection. */
  readonly outstanding: Set<number>
}

/** An acceptor's answer to a name. */
export interface Decision {
  readonly status: StatusName
  /** The link that `alive` and `nok` are about. */
  readonly link?: bigint
}

/** Asked by an acceptor when a name has come. It is a claim, nothing more: it must not change anything. */
export type Decide = (name: NameMessage) => Decision

/** Asked by a dialler when the acceptor says that it holds a link: do we? */
export type Holds = (link: bigint) => boolean

/** The driver's answers to outputs. */
export type Answer = Exclude<HandshakeEvent, { type: 'start' | 'wake' | 'message' }>
