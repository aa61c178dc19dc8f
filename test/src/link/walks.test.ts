// Two peers in scopes too wide to go through every order: some orders, taken at random.
//
//     LINK_WALKS=1000000   so many, instead of 20,000 in CI and 2,000 elsewhere
//     LINK_SEED=42         only that one
import { LinkModel } from '../../support/link-model.ts'
import { checkLinked, checkRest } from '../../support/link-view.ts'
import { Random } from '../../support/random.ts'
import type { Weather } from '../../support/link-model.ts'
import type { NodeSetup } from '../../support/link-node.ts'

const WALKS = Number(process.env['LINK_WALKS'] ?? (process.env['CI'] == null ? 2_000 : 20_000))
const SEED = process.env['LINK_SEED']

type Users = Weather['users']

function setupsOf (random: Random, identity: boolean): readonly [NodeSetup, NodeSetup] {
  const setup = (name: string, peer: string): NodeSetup => ({
    name,
    peer,
    identity,
    incarnation: 1,
    plan: { bytes: 10, end: false, auto: true },
    options: { window: 1_000, grace: random.pick([0, 500]) }
  })
  return [setup('Z', 'A'), setup('A', 'Z')]
}

function weatherOf (random: Random): Weather {
  const calls = (): Users[number] =>
    Array.from({ length: random.between(0, 4) }, () => random.pick(['dial', 'dial', 'cancel', 'reset']))
  return {
    users: [calls(), calls()],
    losses: random.pick([0, 1, 2, 4]),
    told: random.pick(['both', 'one']),
    holes: random.pick([0, 1, 2]),
    ways: random.pick(['both', 'one']),
    unopened: random.pick([0, 1, 2]),
    moves: random.pick([0, 0, 1, 3])
  }
}

/** Walks as often as that, each time with another seed. */
function forSeeds (walk: (random: Random) => void): void {
  const [first, count] = SEED == null ? [1, WALKS] : [Number(SEED), 1]
  for (let seed = first; seed < first + count; seed++) {
    try {
      walk(new Random(seed))
    } catch (cause) {
      throw new Error(`LINK_SEED=${seed}: ${cause instanceof Error ? cause.message : ''}`, { cause })
    }
  }
  console.log(`      ${count} walks`)
}

describe('Two peers', function () {
  this.timeout(300_000)

  it('agree, whatever their users do and whatever becomes of their paths', () => {
    forSeeds(random => {
      const setups = setupsOf(random, random.chance(0.5))
      const model = new LinkModel(setups, { slow: random.chance(0.5), split: random.chance(0.3) })
      const dial: Users = random.pick([[['dial'], []], [[], ['dial']]])
      const before = random.chance(0.4) ? model.start : model.settle(dial)
      const node = random.pick([0, 1] as const)
      const anew = { ...setups[node], incarnation: 2 }
      const start = random.chance(0.2) ? model.restart(before, node, anew, random.chance(0.5)) : before
      checkRest(model.wander(weatherOf(random), random, start))
    })
  })

  it('have one link if nothing goes wrong, however often they dial', () => {
    forSeeds(random => {
      const model = new LinkModel(setupsOf(random, true), { slow: true, split: true })
      const dials = (): Users[number] => Array.from({ length: random.between(1, 4) }, () => 'dial')
      checkLinked(model.wander({ users: [dials(), dials()] }, random))
    })
  })
})
