// Races under every schedule that chance makes: connections that come late, break or never come, bytes in any pieces, time that
// passes. Whatever happens, both ends end with one and the same path or with none, and nothing that was sent comes twice,
// changed or out of order.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DISREGARDED_TIME } from '../../../src/rendezvous/path.ts'
import { Random } from '../../support/random.ts'
import { RaceWorld, TIMEOUT, way } from '../../support/race-world.ts'
import type { Racer } from '../../support/race-world.ts'
import type { PathKind } from '../../../src/rendezvous/select.ts'

/** How likely each mishap is, in each step. */
interface Weather {
  readonly breaks: number
  readonly fails: number
  readonly garbage: number
}

function makeWorld (random: Random): RaceWorld {
  const count = random.between(1, 4)
  return new RaceWorld(Array.from({ length: count }, (_, index) => way(index, {
    kind: random.pick<PathKind>(['tcp', 'webrtc', 'relay-ws', 'relay']),
    unmetered: random.chance(0.3),
    rid: random.pick(['nominator', 'other'])
  })))
}

/** Sends numbered bytes where there is a path, so that what comes shows what is missing. */
function send (racer: Racer, sent: Map<Racer, number>): void {
  if (racer.nominated != null && !racer.machine.over) {
    const number = sent.get(racer) ?? 0
    sent.set(racer, number + 1)
    racer.tell({ type: 'send', bytes: Uint8Array.of(number) })
  }
}

function run (random: Random, world: RaceWorld, { breaks, fails, garbage }: Weather): Map<Racer, number> {
  const sent = new Map<Racer, number>()
  for (let step = 0; step < 120; step++) {
    const open = [...world.connections.keys()]
    if (world.dialling.size > 0 && random.chance(0.15)) {
      const path = random.pick([...world.dialling])
      if (random.chance(fails)) {
        world.fail(path)
      } else {
        world.connect(path)
      }
    } else if (open.length > 0 && random.chance(breaks)) {
      world.break(random.pick(open))
    } else if (open.length > 0 && random.chance(garbage)) {
      const path = random.pick(open)
      random.pick(world.racers).tell({ type: 'bytes', path, bytes: random.bytes(random.between(1, 60)) })
    } else if (open.length > 0 && random.chance(0.8)) {
      world.carry(random.pick(open), random.between(0, 1), random.pick([1, 7, 60, Infinity]))
    } else if (random.chance(0.5)) {
      send(random.pick(world.racers), sent)
    } else {
      world.pass(random.pick([1, 50, 900]))
    }
    check(world)
  }
  return sent
}

/** Lets everything come to its end. */
function finish (world: RaceWorld): void {
  world.settle()
  for (const time of [TIMEOUT, DISREGARDED_TIME]) {
    world.pass(time)
    world.settle()
  }
}

function check ({ nominator, other }: RaceWorld): void {
  assert.equal(nominator.machine.nominated, nominator.nominated?.path)
  if (other.nominated != null) {
    assert.ok(nominator.nominated != null, 'nobody is told of a nomination that wasn\'t')
    assert.equal(other.nominated.path, nominator.nominated.path)
    assert.deepEqual(other.nominated.rph, nominator.nominated.rph)
  }
}

/** What came is the beginning of what was sent. */
function checkDelivered (racer: Racer, sent: number): void {
  const { delivered } = racer
  assert.ok(delivered.byteLength <= sent)
  delivered.forEach((byte, index) => { assert.equal(byte, index & 255) })
}

describe('A race under any schedule', () => {
  it('ends with one path, the same at both ends, when any path holds', () => {
    fc.assert(fc.property(fc.integer(), seed => {
      const random = new Random(seed)
      const world = makeWorld(random)
      const sent = run(random, world, { breaks: 0, fails: 0.3, garbage: 0 })
      const mayConnect = world.connections.size > 0 || world.dialling.size > 0
      if (world.nominator.nominated == null && world.dialling.size > 0) {
        world.connect([...world.dialling][0] ?? 0)
      }
      world.settle()
      world.pass(10_000)
      finish(world)
      check(world)
      if (mayConnect) {
        const [mine, theirs] = [world.nominator, world.other]
        assert.equal(theirs.nominated?.path, mine.nominated?.path)
        assert.ok(mine.nominated != null)
        assert.deepEqual([mine.machine.over, theirs.machine.over], [false, false])
        assert.deepEqual([...world.connections.keys()], [mine.nominated.path], 'the others are closed at both ends')
        assert.equal(theirs.delivered.byteLength, sent.get(mine) ?? 0)
        assert.equal(mine.delivered.byteLength, sent.get(theirs) ?? 0)
      }
      checkDelivered(world.other, sent.get(world.nominator) ?? 0)
      checkDelivered(world.nominator, sent.get(world.other) ?? 0)
    }), { numRuns: 150 })
  })

  it('ends with one path at both ends or is over, when connections break and strangers speak', () => {
    let nominations = 0
    fc.assert(fc.property(fc.integer(), seed => {
      const random = new Random(seed)
      const world = makeWorld(random)
      const sent = run(random, world, { breaks: 0.02, fails: 0.2, garbage: 0.01 })
      finish(world)
      check(world)
      for (const racer of world.racers) {
        assert.ok(racer.nominated != null || racer.machine.over, 'nobody waits for ever')
        nominations += racer.nominated == null ? 0 : 1
      }
      const alive = world.racers.filter(({ machine }) => !machine.over)
      assert.notEqual(alive.length, 1, 'and nobody alone')
      checkDelivered(world.other, sent.get(world.nominator) ?? 0)
      checkDelivered(world.nominator, sent.get(world.other) ?? 0)
      for (const racer of world.racers) {
        const codes = racer.outputs.flatMap(output => output.do === 'close' ? [output.code] : [])
        assert.ok(codes.every(code => code === 1000 || code === 4000))
      }
    }), { numRuns: 150 })
    assert.ok(nominations > 40, `the schedules come to something: ${nominations}`)
  })
})
