// What somebody may do on a path made beside a link: it ends that path, and leaves the link as it is.
import assert from 'node:assert/strict'
import { StarError } from '../../../src/errors.ts'
import { encodeFrame, writeDataHeader } from '../../../src/link/frame.ts'
import { checkTalk, codes, linked, passLaying, pathOf, pathsOf } from '../../support/link-moves.ts'

const LOST = new StarError('ERR_STAR_LOST')

function dataFrame (offset: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(12 + bytes.byteLength)
  writeDataHeader(frame, 0, offset, bytes.byteLength)
  frame.set(bytes, 12)
  return frame
}

describe('On a path made beside a link', () => {
  const FIRST: ReadonlyArray<readonly [string, Uint8Array]> = [
    ['a probe', encodeFrame({ type: 'ping', token: 1 })],
    ['an answer to a probe', encodeFrame({ type: 'pong', token: 1 })],
    ['an end', encodeFrame({ type: 'fin', offset: 30 })],
    ['data', dataFrame(30, new Uint8Array(5))],
    ['a handshake', encodeFrame({ type: 'handshake', bytes: new Uint8Array(3) })],
    ['no frame', Uint8Array.of(9, 0, 0, 0)]
  ]
  for (const [what, chunk] of FIRST) {
    it(`${what} as the first word ends the path, not the link`, () => {
      const { at, z, a, first } = linked()
      const next = at.make(a, z)
      at.held.add(next)
      at.feed(a, { type: 'bytes', path: next, chunk })
      assert.deepEqual([pathsOf(a), codes(a).at(-1)], [[[first, first]], 'attempt ERR_PROTOCOL'])
      checkTalk(at, a, z)
    })
  }

  const BARE: ReadonlyArray<readonly [string, Uint8Array]> = [
    ['an acknowledgement', encodeFrame({ type: 'ack', received: 30, limit: 1_000_000 })],
    ['a reset', encodeFrame({ type: 'reset', error: LOST })],
    ['an end', encodeFrame({ type: 'fin', offset: 30 })],
    ['the beginning of a frame', encodeFrame({ type: 'ping', token: 1 }).subarray(0, 2)]
  ]
  for (const [what, chunk] of BARE) {
    it(`${what} that nothing proves ends the path, not the link, before a move, in it and after it`, () => {
      for (const messages of [0, 3, Infinity]) {
        const { at, z, a } = linked()
        const next = at.make(a, z)
        at.settle(messages)
        at.feed(a, { type: 'bytes', path: next, chunk, bare: true })
        assert.deepEqual([a.node.paths.has(next), a.node.talk?.over], [false, false])
        passLaying(at, 5_000, a, z)
        assert.equal(pathOf(a), pathOf(z))
        checkTalk(at, a, z)
      }
    })
  }

  for (const [what, rest] of [['ends', false], ['begins', true]] as const) {
    it(`data frames may be bare, cut anywhere, but none that ${what} with what is proved`, () => {
      const { at, z, a } = linked()
      const next = at.make(a, z)
      at.settle()
      const { talk: writer } = z.node
      assert(writer != null)
      const whole = dataFrame(writer.sent, writer.next(20))
      for (const piece of [whole.subarray(0, 2), whole.subarray(2, 14), whole.subarray(14)]) {
        at.feed(a, { type: 'bytes', path: next, chunk: piece, bare: true })
      }
      assert.deepEqual([a.node.talk?.received, a.node.faults], [writer.sent, []])
      const received = writer.sent
      const broken = dataFrame(writer.sent, writer.next(20))
      at.feed(a, { type: 'bytes', path: next, chunk: broken.subarray(0, 5), bare: !rest })
      at.feed(a, { type: 'bytes', path: next, chunk: broken.subarray(5), bare: rest })
      assert.deepEqual([a.node.talk?.received, a.node.talk?.over, a.node.paths.size], [received, false, 0])
      at.feed(a, { type: 'bytes', path: next, chunk: new Uint8Array(11), bare: true }) // of a path that is gone
      assert.deepEqual(a.node.faults, [])
    })
  }

  it('a reset as the first word ends the link', () => {
    const { at, z, a } = linked()
    const next = at.make(a, z)
    at.feed(a, { type: 'bytes', path: next, chunk: encodeFrame({ type: 'reset', error: LOST }) })
    assert.deepEqual([a.node.pair.idle, a.node.paths.size, a.node.talks[0]?.error?.code], [true, 0, 'ERR_STAR_LOST'])
  })
})
