// Frames on a path: any cut of the bytes gives the same ones, limits hold before anything is allocated, and views stay views.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { StarError } from '../../../src/errors.ts'
import { FrameReader, MAX_FRAME, MAX_HANDSHAKE_FRAME, TAG, frameHeader, toFrame } from '../../../src/rendezvous/frame.ts'
import { hex, times, toHex } from '../../support/rendezvous.ts'
import type { Frame, FrameLimits } from '../../../src/rendezvous/frame.ts'

const BEFORE: FrameLimits = { maxFrame: MAX_HANDSHAKE_FRAME, plain: false }
const AFTER: FrameLimits = { maxFrame: MAX_FRAME, plain: true }

/** All frames of some chunks, the parts of a plain one put together. */
function readAll (chunks: readonly Uint8Array[], limits: FrameLimits): Frame[] {
  const reader = new FrameReader()
  const frames: Frame[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let frame = reader.next(limits); frame != null; frame = reader.next(limits)) {
      frames.push(frame)
    }
  }
  return frames
}

/** Cuts bytes into pieces of the lengths that are listed, over and over. */
function cut (bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let position = 0, index = 0; position < bytes.byteLength; index++) {
    const length = lengths[index % lengths.length] ?? 1
    chunks.push(bytes.subarray(position, position + length))
    position += length
  }
  return chunks
}

function refuses (text: string, limits: FrameLimits, message: RegExp): void {
  assert.throws(() => readAll([hex(text)], limits), { code: 'ERR_PROTOCOL', message })
}

describe('A frame', () => {
  it('is its length, little-endian, and its data', () => {
    assert.equal(toHex(toFrame([hex('aabb'), hex('cc')], false)), '03000000aabbcc')
    assert.equal(toHex(toFrame([hex('aabb')], true)), '02000080aabb')
    assert.equal(toHex(frameHeader(MAX_FRAME, false)), '00004006')
    assert.equal(toHex(frameHeader(MAX_FRAME, true)), '00004086')
    assert.equal(toHex(toFrame([], false)), '00000000')
  })

  it('is sent without a copy of its parts', () => {
    const [one, other] = [times(1, 20), times(2, 16)]
    const frame = toFrame([one, other], false)
    assert.equal(frame[1], one)
    assert.equal(frame[2], other)
  })

  it('is a view of the chunk that it came in, as a whole', () => {
    const chunk = concat([...toFrame([times(7, 1_000)], false), ...toFrame([times(8, 16)], false)])
    const [first, second] = readAll([chunk], BEFORE)
    assert.equal(first?.bytes.buffer, chunk.buffer)
    assert.deepEqual([first?.bytes.byteOffset, first?.bytes.byteLength], [chunk.byteOffset + 4, 1_000])
    assert.deepEqual([second?.bytes.buffer, second?.bytes.byteLength], [chunk.buffer, 16])
  })

  it('is handed on as it comes when it is plain', () => {
    const reader = new FrameReader()
    reader.push(hex('0500008001'))
    assert.deepEqual(reader.next(AFTER), { plain: true, bytes: hex('01') })
    assert.equal(reader.next(AFTER), undefined)
    reader.push(hex('02030405 10000000'))
    assert.deepEqual(reader.next(AFTER), { plain: true, bytes: hex('02030405') })
    assert.equal(reader.next(AFTER), undefined)
    reader.push(times(9, 16))
    assert.deepEqual(reader.next(AFTER), { plain: false, bytes: times(9, 16) })
  })

  it('may change what is taken after it, in the same chunk', () => {
    const reader = new FrameReader()
    reader.push(concat([...toFrame([times(1, 16)], false), ...toFrame([times(2, MAX_HANDSHAKE_FRAME + 1)], false)]))
    assert.equal(reader.next(BEFORE)?.bytes.byteLength, 16)
    assert.equal(reader.next(AFTER)?.bytes.byteLength, MAX_HANDSHAKE_FRAME + 1)
  })

  it('is the same however the bytes are cut', () => {
    const frame = fc.record({ plain: fc.boolean(), bytes: fc.uint8Array({ minLength: TAG, maxLength: 200 }) })
    const lengths = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 })
    fc.assert(fc.property(fc.array(frame), lengths, (frames, pieces) => {
      const bytes = concat(frames.flatMap(one => [...toFrame([one.bytes], one.plain)]))
      const found = readAll(cut(bytes, pieces), AFTER)
      // parts of plain frames that follow each other can't be told apart, and needn't be
      const flat = (list: readonly Frame[]): string =>
        list.map(one => one.plain ? toHex(one.bytes) : `[${toHex(one.bytes)}]`).join('')
      assert.equal(flat(found), flat(frames))
    }), { numRuns: 500 })
  })

  it('of a megabyte comes together from small pieces', () => {
    const data = Uint8Array.from({ length: 3_000_000 }, (_, index) => index * 7)
    for (const piece of [1_460, 65_536, 2_999_999]) {
      const frames = readAll(cut(concat([...toFrame([data], false)]), [piece]), AFTER)
      assert.equal(frames.length, 1)
      assert.ok(Buffer.from(data).equals(frames[0]?.bytes ?? hex('')))
    }
  })
})

describe('A frame that is refused', () => {
  it('is one that announces more than is taken, before any of it is there', () => {
    refuses('01400000', BEFORE, /16385 bytes/)
    refuses('ffffffff', BEFORE, /4294967295 bytes/)
    refuses('01004006', AFTER, /104857601 bytes/)
    refuses('01004086', AFTER, /104857601 bytes/)
    refuses('11000000', { maxFrame: 16, plain: false }, /17 bytes/)
    assert.equal(readAll([hex('00400000')], BEFORE).length, 0, 'the longest one is waited for')
  })

  it('is one that is too short to be sealed, or holds nothing at all', () => {
    refuses('00000000', BEFORE, /0 bytes/)
    refuses('0f000000', AFTER, /15 bytes/)
    refuses('00000080', AFTER, /0 bytes/)
  })

  it('is one that is not sealed where all have to be', () => {
    refuses('10000080', BEFORE, /2147483664 bytes/)
    refuses('10000080', { ...AFTER, plain: false }, /2147483664 bytes/)
  })

  it('costs no more memory than came of it, and a megabyte', () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 4 }, () => new FrameReader())
    for (const reader of readers) {
      reader.push(concat([frameHeader(MAX_FRAME, false), times(1, 10)]))
      assert.equal(reader.next(AFTER), undefined)
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < readers.length * 2 ** 21)
  })

  it('is found, or none, whatever bytes come', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 30 })), fc.boolean(), (chunks, after) => {
      try {
        for (const { bytes, plain } of readAll(chunks, after ? AFTER : BEFORE)) {
          assert.ok(plain ? after && bytes.byteLength > 0 : bytes.byteLength >= TAG)
        }
      } catch (error) {
        assert.ok(error instanceof StarError && error.code === 'ERR_PROTOCOL', String(error))
      }
    }), { numRuns: 3_000 })
  })
})
