// Announcements: originals hear of each address each period, star clients of what changed, nobody of too much at once.
import assert from 'node:assert/strict'
import { Announcer } from '../../../src/star/announcer.ts'
import { isWelcome } from '../../../src/star/protocol.ts'
import { Register, ackOf, options, person } from '../../support/register.ts'
import type { RegistryOutput } from '../../../src/star/contract.ts'

const [alice, bob, carol] = [person(0), person(1), person(2)]
const PERIOD = options.refreshPeerListIntervalMS

/** The batches of changes among the outputs. */
function changesIn (outputs: readonly RegistryOutput[]): unknown[] {
  return outputs.flatMap(output => output.do === 'changes' ? [output.changes] : [])
}

/** The addresses announced to originals among the outputs, with whom they are not told to. */
function announcedIn (outputs: readonly RegistryOutput[]): unknown[] {
  return outputs.flatMap(output => output.do === 'announce' ? [[output.address, output.except]] : [])
}

describe('An announcement to original clients', () => {
  it('is made at once when somebody joins, before the join is acknowledged, to all but the newcomer', () => {
    const register = new Register()
    register.add(0, 'original')
    register.connect('b', 'original')
    const outputs = register.joinOriginal('b', bob)
    assert.deepEqual(outputs.map(output => output.do), ['announce', 'ack'])
    assert.deepEqual(announcedIn(outputs), [[bob.old, 'b']])
  })

  it('is made again each period, in the spelling that originals read, until the address is left', () => {
    const register = new Register()
    register.add(0, 'original')
    register.now += 100
    register.connect('b', 'original')
    register.joinOriginal('b', bob, bob.address)
    const both = [[alice.old, 'socket-0'], [bob.old, 'b']]
    assert.deepEqual(announcedIn(register.pass(PERIOD)), both)
    assert.deepEqual(announcedIn(register.pass(PERIOD)), both)
    register.leave('b', bob.old)
    assert.deepEqual(announcedIn(register.pass(2 * PERIOD)), [both[0], both[0]])
  })

  it('has the original spelling for the address of a star client', () => {
    const register = new Register()
    register.add(0, 'original')
    register.connect('b', 'star')
    assert.deepEqual(announcedIn(register.joinStar('b', bob)), [[bob.old, 'b']])
  })

  it('isn\'t made for who isn\'t listed', () => {
    const register = new Register()
    register.add(0, 'original')
    register.connect('b', 'star')
    assert.deepEqual(announcedIn(register.joinStar('b', bob, false)), [])
    assert.deepEqual(announcedIn(register.pass(PERIOD)), [[alice.old, 'socket-0']])
  })

  it('isn\'t made where no original is', () => {
    const register = new Register()
    register.add(0, 'star')
    register.connect('b', 'star')
    assert.deepEqual(announcedIn([...register.joinStar('b', bob), ...register.pass(3 * PERIOD)]), [])
    register.add(2, 'original')
    assert.equal(announcedIn(register.pass(PERIOD)).length > 0, true)
  })

  it('moves to the new owner with the address, once a period', () => {
    const register = new Register()
    register.add(0, 'original')
    register.add(1, 'original')
    register.now += PERIOD / 2
    register.connect('b', 'original')
    register.joinOriginal('b', bob)
    assert.deepEqual(announcedIn(register.pass(PERIOD)), [[alice.old, 'socket-0'], [bob.old, 'b']])
  })
})

describe('The changes that star clients hear of', () => {
  it('are gathered for a while and told once, in one batch', () => {
    const register = new Register()
    register.add(0, 'star')
    register.now += options.announceDelay / 2
    register.add(1, 'star')
    register.add(2, 'original')
    assert.deepEqual(changesIn(register.pass(options.announceDelay / 2 - 1)), [])
    assert.deepEqual(changesIn(register.pass(1)), [{ joined: [alice.id, bob.id, carol.id], left: [] }])
    assert.deepEqual(changesIn(register.pass(10 * options.announceDelay)), [])
  })

  it('tell of a peer that left, by whatever way', () => {
    const register = new Register()
    for (const number of [0, 1, 2]) {
      register.add(number, 'star')
    }
    register.pass(options.announceDelay)
    register.leave('socket-1', bob.old)
    register.disconnect('socket-2')
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [], left: [bob.id, carol.id] }])
    register.add(3, 'star')
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [person(3).id], left: [] }])
  })

  it('tell of a peer that came back within one batch as of one that joined', () => {
    const register = new Register()
    register.add(0, 'star')
    register.add(1, 'star')
    register.pass(options.announceDelay)
    register.disconnect('socket-1')
    register.add(1, 'star')
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [bob.id], left: [] }])
    register.add(2, 'star')
    register.disconnect('socket-2')
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [], left: [carol.id] }])
  })

  it('tell nothing of a peer that has another listed address, nor of who isn\'t listed', () => {
    const register = new Register()
    register.add(0, 'star')
    register.add(1, 'star')
    register.pass(options.announceDelay)
    const second = `/dns4/other.example/wss/p2p-websocket-star/p2p/${bob.id}`
    register.joinStar('socket-1', bob, true, second)
    register.add(2, 'star', false)
    register.leave('socket-1', bob.address)
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [])
    register.leave('socket-1', second)
    register.leave('socket-2', carol.address)
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [], left: [bob.id] }])
  })

  it('tell of a peer that goes from listed to unlisted and back', () => {
    const register = new Register()
    register.add(0, 'star')
    register.pass(options.announceDelay)
    register.joinStar('socket-0', alice, false)
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [], left: [alice.id] }])
    register.joinStar('socket-0', alice, true)
    assert.deepEqual(changesIn(register.pass(options.announceDelay)), [{ joined: [alice.id], left: [] }])
  })

  it('wake the register no more when all is told', () => {
    const register = new Register()
    register.add(0, 'star')
    assert.equal(register.registry.wakeAt, register.now + options.announceDelay)
    register.pass(options.announceDelay)
    assert.equal(register.registry.wakeAt, undefined)
    assert.deepEqual(register.wake(), [])
  })
})

describe('An announcer', () => {
  const name = (number: number): string => `peer ${number}`
  const address = (number: number): string => `address ${number}`

  /** An announcer with so many peers. */
  function filled (count: number, announceSample: number): Announcer {
    const announcer = new Announcer({ refreshPeerListIntervalMS: 1_000, announceDelay: 10, announceSample })
    for (let number = 0; number < count; number++) {
      announcer.joined(address(number), name(number), 0)
    }
    return announcer
  }

  it('tells a newcomer of everybody in a small star, and of a bounded sample in a large one', () => {
    assert.equal(filled(20, 20).sample(name(3)).length, 19)
    assert.equal(filled(21, 20).sample(undefined).length, 20)
    assert.equal(filled(1_000, 20).sample(undefined).length, 20)
  })

  it('goes round: each peer of a large star is told of within as many samples as it takes', () => {
    const announcer = filled(95, 10)
    announcer.connected('star')
    const told = new Map<string, number>()
    let now = 10
    announcer.dueForStars(now)?.joined.forEach(peer => told.set(peer, 1))
    told.clear()
    for (let samples = 0; samples < 19; samples++) {
      now += 1_000
      assert.equal(announcer.wakeAt, now)
      const batch = announcer.dueForStars(now)
      assert.equal(batch?.joined.length, 10)
      batch?.joined.forEach(peer => told.set(peer, (told.get(peer) ?? 0) + 1))
    }
    assert.deepEqual(new Set(told.values()), new Set([2]))
    assert.equal(told.size, 95)
  })

  it('bounds what a batch says of newcomers in a large star: a sample of them and a sample of all', () => {
    const announcer = filled(500, 10)
    announcer.connected('star')
    assert.equal((announcer.dueForStars(10)?.joined.length ?? Infinity) <= 20, true)
  })

  it('stops sampling when the star is small again', () => {
    const announcer = filled(11, 10)
    announcer.connected('star')
    announcer.dueForStars(10)
    announcer.left(address(0), name(0), 20)
    assert.deepEqual(announcer.dueForStars(30), { joined: [], left: [name(0)] })
    assert.equal(announcer.wakeAt, undefined)
    assert.equal(announcer.dueForStars(5_000), undefined)
  })

  it('tells originals of many addresses a few at a time, each once a period', () => {
    const announcer = filled(200, 1_000)
    announcer.connected('original')
    const told: string[] = []
    const sizes: number[] = []
    announcer.dueForStars(10)
    let now = 0
    while ((announcer.wakeAt ?? Infinity) < 2_000) {
      now = announcer.wakeAt ?? now
      const burst = announcer.dueForOriginals(now)
      sizes.push(burst.length)
      told.push(...burst)
    }
    assert.deepEqual(sizes, [64, 64, 64, 8])
    assert.deepEqual(told, Array.from({ length: 200 }, (_, number) => address(number)))
    assert.equal(now < 1_000 + 100, true)
  })

  it('gathers nothing for ever: with nobody to tell, changes are dropped in time', () => {
    const announcer = filled(1, 10)
    announcer.left(address(0), name(0), 1)
    assert.equal(announcer.wakeAt, 10)
    assert.equal(announcer.dueForStars(10), undefined)
    announcer.connected('star')
    assert.equal(announcer.dueForStars(1_000), undefined)
  })

  it('has nothing to say before it is time, and is not hurt by being asked', () => {
    const announcer = filled(3, 10)
    announcer.connected('original')
    announcer.connected('star')
    assert.deepEqual([announcer.dueForOriginals(5), announcer.dueForStars(5)], [[], undefined])
    assert.deepEqual(announcer.dueForStars(10), { joined: [name(0), name(1), name(2)], left: [] })
  })

  it('wants no wake when everybody is gone', () => {
    const announcer = filled(30, 10)
    announcer.connected('original')
    announcer.connected('star')
    announcer.disconnected('original')
    announcer.disconnected('star')
    announcer.dueForStars(10)
    assert.equal(announcer.wakeAt, undefined)
  })
})

describe('A large star', () => {
  it('welcomes with a sample that goes round', () => {
    const register = new Register({ cryptoChallenge: false, announceSample: 2 })
    for (const number of [0, 1, 2, 3]) {
      register.connect(`s${number}`, 'star')
      register.join(`s${number}`, person(number).address, {})
    }
    const samples = [5, 6, 7].map(number => {
      register.connect(`s${number}`, 'star')
      const unlisted = { key: '', origin: 'x', listed: false }
      const [, , welcome] = ackOf(register.join(`s${number}`, person(number).address, unlisted)).args
      return isWelcome(welcome) ? welcome.peers : []
    })
    assert.deepEqual(samples.map(peers => peers.length), [2, 2, 2])
    assert.deepEqual(new Set(samples.slice(1).flat()), new Set([0, 1, 2, 3].map(number => person(number).id)))
    assert.deepEqual(samples[2], samples[0])
  })
})
