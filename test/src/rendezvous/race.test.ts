// Races: when which path is nominated, what becomes of the others, and when it is all over.
import assert from 'node:assert/strict'
import { Acceptor } from '../../../src/rendezvous/accept.ts'
import { Rendezvous } from '../../../src/rendezvous/keys.ts'
import { DISREGARDED_TIME } from '../../../src/rendezvous/path.ts'
import { StarError } from '../../../src/errors.ts'
import { COLLECT, RaceWorld, Racer, TIMEOUT, tellOutput, way } from '../../support/race-world.ts'
import { NOW, hex, nodeCrypto, times } from '../../support/rendezvous.ts'
import type { Way } from '../../support/race-world.ts'

const TWO = [way(1), way(2)]
const THREE = [...TWO, way(3)]
const HELLO = hex('68656c6c6f')

/** A race in which these paths are connected and established. */
function connected (ways: readonly Way[], paths: readonly number[] = ways.map((_, path) => path)): RaceWorld {
  const world = new RaceWorld(ways)
  for (const path of paths) {
    world.connect(path)
    world.settle()
  }
  return world
}

/** Waits until the nominator has nominated, and the other one has heard of it. */
function nominated (world: RaceWorld): RaceWorld {
  world.pass(COLLECT)
  world.settle()
  return world
}

describe('The nominator', () => {
  it('waits for others from when the first path is established, and nominates then', () => {
    const world = connected(TWO, [0])
    assert.equal(world.nominator.machine.wakeAt, NOW + COLLECT)
    world.pass(COLLECT - 1)
    assert.equal(world.nominator.nominated?.path, undefined)
    world.pass(1)
    world.settle()
    assert.deepEqual([world.nominator.nominated?.path, world.other.nominated?.path], [0, 0])
    assert.deepEqual(world.nominator.nominated?.rph, world.other.nominated?.rph)
  })

  it('waits no longer than until all are established, if it knows that there are no more', () => {
    const world = connected(TWO)
    assert.deepEqual([world.nominator.nominated?.path, world.other.nominated?.path], [0, 0])
    const failed = connected(TWO, [0])
    failed.fail(1)
    failed.settle()
    assert.equal(failed.other.nominated?.path, 0)
    const rendezvous = new Rendezvous(nodeCrypto, 'rrd', times(2, 32))
    const more = connected([way(1)], [])
    const racer = new Racer(true, more.clock)
    racer.tell({ type: 'add', path: 0, entry: { rendezvous, pathId: 1, kind: 'tcp', unmetered: false } })
    racer.tell({ type: 'open', path: 0 })
    more.other.tell({ type: 'open', path: 0 })
    for (const [one, other] of [[racer, more.other], [more.other, racer]] as const) {
      const frames = one.outputs.flatMap(output => output.do === 'send' ? [...output.frame] : [])
      frames.forEach(bytes => other.tell({ type: 'bytes', path: 0, bytes }))
    }
    assert.deepEqual(racer.story, ['send 0', 'send 0', 'established 0'], 'there may be more to come')
    assert.equal(racer.tell({ type: 'complete' }).map(tellOutput).at(-1), 'nominated 0')
  })

  it('takes what costs nothing, then what is direct, then what is quicker', () => {
    const cases: ReadonlyArray<readonly [readonly Way[], number]> = [
      [[way(1, { kind: 'relay-ws' }), way(2)], 1],
      [[way(1), way(2, { kind: 'relay-ws', unmetered: true })], 1],
      [[way(1, { kind: 'relay' }), way(2, { kind: 'relay-ws' }), way(3, { kind: 'webrtc' })], 2],
      [[way(1), way(2)], 0]
    ]
    for (const [ways, expected] of cases) {
      assert.equal(connected(ways).other.nominated?.path, expected)
    }
    const world = new RaceWorld(THREE)
    for (const [path, delay] of [[0, 40], [1, 10]] as const) {
      world.connect(path)
      for (let flight = 0; flight < 4; flight++) {
        world.pass(delay)
        world.carry(path, 0)
        world.carry(path, 1)
      }
    }
    const trips = world.nominator.outputs.filter(output => output.do === 'established')
    assert.deepEqual(trips.map(({ path, roundTrip }) => [path, roundTrip]), [[0, 80], [1, 20]])
    assert.equal(nominated(world).other.nominated?.path, 1)
  })

  it('nominates at once what it is told to, or the best of what there is', () => {
    const world = connected(THREE, [0, 1])
    world.nominator.tell({ type: 'nominate', path: 1 })
    world.settle()
    assert.equal(world.other.nominated?.path, 1)
    const best = connected([way(1, { kind: 'relay' }), way(2), way(3)], [0, 1])
    best.nominator.tell({ type: 'nominate' })
    best.settle()
    assert.equal(best.other.nominated?.path, 1)
  })

  it('nominates nothing that is not established, nothing twice, and is the only one who nominates', () => {
    const world = connected(THREE, [0])
    for (const path of [1, 2, 7]) {
      assert.deepEqual(world.nominator.tell({ type: 'nominate', path }).map(tellOutput), ['refused ERR_PATH_STATE'])
    }
    assert.deepEqual(world.other.tell({ type: 'nominate' }).map(tellOutput), ['refused ERR_PATH_STATE'])
    assert.deepEqual(new RaceWorld(TWO).nominator.tell({ type: 'nominate' }).map(tellOutput), ['refused ERR_PATH_STATE'])
    nominated(world)
    assert.deepEqual(world.nominator.tell({ type: 'nominate' }).map(tellOutput), ['refused ERR_PATH_STATE'])
  })

  it('waits for another one when the only one that was established is gone before its time', () => {
    const world = connected(TWO, [0])
    world.pass(1_000)
    world.break(0)
    world.pass(COLLECT)
    assert.deepEqual([world.nominator.nominated, world.nominator.machine.over], [undefined, false])
    world.connect(1)
    world.settle()
    world.pass(COLLECT)
    world.settle()
    assert.equal(world.other.nominated?.path, 1)
  })
})

describe('The paths that were not nominated', () => {
  it('are closed at once by who hears of the nomination, and kept by the nominator, who closes them last', () => {
    const world = connected([way(1), way(2), way(3), way(4)], [0, 1])
    world.connect(2)
    world.pass(COLLECT)
    const mine = world.nominator.story.slice(world.nominator.story.indexOf('nominated 0'))
    assert.deepEqual(mine, ['nominated 0', 'close 3 1000'], 'the one that was only dialled')
    const before = world.other.story.length
    world.settle()
    assert.deepEqual(world.other.story.slice(before), ['nominated 0', 'close 1 1000', 'close 2 1000', 'close 3 1000'])
    assert.equal(world.nominator.story.at(-1), 'close 3 1000', 'that they are closed is worth no word')
    assert.deepEqual([...world.connections.keys()], [0])
  })

  it('are closed with 1000 by the nominator after a while, if the other one doesn\'t', () => {
    const world = connected(THREE, [0, 1])
    world.nominator.tell({ type: 'nominate' })
    const { now } = world.clock
    assert.equal(world.nominator.machine.wakeAt, now + DISREGARDED_TIME)
    world.nominator.tell({ type: 'bytes', path: 1, bytes: times(0xff, 100) })
    assert.equal(world.nominator.story.at(-1), 'close 2 1000', 'nothing of path 1')
    world.pass(DISREGARDED_TIME)
    assert.equal(world.nominator.story.at(-1), 'close 1 1000')
    assert.deepEqual([world.nominator.machine.wakeAt, world.nominator.machine.over], [undefined, false])
  })

  it('have no voice any more, and those that come then are closed', () => {
    const world = nominated(connected(THREE, [0, 1]))
    for (const racer of world.racers) {
      const before = racer.outputs.length
      racer.tell({ type: 'bytes', path: 1, bytes: HELLO })
      racer.tell({ type: 'lost', path: 1 })
      racer.tell({ type: 'lost', path: 2, error: new StarError('ERR_PATH_TIMEOUT') })
      assert.equal(racer.outputs.length, before)
      assert.deepEqual(racer.tell({ type: 'open', path: 2 }).map(tellOutput), ['close 2 1000'])
      const rendezvous = new Rendezvous(nodeCrypto, 'rid', times(3, 32))
      const entry = { rendezvous, pathId: 1, kind: 'tcp', unmetered: false } as const
      assert.deepEqual(racer.tell({ type: 'add', path: 9, entry }).map(tellOutput), ['close 9 1000'])
    }
  })
})

describe('The nominated path', () => {
  it('carries data in both directions, the nominator\'s right behind Nominate', () => {
    const world = connected(THREE, [0, 1])
    world.nominator.tell({ type: 'nominate' })
    world.nominator.tell({ type: 'send', bytes: HELLO })
    world.settle()
    world.other.tell({ type: 'send', bytes: HELLO })
    world.settle()
    assert.deepEqual([world.nominator.delivered, world.other.delivered], [HELLO, HELLO])
  })

  it('ends the race with it: without an error when one of the two has closed it', () => {
    for (const code of [1000, 4100]) {
      const world = nominated(connected(TWO, [0]))
      world.other.tell({ type: 'close', code })
      world.settle()
      assert.deepEqual(world.other.story.slice(-2), [`close 0 ${code}`, 'over'])
      assert.equal(world.nominator.story.at(-1), code === 1000 ? 'over' : 'over ERR_PATH_LOST')
      assert.equal(world.connections.size, 0)
    }
    const eventful = connected(THREE, [0, 1])
    eventful.fail(2)
    eventful.nominator.tell({ type: 'lost', path: 1 })
    eventful.settle()
    eventful.other.tell({ type: 'close', code: 1000 })
    eventful.settle()
    assert.equal(eventful.nominator.story.at(-1), 'over', 'what became of other paths, before and after, is not why')
    const broken = nominated(connected(TWO, [0]))
    broken.break(0)
    assert.deepEqual(broken.racers.map(({ error }) => error?.code), ['ERR_PATH_LOST', 'ERR_PATH_LOST'])
  })

  it('takes the ones with it that were disregarded', () => {
    const world = connected(THREE, [0, 1])
    world.nominator.tell({ type: 'nominate' })
    world.nominator.tell({ type: 'lost', path: 0 })
    assert.deepEqual(world.nominator.story.slice(-2), ['close 1 1000', 'over ERR_PATH_LOST'])
  })

  it('is closed with 4000 when the other end breaks the protocol on it', () => {
    const world = nominated(connected(TWO, [0]))
    world.other.tell({ type: 'bytes', path: 0, bytes: times(0xff, 20) })
    assert.deepEqual(world.other.story.slice(-2), ['close 0 4000', 'over ERR_PROTOCOL'])
  })

  it('is the only one on which anything can be sent', () => {
    const world = connected(TWO, [0])
    assert.deepEqual(world.nominator.tell({ type: 'send', bytes: HELLO }).map(tellOutput), ['refused ERR_PATH_STATE'])
  })
})

describe('A path that comes to nothing before the nomination', () => {
  it('is worth a warning while there are others, pending ones too', () => {
    const world = connected(TWO, [0])
    world.nominator.tell({ type: 'bytes', path: 0, bytes: times(0xff, 20) })
    assert.deepEqual(world.nominator.story.slice(-2), ['close 0 4000', 'warning 0 ERR_PROTOCOL'])
    world.settle()
    assert.equal(world.other.story.at(-1), 'warning 0 ERR_PATH_LOST')
    assert.deepEqual(world.racers.map(({ machine }) => machine.over), [false, false])
  })

  it('is worth a warning also when it is the last one, as long as more may come', () => {
    const racer = new Racer(true, { now: NOW })
    const rendezvous = new Rendezvous(nodeCrypto, 'rid', times(3, 32))
    racer.tell({ type: 'add', path: 1, entry: { rendezvous, pathId: 1, kind: 'tcp', unmetered: false } })
    const error = new StarError('ERR_PATH_TIMEOUT', { detail: 'refused' })
    assert.deepEqual(racer.tell({ type: 'lost', path: 1, error }), [{ do: 'warning', path: 1, error }])
    assert.equal(racer.machine.over, false)
    racer.tell({ type: 'complete' })
    assert.equal(racer.error?.code, 'ERR_RENDEZVOUS_FAILED')
    assert.equal(racer.error?.cause, error)
  })

  it('is the end when it is the last one', () => {
    const world = connected(TWO, [0])
    world.fail(1)
    world.break(0)
    assert.deepEqual(world.other.story.slice(-2), ['warning 1 ERR_PATH_LOST', 'over ERR_RENDEZVOUS_FAILED'])
    for (const racer of world.racers) {
      assert.equal(racer.machine.over, true)
      // the nominator had only one path left, and nominated it; the other one never heard of that
      assert.equal(racer.error?.code, racer === world.nominator ? 'ERR_PATH_LOST' : 'ERR_RENDEZVOUS_FAILED')
    }
    const none = new Racer(true, { now: NOW })
    assert.deepEqual(none.tell({ type: 'complete' }).map(tellOutput), ['over ERR_RENDEZVOUS_FAILED'])
  })

  it('is one whose id was used before: whatever is told of it, it is not opened again', () => {
    const racer = new Racer(true, { now: NOW })
    const rendezvous = new Rendezvous(nodeCrypto, 'rrd', times(3, 32))
    for (const path of [1, 2]) {
      racer.tell({ type: 'add', path, entry: { rendezvous, pathId: 5, kind: 'tcp', unmetered: false } })
    }
    assert.deepEqual(racer.tell({ type: 'open', path: 1 }).map(tellOutput), ['send 1'])
    assert.deepEqual(racer.tell({ type: 'open', path: 1 }).map(tellOutput), ['refused ERR_PATH_STATE'])
    assert.deepEqual(racer.tell({ type: 'open', path: 2 }).map(tellOutput), ['close 2 4000', 'warning 2 ERR_PATH_STATE'])
    const entry = { rendezvous, pathId: 6, kind: 'tcp', unmetered: false } as const
    assert.deepEqual(racer.tell({ type: 'add', path: 1, entry }).map(tellOutput), ['refused ERR_PATH_STATE'])
  })

  it('is one that does not shake hands in time', () => {
    const world = new RaceWorld(TWO)
    world.connect(0)
    world.carry(0, 1)
    world.pass(10_000)
    assert.deepEqual(world.racers.map(({ story }) => story.slice(-2)),
      [['close 0 4000', 'warning 0 ERR_PATH_TIMEOUT'], ['close 0 4000', 'warning 0 ERR_PATH_TIMEOUT']])
  })

  it('is not one at which RID waits for somebody who has not read the init yet', () => {
    const world = new RaceWorld([way(1, { kind: 'relay-ws', rid: 'nominator' })])
    world.nominator.tell({ type: 'open', path: 0 })
    world.pass(TIMEOUT - 1)
    assert.deepEqual([world.nominator.outputs, world.nominator.machine.wakeAt], [[], NOW + TIMEOUT])
  })
})

describe('A race', () => {
  it('is over when nothing was nominated in time', () => {
    const world = new RaceWorld(TWO)
    assert.equal(world.nominator.machine.wakeAt, NOW + TIMEOUT)
    world.pass(TIMEOUT - 1)
    const rendezvous = new Rendezvous(nodeCrypto, 'rid', times(3, 32))
    const entry = { rendezvous, pathId: 3, kind: 'tcp', unmetered: false } as const
    world.racers.forEach(racer => racer.tell({ type: 'add', path: 2, entry }))
    world.pass(1)
    for (const racer of world.racers) {
      assert.deepEqual(racer.story, ['close 0 1000', 'close 1 1000', 'close 2 1000', 'over ERR_RENDEZVOUS_FAILED'])
      assert.match(String(racer.error?.cause), /no path was nominated/)
      assert.equal(racer.machine.wakeAt, undefined)
    }
  })

  it('can be ended, and takes nothing any more then', () => {
    const world = connected(TWO, [0])
    const outputs = world.nominator.tell({ type: 'close', code: 1000 })
    assert.deepEqual(outputs.map(tellOutput), ['close 0 1000', 'close 1 1000', 'over'])
    assert.equal(world.nominator.error, undefined)
    world.settle()
    const before = world.nominator.outputs.length
    world.nominator.tell({ type: 'wake' })
    world.nominator.tell({ type: 'send', bytes: HELLO })
    world.nominator.tell({ type: 'bytes', path: 0, bytes: HELLO })
    assert.equal(world.nominator.outputs.length, before)
    assert.deepEqual(world.nominator.tell({ type: 'open', path: 1 }).map(tellOutput), ['close 1 1000'])
  })

  it('may hold paths of two rendezvous with the same ids, one from either end', () => {
    const world = connected([way(1, { rid: 'nominator', kind: 'relay' }), way(1, { rid: 'other' })])
    assert.deepEqual(world.racers.map(racer => racer.nominated?.path), [1, 1])
  })

  it('is not ended by strangers at its port', () => {
    const ak = times(2, 32)
    const rid = new Rendezvous(nodeCrypto, 'rid', ak)
    const clock = { now: NOW }
    const acceptor = new Acceptor()
    const offered = [{ pathId: 1, ip: '10.0.0.1' }, { pathId: 2, ip: '10.0.0.2' }]
    acceptor.input({ type: 'offer', offer: 0, rendezvous: rid, offered }, clock.now)
    const [mine, theirs] = [new Racer(false, clock), new Racer(true, clock)]
    for (const [racer, rendezvous] of [[mine, rid], [theirs, new Rendezvous(nodeCrypto, 'rrd', ak)]] as const) {
      for (const pathId of [1, 2]) {
        racer.tell({ type: 'add', path: pathId, entry: { rendezvous, pathId, kind: 'tcp', unmetered: false } })
      }
      racer.tell({ type: 'complete' })
    }
    for (let connection = 100; connection < 200; connection++) {
      acceptor.input({ type: 'connected', connection, localAddress: '10.0.0.2' }, clock.now)
      const [output] = acceptor.input({ type: 'bytes', connection, bytes: times(connection, 90) }, clock.now)
      assert.equal(output?.do, 'close')
    }
    const [hello] = theirs.tell({ type: 'open', path: 2 })
    assert.ok(hello?.do === 'send')
    acceptor.input({ type: 'connected', connection: 1, localAddress: '10.0.0.2' }, clock.now)
    const claims = hello.frame.flatMap(bytes => acceptor.input({ type: 'bytes', connection: 1, bytes }, clock.now))
    assert.ok(claims[0]?.do === 'claim')
    const { pathId: path, bytes } = claims[0]
    mine.tell({ type: 'open', path })
    const [answer] = bytes.flatMap(chunk => mine.tell({ type: 'bytes', path, bytes: chunk }))
    assert.ok(answer?.do === 'send')
    assert.deepEqual(answer.frame.flatMap(chunk => theirs.tell({ type: 'bytes', path: 2, bytes: chunk })).map(tellOutput),
      ['send 2', 'established 2'])
    assert.deepEqual(acceptor.input({ type: 'withdraw', offer: 0 }, clock.now), [])
  })
})
