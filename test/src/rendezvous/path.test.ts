// A path as the document has it: the transcript byte by byte, what is said when, what is refused in which state, and for how long
// anything is waited for.
import assert from 'node:assert/strict'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { nobleCrypto } from '../../../src/rendezvous/crypto.ts'
import { MAX_FRAME, MAX_HANDSHAKE_FRAME, frameHeader, toFrame } from '../../../src/rendezvous/frame.ts'
import { PathKeys, authenticationKeys } from '../../../src/rendezvous/keys.ts'
import { DISREGARDED_TIME } from '../../../src/rendezvous/path.ts'
import { encodeMessage } from '../../../src/rendezvous/wire.ts'
import {
  HANDSHAKE, NOMINATE, NOW, TRANSCRIPT, converse, end, established, hex, nodeCrypto, scripted, times, toHex
} from '../../support/rendezvous.ts'
import type { Role } from '../../../src/rendezvous/keys.ts'
import type { PathEvent, PathState } from '../../../src/rendezvous/path.ts'
import type { End, EndSetup } from '../../support/rendezvous.ts'

const ROLES: readonly Role[] = ['rid', 'rrd']
const OPEN: PathEvent = { type: 'open' }
const NOMINATION: PathEvent = { type: 'nominate' }
const HELLO = fromString('hello')

/** The two ends of the transcript. */
function transcribed (crypto = nodeCrypto, nominator: Role = 'rid'): { readonly rid: End, readonly rrd: End } {
  return {
    rid: end('rid', nominator === 'rid', { crypto: scripted(crypto, TRANSCRIPT.rid) }),
    rrd: end('rrd', nominator === 'rrd', { crypto: scripted(crypto, TRANSCRIPT.rrd) })
  }
}

function text (frame: Uint8Array | undefined): string {
  return toHex(frame ?? new Uint8Array())
}

function reaches (nominated: Role, setup: EndSetup = {}): { readonly mine: End, readonly theirs: End } {
  const { rid, rrd } = established(nominated, setup)
  const [mine, theirs] = nominated === 'rid' ? [rid, rrd] : [rrd, rid]
  mine.tell(NOMINATION)
  converse(mine, theirs)
  return { mine, theirs }
}

describe('The transcript', () => {
  for (const [name, crypto] of [['@noble', nobleCrypto], ['Node', nodeCrypto]] as const) {
    it(`is what the two ends say, byte by byte, with the crypto of ${name}`, () => {
      const { rid, rrd } = transcribed(crypto)
      rid.tell(OPEN)
      rrd.tell(OPEN)
      assert.equal(text(rrd.frames[0]), TRANSCRIPT.hello)
      rid.hear(hex(TRANSCRIPT.hello))
      assert.equal(text(rid.frames[0]), TRANSCRIPT.authHello)
      rrd.hear(hex(TRANSCRIPT.authHello))
      assert.equal(text(rrd.frames[1]), TRANSCRIPT.auth)
      rid.hear(hex(TRANSCRIPT.auth))
      rid.tell(NOMINATION)
      assert.equal(text(rid.frames[1]), TRANSCRIPT.nominate)
      rrd.hear(hex(TRANSCRIPT.nominate))
      assert.deepEqual([text(rid.rph), text(rrd.rph)], [TRANSCRIPT.rph, TRANSCRIPT.rph])
      rid.tell({ type: 'send', bytes: HELLO })
      rrd.tell({ type: 'send', bytes: HELLO })
      assert.deepEqual([text(rid.frames[2]), text(rrd.frames[2])], [TRANSCRIPT.helloFromRid, TRANSCRIPT.helloFromRrd])
      rrd.hear(hex(TRANSCRIPT.helloFromRid))
      rid.hear(hex(TRANSCRIPT.helloFromRrd))
      assert.deepEqual([rid.delivered, rrd.delivered], [[HELLO], [HELLO]])
      assert.deepEqual(rid.story, ['send', 'established', 'send', 'nominated', 'send', 'deliver'])
      assert.deepEqual(rrd.story, ['send', 'send', 'established', 'nominated', 'send', 'deliver'])
    })
  }

  it('is understood in any pieces, also in one', () => {
    const said = [TRANSCRIPT.authHello, TRANSCRIPT.nominate, TRANSCRIPT.helloFromRid]
    for (const length of [1, 3, 5, 1_000]) {
      const { rrd } = transcribed()
      rrd.tell(OPEN)
      const bytes = hex(said.join(''))
      for (let position = 0; position < bytes.byteLength; position += length) {
        rrd.hear(bytes.subarray(position, position + length))
      }
      assert.deepEqual(rrd.story, ['send', 'send', 'established', 'nominated', 'deliver'])
      assert.deepEqual(rrd.delivered, [HELLO])
    }
  })

  it('goes the other way round when it is RRD that nominates, and Nominate comes behind Auth in one chunk', () => {
    const { rid, rrd } = transcribed(nodeCrypto, 'rrd')
    rid.tell(OPEN)
    rrd.tell(OPEN)
    rid.hear(hex(TRANSCRIPT.hello))
    rrd.hear(hex(TRANSCRIPT.authHello))
    rrd.tell(NOMINATION)
    rrd.tell({ type: 'send', bytes: HELLO })
    assert.equal(text(rrd.frames[1]), TRANSCRIPT.auth)
    rid.hear(concat(rrd.frames.slice(1)))
    assert.deepEqual(rid.story, ['send', 'established', 'nominated', 'deliver'])
    assert.deepEqual(rid.delivered, [HELLO])
    assert.equal(text(rid.rph), TRANSCRIPT.rph)
    rid.tell({ type: 'send', bytes: HELLO })
    // RID has said one thing before, RRD three: numbers 2 and 4 under the transport keys
    const keys = { rid: hex(TRANSCRIPT.ridtk), rrd: hex(TRANSCRIPT.rrdtk) }
    const expected = (role: Role, number: number): string =>
      toHex(toFrame(new PathKeys(nodeCrypto, role, 7, TRANSCRIPT.ak, keys, number).seal(HELLO), false))
    assert.deepEqual([text(rid.frames[1]), text(rrd.frames[3])], [expected('rid', 2), expected('rrd', 4)])
  })
})

describe('A path', () => {
  it('has frames of the sizes that the originals have', () => {
    const { rid, rrd } = established('rid')
    rid.tell(NOMINATION)
    assert.deepEqual([...rrd.frames, ...rid.frames].map(({ byteLength }) => byteLength), [72, 38, 90, 20])
  })

  it('is established at both ends before anybody nominates, with the round trip from our message to its answer', () => {
    const [rid, rrd] = [end('rid', true), end('rrd', false)]
    rid.tell(OPEN)
    rrd.tell(OPEN)
    rid.now += 30
    rid.hear(rrd.frames[0] as Uint8Array)
    rrd.now += 50
    assert.deepEqual(rrd.hear(rid.frames[0] as Uint8Array)[1], { do: 'established', roundTrip: 50 })
    rid.now += 40
    assert.deepEqual(rid.hear(rrd.frames[1] as Uint8Array)[0], { do: 'established', roundTrip: 40 })
    assert.deepEqual([rid.machine.state, rrd.machine.state], ['awaitNominate', 'awaitNominate'])
  })

  it('times the round trip from when its message had left, if that is told, and only the first time', () => {
    const [rid, rrd] = [end('rid', true), end('rrd', false)]
    rid.tell(OPEN)
    rrd.tell(OPEN)
    rrd.now += 400
    rrd.tell({ type: 'written' })
    rrd.now += 7
    rrd.tell({ type: 'written' })
    rid.hear(rrd.frames[0] as Uint8Array)
    rid.now += 3
    rid.tell({ type: 'written' })
    rid.now += 9
    assert.deepEqual(rrd.hear(rid.frames[0] as Uint8Array)[1], { do: 'established', roundTrip: 7 })
    assert.deepEqual(rid.hear(rrd.frames[1] as Uint8Array)[0], { do: 'established', roundTrip: 9 })
    assert.deepEqual([rid.tell({ type: 'written' }), rrd.tell({ type: 'written' })], [[], []])
  })

  it('carries data of any length in both directions, whoever nominated', () => {
    for (const nominator of ROLES) {
      const { mine, theirs } = reaches(nominator)
      const lengths = [0, 1, 16_384, 1_048_576]
      for (const length of lengths) {
        mine.tell({ type: 'send', bytes: times(length, length) })
        theirs.tell({ type: 'send', bytes: times(length, length) })
      }
      converse(mine, theirs)
      for (const { delivered } of [mine, theirs]) {
        assert.deepEqual(delivered.map(({ byteLength }) => byteLength), lengths)
        assert.ok(delivered.every(bytes => bytes.every(byte => byte === (bytes.byteLength & 255))))
      }
      assert.deepEqual(mine.rph, theirs.rph)
    }
  })

  it('sends what is plain as it is, where both ends have agreed to that, beside what is sealed', () => {
    const { mine, theirs } = reaches('rrd', { options: { plain: true } })
    const bytes = times(5, 100)
    const [output] = mine.tell({ type: 'send', bytes, plain: true })
    assert.equal(output?.do === 'send' ? output.frame[1] : undefined, bytes, 'not even copied')
    mine.tell({ type: 'send', bytes: HELLO })
    const frames = concat(mine.speak())
    theirs.hear(frames.subarray(0, 50))
    theirs.hear(frames.subarray(50))
    const delivered = theirs.outputs.filter(one => one.do === 'deliver')
    assert.deepEqual(delivered.map(({ plain }) => plain), [true, true, false])
    assert.deepEqual(concat(delivered.slice(0, 2).map(one => one.bytes)), bytes)
    assert.deepEqual(delivered[2]?.bytes, HELLO)
  })

  it('is closed with the code that is asked for, and nothing follows', () => {
    for (const code of [1000, 4100]) {
      const { mine } = reaches('rid')
      assert.deepEqual(mine.tell({ type: 'close', code }), [{ do: 'close', code }])
      assert.deepEqual([mine.machine.state, mine.machine.wakeAt], ['closed', undefined])
      const events: readonly PathEvent[] =
        [OPEN, { type: 'bytes', bytes: HELLO }, NOMINATION, { type: 'send', bytes: HELLO }, { type: 'lost' }, { type: 'wake' },
          { type: 'close', code }, { type: 'disregard' }, { type: 'written' }]
      assert.deepEqual(events.flatMap(event => mine.tell(event)), [])
    }
  })

  it('ends with its connection, and says why as far as the code tells', () => {
    const cases: ReadonlyArray<readonly [number | undefined, string | undefined, RegExp]> = [
      [undefined, 'ERR_PATH_LOST', /is gone$/], [1000, 'ERR_PATH_LOST', /not nominated/], [4000, 'ERR_PATH_LOST', /broken/],
      [4003, 'ERR_PATH_TIMEOUT', /did not come/], [4004, 'ERR_PATH_LOST', /has left/], [1006, 'ERR_PATH_LOST', /close code 1006/]
    ]
    for (const [code, expected, message] of cases) {
      const { rid } = established('rid')
      const [output] = rid.tell(code == null ? { type: 'lost' } : { type: 'lost', code })
      assert.equal(output?.do === 'lost' && output.error?.code, expected)
      assert.match(output?.do === 'lost' ? output.error?.message ?? '' : '', message)
      assert.deepEqual([rid.machine.state, rid.machine.wakeAt], ['closed', undefined])
    }
    const { mine, theirs } = reaches('rid')
    assert.deepEqual(mine.tell({ type: 'lost', code: 1000 }), [{ do: 'lost' }], 'all was said')
    assert.deepEqual(theirs.tell({ type: 'lost', code: 4100 }).length, 1)
    assert.deepEqual(theirs.story.at(-1), 'lost ERR_PATH_LOST')
  })

  it('takes frames of no length that nobody takes', () => {
    for (const maxFrame of [0, 15, MAX_FRAME + 1]) {
      assert.throws(() => end('rid', true, { options: { maxFrame } }), { code: 'ERR_OPTIONS' })
    }
  })
})

describe('A path that is not in the state for it', () => {
  const ways: ReadonlyArray<readonly [PathState, Role, (nominator: boolean) => End]> = [
    ['new', 'rid', nominator => end('rid', nominator)],
    ['new', 'rrd', nominator => end('rrd', nominator)],
    ['awaitHello', 'rid', nominator => after(end('rid', nominator), OPEN)],
    ['awaitAuthHello', 'rrd', nominator => after(end('rrd', nominator), OPEN)],
    ['awaitAuth', 'rid', nominator => {
      const rrd = after(end('rrd', !nominator), OPEN)
      return after(end('rid', nominator), OPEN, { type: 'bytes', bytes: rrd.frames[0] as Uint8Array })
    }],
    ['awaitNominate', 'rid', nominator => established(nominator ? 'rid' : 'rrd').rid],
    ['awaitNominate', 'rrd', nominator => established(nominator ? 'rrd' : 'rid').rrd],
    ['nominated', 'rid', nominator => reaches(nominator ? 'rid' : 'rrd')[nominator ? 'mine' : 'theirs']],
    ['nominated', 'rrd', nominator => reaches(nominator ? 'rrd' : 'rid')[nominator ? 'mine' : 'theirs']]
  ]

  function after (one: End, ...events: readonly PathEvent[]): End {
    events.forEach(event => one.tell(event))
    return one
  }

  for (const [state, role, make] of ways) {
    for (const nominator of [true, false]) {
      const what = `${role} ${nominator ? 'nominating' : 'waiting'} in ${state}`

      it(`refuses its own driver and changes nothing: ${what}`, () => {
        const due: Record<string, boolean> = {
          open: state === 'new',
          nominate: nominator && state === 'awaitNominate',
          send: state === 'nominated',
          disregard: nominator && state !== 'nominated'
        }
        const events: readonly PathEvent[] = [OPEN, NOMINATION, { type: 'send', bytes: HELLO }, { type: 'disregard' }]
        for (const event of events.filter(({ type }) => due[type] !== true)) {
          const one = make(nominator)
          assert.equal(one.machine.state, state)
          const before = one.machine.wakeAt
          one.tell(event)
          assert.equal(one.story.at(-1), 'refused ERR_PATH_STATE', event.type)
          assert.deepEqual([one.machine.state, one.machine.wakeAt], [state, before])
        }
      })

      if (state !== 'new') {
        it(`is closed with 4000 by any frame that is not due: ${what}`, () => {
          const keys = { rid: hex(TRANSCRIPT.ridak), rrd: hex(TRANSCRIPT.rrdak) }
          const other = role === 'rid' ? 'rrd' : 'rid'
          // sealed with the key of the authentication and each number, as somebody would who has got out of step
          const wrong = state === 'awaitHello' || state === 'awaitAuthHello' || state === 'awaitAuth'
            ? [encodeMessage('nominate', {}), HELLO, encodeMessage('auth', { response: times(1, 16) })]
            : [HELLO]
          const number = state === 'awaitAuth' || state === 'awaitNominate' ? 2 : state === 'nominated' ? 4 : 1
          for (const plaintext of wrong) {
            const one = make(nominator)
            const sealed = new PathKeys(nodeCrypto, other, TRANSCRIPT.pathId, TRANSCRIPT.ak, keys, number).seal(plaintext)
            one.hear(concat([...toFrame(sealed, false)]))
            assert.equal(one.closed?.code, 4000)
            assert.match(one.closed?.error?.code ?? '', /ERR_PROTOCOL|ERR_PATH_PROOF/)
            assert.deepEqual([one.machine.state, one.machine.wakeAt], ['closed', undefined])
          }
        })

        it(`is closed with 4000 by a frame that is too long: ${what}`, () => {
          const one = make(nominator)
          one.hear(frameHeader((state === 'nominated' ? MAX_FRAME : MAX_HANDSHAKE_FRAME) + 1, false))
          assert.deepEqual([one.closed?.code, one.closed?.error?.code], [4000, 'ERR_PROTOCOL'])
        })
      }
    }
  }

  it('refuses bytes before it is open', () => {
    const one = end('rid', true)
    assert.deepEqual(one.hear(HELLO).map(output => output.do), ['refused'])
  })

  it('closes with 4000 when the one that waits nominates, or both do, and takes the path for nominated never', () => {
    for (const nominator of ROLES) {
      const rid = end('rid', true)
      const rrd = end('rrd', true)
      for (const one of [rid, rrd]) {
        one.tell(OPEN)
      }
      converse(rid, rrd)
      const [wrong, right] = nominator === 'rid' ? [rrd, rid] : [rid, rrd]
      wrong.tell(NOMINATION)
      converse(rid, rrd)
      assert.deepEqual([right.closed?.code, right.closed?.error?.code, right.rph], [4000, 'ERR_PROTOCOL', undefined])
      assert.equal(right.tell(NOMINATION).length, 0)
    }
  })

  it('refuses data that is longer than any frame, plain data where all is to be sealed, and plain data that is none', () => {
    const { mine } = reaches('rid')
    const tooLong = { byteLength: MAX_FRAME - 15 } as Uint8Array
    assert.equal(mine.tell({ type: 'send', bytes: tooLong })[0]?.do, 'refused')
    assert.equal(mine.tell({ type: 'send', bytes: HELLO, plain: true })[0]?.do, 'refused')
    const { mine: plain } = reaches('rid', { options: { plain: true } })
    assert.equal(plain.tell({ type: 'send', bytes: new Uint8Array(), plain: true })[0]?.do, 'refused')
  })

  it('closes with 4000 when something plain comes where all is to be sealed, or before the nomination', () => {
    const { mine, theirs } = reaches('rid')
    theirs.hear(concat([...toFrame([HELLO], true)]))
    mine.hear(concat([...toFrame([HELLO], true)]))
    const { rid, rrd } = established('rid', { options: { plain: true } })
    rid.hear(concat([...toFrame([HELLO], true)]))
    rrd.hear(concat([...toFrame([HELLO], true)]))
    for (const one of [mine, theirs, rid, rrd]) {
      assert.deepEqual([one.closed?.code, one.closed?.error?.code, one.delivered.length], [4000, 'ERR_PROTOCOL', 0])
    }
  })
})

describe('A path that the nominator disregards', () => {
  it('takes whatever comes for nothing, and is closed with 1000 after a while', () => {
    const { rid, rrd } = established('rid')
    assert.deepEqual(rid.tell({ type: 'disregard' }), [])
    assert.equal(rid.machine.wakeAt, NOW + DISREGARDED_TIME)
    rid.now += 5_000
    for (const bytes of [HELLO, frameHeader(MAX_FRAME, false), times(0, 100_000), ...rrd.frames]) {
      assert.deepEqual(rid.hear(bytes), [])
    }
    rid.now = NOW + DISREGARDED_TIME - 1
    assert.deepEqual(rid.tell({ type: 'wake' }), [])
    rid.now++
    assert.deepEqual(rid.tell({ type: 'wake' }), [{ do: 'close', code: 1000 }])
  })

  it('may be in the middle of its handshake, and is closed at once if it has not begun', () => {
    const one = end('rid', true)
    one.tell(OPEN)
    one.tell({ type: 'disregard' })
    const rrd = end('rrd', false)
    rrd.tell(OPEN)
    assert.deepEqual(one.hear(rrd.frames[0] as Uint8Array), [])
    assert.deepEqual(end('rid', true).tell({ type: 'disregard' }), [{ do: 'close', code: 1000 }])
  })
})

describe('The time', () => {
  it('for the handshake is from the first message that is sent to its end, in either role', () => {
    const rrd = end('rrd', false)
    const rid = end('rid', true)
    rid.tell(OPEN)
    rid.now += 10 ** 6
    rid.hear(hex('44'))
    assert.equal(rid.machine.wakeAt, undefined, 'nobody may have read the init yet')
    assert.deepEqual(rid.tell({ type: 'wake' }), [])
    assert.equal(rrd.machine.wakeAt, undefined)
    rrd.tell(OPEN)
    rid.hear((rrd.frames[0] as Uint8Array).subarray(1))
    for (const one of [rid, rrd]) {
      assert.equal(one.machine.wakeAt, one.now + HANDSHAKE)
      one.now += HANDSHAKE - 1
      assert.deepEqual(one.tell({ type: 'wake' }), [], 'too early')
      one.now++
      one.tell({ type: 'wake' })
      assert.equal(one.story.at(-1), 'close 4000 ERR_PATH_TIMEOUT')
    }
  })

  it('for the nomination counts for who waits for it, and the path is closed with 1000', () => {
    const { rid, rrd } = established('rid')
    assert.deepEqual([rid.machine.wakeAt, rrd.machine.wakeAt], [undefined, NOW + NOMINATE])
    rrd.now = NOW + NOMINATE
    rrd.tell({ type: 'wake' })
    assert.equal(rrd.story.at(-1), 'close 1000 ERR_PATH_TIMEOUT')
  })

  it('does not count on a nominated path', () => {
    const { mine, theirs } = reaches('rrd')
    assert.deepEqual([mine.machine.wakeAt, theirs.machine.wakeAt], [undefined, undefined])
    mine.now += 10 ** 9
    assert.deepEqual(mine.tell({ type: 'wake' }), [])
  })
})

describe('The numbers of a path', () => {
  it('end it before they begin again: for who sends, and for who is sent to', () => {
    const first = 0xffff_fffd
    const rid = end('rid', true, { number: first })
    const rrd = end('rrd', false, { number: first })
    rid.tell(OPEN)
    rrd.tell(OPEN)
    converse(rid, rrd)
    rid.tell(NOMINATION) // AuthHello was the first, this is the second of three
    rid.tell({ type: 'send', bytes: HELLO })
    converse(rid, rrd)
    rrd.tell({ type: 'send', bytes: HELLO }) // Hello and Auth went before
    converse(rid, rrd)
    assert.deepEqual([rid.delivered, rrd.delivered], [[HELLO], [HELLO]])
    rid.tell({ type: 'send', bytes: HELLO })
    assert.deepEqual([rid.closed?.code, rid.closed?.error?.code], [4000, 'ERR_PATH_EXHAUSTED'])
    rrd.hear(concat([...toFrame([times(1, 20)], false)]))
    assert.deepEqual([rrd.closed?.code, rrd.closed?.error?.code], [4000, 'ERR_PATH_EXHAUSTED'])
  })

  it('are used up by nothing that could not be opened', () => {
    const keys = new PathKeys(nodeCrypto, 'rid', 7, TRANSCRIPT.ak, authenticationKeys(TRANSCRIPT.ak))
    assert.throws(() => keys.open(times(1, 68)), { code: 'ERR_PATH_PROOF' })
    assert.doesNotThrow(() => keys.open(hex(TRANSCRIPT.hello).subarray(4)))
  })
})
