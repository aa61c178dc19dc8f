// What a star that has no relay, or means harm, makes of direct paths; and what is left of them when a peer stops.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Door } from '../../client/paths/node/door.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { evilRelays } from '../support/evil-relay.ts'
import { Knock, initOf } from '../support/direct.ts'
import { linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { freePort, isOpen } from '../support/ports.ts'
import { nodeCrypto, times } from '../support/rendezvous.ts'
import type { AddressInfo } from 'node:net'
import type { Guest } from '../../client/paths/platform.ts'
import type { Wire } from '../../client/paths/wire.ts'

const DIRECT = { direct: 'prefer', directLoopback: true } as const
/** TCP leads nowhere. */
const RELAYED = { direct: 'prefer', offerAddress: () => false } as const

describe('A star without a relay', () => {
  const stage = linkStage({ relay: false })

  it('carries a link as before, and the peers say why there is nothing better', async () => {
    const [alice, bob] = await stage.pair(RELAYED)
    const connection = await stage.link(alice, bob)
    await alice.told({ what: 'tried' }, 'ERR_NO_RELAY')
    await works(connection)
    assert.equal(alice.link(bob)?.path?.kind, 'relay')
  })

  it('does not keep a link from moving past it', async () => {
    const [alice, bob] = await stage.pair(DIRECT)
    const connection = await stage.link(alice, bob)
    await until(() => alice.link(bob)?.path?.kind === 'tcp' && bob.link(alice)?.path?.kind === 'tcp')
    await works(connection)
  })
})

describe('A star that does not answer where a relay is announced', () => {
  const stage = linkStage()
  const start = evilRelays()

  it('holds up neither a link nor who stops', async () => {
    const evil = await start()
    const [alice, bob] = await stage.pair({ ...RELAYED, listen: [evil.address] })
    const connection = await stage.link(alice, bob, evil.address)
    await alice.told('tried', 'ERR_PATH_LOST')
    await works(connection)
    assert.equal(alice.link(bob)?.path?.kind, 'relay')
    await Promise.all([alice.node.stop(), bob.node.stop()])
  })

  it('does not keep a link from moving past it', async () => {
    const evil = await start()
    const [alice, bob] = await stage.pair({ ...DIRECT, listen: [evil.address] })
    const connection = await stage.link(alice, bob, evil.address)
    await until(() => alice.link(bob)?.path?.kind === 'tcp' && bob.link(alice)?.path?.kind === 'tcp')
    await works(connection)
  })
})

describe('A door', () => {
  function guest (onClaim: (wire: Wire) => void = () => assert.fail('nobody was let in')): Guest {
    return {
      rendezvous: new Rendezvous(nodeCrypto, 'rid', times(9, 32)),
      offered: [{ pathId: 1, ip: '127.0.0.1' }],
      onClaim: (_, wire) => { onClaim(wire) }
    }
  }

  it('of a given number opens again at once, however guests come and go', async () => {
    const port = await freePort()
    const door = new Door({ port, allow: () => true })
    for (let round = 0; round < 5; round++) {
      const gone = guest()
      const going = door.admit(gone)
      door.dismiss(gone) // before it is open
      const here = guest()
      const coming = door.admit(here)
      await assert.rejects(going, { code: 'ERR_STOPPED' })
      assert.equal(await coming, port)
      door.dismiss(here)
      const next = guest()
      assert.equal(await door.admit(next), port)
      assert.equal(await isOpen(port), true)
      door.dismiss(next)
    }
    await door.close()
    assert.equal(await isOpen(port), false)
  })

  it('opens behind a first try that failed', async () => {
    const server = createServer()
    server.listen(0)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const door = new Door({ port, allow: () => true })
    await assert.rejects(door.admit(guest()), { code: 'EADDRINUSE' })
    server.close()
    await once(server, 'close')
    const here = guest()
    assert.equal(await door.admit(here), port)
    await door.close()
    assert.equal(await isOpen(port), false)
  })

  it('lets nobody in to an address that is not allowed, and whoever has the key to others', async () => {
    const claimed = Promise.withResolvers<Wire>()
    const door = new Door({ port: 0, allow: ip => ip !== '127.0.0.1' })
    const port = await door.admit(guest())
    const refused = await Knock.path(initOf(port, ['127.0.0.1'], { ak: times(9, 32) }), true)
    await refused.ended()
    await door.close()
    const open = new Door({ port: 0, allow: () => true })
    const here = await open.admit(guest(wire => { claimed.resolve(wire) }))
    const knock = await Knock.path(initOf(here, ['127.0.0.1'], { ak: times(9, 32) }), true)
    const wire = await claimed.promise
    await open.close()
    assert.equal(knock.closed, false, 'who was let in is not the door\'s any more')
    wire.close(4000)
    await knock.ended()
  })
})
