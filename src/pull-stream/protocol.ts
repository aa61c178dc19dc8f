// socket.io-pull-stream: byte streams over socket.io events, with credit and abort added for those who understand them.
//
//   half of a stream     reader → writer             writer → reader
//   <dial id>.dialer     accept.<half>, then         queue.<half>(bytes) …, at last error.<half>(true)
//   <dial id>.listener   credit.<half>(n) …          or error.<half>(reason)
//                        abort.<half>(reason)
//
// `dialer` is the half that the dialler writes, `listener` the half that the listener writes. Each name stands behind
// `socket.io-pull-stream.`. An original peer sends no credit and no abort and takes none; the star speaks for it.
// Source: socket.io-pull-stream 0.1.5 (accept, queue, error). credit and abort are ours.

/** Who writes a half. */
export type Side = 'dialer' | 'listener'

/** What an event of a stream is about. */
export type Kind = 'accept' | 'queue' | 'error' | 'credit' | 'abort'

/** An event's name, taken apart. */
export interface StreamEvent {
  readonly kind: Kind
  readonly id: string
  readonly side: Side
}

/** A writer may send so many bytes of a half before it has been accepted: the first flight of a handshake. */
export const INITIAL_CREDIT = 65_536

/** The largest chunk sent in one event; original servers and clients take 1,000,000 bytes at the most. */
export const MAX_CHUNK = 262_144

/** What a chunk costs of the credit beside its bytes, so that a flood of tiny chunks is bounded as well. */
export const CHUNK_COST = 256

const PREFIX = 'socket.io-pull-stream.'
const KINDS: ReadonlySet<string> = new Set<Kind>(['accept', 'queue', 'error', 'credit', 'abort'])

/** The name of an event. */
export function eventName (kind: Kind, id: string, side: Side): string {
  return `${PREFIX}${kind}.${id}.${side}`
}

/**
 * Takes an event's name apart; `undefined` when it is none of a stream. The id may hold dots. socket.io lets a number, or
 * nothing at all, pass as a name.
 */
export function parseEventName (name: unknown): StreamEvent | undefined {
  if (typeof name !== 'string' || !name.startsWith(PREFIX)) {
    return undefined
  }
  const kind = name.slice(PREFIX.length, name.indexOf('.', PREFIX.length))
  const end = name.lastIndexOf('.')
  const side = name.slice(end + 1)
  const start = PREFIX.length + kind.length + 1
  if (!isKind(kind) || (side !== 'dialer' && side !== 'listener') || start >= end) {
    return undefined
  }
  return { kind, id: name.slice(start, end), side }
}

/** What a chunk of so many bytes costs of the credit. */
export function chunkCost (bytes: number): number {
  return bytes + CHUNK_COST
}

/** The half that the other one writes. */
export function otherSide (side: Side): Side {
  return side === 'dialer' ? 'listener' : 'dialer'
}

/** True for a number of bytes that can be granted. */
export function isCredit (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

function isKind (value: string): value is Kind {
  return KINDS.has(value)
}
