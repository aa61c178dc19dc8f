// A link that moves to a path made beside it: rule by rule, and whatever becomes of either path meanwhile.
import assert from 'node:assert/strict'
import { StarError } from '../../../src/errors.ts'
import { checkTalk, codes, linked, passLaying, pathOf, pathsOf, say } from '../../support/link-moves.ts'

const LOST = new StarError('ERR_STAR_LOST')

describe('A link for which another path is made', () => {
  it('goes on on its path until the other end has spoken on the new one', () => {
    const { at, z, a, first } = linked()
    const received = z.node.talk?.received ?? 0
    at.held.add(first + 1)
    const next = at.make(a, z)
    say(at, a, 50)
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[first, first, next], [first, first]])
    assert.deepEqual([a.said.get(next)?.map(({ length }) => length), z.node.talk?.received], [[20], received + 50])
  })

  it('moves there, at both ends, and leaves nothing open', () => {
    for (const direct of [true, false]) {
      const { at, z, a, first } = linked()
      const next = at.make(a, z, direct)
      at.settle()
      assert.deepEqual(pathsOf(a, z), [[next, next], [next, next]])
      assert.notEqual(next, first)
      checkTalk(at, a, z)
      assert.deepEqual([codes(a), codes(z)], [['path', 'path'], ['path', 'path']])
    }
  })

  it('leaves the former path with the other end\'s second word on the new one, not with the first', () => {
    const { at, z, a, first } = linked()
    const next = at.make(a, z)
    at.settle(2) // the other end hears of the path, and greets
    assert.deepEqual(pathsOf(a, z), [[next, first, next], [first, first, next]])
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[next, next], [next, next]])
  })

  it('takes what still comes on the former path, and nothing twice', () => {
    const { at, z, a, first } = linked()
    const received = a.node.talk?.received ?? 0
    at.held.add(first)
    say(at, z, 100)
    const next = at.make(a, z)
    at.settle(2)
    at.held.add(next)
    at.held.delete(first)
    at.settle()
    assert.deepEqual([pathOf(a), a.node.talk?.received], [next, received + 100])
    at.held.delete(next)
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[next, next], [next, next]])
    checkTalk(at, a, z)
  })

  it('says again on the new path what was lost with the former one', () => {
    const { at, z, a, first } = linked()
    at.held.add(first)
    say(at, a, 100)
    say(at, z, 70)
    at.make(a, z)
    at.settle()
    assert.deepEqual([z.node.talk?.received, a.node.talk?.received], [a.node.talk?.sent, z.node.talk?.sent])
    checkTalk(at, a, z)
  })

  it('stays where it is, and drops the new path after two seconds, when the other end is silent there', () => {
    const { at, z, a, first } = linked()
    const next = at.make(a, z)
    at.held.add(next)
    at.pass(1_999)
    assert.deepEqual(pathsOf(a), [[first, first, next]])
    at.pass(1)
    assert.deepEqual([pathsOf(a, z), codes(a)], [[[first, first], [first, first]], ['path', 'attempt ERR_PATH_TIMEOUT']])
    at.held.delete(next)
    at.settle() // the other end hears of the path, and then that it is gone
    assert.deepEqual(pathsOf(a, z), [[first, first], [first, first]])
    checkTalk(at, a, z)
  })

  it('stays where it is when the new path is lost before anything came', () => {
    const { at, z, a, first } = linked()
    at.cut(at.make(a, z), a)
    at.pass(2_000)
    assert.deepEqual([pathsOf(a), codes(a)], [[[first, first]], ['path', 'attempt ERR_STAR_LOST']])
    checkTalk(at, a, z)
  })

  it('goes on on the new path at once when its own is lost meanwhile', () => {
    const { at, z, a, first } = linked()
    say(at, a, 100)
    at.settle() // has come, but isn't acknowledged yet
    const next = at.make(a, z)
    at.held.add(next)
    at.cut(first, a, z)
    assert.deepEqual([pathsOf(a), a.opening], [[[next, next]], false])
    at.held.delete(next)
    at.settle()
    assert.deepEqual([pathsOf(a, z), z.opening], [[[next, next], [next, next]], false])
    assert.equal(a.node.talk?.link.session.figures.resent, 0)
    checkTalk(at, a, z)
  })

  it('goes back to the former path when the new one is lost before the other end has moved', () => {
    const { at, z, a, first } = linked()
    const next = at.make(a, z)
    at.settle(2)
    say(at, a, 50) // goes out on the new path, and is lost with it
    at.cut(next, z, a)
    assert.deepEqual([pathsOf(a, z), z.opening, a.opening], [[[first, first], [first, first]], false, false])
    at.settle()
    assert.equal(z.node.talk?.received, a.node.talk?.sent)
    checkTalk(at, a, z)
  })

  it('goes back to the former path within a second when the new one is silent, though nothing waits', () => {
    const { at, z, a, first } = linked()
    const next = at.make(a, z)
    at.settle(2)
    at.held.add(next)
    at.pass(749)
    assert.equal(pathOf(a), next)
    at.pass(1)
    assert.deepEqual(pathsOf(a), [[first, first]])
    at.pass(2_000)
    assert.deepEqual(pathsOf(z), [[first, first]])
    checkTalk(at, a, z)
  })

  it('goes at once to a path that is made while it has none', () => {
    const { at, z, a, first } = linked()
    say(at, a, 100)
    at.cut(first, a, z)
    assert.equal(a.opening, true)
    const next = at.make(a, z)
    assert.deepEqual([pathsOf(a), a.opening], [[[next, next]], false])
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[next, next], [next, next]])
    checkTalk(at, a, z)
    assert.deepEqual([a.opening, z.opening], [false, false])
  })

  it('looks for another path within a second when the other end never hears of the one that it went to', () => {
    const { at, z, a, first } = linked()
    at.cut(first, a, z)
    at.cut(at.make(a, z)) // nobody is told, and one end knows nothing of it
    at.pass(749)
    assert.deepEqual([a.opening, pathOf(z)], [false, undefined])
    passLaying(at, 500, a, z)
    assert.equal(pathOf(a), pathOf(z))
    assert.notEqual(pathOf(a), undefined)
    checkTalk(at, a, z)
  })

  it('moves to the newest of several', () => {
    const { at, z, a } = linked()
    const [second, third] = [at.make(a, z), at.make(a, z)]
    assert.deepEqual([...a.node.paths].includes(second), false)
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[third, third], [third, third]])
    checkTalk(at, a, z)
    const fourth = at.make(a, z)
    at.settle(2)
    const fifth = at.make(a, z) // in the middle of a move
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[fifth, fifth], [fifth, fifth]])
    assert(fourth < fifth)
    checkTalk(at, a, z)
  })

  it('keeps the path that the other end is still on when one more is made', () => {
    const { at, z, a, first } = linked()
    const second = at.make(a, z)
    at.settle(2)
    at.held.add(second)
    const third = at.make(a, z)
    at.held.add(third)
    assert.deepEqual(pathsOf(a, z), [[second, first, second, third], [first, first, second]])
    at.cut(second, a)
    assert.deepEqual(pathsOf(a), [[first, first, third]])
    at.pass(3_000)
    assert.deepEqual(pathsOf(a, z), [[first, first], [first, first]])
    checkTalk(at, a, z)
  })

  it('is found again by two ends that have each moved to where the other one was', () => {
    const { at, z, a, first } = linked()
    at.cut(first, a, z)
    const second = at.make(a, z)
    at.held.add(second)
    const third = at.make(a, z)
    at.settle(1) // the one end hears of the third path before the second
    at.held.add(third)
    at.held.delete(second)
    at.settle()
    at.held.delete(third)
    at.settle()
    passLaying(at, 10_000, a, z)
    assert.equal(pathOf(a), pathOf(z))
    checkTalk(at, a, z)
  })

  it('is resumed through the star in the middle of a move', () => {
    for (let messages = 0; messages < 6; messages++) {
      for (const told of ['a', 'z'] as const) {
        const { at, first, ...seats } = linked()
        const { a, z } = seats
        at.cut(first, seats[told])
        const next = at.make(a, z)
        at.settle(messages)
        at.cut(next, a, z)
        passLaying(at, 10_000, a, z)
        assert.equal(pathOf(a), pathOf(z), `after ${messages} messages`)
        assert.deepEqual([a.node.paths.size, z.node.paths.size], [1, 1])
        checkTalk(at, a, z)
      }
    }
  })

  for (const act of ['end', 'reset'] as const) {
    it(`can be closed at any moment of a move, by either end: ${act}`, () => {
      for (const [messages, closer] of Array.from({ length: 9 }).flatMap((_, count) => [[count, 'a'], [count, 'z']] as const)) {
        const { at, first: _first, ...seats } = linked()
        const { a, z } = seats
        at.make(a, z)
        at.settle(messages)
        const { node } = seats[closer]
        const [talk] = node.talks
        assert(talk != null)
        node[act](talk, at.now)
        at.settle()
        for (const { node: other } of act === 'end' ? [a, z] : []) {
          other.talks.filter(({ saidEnd }) => !saidEnd).forEach(each => { other.end(each, at.now) })
        }
        at.pass(5_000)
        const what = `by ${closer} after ${messages} messages`
        const reason = act === 'end' ? undefined : 'ERR_STREAM_RESET'
        for (const { node: { pair, paths, talks, faults } } of [a, z]) {
          assert.deepEqual([pair.idle, paths.size, talks[0]?.error?.code, faults], [true, 0, reason, []], what)
        }
      }
    })
  }

  it('does not keep a path for a link that is over at one end, or that was never there', () => {
    const { at, z, a, first } = linked()
    at.held.add(first)
    const { talk } = z.node
    assert(talk != null)
    z.node.reset(talk, at.now)
    at.make(a, z)
    at.settle()
    assert.deepEqual(pathsOf(a, z), [[first, first], [undefined]])
    const outputs = z.node.pair.input({ type: 'adopt', path: 99, link: 7n, direct: true }, at.now)
    const closed = outputs.map(output => output.do === 'close' && [output.path, output.error?.code])
    assert.deepEqual(closed, [[99, 'ERR_LINK_UNKNOWN']])
    assert.equal(z.node.pair.idle, true)
  })

  it('that can\'t be resumed outlives the path that it has moved from', () => {
    const { at, z, a, first } = linked({ options: { window: 600, resumeTimeout: 0 } })
    const next = at.make(a, z)
    at.settle()
    at.feed(a, { type: 'lost', path: first, error: LOST })
    assert.deepEqual(pathsOf(a, z), [[next, next], [next, next]])
    at.cut(next, a, z)
    assert.deepEqual([a, z].map(({ node }) => node.talks[0]?.error?.code), ['ERR_STAR_LOST', 'ERR_STAR_LOST'])
    assert.deepEqual([a.node.pair.idle, z.node.pair.idle], [true, true])
  })
})

describe('A path that is dead', () => {
  for (const [direct, patience] of [[true, 750], [false, 3_000]] as const) {
    it(`is left after ${patience} ms when it goes ${direct ? 'past' : 'through'} the star and something waits`, () => {
      const { at, z, a } = linked()
      const next = at.make(a, z, direct)
      at.settle()
      at.cut(next)
      say(at, a, 10)
      at.pass(patience - 1)
      assert.equal(pathOf(a), next)
      at.pass(1)
      assert.deepEqual([pathOf(a), a.opening], [undefined, true])
    })
  }

  it('makes either end look for another one at once', () => {
    const { at, z, a, first } = linked()
    at.cut(first)
    say(at, z, 10)
    at.pass(3_000)
    assert.deepEqual([pathOf(z), z.opening], [undefined, true])
    assert.equal(pathOf(a), first)
    passLaying(at, 500, a, z)
    checkTalk(at, a, z)
  })
})
