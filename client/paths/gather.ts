// Which messages of a WebSocket the parts of a frame are: it is a byte stream, but some take a small frame in one message alone.
import { concat } from 'uint8arrays/concat'

/** Parts that are smaller than this are copied together. */
const SMALL = 4_096

/** The parts, small ones joined with what they stand beside as long as that is small, too. */
export function gather (parts: readonly Uint8Array[]): Uint8Array[] {
  const messages: Uint8Array[] = []
  let small: Uint8Array[] = []
  const flush = (): void => {
    const [first, ...more] = small
    if (first != null) {
      messages.push(more.length === 0 ? first : concat(small))
    }
    small = []
  }
  for (const part of parts) {
    if (part.byteLength < SMALL) {
      small.push(part)
    } else {
      flush()
      messages.push(part)
    }
  }
  flush()
  return messages
}
