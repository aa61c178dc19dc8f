// A dialled wire whose other end may have dialled, too: what it passes on, takes away and hands over, however the bytes are cut.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { Crossing } from '../../client/upgrade/crossing.ts'
import { PUNCHED } from '../../client/upgrade/puncher.ts'
import { StarError } from '../../src/errors.ts'
import { MAX_HELLO } from '../../src/rendezvous/accept.ts'
import { frameHeader } from '../../src/rendezvous/frame.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { cut } from '../support/contact.ts'
import { end, nodeCrypto, times } from '../support/rendezvous.ts'
import { Owner } from '../support/wires.ts'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'

const OURS = times(1, 32)
const OTHERS = times(2, 32)
const [FIRST = 0, SECOND = 0] = PUNCHED
const HEADER = 4

/** What somebody says first who has dialled a path of that key's rendezvous. */
function hello (ak: Uint8Array, pathId: number): Uint8Array {
  const dialler = end('rrd', false, { ak, pathId })
  dialler.tell({ type: 'open' })
  return concat(dialler.speak())
}

/** A wire without another end: what is done to it, and whom it tells. */
class FakeWire implements Wire {
  readonly via = 'fake'
  readonly queued = 7
  owner: WireOwner | undefined
  readonly sent: Uint8Array[] = []
  readonly closes: number[] = []

  own (owner: WireOwner): void { this.owner = owner }
  send (parts: readonly Uint8Array[]): void { this.sent.push(...parts) }
  pause (): void {}
  resume (): void {}
  close (code: number): void { this.closes.push(code) }
}

/** A crossing, its wire, its owner, and what it has handed over to whom. */
class Case {
  readonly wire = new FakeWire()
  readonly mine = new Rendezvous(nodeCrypto, 'rid', OURS)
  readonly owner = new Owner()
  /** Who has the wire once it was handed over. */
  readonly next = new Owner()
  readonly crossed: Array<{ readonly pathId: number, readonly isWire: boolean, readonly bytes: Uint8Array }> = []
  readonly crossing: Crossing

  constructor (nominator: boolean) {
    this.crossing = new Crossing(this.wire, {
      nominator,
      pathOf: sealed => PUNCHED.find(id => !this.mine.isClaimed(id) && this.mine.isHello(id, sealed)),
      onCrossed: (pathId, wire, bytes) => {
        this.crossed.push({ pathId, isWire: wire === this.wire, bytes: concat([...bytes]) })
        wire.own(this.next)
      }
    })
    this.crossing.own(this.owner)
  }

  hear (...chunks: readonly Uint8Array[]): void {
    chunks.forEach(chunk => { this.wire.owner?.onBytes(chunk) })
  }
}

const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 6 })
const bytes = (maxLength: number, minLength: number = 0): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength })
/** First frames that are no Hello of ours; the last ones are too long, too short, or as our own plain ones. */
const foreign = fc.oneof(
  bytes(MAX_HELLO, 16).map(body => concat([frameHeader(body.byteLength, false), body])),
  fc.constantFrom(hello(OTHERS, FIRST), hello(OURS, 1), hello(OURS, 2_008)),
  fc.constantFrom(MAX_HELLO + 1, 0x7fff_ffff, 15, 0).map(length => frameHeader(length, false)),
  fc.constant(frameHeader(64, true))
)

describe('A crossing', () => {
  for (const nominator of [true, false]) {
    const who = nominator ? 'nominates' : 'does not nominate'

    it(`passes everything on, in order, when the first frame is no Hello of ours, and ${who}`, () => {
      fc.assert(fc.property(foreign, bytes(300), lengths, (first, rest, cuts) => {
        const { crossing, owner, wire, crossed, ...one } = new Case(nominator)
        const all = concat([first, rest])
        cut(all, cuts).forEach(chunk => { wire.owner?.onBytes(chunk) })
        assert.deepEqual([owner.bytes, crossed.length, one.next.received], [all, 0, 0])
        crossing.send([Uint8Array.of(5)])
        assert.deepEqual([wire.sent, wire.closes], [[Uint8Array.of(5)], []])
      }))
      const whole = new Case(nominator)
      whole.hear(concat([hello(OTHERS, FIRST), hello(OURS, FIRST)]))
      assert.deepEqual([whole.owner.received, whole.crossed.length], [2 * hello(OURS, FIRST).byteLength, 0], 'only the first')
    })

    it(`keeps no more than a Hello, and none of the system's memory, while it isn't clear what comes, and ${who}`, () => {
      const one = new Case(nominator)
      const all = concat([frameHeader(MAX_HELLO, false), times(3, MAX_HELLO - 1)])
      const chunk = new Uint8Array(65_536) // the system's
      for (const [index, byte] of all.entries()) {
        chunk[index] = byte
        one.hear(chunk.subarray(index, index + 1))
        assert.equal(one.owner.received, 0)
      }
      chunk.fill(0)
      one.hear(Uint8Array.of(3))
      assert.deepEqual(one.owner.bytes, concat([all, Uint8Array.of(3)]))
      one.hear(times(4, 100_000))
      assert.equal(one.owner.received, HEADER + MAX_HELLO + 100_000)
      const cutOff = new Case(nominator)
      const error = new StarError('ERR_PATH_LOST')
      cutOff.hear(frameHeader(100, false))
      cutOff.wire.owner?.onClose(undefined, error)
      assert.deepEqual([cutOff.owner.ends, cutOff.owner.received], [[{ code: undefined, error }], 0])
      cutOff.owner.assertOver()
    })

    it(`takes no Hello for a crossing one whose path is claimed, and ${who}`, () => {
      const one = new Case(nominator)
      assert.ok(one.mine.claim(FIRST))
      one.hear(hello(OURS, FIRST))
      assert.deepEqual([one.owner.received, one.crossed.length], [hello(OURS, FIRST).byteLength, 0])
    })
  }

  it('takes the Hello of the other end away where we nominate, and hands on what comes behind it, wherever it is cut', () => {
    fc.assert(fc.property(fc.constantFrom(...PUNCHED), bytes(300), lengths, (pathId, rest, cuts) => {
      const one = new Case(true)
      one.hear(...cut(concat([hello(OURS, pathId), rest]), cuts))
      assert.deepEqual([one.owner.bytes, one.crossed.length, one.mine.isClaimed(pathId)], [rest, 0, false])
      one.hear(hello(OURS, pathId)) // once
      assert.equal(one.owner.received, rest.byteLength + hello(OURS, pathId).byteLength)
      one.crossing.send([Uint8Array.of(1)])
      one.crossing.close(4_000)
      assert.deepEqual([one.wire.sent, one.wire.closes], [[Uint8Array.of(1)], [4_000]])
    }))
  })

  it('hands wire and bytes over once where the other end nominates, wherever they are cut', () => {
    fc.assert(fc.property(fc.constantFrom(...PUNCHED), bytes(300), lengths, (pathId, rest, cuts) => {
      const one = new Case(false)
      const all = concat([hello(OURS, pathId), rest])
      const more = hello(OURS, SECOND)
      one.hear(...cut(all, cuts), more)
      const [crossed] = one.crossed
      assert.ok(crossed)
      assert.deepEqual([one.crossed.length, crossed.pathId, crossed.isWire, one.owner.received], [1, pathId, true, 0])
      assert.deepEqual(concat([crossed.bytes, one.next.bytes]), concat([all, more]))
    }))
  })

  it('has nothing more to do with a wire that it has handed over', async () => {
    const one = new Case(false)
    one.crossing.send([Uint8Array.of(1)])
    one.hear(hello(OURS, FIRST))
    one.crossing.send([Uint8Array.of(2)])
    assert.deepEqual(one.wire.sent, [Uint8Array.of(1)])
    one.crossing.close(4_000)
    assert.equal(one.owner.ends.length, 0, 'not from within')
    await one.owner.ended()
    one.crossing.close(1_000)
    one.wire.owner?.onTaken()
    one.wire.owner?.onClose(1_000, undefined)
    await Promise.resolve()
    assert.deepEqual([one.owner.ends, one.wire.closes], [[{ code: 1_000, error: undefined }], []])
    one.owner.assertOver()
    one.next.assertOver()
  })

  it('is closed as the wire is before that, and tells the end once', () => {
    for (const said of [[], [hello(OTHERS, FIRST)]]) {
      const one = new Case(false)
      one.wire.owner?.onOpen()
      one.wire.owner?.onTaken()
      one.hear(...said)
      one.crossing.close(1_000)
      assert.deepEqual([one.wire.closes, one.owner.ends], [[1_000], []])
      one.wire.owner?.onClose(4_000, undefined)
      assert.deepEqual([one.owner.ends, one.owner.opened, one.owner.taken], [[{ code: 4_000, error: undefined }], 1, 1])
      one.owner.assertOver()
    }
    assert.deepEqual([new Case(true).crossing.via, new Case(true).crossing.queued], ['fake', 7])
  })

  it('hands nothing over that it was told to close', () => {
    const one = new Case(false)
    one.crossing.close(1_000) // a farewell: the wire is still read
    one.hear(hello(OURS, FIRST))
    assert.deepEqual([one.crossed, one.wire.closes], [[], [1_000]])
    one.wire.owner?.onClose(undefined, undefined)
    one.owner.assertOver()
  })
})
