// The raw relay's paths, case by case: who may enter, who is paired with whom, and who is closed with which code.
import assert from 'node:assert/strict'
import { MAX_ANNOUNCED, Pairing } from '../../../src/relay/pairing.ts'
import type { PairingEvent, PairingOptions, PairingOutput } from '../../../src/relay/pairing.ts'

const OPTIONS: PairingOptions = { openRelay: false, relayWait: 1_000, relayPairs: 3, relayPairsPerAddress: 4 }

/** One step: an event, or an announcement with the answer that it gets, at a time; and what comes of it. */
type Step = readonly [at: number, what: PairingEvent | readonly [owner: string, path: string], outcome: unknown]

const enter = (socket: number, path: string | undefined = 'p', address = 'a'): PairingEvent =>
  ({ type: 'enter', socket, path, address })
const leave = (socket: number, code = 1006): PairingEvent => ({ type: 'leave', socket, code })
const close = (socket: number, code: number): PairingOutput => ({ do: 'close', socket, code })
const pair = (first: number, second: number): PairingOutput => ({ do: 'pair', first, second })
const PAIRED: readonly Step[] = [[0, ['owner', 'p'], undefined], [0, enter(1), []], [0, enter(2), [pair(1, 2)]]]

interface Case {
  readonly name: string
  readonly options?: Partial<PairingOptions>
  readonly steps: readonly Step[]
  /** Pairs, waiting sockets and the time to be woken at, in the end; nothing at all unless told. */
  readonly left?: readonly [pairs: number, waiting: number, wakeAt: number | undefined]
}

const CASES: readonly Case[] = [
  { name: 'pairs the first two on an announced path', steps: PAIRED, left: [1, 0, undefined] },
  { name: 'refuses a third',
    steps: [...PAIRED, [1, enter(3), [close(3, 4000)]], [2, leave(3, 4000), []]], left: [1, 0, undefined] },
  { name: 'refuses a path that nobody announced', steps: [[0, enter(1), [close(1, 4000)]]] },
  { name: 'refuses what is no path, also in an open relay',
    options: { openRelay: true },
    steps: [[0, { ...enter(1), path: undefined } as PairingEvent, [close(1, 4000)]]] },
  { name: 'pairs on any path in an open relay',
    options: { openRelay: true }, steps: [[0, enter(1), []], [5, enter(2), [pair(1, 2)]]], left: [1, 0, undefined] },
  { name: 'lets a path that nobody announced go with the one who waits there',
    options: { openRelay: true }, steps: [[0, enter(1), []], [5, leave(1), []]] },
  { name: 'hands on what is to be handed on',
    steps: [...PAIRED, [1, leave(1, 4150), [close(2, 4150)]], [2, leave(2, 4150), []]] },
  { name: 'tells of a lost end', steps: [...PAIRED, [1, leave(2), [close(1, 4004)]], [2, leave(1, 4004), []]] },
  { name: 'keeps a pair until both are gone', steps: [...PAIRED, [1, leave(2), [close(1, 4004)]]], left: [1, 0, undefined] },
  { name: 'closes an end that breaks the rules, and the other one with 4004',
    steps: [...PAIRED, [1, { type: 'fault', socket: 2 }, [close(2, 4000), close(1, 4004)]], [2, leave(2, 4000), []],
      [3, leave(1, 4004), []]] },
  { name: 'closes both ends of a pair that has carried enough',
    steps: [...PAIRED, [1, { type: 'exhausted', socket: 1 }, [close(1, 4000), close(2, 4000)]], [2, leave(1), []],
      [2, leave(2), []]] },
  { name: 'lets nobody wait for longer than the path is good',
    steps: [[0, ['owner', 'p'], undefined], [900, enter(1), []], [999, { type: 'wake' }, []],
      [1_000, { type: 'wake' }, [close(1, 4003)]], [1_001, leave(1, 4003), []]] },
  { name: 'refuses a path that is no longer good, though nobody woke it',
    steps: [[0, ['owner', 'p'], undefined], [1_000, enter(1), [close(1, 4000)]], [1_001, leave(1), []]] },
  { name: 'forgets a path that nobody entered', steps: [[0, ['owner', 'p'], undefined], [1_000, { type: 'wake' }, []]] },
  { name: 'drops what its owner announced, and tells who waits there',
    steps: [[0, ['owner', 'p'], undefined], [0, ['owner', 'q'], undefined], [1, enter(1), []],
      [2, { type: 'drop', owner: 'owner' }, [close(1, 4003)]], [3, enter(2, 'q'), [close(2, 4000)]]] },
  { name: 'leaves pairs alone when the owner goes', steps: [...PAIRED, [2, { type: 'drop', owner: 'owner' }, []]],
    left: [1, 0, undefined] },
  { name: 'lets another wait on an announced path when the first one has left',
    steps: [[0, ['owner', 'p'], undefined], [1, enter(1), []], [2, leave(1), []], [3, enter(2), []], [4, enter(3), [pair(2, 3)]]],
    left: [1, 0, undefined] },
  { name: 'takes no path twice, whoever announces it, while it waits or is in use',
    steps: [[0, ['owner', 'p'], undefined], [1, ['owner', 'p'], 'ERR_RELAY_PATH'], [1, ['other', 'p'], 'ERR_RELAY_PATH'],
      [2, enter(1), []], [3, enter(2), [pair(1, 2)]], [4, ['other', 'p'], 'ERR_RELAY_PATH']],
    left: [1, 0, undefined] },
  { name: 'closes everything when the star goes down',
    steps: [...PAIRED, [1, ['owner', 'q'], undefined], [1, enter(3, 'q'), []],
      [2, { type: 'stop' }, [close(1, 1001), close(2, 1001), close(3, 1001)]], [3, { type: 'stop' }, []], [3, leave(1, 1001), []],
      [3, leave(2, 1001), []], [3, leave(3, 1001), []]] },
  { name: 'takes no notice of sockets that it does not know',
    steps: [[0, leave(9), []], [0, { type: 'fault', socket: 9 }, []], [0, { type: 'drop', owner: 'nobody' }, []]] }
]

describe('The pairing', () => {
  for (const { name, options, steps, left = [0, 0, undefined] } of CASES) {
    it(name, () => {
      const pairing = new Pairing({ ...OPTIONS, ...options })
      for (const [at, what, outcome] of steps) {
        const came = 'type' in what ? pairing.input(what, at) : pairing.announce(what[0], what[1], at)
        assert.deepEqual(came, outcome, JSON.stringify(what))
      }
      assert.deepEqual([pairing.pairs, pairing.waiting, pairing.wakeAt], left)
    })
  }

  it('takes so many announcements from one client, and more when some are paired or dropped', () => {
    const pairing = new Pairing(OPTIONS)
    for (let number = 0; number < MAX_ANNOUNCED; number++) {
      assert.equal(pairing.announce('owner', `${number}`, 0), undefined)
    }
    assert.equal(pairing.announce('owner', 'more', 0), 'ERR_TOO_MANY_PATHS')
    assert.equal(pairing.announce('other', 'more', 0), undefined)
    pairing.input(enter(1, '5'), 1)
    pairing.input(enter(2, '5'), 1)
    assert.equal(pairing.announce('owner', 'yet more', 2), undefined)
  })

  it('admits so many from one address, closed ones included until they are gone', () => {
    const pairing = new Pairing(OPTIONS)
    for (const socket of [1, 2, 3, 4]) {
      assert.equal(pairing.admits('p', 'a'), undefined)
      pairing.input(enter(socket), 0)
    }
    assert.deepEqual([pairing.admits('p', 'a'), pairing.admits('p', 'b')], ['address', undefined])
    pairing.input(leave(2), 1)
    assert.equal(pairing.admits('p', 'a'), undefined)
  })

  it('admits nobody to wait when it is full, but always the second one', () => {
    const pairing = new Pairing({ ...OPTIONS, openRelay: true, relayPairs: 2 })
    pairing.input(enter(1, 'p', 'a'), 0)
    pairing.input(enter(2, 'q', 'b'), 0)
    assert.deepEqual([pairing.admits('r', 'c'), pairing.admits('p', 'c')], ['full', undefined])
    pairing.input(enter(3, 'p', 'c'), 0)
    assert.deepEqual([pairing.admits('r', 'c'), pairing.admits('q', 'c')], ['full', undefined])
    pairing.input(leave(1), 0)
    assert.equal(pairing.admits('r', 'c'), 'full', 'one end of the pair is still there')
    pairing.input(leave(3), 0)
    assert.equal(pairing.admits('r', 'c'), undefined)
  })
})
