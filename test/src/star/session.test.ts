// A session alone: every state with every event, how long it waits, and how it comes back.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../../src/errors.ts'
import { challengeMessage } from '../../../src/star/challenge.ts'
import { Session } from '../../../src/star/session.ts'
import type { SessionEvent, SessionOptions, SessionOutput, SessionState } from '../../../src/star/session.ts'

const OPTIONS: SessionOptions = {
  address: '/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/Qm',
  origin: 'wss://star.example:443',
  key: '0801',
  speaks: ['link/1'],
  timeout: 10_000,
  retryMin: 500,
  retryMax: 30_000
}
const NOW = 1_000
const OFFER = { nonce: '5a'.repeat(32), expires: 1_700_000_000_000 }
const WELCOME = { peers: ['Qm2'], window: 65_536 }

const EVENTS = {
  start: { type: 'start' },
  stop: { type: 'stop' },
  wake: { type: 'wake' },
  listed: { type: 'list', listed: true },
  'listed as before': { type: 'list', listed: false },
  open: { type: 'open', socket: 'socket' },
  lost: { type: 'lost', error: new StarError('ERR_STAR_LOST') },
  welcomed: { type: 'reply', args: [null, null, WELCOME] },
  challenged: { type: 'reply', args: [null, OFFER] },
  refused: { type: 'reply', args: [{ code: 'ERR_KEY' }] },
  'answered with nonsense': { type: 'reply', args: ['x'.repeat(9), {}] },
  'not answered': { type: 'reply', args: [] },
  signed: { type: 'signed', signature: 'abcd' },
  replaced: { type: 'replaced' },
  vacant: { type: 'vacant' },
  restarting: { type: 'restarting', reconnectIn: 5 }
} as const satisfies Record<string, SessionEvent>

type EventName = keyof typeof EVENTS

/** The way to each state. */
const WAYS: Record<SessionState, readonly EventName[]> = {
  stopped: [],
  connecting: ['start'],
  introducing: ['start', 'open'],
  signing: ['start', 'open', 'challenged'],
  proving: ['start', 'open', 'challenged', 'signed'],
  joined: ['start', 'open', 'challenged', 'signed', 'welcomed'],
  replaced: ['start', 'open', 'challenged', 'signed', 'welcomed', 'replaced'],
  waiting: ['start', 'lost']
}

const CONNECTED = { stop: 'disconnect > stopped', lost: 'down > waiting' } as const
const GIVES_UP = 'disconnect down > waiting'

/** What each event does in each state; what isn't written here does nothing. */
const TABLE: Record<SessionState, Partial<Record<EventName, string>>> = {
  stopped: { start: 'connect > connecting' },
  connecting: { ...CONNECTED, open: 'join > introducing' },
  introducing: {
    ...CONNECTED,
    welcomed: 'joined > joined',
    challenged: 'sign > signing',
    refused: GIVES_UP,
    'answered with nonsense': GIVES_UP,
    'not answered': GIVES_UP
  },
  signing: { ...CONNECTED, signed: 'join > proving' },
  proving: {
    ...CONNECTED,
    welcomed: 'joined > joined',
    challenged: GIVES_UP,
    refused: GIVES_UP,
    'answered with nonsense': GIVES_UP,
    'not answered': GIVES_UP
  },
  joined: { ...CONNECTED, listed: 'join > introducing', replaced: 'down > replaced' },
  replaced: { ...CONNECTED, vacant: 'join > introducing' },
  waiting: { start: 'connect > connecting', stop: '> stopped' }
}

/** A session that has gone a way. */
function sessionAfter (way: readonly EventName[], random: () => number = () => 0): Session {
  const session = new Session(OPTIONS, random)
  for (const name of way) {
    session.input(EVENTS[name], NOW)
  }
  return session
}

function spell (outputs: readonly SessionOutput[], session: Session): string {
  return [...outputs.map(output => output.do), '>', session.state].join(' ')
}

describe('A session', () => {
  for (const state of Object.keys(WAYS) as SessionState[]) {
    it(`does in the state ${state} what the table says, for every event`, () => {
      for (const name of Object.keys(EVENTS) as EventName[]) {
        const session = sessionAfter(WAYS[state])
        assert.equal(session.state, state)
        const before = session.wakeAt
        const outputs = session.input(EVENTS[name], NOW + 1)
        const expected = TABLE[state][name] ?? `> ${state}`
        assert.equal(spell(outputs, session), expected, name)
        if (TABLE[state][name] == null) {
          assert.equal(session.wakeAt, before, name)
        }
      }
    })
  }

  it('introduces itself with key, origin, whether it is listed and what it speaks', () => {
    for (const listed of [true, false]) {
      const session = new Session(OPTIONS, () => 0)
      session.input({ type: 'list', listed }, NOW)
      session.input(EVENTS.start, NOW)
      const proof = { key: '0801', origin: OPTIONS.origin, listed, speaks: ['link/1'] }
      assert.deepEqual(session.input(EVENTS.open, NOW), [{ do: 'join', proof }])
    }
  })

  it('signs the challenge of this socket, this address and this origin, and answers with the signature', () => {
    const session = sessionAfter(WAYS.introducing)
    const message = challengeMessage({ origin: OPTIONS.origin, socket: 'socket', address: OPTIONS.address }, OFFER)
    assert.deepEqual(session.input(EVENTS.challenged, NOW), [{ do: 'sign', message }])
    assert.deepEqual(session.input(EVENTS.signed, NOW), [{ do: 'join', proof: { signature: 'abcd' } }])
    assert.deepEqual(session.input(EVENTS.welcomed, NOW), [{ do: 'joined', welcome: WELCOME }])
  })

  it('says why it is down', () => {
    const reasons: ReadonlyArray<readonly [SessionState, EventName, string]> = [
      ['connecting', 'lost', 'ERR_STAR_LOST'],
      ['introducing', 'refused', 'ERR_KEY'],
      ['proving', 'answered with nonsense', 'ERR_PROTOCOL'],
      ['introducing', 'not answered', 'ERR_PROTOCOL'],
      ['joined', 'replaced', 'ERR_REPLACED']
    ]
    for (const [state, event, code] of reasons) {
      const down = sessionAfter(WAYS[state]).input(EVENTS[event], NOW).at(-1)
      assert.equal(down?.do === 'down' && down.error.code, code)
    }
  })

  for (const state of ['connecting', 'introducing', 'signing', 'proving'] as const) {
    it(`gives up in the state ${state} when its time is over and not before`, () => {
      const session = sessionAfter(WAYS[state])
      assert.equal(session.wakeAt, NOW + OPTIONS.timeout)
      assert.deepEqual(session.input(EVENTS.wake, NOW + OPTIONS.timeout - 1), [])
      const outputs = session.input(EVENTS.wake, NOW + OPTIONS.timeout)
      assert.equal(spell(outputs, session), 'disconnect down > waiting')
      const [, down] = outputs
      assert.equal(down?.do === 'down' && down.error.code, 'ERR_STAR_TIMEOUT')
    })
  }

  it('waits for nothing while it is joined, replaced or stopped', () => {
    for (const state of ['joined', 'replaced', 'stopped'] as const) {
      assert.equal(sessionAfter(WAYS[state]).wakeAt, undefined)
    }
    const session = sessionAfter(WAYS.waiting)
    session.input(EVENTS.stop, NOW)
    assert.equal(session.wakeAt, undefined)
    assert.deepEqual(session.input(EVENTS.wake, NOW + 1e9), [])
  })

  it('joins anew when it was listed or unlisted during a join', () => {
    for (const state of ['introducing', 'signing', 'proving'] as const) {
      const session = sessionAfter(WAYS[state])
      assert.deepEqual(session.input(EVENTS.listed, NOW), [])
      const rest = WAYS.joined.slice(WAYS[state].length)
      const outputs = rest.flatMap(name => session.input(EVENTS[name], NOW))
      const proof = { key: '0801', origin: OPTIONS.origin, listed: true, speaks: ['link/1'] }
      assert.deepEqual(outputs.at(-1), { do: 'join', proof })
      assert.equal(session.state, 'introducing')
      assert.deepEqual(outputs.filter(output => output.do === 'joined'), [])
    }
  })

  it('needs no second join when it was listed and unlisted again meanwhile', () => {
    const session = sessionAfter(['start', 'open', 'listed', 'challenged', 'listed as before', 'signed', 'welcomed'])
    assert.equal(session.state, 'joined')
  })
})

describe('The pause before a session comes back', () => {
  /** The pauses of a session that fails so many times, with the same luck each time. */
  function pauses (times: number, luck: number, options: Partial<SessionOptions> = {}): number[] {
    const session = new Session({ ...OPTIONS, ...options }, () => luck)
    let now = NOW
    return Array.from({ length: times }, () => {
      session.input({ type: 'start' }, now)
      session.input(EVENTS.lost, now)
      const pause = (session.wakeAt ?? Number.NaN) - now
      now += pause
      return pause
    })
  }

  it('doubles from the least to the longest, half of it left to chance', () => {
    assert.deepEqual(pauses(8, 0), [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
    assert.deepEqual(pauses(8, 1), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  })

  it('stays in its bounds for any luck, any number of tries and any options', () => {
    const numbers = fc.tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 600_000 }))
    const chance = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(fc.property(fc.integer({ min: 1, max: 80 }), chance, numbers, (times, luck, [least, most]) => {
      for (const [index, pause] of pauses(times, luck, { retryMin: least, retryMax: most }).entries()) {
        const whole = Math.min(most, least * 2 ** index)
        assert.equal(pause >= whole / 2 - 0.01 && pause <= whole + 0.01, true, `${pause} of ${whole}`)
      }
    }))
  })

  it('begins anew after a join', () => {
    const session = sessionAfter(['start', 'lost', 'start', 'lost', 'start', 'lost', ...WAYS.joined, 'lost'])
    assert.equal(session.wakeAt, NOW + OPTIONS.retryMin / 2)
  })

  it('is cut short by a start, which counts as a try', () => {
    const session = sessionAfter(['start', 'lost', 'start', 'lost'])
    assert.equal(session.wakeAt, NOW + OPTIONS.retryMin)
  })

  it('ends with a connect at its time and not before', () => {
    const session = sessionAfter(WAYS.waiting)
    assert.deepEqual(session.input(EVENTS.wake, NOW + OPTIONS.retryMin / 2 - 1), [])
    assert.deepEqual(session.input(EVENTS.wake, NOW + OPTIONS.retryMin / 2), [{ do: 'connect' }])
  })

  it('is at least as long as the star asked, and not the same for all who were asked', () => {
    const refused: SessionEvent = { type: 'reply', args: [{ code: 'ERR_TOO_MANY_JOINS', retryAfter: 7_000 }] }
    for (const [luck, pause] of [[0, 7_250], [1, 11_000]] as const) {
      const session = sessionAfter(WAYS.introducing, () => luck)
      session.input(refused, NOW)
      assert.equal(session.wakeAt, NOW + pause)
    }
  })

  it('is as long as a star that restarts asked, once', () => {
    const session = sessionAfter(WAYS.joined)
    assert.deepEqual(session.input({ type: 'restarting', reconnectIn: 3_000 }, NOW), [])
    session.input(EVENTS.lost, NOW)
    assert.equal(session.wakeAt, NOW + 3_000 + OPTIONS.retryMin / 2)
    session.input(EVENTS.start, NOW)
    session.input(EVENTS.lost, NOW)
    assert.equal(session.wakeAt, NOW + OPTIONS.retryMin)
  })

  it('is forgotten when the star went on and the session joined again', () => {
    const session = sessionAfter([...WAYS.joined, 'restarting', 'listed', 'challenged', 'signed', 'welcomed', 'lost'])
    assert.equal(session.wakeAt, NOW + OPTIONS.retryMin / 2)
  })
})

describe('A session under any order of events', () => {
  it('never throws, wants to be woken exactly when it waits for something, and can always be stopped', () => {
    const names = fc.constantFrom(...Object.keys(EVENTS) as EventName[])
    const replies = fc.array(fc.anything({ maxDepth: 1 }), { maxLength: 3 }).map(args => ({ type: 'reply' as const, args }))
    const step = fc.oneof(names.map(name => EVENTS[name]), replies)
    fc.assert(fc.property(fc.array(fc.tuple(step, fc.nat(20_000)), { maxLength: 40 }), steps => {
      const session = new Session(OPTIONS, () => 0.5)
      let now = 0
      let connected = false
      for (const [event, pause] of steps) {
        now += pause
        for (const output of session.input(event, now)) {
          assert.equal(output.do === 'connect' && connected, false, 'two connections at once')
          connected = output.do === 'connect' || (connected && output.do !== 'disconnect')
        }
        connected &&= event.type !== 'lost' // the driver has closed it
        assert.equal(session.wakeAt == null, ['stopped', 'joined', 'replaced'].includes(session.state))
        assert.equal(connected, session.state !== 'stopped' && session.state !== 'waiting')
      }
      const outputs = session.input({ type: 'stop' }, now)
      assert.deepEqual(outputs, connected ? [{ do: 'disconnect' }] : [])
      assert.equal(session.state, 'stopped')
    }), { numRuns: 500 })
  })
})
