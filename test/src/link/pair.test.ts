// One peer seen from another, moment by moment: dials, ends, reasons, timers. What strangers may try is in pair-hostile.test.ts.
import assert from 'node:assert/strict'
import { StarError } from '../../../src/errors.ts'
import { LinkTable } from '../../support/link-table.ts'
import type { NodeSetup } from '../../support/link-node.ts'
import type { Seat } from '../../support/link-table.ts'

const plan = { bytes: 10, end: false, auto: true }
const Z: NodeSetup = { name: 'Z', peer: 'A', incarnation: 1, plan, identity: true }
const A: NodeSetup = { name: 'A', peer: 'Z', incarnation: 1, plan, identity: true }

/** Two peers at a table, and the path of their link if they have one already. */
function table (changes: Partial<NodeSetup> = {}): { at: LinkTable, z: Seat, a: Seat } {
  const at = new LinkTable()
  return { at, z: at.seat({ ...Z, ...changes }), a: at.seat({ ...A, ...changes }) }
}

function noFaults (...seats: readonly Seat[]): void {
  for (const { node } of seats) {
    assert.deepEqual(node.faults, [])
  }
}

/** How each link ended that a peer had. */
function endings ({ node }: Seat): Array<string | undefined> {
  return node.talks.map(({ over, error }) => over ? error?.code ?? 'in good order' : undefined)
}

function states ({ node }: Seat): string[] {
  return node.dials.map(({ state, error }) => error == null ? state : error.code)
}

describe('A dial', () => {
  it('costs one round trip before the first byte', () => {
    const { at, z, a } = table()
    at.feed(a, { type: 'dial' })
    const path = at.lay(a, z)
    assert.equal(at.settle(2), 2) // the path, and the name
    assert.equal(at.settle(2), 2) // status and challenge
    const { length } = a.said.get(path) ?? []
    assert.equal(length, 3, 'name, reply, and the first bytes behind it')
    at.settle()
    assert.equal(a.node.pair.link?.id, z.node.pair.link?.id)
    noFaults(a, z)
  })

  it('is answered with the link that there is, also while it has no path', () => {
    const { at, z, a } = table()
    const path = at.dial(a, z)
    at.feed(z, { type: 'dial' })
    at.cut(path, a)
    at.feed(a, { type: 'dial' })
    assert.deepEqual([states(z), states(a)], [['dialled'], ['dialled', 'dialled']])
  })

  it('joins the attempt of the other peer that is just being let in', () => {
    const { at, z, a } = table()
    at.slow = true
    at.dial(a, z)
    at.answer(a)
    at.answer(z) // who has proved itself is let in now
    at.feed(z, { type: 'dial' })
    assert.deepEqual([z.opening, states(z)], [false, ['waiting']])
    at.answer(z)
    at.answer(a)
    assert.deepEqual([states(z), states(a)], [['dialled'], ['dialled']])
    assert.equal(z.node.pair.link?.id, a.node.pair.link?.id)
  })

  it('of the other peer comes first as long as our own has no path', () => {
    const { at, z, a } = table()
    at.feed(z, { type: 'dial' })
    at.dial(a, z)
    assert.deepEqual([states(z), states(a), z.opening], [['dialled'], ['dialled'], false])
    at.feed(z, { type: 'opened', path: 99 }) // too late
    assert.deepEqual([[...z.node.paths], z.node.pair.link?.path], [[1], 1])
  })

  it('of the lesser one hands out no link before the greater one\'s dial has come to something', () => {
    const { at, z, a } = table()
    at.feed(z, { type: 'dial' })
    at.feed(a, { type: 'dial' })
    at.held.add(at.lay(z, a))
    at.feed(a, { type: 'incoming', path: 99 }) // somebody is at the door
    at.lay(a, z)
    at.settle()
    assert.deepEqual([a.node.talks.length, states(a)], [0, ['waiting']])
  })

  it('of the lesser one that is taken after all counts, and not what it was just letting in', () => {
    const { at, z, a } = table()
    at.feed(z, { type: 'dial' })
    at.feed(a, { type: 'dial' })
    const greater = at.lay(z, a)
    at.lay(a, z)
    at.slow = true
    at.settle()
    at.answer(z)
    at.answer(a) // both have replied, and the greater one is being let in
    at.cut(greater, z) // which gives its dial up, and takes the lesser one's
    at.slow = false
    at.answer(z)
    at.answer(a)
    at.feed(a, { type: 'signed', path: greater, signature: new Uint8Array() })
    assert.deepEqual([states(a), states(z)], [['dialled'], ['dialled']])
    assert.deepEqual([a.node.pair.link?.path, z.node.pair.link?.path, a.node.talks.length], [2, 2, 1])
  })

  it('fails with the reason for which its user has ended the link, before the other one has proved itself', () => {
    const { at, z, a } = table()
    at.feed(a, { type: 'dial' })
    at.lay(a, z)
    at.settle(4)
    const [talk] = a.node.talks
    assert(talk != null && a.node.pair.link == null)
    a.node.reset(talk, at.now)
    assert.deepEqual([states(a), a.node.pair.idle], [['ERR_STREAM_RESET'], true])
    at.settle()
    assert.equal(z.node.pair.idle, true)
  })

  it('that is held up for long does not make its path seem dead', () => {
    const { at, z, a } = table()
    at.feed(a, { type: 'dial' })
    const path = at.lay(a, z)
    at.settle(4)
    at.held.add(path)
    at.pass(4_500)
    assert.equal(a.node.talks.length, 1)
    at.held.delete(path)
    at.settle()
    const { length } = a.said.get(path) ?? []
    at.pass(50)
    assert.deepEqual([states(a), a.said.get(path)?.length], [['dialled'], length])
  })

  it('is tried anew when the attempt that it has joined comes to nothing', () => {
    const { at, z, a } = table()
    at.slow = true
    const path = at.dial(a, z)
    at.answer(a)
    at.answer(z)
    at.feed(z, { type: 'dial' })
    at.cut(path, z)
    assert.deepEqual([z.opening, states(z)], [true, ['waiting']])
  })

  it('fails with the reason for which no path was opened', () => {
    const { at, a } = table()
    at.feed(a, { type: 'dial' })
    at.refuse(a, new StarError('ERR_PEER_NOT_FOUND'))
    assert.deepEqual([states(a), a.node.pair.idle, a.node.pair.wakeAt], [['ERR_PEER_NOT_FOUND'], true, undefined])
  })

  it('that is given up leaves nothing behind, whenever that is', () => {
    for (let messages = -1; messages < 8; messages++) {
      const { at, z, a } = table()
      at.feed(a, { type: 'dial' })
      if (messages >= 0) {
        at.lay(a, z)
        at.settle(messages)
      }
      const had = a.node.pair.link != null
      at.feed(a, { type: 'cancel' })
      at.pass(60_000)
      assert.deepEqual([a.node.pair.idle, z.node.pair.idle, a.opening], [!had, !had, false], `after ${messages} messages`)
      noFaults(a, z)
    }
  })

  for (const [dialler, listener] of [[Z, A], [A, Z]] as const) {
    it(`of ${dialler.name} fails in time, and leaves nothing behind, wherever the other one falls silent`, () => {
      for (let messages = 0; messages < 7; messages++) {
        const at = new LinkTable()
        const one = at.seat(dialler)
        const other = at.seat(listener)
        at.feed(one, { type: 'dial' })
        const path = at.lay(one, other)
        at.settle(messages)
        at.held.add(path)
        at.pass(15_000)
        assert(one.node.dials.every(({ state }) => state !== 'waiting'), `after ${messages} messages`)
        if (one.node.talks.length === 0 || one.node.dials[0]?.state === 'failed') {
          assert.deepEqual(states(one), ['ERR_LINK_TIMEOUT'], `after ${messages} messages`)
        }
        at.pass(600_000)
        assert.deepEqual([one.node.pair.idle, other.node.pair.idle], [true, true], `after ${messages} messages`)
        noFaults(one, other)
      }
    })
  }

  it('waits for the last words of a link that is being closed, and then makes another one', () => {
    const { at, z, a } = table()
    at.dial(a, z)
    const [talk] = a.node.talks
    const [theirs] = z.node.talks
    assert(talk != null && theirs != null)
    a.node.end(talk, at.now)
    at.settle()
    at.feed(a, { type: 'dial' })
    assert.deepEqual([a.node.pair.link, a.opening], [undefined, false])
    z.node.end(theirs, at.now)
    at.settle()
    assert.deepEqual([endings(a), endings(z), a.opening], [['in good order'], ['in good order'], true])
    at.lay(a, z)
    at.settle()
    assert.deepEqual([states(a), a.node.pair.link?.id], [['dialled', 'dialled'], z.node.pair.link?.id])
  })

  it('does not wait longer than a second for these last words', () => {
    const { at, z, a } = table()
    at.dial(a, z)
    const [talk] = a.node.talks
    assert(talk != null)
    a.node.end(talk, at.now)
    at.feed(a, { type: 'dial' })
    at.pass(1_000)
    assert.deepEqual([endings(a), endings(z), a.opening], [['ERR_STREAM_CLOSED'], ['ERR_STREAM_CLOSED'], true])
  })
})

describe('A link', () => {
  it('that can\'t be resumed ends with its path, and with its reason', () => {
    const { at, z, a } = table({ plan: { ...plan, bytes: 5 } })
    at.cut(at.dial(a, z), a, z)
    assert.deepEqual([endings(a), endings(z)], [['ERR_STAR_LOST'], ['ERR_STAR_LOST']])
    assert.deepEqual([a.node.pair.idle, a.node.pair.resumable], [true, false])
  })

  it('can\'t be resumed as long as one end does not have its secret', () => {
    const { at, z } = table()
    const a = at.seat({ ...A, plan: { ...plan, bytes: 8 } })
    at.cut(at.dial(a, z), a, z)
    assert.deepEqual([a.opening, endings(z)], [true, ['ERR_STAR_LOST']])
    at.lay(a, z)
    at.settle()
    assert.deepEqual([endings(a), a.node.pair.idle, z.node.pair.idle], [['ERR_LINK_UNKNOWN'], true, true])
  })

  it('ends with its path where it is not to be resumed', () => {
    const { at, z, a } = table({ options: { resumeTimeout: 0 } })
    at.cut(at.dial(a, z), a, z)
    assert.deepEqual([endings(a), endings(z)], [['ERR_STAR_LOST'], ['ERR_STAR_LOST']])
  })

  it('is resumed at once when the other peer is seen, however long the next try is off', () => {
    const { at, z, a } = table()
    const path = at.dial(a, z)
    at.cut(path, z)
    assert.equal(z.opening, false)
    at.feed(z, { type: 'seen' })
    assert.equal(z.opening, true)
    at.refuse(z, new StarError('ERR_PEER_NOT_FOUND'))
    at.feed(z, { type: 'seen' })
    assert.equal(z.opening, true)
    at.lay(z, a)
    at.settle()
    assert.deepEqual([states(a), endings(a), endings(z)], [['dialled'], [undefined], [undefined]])
    at.feed(z, { type: 'seen' })
    assert.equal(z.opening, false)
  })

  it('gets another path at once by who has dialled, after a grace by who was dialled', () => {
    const { at, z, a } = table()
    at.cut(at.dial(a, z), a, z)
    assert.deepEqual([a.opening, z.opening], [true, false])
    at.pass(499)
    assert.equal(z.opening, false)
    at.pass(1)
    assert.equal(z.opening, true)
    at.lay(z, a)
    at.settle()
    assert.deepEqual([a.opening, a.node.pair.link?.path, z.node.pair.link?.path], [false, 2, 2])
    noFaults(a, z)
  })

  it('is not given up by who can\'t open a path: the pauses between its tries are doubled, up to four seconds', () => {
    const { at, z, a } = table()
    at.cut(at.dial(a, z), a, z)
    const pauses: number[] = []
    for (let tries = 0; tries < 6; tries++) {
      at.refuse(a, new StarError('ERR_PEER_NOT_FOUND'))
      const before = at.now
      while (!a.opening) {
        at.pass(1)
      }
      pauses.push(at.now - before)
    }
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 4_000])
    const path = at.lay(a, z)
    at.settle()
    at.cut(path, a)
    at.refuse(a, new StarError('ERR_PEER_NOT_FOUND'))
    at.pass(250)
    assert.equal(a.opening, true)
    at.refuse(a, new StarError('ERR_PEER_NOT_FOUND'))
    at.pass(30_000)
    assert.deepEqual([endings(a), a.opening, a.node.pair.wakeAt], [['ERR_LINK_LOST'], false, undefined])
  })

  it('is taken over by the path on which the other end comes back, whose own was lost unnoticed', () => {
    const { at, z, a } = table()
    const path = at.dial(a, z)
    at.cut(path, a)
    at.lay(a, z)
    at.settle()
    assert.deepEqual([[...z.node.paths], z.node.pair.link?.path, endings(z)], [[2], 2, [undefined]])
  })

  it('gets the lesser one\'s path when the greater one\'s own attempt is not answered, without waiting for that', () => {
    const { at, z, a } = table()
    at.cut(at.dial(a, z), a, z)
    at.feed(z, { type: 'seen' })
    const silent = at.lay(z, a)
    at.held.add(silent)
    const path = at.lay(a, z)
    at.settle()
    assert.deepEqual([a, z].map(({ node }) => [node.pair.link?.path, ...node.paths]), [[path, path], [path, path]])
    assert.equal(z.opening, false)
    noFaults(a, z)
  })

  it('is taken over by the newest path on which the other end comes back, whatever comes late', () => {
    const { at, z, a } = table()
    at.cut(at.dial(a, z), a)
    const second = at.lay(a, z)
    at.settle(5) // its reply is on its way
    at.held.add(second)
    at.feed(a, { type: 'lost', path: second, error: new StarError('ERR_STAR_LOST') })
    at.pass(250)
    const third = at.lay(a, z)
    at.settle(2)
    at.held.delete(second)
    at.settle()
    assert.deepEqual([a.node.pair.link?.path, z.node.pair.link?.path, [...z.node.paths]], [third, third, [third]])
    assert.equal(a.node.notes.filter(({ what }) => what === 'attempt').length, 1)
  })

  it('is not resumed when it was ended just before its path was lost', () => {
    const { at, z, a } = table()
    const path = at.dial(a, z)
    a.node.pair.link?.session.lose(new StarError('ERR_STOPPED'))
    at.feed(a, { type: 'lost', path, error: new StarError('ERR_STAR_LOST') })
    assert.deepEqual([a.opening, a.node.pair.idle], [false, true])
    assert.deepEqual(a.node.notes.at(-1), { what: 'over', link: a.node.talks[0]?.link.id, code: 'ERR_STOPPED' })
  })

  it('ends with ERR_PEER_RESTARTED when the other peer is another process now', () => {
    for (const comesBack of [true, false]) {
      const { at, z, a } = table()
      const path = at.dial(a, z)
      const anew = at.seat({ ...A, incarnation: 2 })
      at.cut(path, ...comesBack ? [] : [z])
      at.pass(500)
      if (comesBack) {
        at.dial(anew, z)
        assert.equal(z.node.pair.link?.id, anew.node.pair.link?.id)
      } else {
        at.lay(z, anew)
        at.settle()
        assert.deepEqual([z.node.pair.idle, anew.node.pair.idle], [true, true])
      }
      assert.equal(endings(z)[0], 'ERR_PEER_RESTARTED')
      noFaults(anew, z)
    }
  })

  it('ends with ERR_LINK_UNKNOWN when the other peer has it no more, and ERR_LINK_REPLACED when that makes another one', () => {
    for (const [dials, reason] of [[false, 'ERR_LINK_UNKNOWN'], [true, 'ERR_LINK_REPLACED']] as const) {
      const { at, z, a } = table()
      const path = at.dial(a, z)
      const [talk] = a.node.talks
      assert(talk != null)
      at.cut(path, a)
      a.node.reset(talk, at.now)
      if (dials) {
        at.dial(a, z)
      } else {
        at.feed(z, { type: 'lost', path, error: new StarError('ERR_STAR_LOST') })
        at.pass(500)
        at.lay(z, a)
        at.settle()
      }
      assert.equal(endings(z)[0], reason)
      assert.equal(z.node.pair.link?.id, a.node.pair.link?.id)
    }
  })

  it('counts although its path is gone when the other end\'s last word is checked, and so does what came behind that', () => {
    const { at, z, a } = table()
    at.slow = true
    const path = at.dial(a, z)
    at.answer(a)
    at.answer(z)
    at.answer(z)
    const [talk] = z.node.talks
    assert(talk != null)
    z.node.reset(talk, at.now)
    at.settle()
    assert.deepEqual([states(a), a.node.paths.has(path)], [['waiting'], false])
    at.answer(a)
    assert.deepEqual([states(a), endings(a)], [['dialled'], ['ERR_STREAM_RESET']])
    noFaults(a, z)
  })

  it('is not ended by late news of a path that is dead, or of a session that is over', () => {
    const { at, z, a } = table()
    at.dial(a, z)
    const { link } = a.node.pair
    assert(link != null)
    at.feed(a, { type: 'dead', link })
    at.feed(a, { type: 'lost', path: 99, error: new StarError('ERR_STAR_LOST') })
    at.feed(a, { type: 'closed', link: { ...link } })
    assert.deepEqual([endings(a), a.node.pair.link?.path], [[undefined], 1])
  })

  it('ends on both sides when one says the handshake over again, or what is no frame', () => {
    for (const chunk of [Uint8Array.of(1, 0, 0, 0), Uint8Array.of(9, 0, 0, 0)]) {
      const { at, z, a } = table()
      at.dial(a, z)
      at.feed(z, { type: 'bytes', path: 1, chunk })
      at.settle()
      assert.deepEqual([endings(a), endings(z), z.node.pair.idle], [['ERR_PROTOCOL'], ['ERR_PROTOCOL'], true])
    }
  })
})
