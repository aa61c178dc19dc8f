// What a path carries: frames of a link, one after the other, cut anywhere.
//
//   type:u8 | length:u24 | body of that length          all numbers big-endian
//
//   handshake  0x01   a message of wire.ts
//   data       0x02   offset:u64 | bytes                offset of the first byte in the stream of its direction
//   ack        0x03   received:u64 | limit:u64          all below `received` is here; up to `limit` may be sent
//   fin        0x04   offset:u64                        the stream ends there; counts as one more byte
//   reset      0x05   error code, ASCII                 both directions are over
//   ping       0x06   token:u32
//   pong       0x07   token:u32                         the ping's
import { concatBytes } from '@noble/hashes/utils.js'
import { StarError, isReason } from '../errors.ts'
import { MAX_MESSAGE } from './wire.ts'

/** A frame, or a part of a `data` frame: its bytes are handed on as they come. */
export type Frame =
  | { readonly type: 'handshake', readonly bytes: Uint8Array }
  | { readonly type: 'data', readonly offset: number, readonly bytes: Uint8Array }
  | { readonly type: 'ack', readonly received: number, readonly limit: number }
  | { readonly type: 'fin', readonly offset: number }
  | { readonly type: 'reset', readonly error: StarError }
  | { readonly type: 'ping' | 'pong', readonly token: number }

/** Bytes before those of a `data` frame. */
export const DATA_HEADER = 12

/** A part of a chunk that is so many times smaller than that is copied: who keeps the part must not keep the whole. */
const SMALL_PART = 8

/** The most bytes that one `data` frame carries. */
export const MAX_DATA = 1_048_576

const TYPES = { handshake: 1, data: 2, ack: 3, fin: 4, reset: 5, ping: 6, pong: 7 } as const
const HEADER = 4

/** Spells any frame but `data`. */
export function encodeFrame (frame: Exclude<Frame, { type: 'data' }>): Uint8Array {
  switch (frame.type) {
    case 'handshake':
      return withHeader(TYPES.handshake, frame.bytes)
    case 'reset':
      return withHeader(TYPES.reset, Uint8Array.from(frame.error.code, letter => letter.charCodeAt(0)))
    case 'ack': {
      const body = new Uint8Array(16)
      setOffset(body, 0, frame.received)
      setOffset(body, 8, frame.limit)
      return withHeader(TYPES.ack, body)
    }
    case 'fin': {
      const body = new Uint8Array(8)
      setOffset(body, 0, frame.offset)
      return withHeader(TYPES.fin, body)
    }
    case 'ping':
    case 'pong': {
      const body = new Uint8Array(4)
      setNumber(body, 0, frame.token)
      return withHeader(TYPES[frame.type], body)
    }
  }
}

/** Writes the header of a `data` frame of so many bytes to `target`, at `position`. */
export function writeDataHeader (target: Uint8Array, position: number, offset: number, length: number): void {
  const size = length + DATA_HEADER - HEADER
  target[position] = TYPES.data
  setLength(target, position + 1, size)
  setOffset(target, position + HEADER, offset)
}

/** Other frames, and behind them the header of a `data` frame of so many bytes. */
export function withDataHeader (before: Uint8Array, offset: number, size: number): Uint8Array {
  const head = new Uint8Array(before.byteLength + DATA_HEADER)
  head.set(before)
  writeDataHeader(head, before.byteLength, offset, size)
  return head
}

/**
 * Takes the bytes of a path apart. What it keeps is never more than one small frame; the bytes of `data` frames are views
 * of the chunks that came, unless these are much larger.
 */
export class FrameReader {
  readonly #head = new Uint8Array(DATA_HEADER)
  #headLength = 0
  /** Bytes of the current `data` frame that are still to come, and where they belong. */
  #left = 0
  #offset = 0
  /** Whether the current frame is bare. */
  #bare = false
  #body: Uint8Array[] = []
  #bodyLength = 0

  /**
   * The frames that a chunk completes; throws {@link StarError} `ERR_PROTOCOL`, and then must not be used any more. A chunk that
   * is `bare`, so that anybody may have changed it, may hold nothing but `data` frames.
   */
  read (chunk: Uint8Array, bare: boolean = false): Frame[] {
    const frames: Frame[] = []
    let position = 0
    if (bare !== this.#bare && (this.#left > 0 || this.#headLength > 0)) {
      throw new StarError('ERR_PROTOCOL', { detail: 'a frame of which a part is bare' })
    }
    this.#bare = bare
    while (position < chunk.byteLength) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(position, position + this.#left)
        const kept = SMALL_PART * bytes.byteLength < chunk.byteLength ? Uint8Array.from(bytes) : bytes
        frames.push({ type: 'data', offset: this.#offset, bytes: kept })
        this.#left -= bytes.byteLength
        this.#offset += bytes.byteLength
        position += bytes.byteLength
        continue
      }
      if (bare && this.#headLength === 0 && chunk[position] !== TYPES.data) {
        throw new StarError('ERR_PROTOCOL', { detail: 'a bare frame that is no data' })
      }
      position += this.#take(chunk, position, HEADER)
      if (this.#headLength < HEADER) {
        break
      }
      const type = this.#head[0] ?? 0
      const size = getNumber(this.#head, 0) & 0xff_ffff
      if (type === TYPES.data) {
        position += this.#take(chunk, position, DATA_HEADER)
        if (this.#headLength === DATA_HEADER) {
          this.#startData(size)
        }
      } else {
        position += this.#collect(chunk, position, type, size, frames)
      }
    }
    return frames
  }

  /** Fills the head up to `length`; returns how many bytes that took. */
  #take (chunk: Uint8Array, position: number, length: number): number {
    const bytes = chunk.subarray(position, position + Math.max(0, length - this.#headLength))
    this.#head.set(bytes, this.#headLength)
    this.#headLength += bytes.byteLength
    return bytes.byteLength
  }

  #startData (size: number): void {
    this.#left = size + HEADER - DATA_HEADER
    this.#offset = getOffset(this.#head, HEADER)
    this.#headLength = 0
    if (this.#left <= 0 || this.#left > MAX_DATA) {
      throw new StarError('ERR_PROTOCOL', { detail: `a data frame of ${this.#left} bytes` })
    }
  }

  #collect (chunk: Uint8Array, position: number, type: number, size: number, frames: Frame[]): number {
    if (size > MAX_MESSAGE) {
      throw new StarError('ERR_PROTOCOL', { detail: `a frame of ${size} bytes` })
    }
    const bytes = chunk.subarray(position, position + size - this.#bodyLength)
    this.#body.push(bytes)
    this.#bodyLength += bytes.byteLength
    if (this.#bodyLength === size) {
      frames.push(decodeBody(type, this.#body.length === 1 ? bytes : concatBytes(...this.#body)))
      this.#body = []
      this.#bodyLength = 0
      this.#headLength = 0
    }
    return bytes.byteLength
  }
}

function decodeBody (type: number, body: Uint8Array): Frame {
  const size = body.byteLength
  if (type === TYPES.handshake) {
    return { type: 'handshake', bytes: body }
  }
  if (type === TYPES.ack && size === 16) {
    return { type: 'ack', received: getOffset(body, 0), limit: getOffset(body, 8) }
  }
  if (type === TYPES.fin && size === 8) {
    return { type: 'fin', offset: getOffset(body, 0) }
  }
  if (type === TYPES.reset) {
    const code = String.fromCharCode(...body.subarray(0, 64))
    return { type: 'reset', error: new StarError(isReason(code) ? code : 'ERR_STREAM_RESET') }
  }
  if ((type === TYPES.ping || type === TYPES.pong) && size === 4) {
    return { type: type === TYPES.ping ? 'ping' : 'pong', token: getNumber(body, 0) }
  }
  throw new StarError('ERR_PROTOCOL', { detail: `a frame of type ${type} and ${size} bytes` })
}

function withHeader (type: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER + body.byteLength)
  frame[0] = type
  setLength(frame, 1, body.byteLength)
  frame.set(body, HEADER)
  return frame
}

function setLength (target: Uint8Array, position: number, length: number): void {
  target[position] = length >>> 16
  target[position + 1] = length >>> 8
  target[position + 2] = length
}

function setNumber (target: Uint8Array, position: number, number: number): void {
  target[position] = number >>> 24
  setLength(target, position + 1, number)
}

function getNumber (source: Uint8Array, position: number): number {
  return (getByte(source, position) << 24 | getByte(source, position + 1) << 16 |
    getByte(source, position + 2) << 8 | getByte(source, position + 3)) >>> 0
}

function getByte (source: Uint8Array, position: number): number {
  return source[position] ?? 0
}

function setOffset (target: Uint8Array, position: number, offset: number): void {
  setNumber(target, position, Math.floor(offset / 2 ** 32))
  setNumber(target, position + 4, offset % 2 ** 32)
}

function getOffset (source: Uint8Array, position: number): number {
  const high = getNumber(source, position)
  if (high >= 2 ** 21) {
    throw new StarError('ERR_PROTOCOL', { detail: 'an offset beyond 2^53' })
  }
  return high * 2 ** 32 + getNumber(source, position + 4)
}
