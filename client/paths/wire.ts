// A wire: one connection of the system under a path, a TCP socket or a WebSocket. It carries bytes in order and knows nothing of
// what they say.
import type { StarError } from '../../src/errors.ts'

/** One end of a wire. Nothing throws; what goes wrong is told to the owner. */
export interface Wire {
  /** What it runs to or through, for people. */
  readonly via: string
  /** Bytes that were sent and that the system has not taken yet. */
  readonly queued: number
  /** Says who is told from now on. */
  own (owner: WireOwner): void
  /** Sends parts, one after the other, small ones together; they must not be changed afterwards. */
  send (parts: readonly Uint8Array[]): void
  /** Reads no more for now. In browsers a WebSocket is read all the same. */
  pause (): void
  resume (): void
  /** Closes, with this code where there are codes. 1000 closes behind what was sent, any other at once. */
  close (code: number): void
}

/** Whom a wire tells of what happens to it. */
export interface WireOwner {
  /** It is open; not called for a wire that was open from the beginning. */
  onOpen (): void
  onBytes (bytes: Uint8Array): void
  /** The system has taken some of what was sent. */
  onTaken (): void
  /** It is closed, for good; with the code that the other end gave, or with what went wrong. */
  onClose (code: number | undefined, error: StarError | undefined): void
}

/** Begins to open a wire. */
export type Connect = (owner: WireOwner) => Wire

/** Milliseconds that the other end has to close its half of a wire, before it is cut. */
export const FAREWELL = 1_000
