// Which addresses of a peer are dialled from the punch port, and how often: pure rules over what is known of the two ends.
import { isDialable, isLinkLocal, isLoopback, isWithin, parse } from '../ip.ts'

/** An address and a port. */
export interface Endpoint {
  readonly ip: string
  readonly port: number
}

/**
 * What is known of one end of a punch. Public addresses are those that a server has seen connections from the punch port come
 * from, never what the end says of itself.
 */
export interface PunchContact {
  readonly v4?: Endpoint | undefined
  readonly v6?: Endpoint | undefined
  /** The punch port at the addresses of this end's own interfaces. */
  readonly local: readonly Endpoint[]
  /**
   * How IPv4 is mapped: `same`, to one public port for all destinations, or `sym`, to another one for each. Absent when it isn't
   * known. What is let in isn't known either way.
   */
  readonly mapping?: 'same' | 'sym' | undefined
}

/**
 * What the punch port can do. `shared`: listen and dial at once, any number. `plain`: the same, but it is closed to others for a
 * moment with each dial. `portable`: one dial at a time, and nobody can come in meanwhile.
 */
export type PunchMode = 'shared' | 'plain' | 'portable'

/** What the rules need to know. */
export interface CandidateOptions {
  readonly own: PunchContact
  readonly peer: PunchContact
  readonly mode: PunchMode
  /** Whether this very device may be dialled. */
  readonly loopback: boolean
  /** Asked for everything that is to be dialled, after all other rules: what a peer says has us connect somewhere. */
  readonly allow: (target: Endpoint) => boolean
}

/** An address to be dialled. */
export interface Candidate extends Endpoint {
  readonly family: 4 | 6
  /** How often it may be dialled; 0 for one that the peer has to come from by itself. */
  readonly dials: number
}

/** Addresses that are dialled at most: each costs a connection to somebody who may know nothing of it. */
export const MAX_CANDIDATES = 4
/** The first port that isn't one of the system's own services. */
const FIRST_PORT = 1_024
const LAST_PORT = 65_535
/** Bits of an IPv6 address that all devices of one network have in common. */
const NETWORK = 64
const LINK_LOCAL4 = { bytes: Uint8Array.of(169, 254, 0, 0), prefix: 16 }

/** An address by its bytes. */
interface Parsed extends Endpoint {
  readonly bytes: Uint8Array
  readonly isPublic: boolean
}

/** What is dialled, the nearest first: local addresses only when both ends are behind the same public address. */
export function candidates (options: CandidateOptions): Candidate[] {
  const { own, peer, loopback } = options
  const mine = [own.v4, own.v6, ...own.local].flatMap(one => one == null ? [] : parsed(one, true))
  const isMe = (one: Parsed): boolean => mine.some(({ port, bytes }) => port === one.port && equal(bytes, one.bytes))
  const ips = own.local.flatMap(one => parsed(one, false))
  const isHere = ({ bytes }: Parsed): boolean => isLoopback(bytes) || ips.some(one => equal(one.bytes, bytes))
  const isNear = areNear(own, peer)
  const all = [
    ...peer.local.flatMap(one => parsed(one, false)),
    ...[peer.v6, peer.v4].flatMap(one => one == null ? [] : parsed(one, true))
  ]
  const keys = new Set<string>()
  const allowed = all
    .filter(one => one.port >= FIRST_PORT && one.port <= LAST_PORT && isDialable(one.bytes) && !isLinkLocal(one.bytes))
    .filter(({ bytes }) => !isWithin(bytes, LINK_LOCAL4.bytes, LINK_LOCAL4.prefix))
    .filter(({ bytes }) => mine.some(one => one.bytes.byteLength === bytes.byteLength))
    .filter(one => !isMe(one) && (isHere(one) ? loopback : one.isPublic || isNear))
    .filter(one => dialsOf(one, options) != null)
    .filter(({ bytes, port }) => !keys.has(`${String(bytes)} ${port}`) && keys.add(`${String(bytes)} ${port}`).size > 0)
    .filter(one => options.allow({ ip: textOf(one), port: one.port }))
  const others = allowed.filter(({ isPublic }) => isPublic)
  const locals = allowed.filter(({ isPublic }) => !isPublic).slice(0, MAX_CANDIDATES - others.length)
  return [...locals, ...others].map(one => ({
    ip: textOf(one),
    port: one.port,
    family: one.bytes.byteLength === 4 ? 4 : 6,
    dials: dialsOf(one, options) ?? 0
  }))
}

/**
 * A peer that has another port for each destination doesn't come from the one that the server saw, and who dials that port gets
 * nowhere; but a router that lets in whom we have contacted lets the peer in afterwards. So where dials and a listener get in
 * each other's way there is one dial, or none. `undefined` when nothing can come of it: both have another port for each.
 */
function dialsOf ({ bytes, isPublic }: Parsed, { own, peer, mode }: CandidateOptions): number | undefined {
  if (!isPublic || bytes.byteLength !== 4 || peer.mapping !== 'sym') {
    return Infinity
  }
  return own.mapping === 'sym' ? undefined : { shared: Infinity, plain: 1, portable: 0 }[mode]
}

/** Whether both ends come from the same public address, or the same network of IPv6. */
function areNear (own: PunchContact, peer: PunchContact): boolean {
  const pairs = [[own.v4, peer.v4, 32], [own.v6, peer.v6, NETWORK]] as const
  return pairs.some(([one, other, prefix]) => {
    const [mine, theirs] = [one, other].map(each => each == null ? undefined : parse(each.ip))
    return mine != null && theirs != null && isWithin(theirs, mine, prefix)
  })
}

function parsed ({ ip, port }: Endpoint, isPublic: boolean): Parsed[] {
  const bytes = parse(ip)
  return bytes == null ? [] : [{ ip, port, bytes, isPublic }]
}

/** An address in the spelling of its own family. */
function textOf ({ ip, bytes }: Parsed): string {
  return bytes.byteLength === 4 ? bytes.join('.') : ip
}

function equal (one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && one.every((byte, index) => byte === other[index])
}
