// How sealed messages follow each other on a path: a byte stream on TCP and on WebSockets alike, cut anywhere.
//
//   length:u32-le | data of that length        the top bit of the length is 0: data is sealed, tag included
//   1<<31 | length:u32-le | bytes              ours, where both have agreed to it, after the nomination: not sealed
//
// The original has frames of the first kind alone. It takes 16,384 bytes before the nomination and 100 MiB after it.
import { allocUnsafe } from 'uint8arrays/alloc'
import { StarError } from '../errors.ts'

/** A sealed frame's data, or the next part of a plain frame, whose bytes are handed on as they come. */
export interface Frame {
  readonly plain: boolean
  readonly bytes: Uint8Array
}

/** What frames are taken at a moment. */
export interface FrameLimits {
  /** The longest data, in bytes. */
  readonly maxFrame: number
  /** Whether frames may come that aren't sealed. */
  readonly plain: boolean
}

/** Bytes before the data. */
const FRAME_HEADER = 4
/** The longest data before the nomination. */
export const MAX_HANDSHAKE_FRAME = 16_384
/** The longest data after it that anybody may ask for. */
export const MAX_FRAME = 104_857_600
/** Bytes of the authentication tag: no sealed data is shorter. */
export const TAG = 16

const PLAIN = 0x8000_0000
/** At most so much is allocated for bytes that were only announced. */
const FIRST_ALLOCATION = 1_048_592
const NONE = new Uint8Array()

/** The header of a frame, to be sent before its data. */
export function frameHeader (length: number, plain: boolean): Uint8Array {
  const word = plain ? PLAIN + length : length
  return Uint8Array.of(word, word >>> 8, word >>> 16, word >>> 24)
}

/** A frame as it is sent: one after the other, without a copy of the parts. */
export function toFrame (parts: readonly Uint8Array[], plain: boolean): readonly Uint8Array[] {
  return [frameHeader(parts.reduce((sum, { byteLength }) => sum + byteLength, 0), plain), ...parts]
}

/**
 * Takes the bytes of a path apart, one frame at a time, for each frame may change what is taken after it. Data that comes in one
 * chunk is a view of it; what comes in pieces is collected, in no more memory than the pieces are worth (and 1 MiB).
 */
export class FrameReader {
  #chunk: Uint8Array = NONE
  #position = 0
  readonly #head = new Uint8Array(FRAME_HEADER)
  #headLength = 0
  /** Bytes of the current plain frame that are still to come. */
  #plainLeft = 0
  /** The length of the current sealed frame; `undefined` between two. */
  #length: number | undefined
  #body: Uint8Array = NONE
  #bodyLength = 0

  /** Puts in what came. Take all frames out with {@link next} before that. */
  push (chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#position = 0
  }

  /** The next frame, if there is one; throws {@link StarError} `ERR_PROTOCOL`, and then must not be used any more. */
  next (limits: FrameLimits): Frame | undefined {
    if (this.#plainLeft === 0 && this.#length == null) {
      this.#readHeader(limits)
    }
    if (this.#plainLeft > 0) {
      const bytes = this.#take(this.#plainLeft)
      this.#plainLeft -= bytes.byteLength
      return bytes.byteLength === 0 ? undefined : { plain: true, bytes }
    }
    return this.#length == null ? undefined : this.#readBody(this.#length)
  }

  /** What was put in and not taken out, when {@link next} has just given a frame: for who goes on with it elsewhere. */
  rest (): Uint8Array {
    const rest = this.#chunk.subarray(this.#position)
    this.#chunk = NONE
    this.#position = 0
    return rest
  }

  #readHeader ({ maxFrame, plain }: FrameLimits): void {
    const bytes = this.#take(FRAME_HEADER - this.#headLength)
    this.#head.set(bytes, this.#headLength)
    this.#headLength += bytes.byteLength
    if (this.#headLength < FRAME_HEADER) {
      return
    }
    this.#headLength = 0
    const word = new DataView(this.#head.buffer).getUint32(0, true)
    const isPlain = plain && word >= PLAIN
    const length = isPlain ? word - PLAIN : word
    if (length > maxFrame || length < (isPlain ? 1 : TAG)) {
      throw new StarError('ERR_PROTOCOL', { detail: `a frame of ${length} bytes` })
    }
    if (isPlain) {
      this.#plainLeft = length
    } else {
      this.#length = length
    }
  }

  #readBody (length: number): Frame | undefined {
    const bytes = this.#take(length - this.#bodyLength)
    const isWhole = bytes.byteLength === length
    if (!isWhole) {
      this.#collect(bytes, length)
      if (this.#bodyLength < length) {
        return undefined
      }
    }
    const whole = isWhole ? bytes : this.#body
    this.#length = undefined
    this.#body = NONE
    this.#bodyLength = 0
    return { plain: false, bytes: whole }
  }

  #collect (bytes: Uint8Array, length: number): void {
    const needed = this.#bodyLength + bytes.byteLength
    if (needed > this.#body.byteLength) {
      const grown = allocUnsafe(Math.min(length, Math.max(FIRST_ALLOCATION, 2 * needed)))
      grown.set(this.#body.subarray(0, this.#bodyLength))
      this.#body = grown
    }
    this.#body.set(bytes, this.#bodyLength)
    this.#bodyLength = needed
  }

  /** The next bytes of the chunk, so many at most. */
  #take (most: number): Uint8Array {
    const bytes = this.#chunk.subarray(this.#position, this.#position + most)
    this.#position += bytes.byteLength
    if (this.#position === this.#chunk.byteLength) {
      this.#chunk = NONE
      this.#position = 0
    }
    return bytes
  }
}
