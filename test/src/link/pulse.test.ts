// When a path is probed and when it is given up: the times, by table, on real sessions.
import assert from 'node:assert/strict'
import { carry, sessionPair, wake } from '../../support/session-pair.ts'
import type { SessionEnd } from '../../support/session-pair.ts'

/** One end whose other end is never heard again, with something on its way or not. */
function alone (waiting: boolean): SessionEnd {
  const [end] = sessionPair()
  if (waiting) {
    end.session.write(new Uint8Array(10))
    end.flush(0)
  }
  return end
}

/** When its path is found to be dead. */
function deathOf (end: SessionEnd): number {
  for (let at = end.session.wakeAt; at != null; at = end.session.wakeAt) {
    const { length } = end.said
    end.obey(end.session.wake(at))
    end.flush(at)
    if (end.said.slice(length).includes('dead')) {
      return at
    }
  }
  throw new Error('its path is not found to be dead')
}

/** Gives it the next path: the other end says what it has, and is silent from then on. */
function revive (end: SessionEnd, now: number): void {
  end.session.detach(now)
  end.attach(now)
  end.hear({ type: 'ack', received: 0, limit: 0 }, now)
  end.flush(now)
}

describe('A path', () => {
  it('that swallows what it is given is probed after a second, and given up three seconds later', () => {
    const end = alone(true)
    assert.equal(end.session.wakeAt, 1_000)
    assert.equal(deathOf(end), 4_000)
    assert.equal(end.count('ping'), 1)
  })

  it('that has nothing to carry is probed after the keep-alive time, and given up three seconds later', () => {
    const end = alone(false)
    assert.equal(end.session.wakeAt, 15_000)
    assert.equal(deathOf(end), 18_000)
  })

  it('that answers is kept, at one small frame each way in the keep-alive time', () => {
    const ends = sessionPair()
    wake(ends, 600_000)
    assert.deepEqual(ends.map(end => end.session.state), ['open', 'open'])
    const probes = ends.reduce((sum, end) => sum + end.count('ping'), 0)
    assert(probes >= 30 && probes <= 80, `${probes} probes`)
    assert.equal(ends[0].session.figures.roundTrip, 0)
  })

  it('is found to be dead once, and wants nothing more', () => {
    const end = alone(true)
    deathOf(end)
    assert.deepEqual([end.session.dead, end.session.wakeAt, end.session.wake(1e9)], [true, undefined, []])
    end.session.detach(4_000)
    assert.equal(end.session.wakeAt, 34_000)
    end.attach(5_000)
    assert.deepEqual([end.session.dead, end.said], [false, ['dead']])
  })

  it('is given twice the time after each one that died before anything got through, up to 32 times', () => {
    const end = alone(true)
    let now = 0
    const times = Array.from({ length: 8 }, () => {
      const time = deathOf(end) - now
      now += time
      revive(end, now)
      return time
    })
    assert.deepEqual(times, [4, 7, 13, 25, 49, 97, 97, 97].map(seconds => seconds * 1_000))
  })

  it('is given the usual time again when something has got through', () => {
    const end = alone(true)
    revive(end, deathOf(end))
    end.hear({ type: 'ack', received: 4, limit: 0 }, 4_000)
    assert.equal(deathOf(end), 8_000)
  })

  it('that was slow to answer is given three times as long as it took, and that is forgotten', () => {
    const end = alone(true)
    end.obey(end.session.wake(1_000))
    end.hear({ type: 'ack', received: 5, limit: 0 }, 2_000)
    assert.equal(deathOf(end), 2_000 + 1_000 + 3 * 2_000)
    const other = alone(true)
    other.obey(other.session.wake(1_000))
    for (let received = 1; received < 10; received++) {
      other.hear({ type: 'ack', received, limit: 0 }, 2_000)
    }
    assert.equal(deathOf(other), 2_000 + 1_000 + 3_000)
  })

  it('past the star is left within a second, and later where an answer took long when it was made', () => {
    for (const [roundTrip, death] of [[undefined, 750], [100, 750], [1_000, 3_250]] as const) {
      const end = alone(true)
      end.obey(end.session.attach(0, { synced: true, direct: true, ...roundTrip == null ? {} : { roundTrip } }))
      end.flush(0)
      assert.equal(deathOf(end), death, String(roundTrip))
    }
  })

  it('that brings something, but no answer, is given four times as long', () => {
    const end = alone(true)
    end.obey(end.session.wake(1_000))
    end.hear({ type: 'data', offset: 0, bytes: new Uint8Array(10) }, 1_500)
    assert.equal(deathOf(end), 1_000 + 4 * 3_000)
  })

  it('is not given up by a process that was held up itself, before it has looked again', () => {
    const end = alone(true)
    end.obey(end.session.wake(1_000))
    end.obey(end.session.wake(60_000))
    assert.deepEqual(end.said, [])
    assert.equal(deathOf(end), 63_000)
  })

  it('that takes long to be proved is given its time from then on', () => {
    const end = alone(true)
    end.session.start(10_000)
    assert.equal(deathOf(end), 14_000)
  })

  it('that carries a lot slowly, chunk by chunk, is never given up', () => {
    const ends = sessionPair()
    const [writer, reader] = ends
    let now = 0
    const rate = 8 // bytes a millisecond: 64 kbit/s
    const queue: Uint8Array[] = []
    for (let total = 0; total < 2_000_000;) {
      const size = writer.session.room
      writer.session.write(new Uint8Array(size))
      total += size
      queue.push(...writer.flush(now))
      const next = queue.shift()
      if (next != null) {
        const there = now + next.byteLength / rate
        for (let at = writer.session.wakeAt ?? Infinity; at <= there; at = writer.session.wakeAt ?? Infinity) {
          writer.obey(writer.session.wake(at))
          queue.push(...writer.flush(at))
        }
        now = there
        reader.take(next, now)
        reader.obey(reader.session.wake(now + 100))
        carry([reader, writer], now + 100)
      }
    }
    assert.deepEqual(writer.said, [])
  })
})
