// Links under every schedule, on the real machines: split, joined, late, cut, swallowed, moved, dialled and given up, at random.
//
//     LINK_SCHEDULES=1000000   so many in all, instead of 100,000 in CI and 10,000 elsewhere
//     LINK_SEED=42             only that one of each kind
import assert from 'node:assert/strict'
import { LinkWorld } from '../../support/link-world.ts'
import { Random } from '../../support/random.ts'
import { SessionWorld } from '../../support/session-world.ts'
import type { NodeSetup } from '../../support/link-node.ts'
import type { LinkWeather, Mishap } from '../../support/link-world.ts'
import type { EndPlan } from '../../support/session-world.ts'

const TOTAL = Number(process.env['LINK_SCHEDULES'] ?? (process.env['CI'] == null ? 10_000 : 100_000))
const SEED = process.env['LINK_SEED']
/** Milliseconds in which everything may go wrong, and after which all that came of it is over. */
const STORM = 30_000
const REST = 300_000
const END = 900_000
/** Schedules never take so many steps. */
const FOREVER = 200_000

/** Runs a share of all schedules, each with its own seed. */
function forSeeds (share: number, schedule: (random: Random) => void): void {
  const [first, count] = SEED == null ? [1, Math.ceil(TOTAL * share)] : [Number(SEED), 1]
  for (let seed = first; seed < first + count; seed++) {
    try {
      schedule(new Random(seed))
    } catch (cause) {
      throw new Error(`LINK_SEED=${seed}: ${cause instanceof Error ? cause.message : ''}`, { cause })
    }
  }
  console.log(`      ${count} schedules`)
}

function planOf (random: Random): EndPlan {
  return {
    bytes: random.pick([0, 10, 1_000, 5_000]),
    bite: random.pick([20, 500, 3_000]),
    window: random.pick([300, 2_000, 50_000])
  }
}

function weatherOf (random: Random): LinkWeather {
  return {
    latency: random.pick([0, 5, 50, 400]),
    rate: random.pick([50, 500, 10_000]),
    capacity: random.pick([600, 5_000, 100_000]),
    opening: random.pick([0, 100, 2_000]),
    refusal: random.pick([0, 0, 0.3]),
    crypto: random.pick([0, 20]),
    pause: random.pick([0, 50, 200, 1_000]),
    bite: random.pick([150, 1_000, 20_000])
  }
}

function setupsOf (random: Random, resumeTimeouts: readonly number[]): readonly [NodeSetup, NodeSetup] {
  const [one, other] = random.chance(0.5) ? ['A', 'Z'] as const : ['Z', 'A'] as const
  const identity = random.chance(0.3)
  const secret = random.chance(0.1) ? { secret: random.bytes(16) } : {}
  const setup = (name: string, peer: string): NodeSetup => ({
    name,
    peer,
    identity,
    incarnation: random.between(1, 1_000_000),
    plan: { bytes: random.between(10, random.pick([10, 500, 4_000, 20_000])), end: true, auto: random.chance(0.2) },
    options: {
      window: random.pick([1_000, 4_000, 65_536]),
      resumeTimeout: random.pick(resumeTimeouts),
      grace: random.pick([0, 500])
    },
    ...secret
  })
  return [setup(one, other), setup(other, one)]
}

/** Lets time pass, and looks in now and then. */
function pass (world: LinkWorld, until: number): void {
  while (world.step(until)) {
    if (world.steps % 16 === 0) {
      assert.deepEqual(world.check(), [])
    }
    assert(world.steps < FOREVER, 'goes on for ever')
  }
  world.run(until)
  assert.deepEqual(world.check(), [])
}

/** Nothing is left, and what was heard was said. */
function checkEnd (world: LinkWorld): void {
  for (const [index, { pair, talks, paths, waiting }] of world.nodes.entries()) {
    assert.deepEqual([pair.idle, pair.wakeAt, paths.size, waiting], [true, undefined, 0, []])
    for (const { over, complete, received, link } of talks) {
      const theirs = world.nodes[1 - index]?.talks.find(({ link: { id } }) => id === link.id)
      assert(over && received <= (theirs?.sent ?? 0))
      assert(!complete || received === theirs?.plan.bytes)
    }
  }
}

function dialAndCancel (world: LinkWorld, random: Random): void {
  for (let dials = random.between(0, 3); dials > 0; dials--) {
    const one = random.pick([0, 1] as const)
    world.after(random.pick([5, 300, STORM]), () => { world.dial(one) })
    if (random.chance(0.2)) {
      world.after(random.pick([5, 300, STORM]), () => { world.cancel(one) })
    }
  }
}

/** Paths are made beside the link now and then, and what befalls a path may befall these in the middle of a move. */
function makePaths (world: LinkWorld, random: Random): void {
  for (let paths = random.pick([0, 1, 2, 6]); paths > 0; paths--) {
    const direct = random.chance(0.8)
    const kind = random.chance(0.4) ? undefined : random.pick<Mishap>(['both', 'one', 'none', 'way'])
    const dies = random.pick([0, 10, 100, 1_000, 10_000])
    world.after(random.pick([500, 2_000, 8_000, STORM]), () => {
      const before = new Set(world.paths)
      const dialler = world.nodes[0].pair.link?.dialled === true ? 0 : 1
      world.make(random.chance(0.9) ? dialler : random.pick([0, 1]), direct)
      const made = world.paths.find(path => !before.has(path))
      if (kind != null && made != null) {
        world.after(dies, () => { world.mishap(kind, made) })
      }
    })
  }
}

describe('Two sessions', function () {
  this.timeout(600_000)

  it('lose, double and mix up no byte, whatever becomes of their paths, and keep no more than their windows', () => {
    forSeeds(0.6, random => {
      const world = new SessionWorld(random, [planOf(random), planOf(random)], random.pick([0, 1, 3, 10]))
      for (let steps = 0; !world.done; steps++) {
        world.step()
        assert(steps < FOREVER, 'goes on for ever')
      }
      const [one, other] = world.ends
      assert.deepEqual(world.faults, [])
      assert.deepEqual([one.received, other.received], [other.plan.bytes, one.plan.bytes])
    })
  })
})

describe('Two peers', function () {
  this.timeout(600_000)

  it('come to one link or none, whatever they dial and whatever becomes of their paths, and then to one that works', () => {
    forSeeds(0.25, random => {
      const world = new LinkWorld(random, setupsOf(random, [30_000, 30_000, 5_000, 0]), weatherOf(random))
      const [one, other] = world.nodes
      world.dial(0)
      dialAndCancel(world, random)
      makePaths(world, random)
      for (let mishaps = random.pick([0, 2, 4, 8]); mishaps > 0; mishaps--) {
        const kind = random.pick<Mishap>(['both', 'both', 'one', 'none', 'way'])
        world.after(random.pick([500, 2_000, 8_000, STORM]), () => {
          if (world.paths.length > 0) {
            world.mishap(kind, random.pick(world.paths))
          }
        })
      }
      pass(world, STORM)
      world.weather = { ...world.weather, refusal: 0 }
      pass(world, REST)
      assert.deepEqual([one.waiting, other.waiting], [[], []])
      assert.equal(one.pair.link?.id, other.pair.link?.id)
      const dialler = random.pick([0, 1] as const)
      world.dial(dialler)
      pass(world, END)
      checkEnd(world)
      const last = world.nodes[dialler].dials.at(-1)
      assert.equal(last?.state, 'dialled')
      for (const { talks } of world.nodes) {
        assert.equal(talks.find(({ link }) => link.id === last.link)?.complete, true)
      }
    })
  })

  it('keep their one link through path after path, once it can be resumed', () => {
    forSeeds(0.15, random => {
      const world = new LinkWorld(random, setupsOf(random, [120_000]), { ...weatherOf(random), refusal: 0 })
      world.dial(0)
      for (let steps = 0; !world.nodes.every(({ talk }) => talk?.secretKnown === true) && world.step(); steps++) {
        assert(steps < FOREVER, 'goes on for ever')
      }
      makePaths(world, random)
      for (let mishaps = random.between(1, 8), after = 0; mishaps > 0; mishaps--) {
        const kind = random.pick<Mishap>(['both', 'both', 'both', 'one', 'none', 'way'])
        after += random.pick([10, 100, 1_000, 10_000])
        world.after(after, () => {
          const path = world.nodes[0].pair.link?.path ?? world.nodes[1].pair.link?.path
          if (path != null) {
            world.mishap(kind, path)
          }
        })
      }
      pass(world, END)
      checkEnd(world)
      const [first] = world.nodes[0].talks
      for (const [index, { talks }] of world.nodes.entries()) {
        const talk = talks.find(({ link }) => link.id === first?.link.id)
        assert.deepEqual([talk?.received, talk?.saidEnd, talk?.heardEnd], [world.nodes[1 - index]?.setup.plan.bytes, true, true])
        // the last word that the last word came may be lost with its path, and nobody is there to say it again
        assert(talk?.error == null || talk.error.code === 'ERR_LINK_UNKNOWN', String(talk?.error))
      }
    })
  })
})
