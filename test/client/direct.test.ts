// Links that move past the star: by themselves, while bytes are on the way, back when the direct path dies, and there again.
import assert from 'node:assert/strict'
import { Transfer, assertOneLink, closed, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import type { Linked } from '../support/links.ts'

const DIRECT = { direct: 'prefer', directLoopback: true } as const
/** TCP leads nowhere. */
const RELAYED = { direct: 'prefer', offerAddress: () => false } as const

/** Resolves when both ends run on a path of that kind. */
async function runsOn (kind: string, one: Linked, other: Linked, ms?: number): Promise<void> {
  await until(() => one.link(other)?.path?.kind === kind && other.link(one)?.path?.kind === kind, ms)
}

describe('A link', function () {
  this.timeout(60_000)
  const stage = linkStage()

  it('moves past the star by itself, and frees what it had there', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await runsOn('tcp', alice, bob)
    await works(connection)
    assertOneLink(alice, bob)
    await until(() => stage.star.server.peers().length === 2)
    await until(async () => /^star_streams 0$/m.test(await stage.star.server.metrics()))
  })

  it('moves in the middle of a transfer, back when the path is cut, and there again', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.dial(alice, bob)
    const transfers = await Promise.all([64, 64].map(async size => await Transfer.start(connection, size * 2 ** 20)))
    await runsOn('tcp', alice, bob)
    assert.ok(alice.links.drop(bob.id))
    await alice.told('suspended')
    await alice.told({ what: 'path' }, undefined, { since: alice.events.findIndex(({ what }) => what === 'suspended') })
    await Promise.all(transfers.map(async ({ done }) => { await done }))
    await runsOn('tcp', alice, bob)
    const kinds = alice.events.flatMap(({ what, path }) => what === 'path' ? [path?.kind] : [])
    // where TCP takes its time, the raw relay is a stop on the way
    assert.deepEqual(kinds.filter(kind => kind !== 'relay-ws'), ['relay', 'tcp', 'relay', 'tcp'])
  })

  it('moves to the raw relay where there is no way past the star', async () => {
    const [alice, bob] = await stage.pair(RELAYED)
    const connection = await stage.dial(alice, bob)
    const transfer = await Transfer.start(connection, 32 * 2 ** 20)
    await runsOn('relay-ws', alice, bob)
    await transfer.done
    await works(connection)
  })

  it('stays where it is when one of the two wants that, and the other one asks once', async () => {
    const [alice, bob] = await Promise.all([stage.node(DIRECT), stage.node({ direct: false })])
    const connection = await stage.link(alice, bob)
    await works(connection)
    assert.deepEqual(alice.brief.filter(text => text.startsWith('tried')), [])
    assert.equal(alice.link(bob)?.path?.kind, 'relay')
  })

  it('is only there when it is direct, where that is required', async () => {
    const [alice, bob] = await stage.pair({ ...DIRECT, direct: 'require', directTimeout: 20_000 })
    await stage.dial(alice, bob)
    assert.equal(alice.link(bob)?.path?.kind, 'tcp')
  })

  it('is given up in time where it has to be direct and can not be', async () => {
    const [alice, bob] = await Promise.all([
      stage.node({ ...RELAYED, direct: 'require', directTimeout: 500 }), stage.node(RELAYED)
    ])
    await assert.rejects(stage.dial(alice, bob), { code: 'ERR_NOT_DIRECT' })
    await bob.told('over', 'ERR_NOT_DIRECT')
    assert.equal(alice.link(bob), undefined)
  })

  it('is given up with the same words when its time is over before the connection is there', async () => {
    const bob = await stage.node(RELAYED)
    const alice = await stage.node({ ...RELAYED, direct: 'require', directTimeout: 1 })
    // whatever comes next comes when that time is over
    const dialled = assert.rejects(stage.dial(alice, bob), { code: 'ERR_NOT_DIRECT' })
    await alice.told('path')
    const late = performance.now() + 20
    while (performance.now() < late);
    await dialled
    await alice.told('over', 'ERR_NOT_DIRECT')
  })

  it('ends for both when one closes the connection over the direct path', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await runsOn('tcp', alice, bob)
    const [there] = bob.connections(alice)
    assert.ok(there)
    const ended = closed(there)
    await connection.close()
    assert.equal((await ended).error, undefined)
    await bob.told('over')
  })
})
