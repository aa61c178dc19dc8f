// A link's byte stream: windows, acknowledgements, ends, and what is sent again; `pulse.test.ts` has the times.
import assert from 'node:assert/strict'
import { StarError } from '../../../src/errors.ts'
import { Session } from '../../../src/link/session.ts'
import { SESSION, carry, sessionPair, wake } from '../../support/session-pair.ts'
import type { Reason } from '../../../src/errors.ts'
import type { SessionEnd } from '../../support/session-pair.ts'

const MIB = 1_048_576

function bytes (size: number): Uint8Array {
  return new Uint8Array(size)
}

function codeOf (end: SessionEnd): Reason | undefined {
  return end.error?.code
}

/** Writes so much in pieces, whenever there is room, and carries it. */
function transfer (ends: [SessionEnd, SessionEnd], total: number, piece: number): void {
  const [writer] = ends
  for (let left = total; left > 0;) {
    const size = Math.min(left, piece, writer.session.room)
    assert(size > 0, 'there is no room although everything was read')
    writer.obey(writer.session.write(bytes(size)))
    left -= size
    carry(ends, 0)
  }
}

describe('A session', () => {
  it('acknowledges a large transfer a few times for each window, never each frame', () => {
    const ends = sessionPair()
    const [writer, reader] = ends
    transfer(ends, 10 * MIB, 65_536)
    wake(ends, 200)
    assert.equal(reader.received, 10 * MIB)
    assert.equal(writer.session.drained, true)
    assert.equal(writer.count('data'), 162) // 160, and the first one in three parts
    assert(reader.count('ack') <= 41, `${reader.count('ack')} acknowledgements`)
  })

  it('acknowledges as seldom when its user reads late', () => {
    const ends = sessionPair()
    const [writer, reader] = ends
    reader.reads = false
    for (let total = 0; total < 10 * MIB; total += writer.session.room) {
      writer.obey(writer.session.write(bytes(writer.session.room)))
      carry(ends, 0)
      while (reader.unread > 0) {
        reader.read(Math.min(reader.unread, 30_000))
        carry(ends, 0)
      }
    }
    assert(reader.count('ack') <= 2 * 4 * 11, `${reader.count('ack')} acknowledgements`)
  })

  it('acknowledges a little after a tenth of a second, and not twice', () => {
    const ends = sessionPair()
    const [writer, reader] = ends
    transfer(ends, 30, 10)
    assert.equal(reader.count('ack'), 0)
    assert.equal(reader.session.wakeAt, 100)
    wake(ends, 500)
    assert.deepEqual([reader.count('ack'), writer.session.drained, writer.count('ack')], [1, true, 0])
  })

  it('costs no more than half a percent beside 64 KiB, acknowledgements included', () => {
    const ends = sessionPair()
    transfer(ends, 10 * MIB, 65_536)
    const [{ sentBytes: there }, { sentBytes: back }] = ends
    assert(there + back - 10 * MIB <= 0.005 * 10 * MIB, `${there + back - 10 * MIB} bytes`)
  })

  it('begins a path with small frames, and goes on to large ones', () => {
    const [writer] = sessionPair()
    writer.session.write(bytes(MIB))
    const sizes = writer.flush(0).map(chunk => (chunk.byteLength - 12) / 1_024)
    assert.deepEqual(sizes.slice(0, 6), [16, 32, 64, 128, 256, 256])
  })

  it('sends what small writes come to as one frame, in memory of its own', () => {
    const [writer] = sessionPair()
    const piece = Uint8Array.of(1, 2, 3)
    writer.session.write(piece)
    writer.session.write(bytes(0))
    writer.session.write(piece)
    const chunks = writer.flush(0)
    piece.fill(0)
    assert.deepEqual(chunks.map(chunk => [...chunk.subarray(12)]), [[1, 2, 3, 1, 2, 3]])
  })

  it('hands on what comes without a copy', () => {
    const [, reader] = sessionPair()
    const part = bytes(100)
    const [output] = reader.session.receive({ type: 'data', offset: 0, bytes: part }, 0)
    assert(output?.do === 'deliver' && output.bytes.buffer === part.buffer)
  })

  it('stops the writer at the other end\'s window, or at its own, and wakes it when there is room', () => {
    for (const [mine, theirs] of [[1_000, 400], [400, 1_000]] as const) {
      const ends = sessionPair({ window: mine }, { window: theirs })
      const [writer, reader] = ends
      reader.reads = false
      assert.equal(writer.session.room, 400)
      writer.session.write(bytes(400))
      writer.session.want()
      assert.throws(() => { writer.session.write(bytes(1)) }, { code: 'ERR_BUDGET' })
      carry(ends, 0)
      wake(ends, 200)
      // its own window is free again when all has come, the other end's when all was read
      assert.deepEqual(writer.said, theirs === 400 ? [] : ['writable'])
      reader.read()
      carry(ends, 300)
      wake(ends, 500)
      assert.deepEqual([writer.session.room, writer.said, reader.unread], [400, ['writable'], 0])
    }
  })

  it('keeps no more than its window, whatever its path takes', () => {
    const [writer] = sessionPair({ window: 1_000 })
    writer.session.write(bytes(600))
    assert.equal(writer.flush(0, 112).length, 6)
    assert.deepEqual([writer.session.room, writer.session.figures.kept], [400, 600])
  })

  it('neither spins nor piles anything up on a path that takes nothing', () => {
    const ends = sessionPair()
    const [writer, reader] = ends
    reader.open = false
    for (let round = 1; round <= 30; round++) {
      writer.session.write(bytes(10))
      carry(ends, round * 100)
      reader.obey(reader.session.wake(reader.session.wakeAt ?? 0))
      reader.session.flush(5, round * 100) // not enough for anything
    }
    reader.open = true
    assert.equal(reader.flush(3_100).length, 1)
    assert.equal(reader.count('ack'), 1)
  })

  it('takes nothing more to write once it is ended or over', () => {
    const [writer] = sessionPair()
    writer.session.end()
    assert.throws(() => { writer.session.write(bytes(1)) }, { code: 'ERR_STREAM_CLOSED' })
    assert.deepEqual([writer.session.room, writer.session.end(), writer.session.closing], [0, [], true])
  })
})

describe('A session ends', () => {
  for (const [order, steps] of [
    ['one after the other', ['end 0', 'carry', 'end 1', 'carry']],
    ['both at once', ['end 0', 'end 1', 'carry']],
    ['with data before the ends', ['write 0', 'write 1', 'end 0', 'end 1', 'carry']],
    ['with data after the other one\'s end', ['end 0', 'carry', 'write 1', 'carry', 'end 1', 'carry']],
    ['over a path that is lost before the ends come', ['write 0', 'end 0', 'end 1', 'lose', 'carry']],
    ['over a path that is lost after one end came', ['end 0', 'carry', 'end 1', 'lose', 'carry']]
  ] as const) {
    it(`when both halves have: ${order}`, () => {
      const ends = sessionPair()
      let now = 0
      for (const step of steps) {
        const end = ends[step.endsWith('1') ? 1 : 0]
        now += 10
        if (step.startsWith('end')) {
          end.obey(end.session.end())
        } else if (step.startsWith('write')) {
          end.obey(end.session.write(bytes(10)))
        } else if (step === 'carry') {
          carry(ends, now)
        } else {
          ends.forEach(each => { each.flush(now) })
          ends.forEach(each => { each.session.detach(now) })
          ends.forEach(each => { each.attach(now) })
        }
      }
      for (const each of ends) {
        assert.deepEqual([each.said, codeOf(each), each.session.state], [['ended', 'closed'], undefined, 'closed'])
        assert.equal(each.session.wakeAt, undefined)
      }
    })
  }

  it('in good order also for the one who never hears that its last word came, as far as that is known', () => {
    const ends = sessionPair()
    const [one, other] = ends
    other.session.end()
    carry(ends, 0)
    one.session.end()
    one.flush(0) // is lost
    assert.deepEqual([one.session.complete, other.session.complete], [true, false])
    one.session.detach(0)
    wake(ends, 60_000)
    assert.deepEqual([one.said, codeOf(one)], [['ended', 'closed'], undefined])
  })

  it('with an error when no path comes back in time', () => {
    const ends = sessionPair()
    ends.forEach(end => { end.session.detach(1_000) })
    wake(ends, 30_999)
    assert.equal(ends[0].session.state, 'suspended')
    wake(ends, 31_000)
    assert.deepEqual(ends.map(codeOf), ['ERR_LINK_LOST', 'ERR_LINK_LOST'])
  })

  it('with the reason that the other end gives, and drops what it held', () => {
    const ends = sessionPair()
    const [one, other] = ends
    one.session.write(bytes(1_000))
    one.obey(one.session.reset(new StarError('ERR_STOPPED')))
    carry(ends, 0)
    assert.deepEqual([one.count('data'), one.session.figures.kept], [0, 0])
    assert.deepEqual(ends.map(codeOf), ['ERR_STOPPED', 'ERR_STOPPED'])
    assert.deepEqual(other.session.receive({ type: 'ping', token: 1 }, 0), [])
  })
})

describe('A session on another path', () => {
  it('sends again what was not acknowledged, and nothing else', () => {
    const ends = sessionPair({ window: 1_000 })
    const [writer, reader] = ends
    transfer(ends, 400, 400) // is acknowledged at once: it is a third of the window or more
    writer.session.write(bytes(100))
    carry(ends, 0) // comes, but isn't acknowledged yet
    writer.session.write(bytes(50))
    writer.flush(0) // is lost
    ends.forEach(end => { end.session.detach(10) })
    writer.session.write(bytes(25))
    ends.forEach(end => { end.attach(20) })
    assert.deepEqual(writer.flush(20).map(chunk => chunk.byteLength), [20], 'data before the other end has said what it has')
    carry(ends, 20)
    assert.deepEqual([reader.received, writer.session.figures.resent], [575, 50])
  })

  it('does not answer probes of the old one', () => {
    const [end] = sessionPair()
    end.hear({ type: 'ping', token: 1 })
    end.session.detach(0)
    end.attach(0)
    end.flush(0)
    assert.deepEqual([end.count('pong'), end.count('ack')], [0, 1])
  })

  it('drops what comes twice, in whatever pieces', () => {
    const [, reader] = sessionPair()
    const parts = [[0, 10, 10], [0, 10, 10], [5, 5, 10], [5, 10, 15], [0, 15, 15], [15, 1, 16]] as const
    for (const [offset, size, received] of parts) {
      reader.hear({ type: 'data', offset, bytes: bytes(size) })
      assert.equal(reader.received, received)
    }
    assert.equal(codeOf(reader), undefined)
  })

  it('goes on where only one end knew that the old one was lost', () => {
    const ends = sessionPair({ window: 1_000 })
    const [writer, reader] = ends
    writer.session.write(bytes(600))
    writer.flush(0)
    writer.session.detach(0)
    ends.forEach(end => { end.attach(5_000) }) // for the reader it is a move
    carry(ends, 5_000)
    assert.deepEqual([reader.received, reader.session.state], [600, 'open'])
  })
})

describe('A session that may be moved', () => {
  it('greets without telling anything that is not told again', () => {
    const [writer, reader] = sessionPair({ window: 900 })
    reader.reads = false
    writer.session.write(bytes(900))
    writer.flush(0).forEach(chunk => { reader.take(chunk, 0) })
    reader.read()
    const { wakeAt } = reader.session
    const greeting = reader.session.greeting()
    assert.deepEqual([reader.session.wakeAt, reader.session.greeting()], [wakeAt, greeting])
    writer.take(greeting, 0)
    assert.equal(writer.session.room, 0, 'all has come, and no more may be sent than was allowed before')
    reader.flush(0).forEach(chunk => { writer.take(chunk, 0) })
    assert.equal(writer.session.room, 900)
  })

  it('says on each path first what it has, however little the path takes at first', () => {
    const [end] = sessionPair()
    end.session.detach(0)
    end.attach(0)
    end.hear({ type: 'ping', token: 1 })
    assert.deepEqual(end.flush(0, 19), [])
    end.flush(0)
    assert.deepEqual(end.frames.map(({ type }) => type), ['ack', 'pong'])
  })

  it('takes nothing that comes beside its path for a sign that this one is alive', () => {
    const [end] = sessionPair()
    end.session.write(bytes(10))
    end.flush(0)
    end.obey(end.session.attach(0, { synced: true, direct: true }))
    end.flush(0)
    end.obey(end.session.wake(250))
    end.obey(end.session.receive({ type: 'ack', received: 10, limit: 1_000 }, 300, true))
    end.obey(end.session.receive({ type: 'pong', token: 1 }, 300, true))
    end.obey(end.session.wake(750))
    assert.deepEqual(end.said, ['dead'])
  })
})

describe('A session that is told nonsense', () => {
  const TALE: ReadonlyArray<readonly [string, Reason, (end: SessionEnd) => void]> = [
    ['data with a gap', 'ERR_PROTOCOL', end => { end.hear({ type: 'data', offset: 1, bytes: bytes(1) }) }],
    ['data beyond the window', 'ERR_BUDGET', end => { end.hear({ type: 'data', offset: 0, bytes: bytes(1_001) }) }],
    ['data beyond the window, bit by bit', 'ERR_BUDGET', end => {
      end.reads = false
      for (let offset = 0; offset <= 1_000; offset += 100) {
        end.hear({ type: 'data', offset, bytes: bytes(100) })
      }
    }],
    ['an acknowledgement of what was never sent', 'ERR_PROTOCOL', end => { end.hear({ type: 'ack', received: 1, limit: 0 }) }],
    ['an acknowledgement of an end that was never sent', 'ERR_PROTOCOL', end => {
      end.session.end()
      end.hear({ type: 'ack', received: 1, limit: 0 })
    }],
    ['an end behind a gap', 'ERR_PROTOCOL', end => { end.hear({ type: 'fin', offset: 1 }) }],
    ['data behind the end', 'ERR_PROTOCOL', end => {
      end.hear({ type: 'fin', offset: 0 })
      end.hear({ type: 'data', offset: 1, bytes: bytes(1) })
    }],
    ['probe after probe', 'ERR_PROTOCOL', end => {
      for (let token = 0; token < 17; token++) {
        end.hear({ type: 'ping', token })
      }
    }]
  ]

  for (const [what, reason, tell] of TALE) {
    it(`ends with ${reason}, and says so: ${what}`, () => {
      const ends = sessionPair({ window: 1_000 })
      tell(ends[0])
      assert.deepEqual([codeOf(ends[0]), ends[0].session.state], [reason, 'closed'])
      carry(ends, 0)
      assert.equal(codeOf(ends[1]), reason)
    })
  }

  it('goes on: an old acknowledgement, a smaller limit, an end twice, an answer to no probe', () => {
    const ends = sessionPair({ window: 1_000 })
    transfer(ends, 500, 500)
    wake(ends, 200)
    const [writer, reader] = ends
    writer.hear({ type: 'ack', received: 100, limit: 0 })
    writer.hear({ type: 'pong', token: 7 })
    writer.hear({ type: 'fin', offset: 0 })
    writer.hear({ type: 'fin', offset: 0 })
    assert.deepEqual([codeOf(writer), writer.session.room], [undefined, 1_000])
    assert.deepEqual([writer.said, reader.said], [['ended'], []])
  })

  it('has no more to answer than sixteen probes while its path takes nothing', () => {
    const [end] = sessionPair()
    for (let token = 0; token < 16; token++) {
      end.hear({ type: 'ping', token })
    }
    end.flush(0)
    assert.deepEqual([end.count('pong'), codeOf(end)], [16, undefined])
  })
})

describe('A session without a path', () => {
  it('takes what is written, up to its window, and sends nothing', () => {
    const session = new Session({ ...SESSION, window: 100 })
    session.write(bytes(100))
    assert.deepEqual([session.room, session.flush(1_000, 0), session.state], [0, undefined, 'suspended'])
  })
})
