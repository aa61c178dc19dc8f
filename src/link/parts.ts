// Bytes in parts: what is sent isn't copied into one piece, unless the pieces are many and small.
import { concat } from 'uint8arrays/concat'

/** Parts of fewer bytes, on an average, are sent as one. */
const SMALL_PART = 4_096

/** The same parts, or one copy of them where they are many small ones: each of them is some work wherever it comes. */
export function solid (parts: Uint8Array[], size: number): Uint8Array[] {
  return size < SMALL_PART * parts.length ? [concat(parts, size)] : parts
}

/** Bytes as the only part, or nothing where there are none. */
export function orNone (bytes: Uint8Array): readonly Uint8Array[] | undefined {
  return bytes.byteLength === 0 ? undefined : [bytes]
}
