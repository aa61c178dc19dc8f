// A path: what carries a link's frames from one peer to another, reliable and in order for as long as it lives.
import type { StarError } from '../../src/errors.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'

/** What a path runs over. `relay`: a stream through a star. `relay-ws`: a WebSocket through a star. `tcp`: past every star. */
export type { PathKind }

/** One end of a path. */
export interface Path {
  readonly kind: PathKind
  /** What it runs through or to, for people: a star's URL, or the address of the other end. */
  readonly via: string
  /** Milliseconds, where that was measured when the path was made. */
  readonly roundTrip?: number
  /** Bytes that {@link send} takes now, in one piece. */
  readonly budget: number
  /** The same for the last words of a link, for which some is kept back. */
  readonly reserve: number
  /** True when each piece is best sent at once; false when it is worth a turn of the event loop to have fewer of them. */
  readonly prompt: boolean
  /** Says who is told; to be called before anything can come. */
  own (owner: PathOwner): void
  /**
   * Sends parts one after the other, no more than {@link budget} bytes; they must not be changed afterwards. All but the first
   * one are bytes of a `data` frame whose header the first one ends with.
   */
  send (parts: readonly Uint8Array[]): void
  /** From now on everything that comes is taken at once: until then no more comes than the path's own window. */
  release (): void
  /** Closes behind what was sent. {@link PathOwner.onGone} isn't called any more. */
  close (): void
  /** Breaks off, and says so. */
  lose (error: StarError): void
}

/** Whom a path tells of what happens to it. */
export interface PathOwner {
  /** `bare` when nothing proves who sent these bytes. */
  onBytes (chunk: Uint8Array, bare: boolean): void
  /** There is budget again after there was none. */
  onRoom (): void
  /** The path is gone, and why. */
  onGone (error: StarError): void
}
