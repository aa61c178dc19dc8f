// A path: what carries a link's frames from one peer to another, reliable and in order for as long as it lives.
import type { StarError } from '../src/errors.ts'

/** What a path runs over: a stream through a star. */
export type PathKind = 'relay'

/** One end of a path. */
export interface Path {
  readonly kind: PathKind
  /** What it runs through or to, for people: a star's URL. */
  readonly via: string
  /** Bytes that {@link send} takes now, in one piece. */
  readonly budget: number
  /** Sends bytes, no more than {@link budget} of them; they must not be changed afterwards. */
  send (bytes: Uint8Array): void
  /** From now on everything that comes is taken at once: until then no more comes than the path's own window. */
  release (): void
  /** Closes behind what was sent. {@link PathOwner.onGone} isn't called any more. */
  close (error?: StarError): void
}

/** Whom a path tells of what happens to it. */
export interface PathOwner {
  onBytes (chunk: Uint8Array): void
  /** There is budget again after there was none. */
  onRoom (): void
  /** The path is gone, and why. */
  onGone (error: StarError): void
}
