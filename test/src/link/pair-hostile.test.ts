// What somebody may try who goes by the name of a peer: nothing of it disturbs that peer's link or dial.
import assert from 'node:assert/strict'
import { linkSecret } from '../../../src/link/digest.ts'
import { LinkTable } from '../../support/link-table.ts'
import { Stranger } from '../../support/stranger.ts'
import type { NodeSetup } from '../../support/link-node.ts'
import type { Claim } from '../../support/stranger.ts'
import type { Seat } from '../../support/link-table.ts'

const plan = { bytes: 10, end: false, auto: true }
const CLAIM: Claim = { name: 'A', peer: 'Z' }

function table (): { at: LinkTable, z: Seat, a: Seat } {
  const at = new LinkTable()
  const setup = (name: string, peer: string): NodeSetup => ({ name, peer, incarnation: 1, plan, identity: true })
  return { at, z: at.seat(setup('Z', 'A')), a: at.seat(setup('A', 'Z')) }
}

/** What must not change: the link, its path, and that it carries. */
function linkOf ({ node }: Seat): string {
  const { link } = node.pair
  return [link?.id, link?.path, node.talk?.over, node.talk?.received, node.talks.length].join()
}

describe('Somebody who has the name of a peer, and nothing else,', () => {
  for (const [what, act] of [
    ['says it', stranger => { stranger.begin() }],
    ['signs with another key', stranger => { stranger.begin().goOn() }],
    ['says something else', stranger => { stranger.say(Uint8Array.of(9, 9, 9, 9, 9)) }],
    ['sends data at once', stranger => { stranger.stream(0, 100) }],
    ['sends data behind its name', stranger => {
      stranger.begin()
      stranger.stream(0, 100)
    }]
  ] satisfies ReadonlyArray<readonly [string, (stranger: Stranger) => void]>) {
    it(`leaves the link as it is when it ${what}`, () => {
      const { at, z, a } = table()
      at.dial(a, z)
      const before = linkOf(z)
      const stranger = new Stranger(at, z, 100, { ...CLAIM, key: 'X' })
      act(stranger)
      assert.deepEqual(linkOf(z), before)
      at.pass(16_000)
      assert.deepEqual([linkOf(z), stranger.open, stranger.proved], [before, false, false])
      assert.deepEqual(linkOf(a), before)
    })

    it(`leaves a dial as it is when it ${what}`, () => {
      for (const [one, other] of [['z', 'a'], ['a', 'z']] as const) {
        const seats = table()
        const { at, z } = seats
        at.feed(seats[one], { type: 'dial' })
        at.lay(seats[one], seats[other])
        for (let path = 100; at.settle(1) > 0; path++) {
          act(new Stranger(at, z, path, { ...CLAIM, key: 'X' }))
        }
        assert.equal(seats[one].node.dials[0]?.state, 'dialled')
        assert.equal(seats.a.node.pair.link?.id, z.node.pair.link?.id)
      }
    })
  }

  it('is refused with a reason', () => {
    const { at, z } = table()
    const stranger = new Stranger(at, z, 100, { ...CLAIM, key: 'X' }).begin().goOn().goOn()
    assert.deepEqual([stranger.failure, stranger.open, z.node.pair.idle], ['ERR_LINK_PROOF', false, true])
  })

  it('does not keep the peer out by any number of names', () => {
    const { at, z, a } = table()
    const strangers = Array.from({ length: 50 }, (_, index) => new Stranger(at, z, 100 + index, CLAIM).begin())
    assert.equal(strangers.filter(({ open }) => open).length, 8)
    at.dial(a, z)
    assert.equal(a.node.dials[0]?.state, 'dialled')
    assert(z.node.notes.some(({ code }) => code === 'ERR_TOO_MANY_IN_FLIGHT'))
  })

  it('does not drive the peer out that has said its last word, by any number of names', () => {
    const { at, z, a } = table()
    at.slow = true
    at.dial(a, z)
    at.answer(a) // its reply is checked now
    Array.from({ length: 50 }, (_, index) => new Stranger(at, z, 100 + index, CLAIM).begin())
    for (const seat of [z, z, a]) {
      at.answer(seat)
    }
    assert.equal(a.node.dials[0]?.state, 'dialled')
  })

  it('does not get more kept than two windows, while its proof is checked', () => {
    const { at, z } = table()
    at.slow = true
    const stranger = new Stranger(at, z, 100, { ...CLAIM, key: 'X' }).begin().goOn()
    for (let offset = 0; stranger.open && offset < 10_000_000; offset += 10_000) {
      stranger.stream(offset, 10_000)
      assert(offset <= 200_000, 'keeps everything')
    }
    assert.deepEqual([stranger.open, z.node.pair.idle], [false, true])
  })
})

describe('Somebody who wants a link of others for itself', () => {
  it('is refused without its secret, and the link stays as it is', () => {
    for (const secret of [new Uint8Array(), new Uint8Array(32), linkSecret(new Uint8Array(1), new Uint8Array(1))]) {
      const { at, z, a } = table()
      at.dial(a, z)
      const before = linkOf(z)
      const resume = z.node.pair.link?.id ?? 0n
      // it signs with the right key, even
      const stranger = new Stranger(at, z, 100, { ...CLAIM, resume, secret }).begin().goOn().goOn()
      assert.deepEqual([stranger.failure, stranger.open], ['ERR_LINK_PROOF', false])
      assert.deepEqual([linkOf(z), linkOf(a)], [before, before])
    }
  })

  it('is refused with what the peer said once, also while the link has no path', () => {
    const { at, z, a } = table()
    const path = at.dial(a, z)
    at.cut(path, a, z)
    const resumed = at.lay(a, z)
    at.settle()
    const before = linkOf(z)
    assert.equal(z.node.pair.link?.path, resumed)
    for (const cut of [false, true]) {
      if (cut) {
        at.cut(resumed, z)
      }
      const stranger = new Stranger(at, z, cut ? 101 : 100, CLAIM)
      a.said.get(resumed)?.forEach(said => { stranger.say(said) })
      stranger.goOn()
      assert.equal(stranger.open, false)
      assert.equal(linkOf(z), cut ? before.replace(`,${resumed},`, ',,') : before)
    }
  })

  it('is refused what can\'t be resumed yet', () => {
    const at = new LinkTable()
    const setup = { incarnation: 1, plan: { ...plan, bytes: 5 }, identity: true }
    const z = at.seat({ name: 'Z', peer: 'A', ...setup })
    const a = at.seat({ name: 'A', peer: 'Z', ...setup })
    at.dial(a, z)
    const before = linkOf(z)
    const stranger = new Stranger(at, z, 100, { ...CLAIM, resume: z.node.pair.link?.id ?? 0n, key: 'X' }).begin().goOn().goOn()
    assert.deepEqual([linkOf(z), stranger.open, stranger.proved], [before, false, false])
  })
})
