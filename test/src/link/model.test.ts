// Two peers in every order in which things can happen: in the end they have one and the same link, or know why there is none.
import assert from 'node:assert/strict'
import { LinkModel } from '../../support/link-model.ts'
import { checkLinked, checkRest } from '../../support/link-view.ts'
import type { Situation, Weather } from '../../support/link-model.ts'
import type { NodeSetup } from '../../support/link-node.ts'
import type { View } from '../../support/link-view.ts'

const plan = { bytes: 10, end: false, auto: true }
const options = { window: 1_000 }
const Z: NodeSetup = { name: 'Z', peer: 'A', incarnation: 1, plan, options }
const A: NodeSetup = { name: 'A', peer: 'Z', incarnation: 1, plan, options }
const names = ['the greater one', 'the lesser one'] as const
const sides = [0, 1] as const

type Side = typeof sides[number]
type Users = Weather['users']
type Check = (views: readonly View[]) => void

/**
 * There is a link; or there was one that both had, if not for long enough to outlive its path; or no more than one of them came
 * to have a path.
 */
function checkServed (views: readonly View[]): void {
  checkRest(views)
  const [one, other] = views as [View, View]
  const had = one.notes.some(note => note.startsWith('path') && other.notes.includes(note))
  assert(one.link != null || had || one.opened === 0 || other.opened === 0, `${one.dials.join()} ${other.dials.join()}`)
}

/** Nothing was lost: the link that there was at first is the one that there is. */
function keeps (start: Situation): Check {
  const [before] = start.pasts
  return views => {
    checkLinked(views)
    assert.equal(views[0]?.link, before?.view.link)
  }
}

/** The one user does that, the other one nothing, or something else. */
function users (side: Side, one: Users[number], other: Users[number] = []): Users {
  return side === 0 ? [one, other] : [other, one]
}

function pathsOf ({ pasts }: Situation): readonly number[] {
  return pasts[0]?.view.paths ?? []
}

describe('Two peers, in every order in which things can happen,', function () {
  this.timeout(300_000)
  let situations = 0

  after(() => { console.log(`    ${situations.toLocaleString('en')} situations in all`) })

  function explore (model: LinkModel, weather: Weather, check: Check, start?: Situation): void {
    const found = model.explore(weather, check, start)
    situations += found.situations
    assert(found.ends > 0)
    console.log(`      ${found.situations} situations, ${found.pasts} pasts of one peer, ${found.ends} ends`)
  }

  const setups = [Z, A]
  const model = new LinkModel(setups)
  /** Links that the one or the other has dialled, which both can resume. */
  const linked = sides.map(side => model.settle(users(side, ['dial'])))
  const dialled = (side: Side): Situation => linked[side] as Situation

  for (const side of sides) {
    const other = side === 0 ? 1 : 0

    describe(`when ${names[side]} dials,`, () => {
      it('have one link', () => { explore(model, { users: users(side, ['dial']) }, checkLinked) })
      it('have one link also if it dials twice', () => { explore(model, { users: users(side, ['dial', 'dial']) }, checkLinked) })
      it('agree if it gives the dial up, and have one link if it dials again', () => {
        explore(model, { users: users(side, ['dial', 'cancel']) }, checkRest)
        explore(model, { users: users(side, ['dial', 'cancel', 'dial']) }, views => {
          checkRest(views)
          assert.equal(views[side]?.dials.at(-1), `dialled ${views[other]?.link}`)
        })
      })
      it('agree if paths are lost, whoever is told', () => {
        explore(model, { users: users(side, ['dial']), losses: 2 }, checkRest)
        explore(model, { users: users(side, ['dial']), losses: 1, told: 'one' }, checkRest)
      })
      it('agree if its path swallows everything, in one direction or in both', () => {
        explore(model, { users: users(side, ['dial']), holes: 1 }, checkRest)
        explore(model, { users: users(side, ['dial']), holes: 1, ways: 'one' }, checkRest)
      })
      it('agree if it gives the dial up, and the other one dials too', () => {
        explore(model, { users: users(side, ['dial', 'cancel'], ['dial']) }, checkRest)
      })

      for (const before of sides) {
        it(`have a new link if it has lost the old one, which ${names[before]} dialled`, () => {
          const cut = model.cut(dialled(before), pathsOf(dialled(before)), [])
          explore(model, { users: users(side, ['dial']) }, checkLinked, model.settle(users(side, ['reset']), cut))
        })

        it(`keep the link that ${names[before]} dialled`, () => {
          explore(model, { users: users(side, ['dial']) }, keeps(dialled(before)), dialled(before))
        })

        it(`have a new link if it was restarted, and ${names[before]} dialled the old one`, () => {
          for (const told of [true, false]) {
            const start = model.restart(dialled(before), side, { ...(setups[side] as NodeSetup), incarnation: 2 }, told)
            explore(model, { users: users(side, ['dial']) }, checkLinked, start)
          }
        })

        it(`know that the old link is gone if the other one was restarted, and ${names[before]} dialled the old one`, () => {
          for (const told of [true, false]) {
            const start = model.restart(dialled(before), other, { ...(setups[other] as NodeSetup), incarnation: 2 }, told)
            explore(model, { users: users(side, ['dial']) }, views => {
              checkRest(views)
              assert(views[side]?.notes.includes(`over ${start.pasts[side]?.view.link} ERR_PEER_RESTARTED`))
            }, start)
          }
        })
      }
    })

    describe(`with a link that ${names[side]} dialled,`, () => {
      it('keep it when paths are lost, whoever is told', () => {
        explore(model, { users: [[], []], losses: 2 }, keeps(dialled(side)), dialled(side))
        explore(model, { users: [[], []], losses: 2, told: 'one' }, keeps(dialled(side)), dialled(side))
      })
      it('keep it when both look for a new path at once, also if one swallows everything', () => {
        const hasty = new LinkModel(setups.map(setup => ({ ...setup, options: { ...options, grace: 0 } })))
        const start = hasty.settle(users(side, ['dial']))
        const cut = hasty.cut(start, pathsOf(start), sides)
        explore(hasty, { users: [[], []] }, keeps(start), cut)
        explore(hasty, { users: [[], []], holes: 1 }, keeps(start), cut)
      })
      it('keep it when its path swallows everything, in one direction or in both', () => {
        explore(model, { users: [[], []], holes: 2 }, keeps(dialled(side)), dialled(side))
        explore(model, { users: [[], []], holes: 1, ways: 'one' }, keeps(dialled(side)), dialled(side))
      })
      it('keep it when both dial and paths are lost', () => {
        explore(model, { users: [['dial'], ['dial']], losses: 2 }, keeps(dialled(side)), dialled(side))
      })
      it('keep it when it moves, also if paths are lost, whoever is told', () => {
        explore(model, { users: [[], []], moves: 1, losses: 1 }, keeps(dialled(side)), dialled(side))
        explore(model, { users: [[], []], moves: 1, losses: 2, told: 'one' }, keeps(dialled(side)), dialled(side))
      })
      it('keep it when it moves, also if a path swallows everything, in one direction or in both', () => {
        explore(model, { users: [[], []], moves: 1, holes: 1 }, keeps(dialled(side)), dialled(side))
        explore(model, { users: [[], []], moves: 1, holes: 1, ways: 'one' }, keeps(dialled(side)), dialled(side))
      })
      it('keep it when it moves twice, in whatever order they hear of that', () => {
        explore(model, { users: [[], []], moves: 2 }, keeps(dialled(side)), dialled(side))
        const cut = model.cut(dialled(side), pathsOf(dialled(side)), [side])
        explore(model, { users: [[], []], moves: 2 }, keeps(dialled(side)), cut)
      })
      it('agree when it moves and is closed, by one or both, in order or not, and dialled again', () => {
        explore(model, { users: users(side, ['end', 'dial'], ['end']), moves: 1 }, checkRest, dialled(side))
        explore(model, { users: users(side, ['reset', 'dial']), moves: 1 }, checkRest, dialled(side))
        explore(model, { users: users(other, ['reset', 'dial']), moves: 1 }, checkRest, dialled(side))
      })
      it('agree when it moves as soon as it is there, also if a path is lost', () => {
        explore(model, { users: users(side, ['dial']), moves: 1, losses: 1 }, checkRest)
      })
      it('have a new one when the other one was restarted, and a path is made for the old one', () => {
        const start = model.restart(dialled(side), other, { ...(setups[other] as NodeSetup), incarnation: 2 }, false)
        explore(model, { users: users(other, ['dial']), moves: 1 }, checkLinked, start)
      })
      it('have a new one when one of them was restarted and both dial', () => {
        for (const restarted of sides) {
          const start = model.restart(dialled(side), restarted, { ...(setups[restarted] as NodeSetup), incarnation: 2 }, true)
          explore(model, { users: [['dial'], ['dial']] }, checkRest, start)
        }
      })
      it('agree when it is closed by both, and dialled again', () => {
        explore(model, { users: users(side, ['end', 'dial'], ['end']) }, checkRest, dialled(side))
        explore(model, { users: users(other, ['end', 'dial'], ['end']) }, checkRest, dialled(side))
      })
    })
  }

  describe('when both dial,', () => {
    const both: Users = [['dial'], ['dial']]

    it('have one link', () => { explore(model, { users: both }, checkLinked) })
    it('have one link also if what is sent together comes one by one', () => {
      explore(new LinkModel(setups, { split: true }), { users: both }, checkLinked)
    })
    it('have one link also if signatures take their time', () => {
      explore(new LinkModel(setups.map(setup => ({ ...setup, identity: true })), { slow: true }), { users: both }, checkLinked)
    })
    it('agree if a path is lost, whoever is told', () => {
      explore(model, { users: both, losses: 1 }, checkServed)
      explore(model, { users: both, losses: 1, told: 'one' }, checkServed)
    })
    it('are served if a path swallows everything, in one direction or in both', () => {
      explore(model, { users: both, holes: 1 }, checkServed)
      explore(model, { users: both, holes: 1, ways: 'one' }, checkServed)
    })
    it('are served if the path of one can\'t be opened', () => { explore(model, { users: both, unopened: 1 }, checkServed) })
  })

  describe('and somebody else who takes the name of one of them,', () => {
    const thief: NodeSetup = { ...A, incarnation: 3, key: 'X' }
    const three = new LinkModel([Z, A, thief].map(setup => ({ ...setup, identity: true })))

    function checkUndisturbed (views: readonly View[]): void {
      checkLinked(views.slice(0, 2))
      const [one, other, third] = views as [View, View, View]
      const links = [one, other].map(({ talks }) => talks.map(({ id }) => id))
      assert.deepEqual(links[0], links[1], 'something was let in before it was proved')
      assert.deepEqual([third.link, third.dials.length], [undefined, 1])
      assert(third.dials.every(dial => dial === 'failed ERR_LINK_PROOF' || dial === 'failed ERR_LINK_EXISTS'), third.dials.join())
    }

    it('have one link if one of them dials', () => {
      explore(three, { users: [[], ['dial'], ['dial']] }, checkUndisturbed)
      explore(three, { users: [['dial'], [], ['dial']] }, checkUndisturbed)
    })
    it('keep the link that they have', () => {
      const start = three.settle([[], ['dial'], []])
      explore(three, { users: [[], [], ['dial']] }, checkUndisturbed, start)
    })
  })
})
