// A link under load that moves a thousand times between the star, its raw relay and TCP: no byte is lost, and no stream notices.
import assert from 'node:assert/strict'
import { Transfer, assertOneLink, linkStage } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { Random } from '../support/random.ts'
import { within } from '../support/waiting.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'
import type { Linked } from '../support/links.ts'

const MOVES = 1_000
/** Transfers in each direction. */
const TRANSFERS = 2
/** Bytes on the way at most: what is asked for in the connection waits behind them. */
const WINDOW = 262_144
/** Milliseconds in which a move that was asked for has come, however busy the machine is. */
const PATIENCE = 30_000

/** Where a link may go from where it is. */
const NEXT: Readonly<Record<PathKind, readonly PathKind[]>> = {
  relay: ['tcp', 'relay-ws'], 'relay-ws': ['tcp', 'relay'], tcp: ['relay'], webrtc: []
}

describe('a link that moves all the time', () => {
  const stage = linkStage()

  it(`carries ${TRANSFERS} transfers in each direction over ${MOVES} moves between all kinds of paths`, async () => {
    let tcp = true
    // one address, so that no others are waited for; none where there is to be no TCP, so that the relay is dialled at once
    const offerAddress = ({ ip }: { readonly ip: string }): boolean => tcp && ip === '127.0.0.1'
    const init = { direct: 'prefer', directLoopback: true, directInterval: 600_000, window: WINDOW, offerAddress } as const
    const [a, b] = await stage.pair(init)
    const connection = await stage.link(a, b)
    const [there] = b.connections(a)
    assert.ok(there)
    const { link: id } = a.link(b) ?? {}
    const transfers = await Promise.all([connection, there].flatMap(from =>
      Array.from({ length: TRANSFERS }, async () => await Transfer.start(from, Infinity))))
    b.links.upgrades.offerPause = 0
    let closes = 0
    for (const { node } of [a, b]) {
      node.addEventListener('connection:close', () => { closes++ })
    }
    const seed = Date.now()
    const chance = new Random(seed)
    const pauses: Record<string, number[]> = {}
    const longest = (): number => {
      const pause = Math.max(...transfers.map(transfer => transfer.pause))
      transfers.forEach(transfer => { transfer.pause = 0 })
      return pause
    }
    const begin = performance.now()
    const running = Promise.all(transfers.map(async ({ done }) => { await done }))
    const moving = (async () => {
      await runsOn('tcp', a, b)
      longest()
      for (let moves = 0; moves < MOVES; moves++) {
        const kind = a.link(b)?.path?.kind ?? 'relay'
        const wanted = chance.pick<PathKind>(NEXT[kind])
        const since = a.events.length
        if (wanted === 'relay') {
          const [one, other] = chance.chance(0.5) ? [a, b] : [b, a]
          assert.ok(one.links.drop(other.id))
        } else {
          tcp = wanted === 'tcp'
          await until(async () => await a.links.upgrades.try(b.id, [wanted]), PATIENCE)
        }
        await a.told({ what: 'path' }, undefined, { since, ms: PATIENCE })
        await runsOn(wanted, a, b)
        const move = `${kind} → ${wanted}`
        pauses[move] = [...pauses[move] ?? [], longest()]
      }
    })()
    await Promise.race([moving, running])
    transfers.forEach(transfer => { transfer.end() })
    await within('the end of all transfers', running, PATIENCE)
    const seconds = (performance.now() - begin) / 1_000
    assert.deepEqual([closes, connection.status, there.status], [0, 'open', 'open'])
    assertOneLink(a, b)
    assert.equal(a.link(b)?.link, id)
    const sent = transfers.reduce((sum, transfer) => sum + transfer.sent, 0)
    const resent = (a.link(b)?.resent ?? 0) + (b.link(a)?.resent ?? 0)
    console.log(`      ${seconds.toFixed(0)} s, ${mib(sent)} MiB at ${(sent / 2 ** 20 / seconds).toFixed(0)} MiB/s, ` +
      `${mib(resent)} MiB sent again (seed ${seed})`)
    for (const [move, each] of Object.entries({ 'any move': Object.values(pauses).flat(), ...pauses })) {
      const sorted = each.toSorted((one, other) => one - other)
      const at = (part: number): string => (sorted[Math.ceil(sorted.length * part) - 1] ?? 0).toFixed(0)
      console.log(`      ${move}: ${each.length} times, stall p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`)
    }
  }).timeout(900_000)
})

/** Resolves when both ends run on a path of that kind. */
async function runsOn (kind: string, one: Linked, other: Linked): Promise<void> {
  for (const [end, peer] of [[one, other], [other, one]] as const) {
    await end.when(`a path of kind ${kind}`, () => end.link(peer)?.path?.kind === kind, PATIENCE)
  }
}

function mib (bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}
