// The codes with which the raw relay closes a WebSocket, and which of them go from one end of a pair to the other.

/** The codes that the relay itself gives. */
export const RelayCode = {
  /** Both ends: the star goes down. */
  goingDown: 1001,
  /** No such path, a third socket on it, or a socket that breaks the relay's rules. */
  refused: 4000,
  /** The other end did not come in time, or nobody waits for it any more. */
  missing: 4003,
  /** The other end has left without a code that can be handed on. */
  left: 4004
} as const

const NORMAL = 1000
/** Codes of what runs on top: the first and the last that are handed on. */
const UPPER = { first: 4100, last: 4199 } as const

/** What one end is closed with when the other one was closed with that code, or is gone without any (1005, 1006). */
export function reflect (code: number): number {
  return code === NORMAL || (code >= UPPER.first && code <= UPPER.last) ? code : RelayCode.left
}
