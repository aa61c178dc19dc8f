// Frames on a path: any chunking gives the same ones, and what is none is found out at once.
import assert from 'node:assert/strict'
import { concatBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { REASONS, StarError } from '../../../src/errors.ts'
import { DATA_HEADER, FrameReader, MAX_DATA, encodeFrame, writeDataHeader } from '../../../src/link/frame.ts'
import { MAX_MESSAGE } from '../../../src/link/wire.ts'
import { Random } from '../../support/random.ts'
import type { Reason } from '../../../src/errors.ts'
import type { Frame } from '../../../src/link/frame.ts'

type Small = Exclude<Frame, { type: 'data' }>

const HIGHEST = 2 ** 53 - 1

const SMALL: readonly Small[] = [
  { type: 'handshake', bytes: new Uint8Array() },
  { type: 'handshake', bytes: new Random(1).bytes(MAX_MESSAGE) },
  { type: 'ack', received: 0, limit: 0 },
  { type: 'ack', received: 2 ** 32 - 1, limit: 2 ** 32 },
  { type: 'ack', received: HIGHEST, limit: HIGHEST },
  { type: 'fin', offset: 0 },
  { type: 'fin', offset: 2 ** 31 },
  { type: 'reset', error: new StarError('ERR_STREAM_RESET') },
  { type: 'ping', token: 0 },
  { type: 'pong', token: 2 ** 32 - 1 }
]

function data (offset: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(DATA_HEADER + bytes.byteLength)
  writeDataHeader(frame, 0, offset, bytes.byteLength)
  frame.set(bytes, DATA_HEADER)
  return frame
}

function spell (frame: Frame): Uint8Array {
  return frame.type === 'data' ? data(frame.offset, frame.bytes) : encodeFrame(frame)
}

/** Parts of one `data` frame, or of several that follow each other, are put together again. */
function joined (frames: readonly Frame[]): Frame[] {
  const all: Frame[] = []
  for (const frame of frames) {
    const last = all.at(-1)
    if (last?.type === 'data' && frame.type === 'data' && frame.offset === last.offset + last.bytes.byteLength) {
      all[all.length - 1] = { ...last, bytes: concatBytes(last.bytes, frame.bytes) }
    } else if (frame.type === 'data' || frame.type === 'handshake') {
      all.push({ ...frame, bytes: Uint8Array.from(frame.bytes) })
    } else {
      all.push({ ...frame })
    }
  }
  return all
}

function cut (bytes: Uint8Array, random: Random): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let position = 0; position < bytes.byteLength;) {
    const size = random.pick([0, 1, 2, 5, random.between(1, 100), random.between(1, bytes.byteLength)])
    chunks.push(bytes.subarray(position, position + size))
    position += size
  }
  return chunks
}

function refuses (reason: Reason): (error: unknown) => boolean {
  return error => error instanceof StarError && error.code === reason
}

const offset = fc.oneof(fc.nat(1_000), fc.maxSafeNat())
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant('handshake' as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({
    type: fc.constant('data' as const),
    offset: fc.maxSafeNat().map(high => Math.floor(high / 2)),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 500 })
  }),
  fc.record({ type: fc.constant('ack' as const), received: offset, limit: offset }),
  fc.record({ type: fc.constant('fin' as const), offset }),
  fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), token: fc.nat(2 ** 32 - 1) }),
  fc.constantFrom(...Object.keys(REASONS) as Reason[]).map(code => ({ type: 'reset' as const, error: new StarError(code) }))
)

describe('A frame', () => {
  for (const small of SMALL) {
    it(`of type ${small.type} comes as it was sent: ${JSON.stringify(small).slice(0, 60)}`, () => {
      assert.deepEqual(new FrameReader().read(encodeFrame(small)), [small])
    })
  }

  it('of data comes as views of the chunks, as they come', () => {
    const bytes = new Random(2).bytes(1_000)
    const whole = data(HIGHEST - 1_000, bytes)
    const reader = new FrameReader()
    const first = reader.read(whole.subarray(0, 500))
    const second = reader.read(whole.subarray(500))
    assert.deepEqual(joined([...first, ...second]), [{ type: 'data', offset: HIGHEST - 1_000, bytes }])
    for (const part of [...first, ...second]) {
      assert(part.type === 'data' && part.bytes.buffer === whole.buffer)
    }
  })

  it('of data that is a small part of a chunk does not keep the whole chunk', () => {
    const pings = Array.from({ length: 100 }, () => encodeFrame({ type: 'ping', token: 1 }))
    const chunk = concatBytes(data(0, Uint8Array.of(7)), ...pings)
    const [part] = new FrameReader().read(chunk)
    assert(part?.type === 'data')
    assert.deepEqual([part.bytes[0], part.bytes.buffer.byteLength], [7, 1])
  })

  it('of data takes 12 bytes beside its own, and of the rest 20 at most, but for handshakes and resets', () => {
    assert.equal(DATA_HEADER, 12)
    const bounded = SMALL.filter(({ type }) => type !== 'reset' && type !== 'handshake')
    assert.deepEqual(bounded.map(small => encodeFrame(small).byteLength), [20, 20, 20, 12, 12, 8, 8])
  })

  it('is the same however the bytes are cut', () => {
    fc.assert(fc.property(fc.array(frame, { maxLength: 12 }), fc.integer(), (frames, seed) => {
      const reader = new FrameReader()
      const chunks = cut(concatBytes(...frames.map(spell)), new Random(seed))
      assert.deepEqual(joined(chunks.flatMap(chunk => reader.read(chunk))), joined(frames))
    }), { numRuns: 500 })
  })
})

describe('What is no frame', () => {
  const header = (type: number, size: number): number[] => [type, size >>> 16, size >>> 8 & 255, size & 255]

  for (const [what, bytes] of [
    ['an unknown type', header(0x08, 0)],
    ['type 0', header(0, 0)],
    ['an acknowledgement that is too short', [...header(3, 15), ...new Uint8Array(15)]],
    ['an acknowledgement that is too long', [...header(3, 17), ...new Uint8Array(17)]],
    ['an end without an offset', header(4, 0)],
    ['a ping that is too long', [...header(6, 5), 0, 0, 0, 0, 0]],
    ['a handshake message that is longer than any', header(1, MAX_MESSAGE + 1)],
    ['a reset that is longer than any', header(5, 0xff_ffff)],
    ['data that is none', [...header(2, 8), ...new Uint8Array(8)]],
    ['data that is too short for its offset', [...header(2, 3), ...new Uint8Array(8)]],
    ['data that is longer than a frame may be', [...header(2, MAX_DATA + 9), ...new Uint8Array(8)]],
    ['data beyond 2^53', [...header(2, 9), 0, 0x20, 0, 0, 0, 0, 0, 0]],
    ['an acknowledgement beyond 2^53', [...header(3, 16), 255, ...new Uint8Array(15)]]
  ] as const) {
    it(`is refused: ${what}`, () => {
      assert.throws(() => { new FrameReader().read(Uint8Array.from(bytes)) }, refuses('ERR_PROTOCOL'))
      const reader = new FrameReader()
      assert.throws(() => { bytes.forEach(byte => { reader.read(Uint8Array.of(byte)) }) }, refuses('ERR_PROTOCOL'))
    })
  }

  it('is refused by its header, before its body has come', () => {
    assert.throws(() => { new FrameReader().read(Uint8Array.from(header(1, MAX_MESSAGE + 1))) }, refuses('ERR_PROTOCOL'))
  })

  it('is a reset all the same if only its code is unknown', () => {
    for (const code of ['', 'ERR_FROM_TOMORROW', '__proto__', 'x'.repeat(MAX_MESSAGE)]) {
      const bytes = Uint8Array.from([...header(5, code.length), ...Buffer.from(code)])
      assert.deepEqual(new FrameReader().read(bytes), [{ type: 'reset', error: new StarError('ERR_STREAM_RESET') }])
    }
  })

  it('leads to a StarError and nothing else, whatever the bytes are', () => {
    const some = fc.array(frame, { minLength: 1, maxLength: 5 })
    fc.assert(fc.property(some, fc.nat(), fc.nat(255), fc.integer(), (frames, at, byte, seed) => {
      const bytes = concatBytes(...frames.map(spell))
      bytes[at % bytes.byteLength] = byte
      const reader = new FrameReader()
      try {
        cut(bytes, new Random(seed)).forEach(chunk => { reader.read(chunk) })
      } catch (error) {
        assert(refuses('ERR_PROTOCOL')(error), String(error))
      }
    }), { numRuns: 500 })
  })
})
