// What paths need of the platform: one contract for Node and for browsers.
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
  /** Whether somebody may come to that address of ours. */
  readonly allow: (ip: string) => boolean
}

/** A port at which other devices are waited for, each with a rendezvous of its own. */
export interface TcpDoor {
  /** Waits for one more; resolves with the port. Rejects with what the system says when it can't listen. */
  admit (guest: Guest): Promise<number>
  /** Waits for it no more; the port is closed behind the last one. */
  dismiss (guest: Guest): void
  /** Waits for nobody any more. Resolves when the port and all who came and were not let in are gone. */
  close (): Promise<void>
}

/** What a platform has. */
export interface Platform {
  readonly crypto: RendezvousCrypto
  dialWebSocket (url: string, ca: string | string[] | undefined, owner: WireOwner): Wire
  /** Absent where there is no TCP. */
  readonly tcp?: {
    addresses (networkCost: (name: string) => NetworkCostName): LocalAddress[]
    dial (target: { readonly ip: string, readonly port: number, readonly family: 4 | 6 }, owner: WireOwner): Wire
    door (options: DoorOptions): TcpDoor
  }
}
