// What paths need of the platform: one contract for Node and for browsers.
import type { PunchMode } from '../../src/contact/candidates.ts'
import type { Offered } from '../../src/rendezvous/accept.ts'
import type { RendezvousCrypto } from '../../src/rendezvous/crypto.ts'
import type { Rendezvous } from '../../src/rendezvous/keys.ts'
import type { LocalAddress } from '../../src/rendezvous/plan.ts'
import type { NetworkCostName } from '../../src/rendezvous/wire.ts'
import type { Wire, WireOwner } from './wire.ts'

/** Somebody for whom a door is open. */
export interface Guest {
  readonly rendezvous: Rendezvous
  readonly offered: readonly Offered[]
  /** The other device has come: the wire is that path, and has brought these bytes. */
  onClaim (pathId: number, wire: Wire, bytes: readonly Uint8Array[]): void
}

/** How a door is made. */
export interface DoorOptions {
  /** Where to listen; 0 takes any port that is free. */
  readonly port: number
  /** The one address to listen at; all of them by default. */
  readonly host?: string | undefined
  /** How listening and dialling go together; by default as the system has it. */
  readonly mode?: PunchMode | undefined
  /** Whether somebody may come to that address of ours. */
  readonly allow: (ip: string) => boolean
}

/** Where to connect to. */
export interface TcpTarget {
  readonly ip: string
  readonly port: number
  readonly family: 4 | 6
}

/** A port from which others are dialled, and at which they may come in, too. */
export interface PunchPort {
  readonly port: number
  readonly mode: PunchMode
  /** Dials from this port: never itself. What fails is told with the error of the system as cause. */
  dial (target: TcpTarget, owner: WireOwner): Wire
}

/** A port that stays open until it is let go. */
export interface HeldPort extends PunchPort {
  release (): void
}

/** A port at which other devices are waited for, each with a rendezvous of its own. */
export interface TcpDoor {
  /** Waits for one more; resolves with the port. Rejects with what the system says when it can't listen. */
  admit (guest: Guest): Promise<number>
  /** Waits for it no more; the port is closed behind the last one, unless it is held. */
  dismiss (guest: Guest): void
  /** Opens the port if it isn't, and keeps it open, with its number. Rejects as {@link admit} does. */
  hold (): Promise<HeldPort>
  /** Waits for nobody any more. Resolves when the port and all who came and were not let in are gone. */
  close (): Promise<void>
}

/** What a platform has. */
export interface Platform {
  readonly crypto: RendezvousCrypto
  dialWebSocket (url: string, ca: string | string[] | undefined, owner: WireOwner): Wire
  /** Absent where there is no TCP. */
  readonly tcp?: {
    /** The IP addresses of a host, which may be one itself. Rejects with what the system says. */
    lookup (host: string): Promise<readonly string[]>
    addresses (networkCost: (name: string) => NetworkCostName): LocalAddress[]
    dial (target: TcpTarget, owner: WireOwner): Wire
    door (options: DoorOptions): TcpDoor
  }
}
