// Sessions and the register against each other: whatever the network does, in the end everybody is joined.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Random } from '../../support/random.ts'
import { person } from '../../support/register.ts'
import { StarWorld } from '../../support/star-world.ts'
import type { Weather, WorldMember } from '../../support/star-world.ts'

const CALM: Weather = { delay: 50, refusal: 0, notice: 100 }
const weather = fc.record({
  delay: fc.integer({ min: 0, max: 6_000 }), // there and back may take longer than a session waits
  refusal: fc.double({ min: 0, max: 0.7, noNaN: true }),
  notice: fc.integer({ min: 0, max: 60_000 })
})
const seed = fc.integer()

/** Whom the register has at that member's address. */
function isOwner (world: StarWorld, member: WorldMember): boolean {
  return member.socket != null && world.register.registry.hasJoined(member.socket.name)
}

describe('Sessions on a star', () => {
  it('join in good weather, listed or not', () => {
    const world = new StarWorld(new Random(1), CALM)
    const members = [0, 1, 2, 3].map(number => world.add(person(number), number !== 2))
    world.run(1_000)
    assert.deepEqual(members.map(member => member.session.state), ['joined', 'joined', 'joined', 'joined'])
    assert.deepEqual(world.register.registry.addresses().toSorted(), [0, 1, 3].map(number => person(number).address).toSorted())
  })

  it('are joined in the end, whatever was lost, late or noticed late before', () => {
    fc.assert(fc.property(seed, weather, (start, bad) => {
      const random = new Random(start)
      const world = new StarWorld(random, bad)
      const listed = [0, 1, 2].map(() => random.chance(0.7))
      const members = listed.map((open, number) => world.add(person(number), open))
      for (let storms = 0; storms < 25; storms++) {
        world.run(random.between(0, 8_000))
        const member = random.pick(members)
        if (random.chance(0.7)) {
          world.cut(member)
        } else {
          const open = random.chance(0.5)
          listed[members.indexOf(member)] = open
          world.feed(member, { type: 'list', listed: open })
        }
      }
      world.weather = CALM
      world.run(200_000)
      for (const member of members) {
        assert.equal(member.session.state, 'joined')
        assert.equal(isOwner(world, member), true)
      }
      assert.equal(world.register.registry.size, listed.filter(open => open).length)
    }), { numRuns: 80 })
  })

  it('are listed in the end exactly if they were told so last', () => {
    fc.assert(fc.property(seed, weather, (start, bad) => {
      const random = new Random(start)
      const world = new StarWorld(random, bad)
      const member = world.add(person(0), false)
      let listed = false
      for (let changes = 0; changes < 20; changes++) {
        world.run(random.between(0, 300))
        listed = random.chance(0.5)
        world.feed(member, { type: 'list', listed })
      }
      world.weather = CALM
      world.run(200_000)
      assert.deepEqual(world.register.registry.addresses(), listed ? [member.who.address] : [])
    }))
  })

  it('of one identity come to an agreement: one is joined and the others know that they aren\'t', () => {
    fc.assert(fc.property(seed, weather, (start, bad) => {
      const random = new Random(start)
      const world = new StarWorld(random, bad)
      const twins = [0, 0, 0].map(number => world.add(person(number), true))
      for (let storms = 0; storms < 15; storms++) {
        world.run(random.between(0, 8_000))
        world.cut(random.pick(twins))
      }
      world.weather = CALM
      world.run(200_000)
      assert.deepEqual(twins.map(({ session }) => session.state).toSorted(), ['joined', 'replaced', 'replaced'])
      assert.deepEqual(twins.filter(twin => isOwner(world, twin)), twins.filter(({ session }) => session.state === 'joined'))
    }))
  })

  it('take the place of one of the same identity that has gone', () => {
    fc.assert(fc.property(seed, start => {
      const world = new StarWorld(new Random(start), CALM)
      const twins = [0, 0].map(number => world.add(person(number), true))
      world.run(10_000)
      const joined = twins.find(({ session }) => session.state === 'joined')
      assert(joined != null)
      world.feed(joined, { type: 'stop' })
      world.run(10_000)
      assert.deepEqual(twins.map(({ session }) => session.state).toSorted(), ['joined', 'stopped'])
    }), { numRuns: 30 })
  })

  it('leave nothing behind when they stop, in whatever state', () => {
    fc.assert(fc.property(seed, weather, fc.nat(20_000), (start, bad, when) => {
      const world = new StarWorld(new Random(start), bad)
      const members = [0, 1, 1].map(number => world.add(person(number), true))
      world.run(when)
      members.forEach(member => { world.feed(member, { type: 'stop' }) })
      world.run(100_000)
      for (const { session, socket } of members) {
        assert.deepEqual([session.state, session.wakeAt, socket], ['stopped', undefined, undefined])
      }
      assert.equal(world.register.registry.size, 0)
    }))
  })
})
