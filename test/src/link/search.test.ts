// When a link that has lost its path looks for another one: the times, by table.
import assert from 'node:assert/strict'
import { Search } from '../../../src/link/search.ts'

describe('The search for a path', () => {
  it('begins at once where it is ours, and else after the grace', () => {
    for (const [ours, at] of [[true, 10_000], [false, 10_500]] as const) {
      const search = new Search({ grace: 500, retry: 250 })
      search.lost(10_000, ours, 0)
      assert.equal(search.at, at)
    }
  })

  it('waits longer after each failure, up to four seconds, and no longer at all when the other peer is seen', () => {
    const search = new Search({ grace: 500, retry: 250 })
    search.lost(0, true, 0)
    const pauses = Array.from({ length: 6 }, () => {
      search.begin()
      search.failed(0)
      return search.at
    })
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 4_000])
    search.seen(100)
    assert.equal(search.at, 100)
    search.begin()
    search.failed(100)
    assert.equal(search.at, 350)
  })

  it('wants nothing while there is a path, or a try is on', () => {
    const search = new Search({ grace: 500, retry: 250 })
    search.seen(0)
    assert.equal(search.at, undefined)
    search.lost(0, true, 0)
    search.begin()
    assert.equal(search.at, undefined)
    search.failed(0)
    search.found(10)
    search.seen(20)
    assert.equal(search.at, undefined)
  })

  it('waits when paths are lost within a second again and again, with nothing got through, from the fourth time on', () => {
    const search = new Search({ grace: 500, retry: 250 })
    let total = 0
    const pausesAfter = (life: number, times: number, progress = 0): number[] => Array.from({ length: times }, () => {
      search.found(1_000)
      total += progress
      search.lost(1_000 + life, true, total)
      return (search.at ?? NaN) - 1_000 - life
    })
    assert.deepEqual(pausesAfter(999, 9), [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000])
    assert.deepEqual(pausesAfter(1_000, 1), [0])
    assert.deepEqual(pausesAfter(0, 4), [0, 0, 0, 250])
    assert.deepEqual(pausesAfter(0, 6, 1), [0, 0, 0, 0, 0, 0])
    assert.deepEqual(pausesAfter(0, 4), [0, 0, 0, 250])
    search.over()
    total = 0
    assert.deepEqual(pausesAfter(0, 4), [0, 0, 0, 250])
  })

  it('does not wait when the first path of a link is lost at once', () => {
    const search = new Search({ grace: 0, retry: 250 })
    search.lost(0, true, 0)
    assert.equal(search.at, 0)
  })
})
