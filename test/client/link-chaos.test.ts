// Nodes that dial, close, abort and give paths up at random, while their sockets are cut: in the end each two have one link.
import assert from 'node:assert/strict'
import { assertOneLink, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { proxies } from '../support/proxy.ts'
import { Random } from '../support/random.ts'
import { PATIENCE } from '../support/waiting.ts'
import type { Linked } from '../support/links.ts'

const ROUNDS = 30
const STEPS = 12

describe('links in a storm', () => {
  const stage = linkStage()
  const proxy = proxies()

  it(`are one between any two in the end, after each of ${ROUNDS} rounds of ${STEPS} random steps`, async () => {
    const seed = Date.now()
    console.log(`      seed ${seed}`)
    const chance = new Random(seed)
    const init = { probeTimeout: 600, retryMax: 100, handshakeTimeout: 2_000 }
    const ways = await Promise.all([proxy(stage.star.address), proxy(stage.star.address)])
    const stars = [...ways.map(({ address }) => address), stage.star.address]
    const nodes = await Promise.all(stars.map(async star => await stage.node({ listen: [star], ...init })))
    const dials: Array<Promise<void>> = []

    async function dial (from: number, to: number): Promise<void> {
      const late = AbortSignal.timeout(PATIENCE)
      const signal = chance.chance(0.3) ? AbortSignal.any([late, AbortSignal.timeout(chance.between(0, 20))]) : late
      try {
        await stage.dial(nodes[from] as Linked, nodes[to] as Linked, { signal, force: chance.chance(0.5) }, stars[from])
      } catch {
        // its path may have been cut; but it may not take for ever to find out
        assert.equal(late.aborted, false, 'a dial that never ends')
      }
    }

    async function step (): Promise<void> {
      const from = chance.between(0, 2)
      const to = (from + chance.between(1, 2)) % 3
      const [one, other] = [nodes[from] as Linked, nodes[to] as Linked]
      const [connection] = one.connections(other)
      const what = chance.between(0, 10)
      if (what < 5) {
        dials.push(dial(from, to))
      } else if (what < 7) {
        connection?.close().catch(() => undefined)
      } else if (what < 8) {
        connection?.abort(new Error('enough of this one'))
      } else if (what < 10) {
        one.links.drop(other.id)
      } else {
        chance.pick(ways).cut()
      }
      await new Promise<void>(resolve => { setTimeout(resolve, chance.between(0, 15)) })
    }

    for (let round = 0; round < ROUNDS; round++) {
      for (let number = 0; number < STEPS; number++) {
        await step()
      }
      await Promise.all(dials.splice(0))
      for (const [from, to] of [[0, 1], [1, 2], [2, 0]] as const) {
        const [one, other] = [nodes[from] as Linked, nodes[to] as Linked]
        const connected = async (): Promise<boolean> => {
          try {
            await works(await stage.dial(one, other, {}, stars[from]), PATIENCE)
            return other.connections(one).length === 1
          } catch {
            return false // the star may not know yet that a socket was cut, or that it is there again
          }
        }
        await until(connected, 2 * PATIENCE)
        assertOneLink(one, other)
      }
    }
    nodes.forEach(node => { node.assertExplained() })
  }).timeout(600_000)
})
