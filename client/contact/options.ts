// What a contact exchange is told, and what comes of it; the same on every platform.
import { StarError } from '../../src/errors.ts'
import { familyOf, parseSocketAddress, toSocketAddress } from '../../src/contact/address.ts'
import { CONTACT_PORT } from '../../src/contact/wire.ts'
import { checkOptions } from '../../src/options.ts'
import type { Family } from '../../src/contact/address.ts'
import type { Contact, FullContact } from '../../src/contact/wire.ts'

/** Options of {@link exchangeContacts}. */
export interface ContactOptions {
  /**
   * The contact server: a host name or IP address, with the port behind a colon if it isn't 2311: `star.example`,
   * `192.0.2.1:4000`, `[2001:db8::1]:4000`. A name is tried over IPv6 and IPv4 at once; what answers is used, both if both do.
   */
  server: string
  /**
   * The code of the room in which the two peers meet, about 800 bytes at most. Whoever knows it can come in either role, and the
   * server learns it: take a new one each time, that can't be guessed.
   */
  room: string
  /** True for the one of the two peers that makes the room; the other one can come only after that. */
  creator: boolean
  /** Told when the creator's room is there: now the other peer may come. */
  onRoom?: () => void
  /** Where this device is in its own network. By default the addresses that the connections come from. */
  local?: Partial<Contact>
  /** The TCP port of this device to connect from, in both families; 0, the default, takes any. */
  localPort?: number
  /** False for a server without TLS. True by default. */
  tls?: boolean
  /** PEM of certificate authorities to trust instead of the system's. */
  ca?: string | string[]
  /** Leave the connections open until {@link ContactExchange.close}, so that NATs go on knowing the ports. False by default. */
  hold?: boolean
  /** Ends the exchange; what is thrown is its reason. */
  signal?: AbortSignal
  /** Milliseconds for all of it. 600,000 by default, the time for which servers keep a room. */
  timeout?: number
}

/** Two peers' addresses, as the server has handed them out. */
export interface ContactExchange {
  /** What the other peer was told of this one. */
  readonly own: FullContact
  /**
   * Where the other peer is. Its public addresses are what the server saw, its local ones are only its word: think before you
   * connect to them.
   */
  readonly peer: FullContact
  /** The ports of this device that the connections came from, by family: holes are punched from there. */
  readonly ports: Readonly<Partial<Record<Family, number>>>
  /** Closes the connections, if they were to be held, and resolves when they are closed. */
  close (): Promise<void>
}

/** The one function that differs between platforms. */
export type ExchangeContacts = (options: ContactOptions) => Promise<ContactExchange>

const DEFAULTS = { localPort: 0, tls: true, hold: false, timeout: 600_000 }
const MAX_PORT = 65_535

/** Options with all that has a default, and the server in its parts. */
export type ResolvedContactOptions = Omit<ContactOptions, 'local'> & typeof DEFAULTS & {
  readonly host: string
  readonly port: number
  readonly local: Contact | undefined
}

/** Fills in the defaults; throws {@link StarError} `ERR_OPTIONS` for what makes no sense. */
export function resolveContact (options: ContactOptions): ResolvedContactOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ContactOptions
  const resolved = { ...DEFAULTS, ...given }
  checkOptions(resolved, { ...DEFAULTS, server: '', room: '', creator: false }, { timeout: 1 }, 0)
  if (resolved.localPort > MAX_PORT) {
    refuse(`localPort must be at most ${MAX_PORT}`)
  }
  // half a character is no text, and would be another code at the other peer
  if (/\p{Surrogate}/u.test(resolved.room)) {
    refuse('room must be a text')
  }
  const local = resolved.local && localContact(resolved.local)
  return { ...resolved, ...serverOf(resolved.server), local }
}

function localContact (local: Partial<Contact>): Contact {
  const of = (family: Family): Contact[Family] => {
    const { ip, port } = local[family] ?? {}
    if (ip == null || port == null) {
      return undefined
    }
    const address = toSocketAddress(ip, port)
    return address != null && familyOf(address) === family ? address : refuse(`local.${family} must be an address of that family`)
  }
  return { v4: of('v4'), v6: of('v6') }
}

function serverOf (server: string): { host: string, port: number } {
  const [, bracketed, name, port = String(CONTACT_PORT)] = /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(server) ?? []
  const host = bracketed ?? name
  const isBracketable = bracketed == null || parseSocketAddress('v6', `[${bracketed.replace(/%.*$/, '')}]:0`) != null
  if (host == null || !isBracketable || Number(port) < 1 || Number(port) > MAX_PORT) {
    return refuse('server must be HOST, HOST:PORT or [IPV6]:PORT')
  }
  return { host, port: Number(port) }
}

function refuse (detail: string): never {
  throw new StarError('ERR_OPTIONS', { detail })
}
