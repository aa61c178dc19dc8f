// Paths with something wrong on the way or at the other end: whatever it is, both agree or the path is closed with 4000.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toFrame } from '../../../src/rendezvous/frame.ts'
import { PathKeys, authenticationKeys } from '../../../src/rendezvous/keys.ts'
import { encodeMessage } from '../../../src/rendezvous/wire.ts'
import { Random } from '../../support/random.ts'
import { TRANSCRIPT, converse, end, established, hex, nodeCrypto, scripted, times, toHex } from '../../support/rendezvous.ts'
import type { Role } from '../../../src/rendezvous/keys.ts'
import type { End, EndSetup } from '../../support/rendezvous.ts'

const AK = TRANSCRIPT.ak

interface Pair {
  readonly rid: End
  readonly rrd: End
}

function pair (ridSetup: EndSetup = {}, rrdSetup: EndSetup = ridSetup, nominator: Role = 'rid'): Pair {
  const rid = end('rid', nominator === 'rid', ridSetup)
  const rrd = end('rrd', nominator === 'rrd', rrdSetup)
  rid.tell({ type: 'open' })
  rrd.tell({ type: 'open' })
  return { rid, rrd }
}

function sealed (role: Role, number: number, plaintext: Uint8Array): Uint8Array {
  const keys = new PathKeys(nodeCrypto, role, TRANSCRIPT.pathId, AK, authenticationKeys(AK), number)
  return concat([...toFrame(keys.seal(plaintext), false)])
}

function checkClosed (one: End, code: string): void {
  assert.deepEqual([one.closed?.code, one.closed?.error?.code], [4000, code])
  assert.equal(one.machine.state, 'closed')
  assert.equal(one.rph, undefined)
}

/** The only two ways that a path may be at the end: closed with 4000 for a reason, or in step. */
function checkAgreed (rid: End, rrd: End): void {
  for (const one of [rid, rrd]) {
    if (one.machine.state === 'closed') {
      assert.equal(one.closed?.code, 4000)
      assert.match(one.closed?.error?.code ?? '', /^ERR_(PROTOCOL|PATH_PROOF)$/)
    }
  }
  if (rid.rph != null && rrd.rph != null) {
    assert.deepEqual(rid.rph, rrd.rph)
  }
}

/** Says everything that there is to say on a path, cut and held back at random; `meddle` may change each piece. */
function run (random: Random, { rid, rrd }: Pair, meddle: (piece: Uint8Array) => Uint8Array = piece => piece): void {
  const ways = [{ from: rid, to: rrd, queue: new Uint8Array() }, { from: rrd, to: rid, queue: new Uint8Array() }]
  const sends = new Map([[rid, random.between(0, 4)], [rrd, random.between(0, 4)]])
  for (let idle = 0; idle < 80;) {
    const way = random.pick(ways)
    way.queue = concat([way.queue, ...way.from.speak()])
    const { from, to, queue } = way
    if (from.machine.state === 'awaitNominate' && random.chance(0.3)) {
      from.tell({ type: 'nominate' })
    }
    const left = sends.get(from) ?? 0
    if (from.machine.state === 'nominated' && left > 0) {
      sends.set(from, left - 1)
      from.tell({ type: 'send', bytes: random.bytes(random.between(0, 60)) })
    }
    const length = random.between(1, random.chance(0.5) ? 5 : 200)
    idle = queue.byteLength === 0 ? idle + 1 : 0
    if (queue.byteLength > 0) {
      to.hear(meddle(queue.subarray(0, length)))
      way.queue = queue.subarray(length)
    }
  }
}

describe('Two ends of a path', () => {
  it('agree under every cut and delay: same hash, all data, in order', () => {
    fc.assert(fc.property(fc.integer(), fc.constantFrom<Role>('rid', 'rrd'), (seed, nominator) => {
      const both = pair({}, {}, nominator)
      run(new Random(seed), both)
      const { rid, rrd } = both
      assert.deepEqual([rid.machine.state, rrd.machine.state], ['nominated', 'nominated'])
      assert.equal(toHex(rid.rph ?? hex('')), toHex(rrd.rph ?? hex('01')))
      assert.equal(rid.delivered.length, rrd.frames.length - (nominator === 'rrd' ? 3 : 2))
      assert.equal(rrd.delivered.length, rid.frames.length - (nominator === 'rid' ? 2 : 1))
    }), { numRuns: 300 })
  })

  it('agree or close with 4000 when bytes are changed, left out, doubled or put in', () => {
    fc.assert(fc.property(fc.integer(), fc.constantFrom<Role>('rid', 'rrd'), (seed, nominator) => {
      const random = new Random(seed)
      const both = pair({}, {}, nominator)
      let done = 0
      run(random, both, piece => {
        if (done > 0 || !random.chance(0.1)) {
          return piece
        }
        done++
        return random.pick([
          (): Uint8Array => piece.map((byte, index) => index === 0 ? byte ^ random.between(1, 255) : byte),
          (): Uint8Array => piece.subarray(1),
          (): Uint8Array => concat([piece, piece]),
          (): Uint8Array => concat([random.bytes(random.between(1, 90)), piece])
        ])()
      })
      checkAgreed(both.rid, both.rrd)
    }), { numRuns: 300 })
  })

  it('deliver nothing that was not sent, whichever bit is changed', () => {
    const sent = [hex('aa'), hex('bbbb')]
    const bits = (4 + 1 + 16 + 4 + 2 + 16) * 8
    for (let bit = 0; bit < bits; bit++) {
      const both = established('rid')
      both.rid.tell({ type: 'nominate' })
      converse(both.rid, both.rrd)
      sent.forEach(bytes => both.rid.tell({ type: 'send', bytes }))
      const bytes = concat(both.rid.speak())
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ 1 << (bit & 7)
      both.rrd.hear(bytes)
      both.rrd.delivered.forEach((got, index) => { assert.deepEqual(got, sent[index]) })
      assert.ok(both.rrd.delivered.length < 2)
      if (both.rrd.closed != null) {
        assert.equal(both.rrd.closed.code, 4000)
      } else {
        // the length says that more is to come: then it is waited for
        assert.equal(both.rrd.machine.state, 'nominated')
      }
    }
  })
})

describe('The end of a path', () => {
  it('is a wrong key: RID can open nothing', () => {
    const { rid, rrd } = pair({ ak: times(1, 32) }, { ak: times(2, 32) })
    converse(rid, rrd)
    checkClosed(rid, 'ERR_PATH_PROOF')
    assert.equal(rid.frames.length, 0)
    const { rid: other } = pair({ pathId: 1 }, { pathId: 2 })
    other.hear(pair({ pathId: 2 }).rrd.frames[0] as Uint8Array)
    checkClosed(other, 'ERR_PATH_PROOF')
  })

  it('is somebody who answers without the key', () => {
    const { rrd } = pair()
    const { rid } = pair({ ak: times(9, 32) })
    rid.hear(pair({ ak: times(9, 32) }).rrd.frames[0] as Uint8Array)
    rrd.hear(rid.frames[0] as Uint8Array)
    checkClosed(rrd, 'ERR_PATH_PROOF')
    assert.equal(rrd.frames.length, 1, 'no Auth')
  })

  it('is a frame that comes back to who sent it, in every state', () => {
    const { rid, rrd } = pair()
    rrd.hear(rrd.frames[0] as Uint8Array)
    checkClosed(rrd, 'ERR_PATH_PROOF')
    rid.hear(rrd.frames[0] as Uint8Array)
    rid.hear(rid.frames[0] as Uint8Array)
    checkClosed(rid, 'ERR_PATH_PROOF')
    for (const nominator of ['rid', 'rrd'] as const) {
      const both = established(nominator)
      const mine = both[nominator]
      mine.tell({ type: 'nominate' })
      mine.hear(mine.frames.at(-1) as Uint8Array)
      assert.deepEqual([mine.closed?.code, mine.closed?.error?.code], [4000, 'ERR_PATH_PROOF'])
      const other = both[nominator === 'rid' ? 'rrd' : 'rid']
      other.hear(other.frames.at(-1) as Uint8Array)
      checkClosed(other, 'ERR_PATH_PROOF')
    }
  })

  it('is a frame that comes twice: each of them', () => {
    for (const [who, index] of [['rrd', 0], ['rid', 0], ['rrd', 1]] as const) {
      const { rid, rrd } = pair()
      const other = who === 'rid' ? rrd : rid
      for (let round = 0; round < 3 && (who === 'rid' ? rid : rrd).frames.length <= index; round++) {
        rrd.speak().forEach(bytes => rid.hear(bytes))
        rid.speak().forEach(bytes => rrd.hear(bytes))
      }
      const frame = (who === 'rid' ? rid : rrd).frames[index] as Uint8Array
      converse(rid, rrd)
      other.hear(frame)
      assert.deepEqual([other.closed?.code, other.closed?.error?.code], [4000, 'ERR_PATH_PROOF'], `${who} ${index}`)
      assert.equal(other.rph, undefined)
    }
  })

  it('is a Hello from another time: what it leads to is no path', () => {
    const old = pair()
    const replayed = old.rrd.frames[0] as Uint8Array
    // to a fresh end with the same key and path, which `claim` makes impossible within one rendezvous
    const { rid } = pair()
    rid.hear(replayed)
    assert.equal(rid.machine.state, 'awaitAuth')
    old.rid.hear(replayed)
    old.rrd.hear(old.rid.frames[0] as Uint8Array)
    rid.hear(old.rrd.frames[1] as Uint8Array)
    checkClosed(rid, 'ERR_PATH_PROOF')
  })

  it('is an answer to a challenge that is not ours', () => {
    const { rrd } = pair()
    const message = { response: times(1, 16), challenge: times(2, 16), etk: nodeCrypto.publicKey(times(3, 32)) }
    rrd.hear(sealed('rid', 1, encodeMessage('authHello', message)))
    checkClosed(rrd, 'ERR_PATH_PROOF')
    assert.equal(rrd.frames.length, 1)
    const { rid } = pair()
    const { rrd: other } = pair()
    rid.hear(other.frames[0] as Uint8Array)
    rid.hear(sealed('rrd', 2, encodeMessage('auth', { response: times(1, 16) })))
    checkClosed(rid, 'ERR_PATH_PROOF')
  })

  it('is a public key of low order, before anything more is said', () => {
    const { rrd, rid } = pair({ crypto: { ...nodeCrypto, random: bytes => times(7, bytes) } })
    const message = { response: times(7, 16), challenge: times(2, 16), etk: new Uint8Array(32) }
    rrd.hear(sealed('rid', 1, encodeMessage('authHello', message)))
    checkClosed(rrd, 'ERR_PROTOCOL')
    assert.equal(rrd.frames.length, 1, 'no Auth')
    assert.equal(rrd.story.includes('established'), false)
    rid.hear(sealed('rrd', 1, encodeMessage('hello', { challenge: times(2, 16), etk: new Uint8Array(32) })))
    rid.hear(sealed('rrd', 2, encodeMessage('auth', { response: times(7, 16) })))
    checkClosed(rid, 'ERR_PROTOCOL')
    assert.equal(rid.story.includes('established'), false)
  })

  it('is a message with a field that is too short or too long', () => {
    const { rid } = pair()
    rid.hear(sealed('rrd', 1, encodeMessage('hello', { challenge: times(2, 15), etk: times(2, 32) })))
    checkClosed(rid, 'ERR_PROTOCOL')
    const { rrd } = pair()
    const etk = nodeCrypto.publicKey(times(3, 31 + 1)).subarray(1)
    rrd.hear(sealed('rid', 1, encodeMessage('authHello', { response: times(1, 16), challenge: times(2, 16), etk })))
    checkClosed(rrd, 'ERR_PROTOCOL')
  })

  it('is data before Nominate from a nominator that is in a hurry', () => {
    const rrd = end('rrd', false, { crypto: scripted(nodeCrypto, TRANSCRIPT.rrd) })
    rrd.tell({ type: 'open' })
    rrd.hear(hex(TRANSCRIPT.authHello))
    const keys = { rid: hex(TRANSCRIPT.ridtk), rrd: hex(TRANSCRIPT.rrdtk) }
    const data = new PathKeys(nodeCrypto, 'rid', TRANSCRIPT.pathId, AK, keys, 2).seal(fromString('hello'))
    rrd.hear(concat([...toFrame(data, false)]))
    checkClosed(rrd, 'ERR_PROTOCOL')
    assert.deepEqual(rrd.delivered, [])
  })

  it('is any bytes at any time, unless they are waited for', () => {
    fc.assert(fc.property(fc.constantFrom<Role>('rid', 'rrd'), fc.nat({ max: 3 }), fc.array(fc.uint8Array({ minLength: 1 })),
      (role, steps, chunks) => {
        const both = pair()
        for (let step = 0; step < steps; step++) {
          both.rrd.speak().forEach(bytes => both.rid.hear(bytes))
          both.rid.speak().forEach(bytes => both.rrd.hear(bytes))
        }
        const one = both[role]
        chunks.forEach(bytes => one.hear(bytes))
        assert.equal(one.rph, undefined)
        assert.ok(one.closed == null || one.closed.code === 4000)
        const total = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
        assert.ok(one.closed != null || total < 16_384 + 4)
      }), { numRuns: 500 })
  })
})
