// Who may connect to whom: private stars, whose peers prove a secret before anything else, and peers that know nothing of links.
import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import { StarError, connect } from '../../client/index.ts'
import { Transfer, assertOneLink, linkStage, works } from '../support/links.ts'
import { until, whenNode } from '../support/nodes.ts'
import { within } from '../support/waiting.ts'
import type { ConnectionGater } from '@libp2p/interface'
import type { StarClient } from '../../client/index.ts'
import type { Linked } from '../support/links.ts'

const SECRET = 'correct horse battery staple'
const BYTES = new Uint8Array(32).fill(7)

/** The codes of all errors in an error. */
function codesOf (error: unknown): string[] {
  const list = error instanceof AggregateError ? error.errors : [error]
  return list.map(one => one instanceof StarError ? one.code : String(one))
}

async function failure (attempt: Promise<unknown>): Promise<string[]> {
  try {
    await attempt
  } catch (error) {
    return codesOf(error)
  }
  return []
}

describe('a private star', () => {
  const stage = linkStage()
  const clients: StarClient[] = []

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(async client => { await client.close() }))
  })

  /** A node that writes down how far connections get in it. */
  async function guarded (secret?: string | Uint8Array): Promise<{ node: Linked, steps: string[] }> {
    const steps: string[] = []
    const names = [
      'denyInboundConnection', 'denyOutboundConnection', 'denyInboundEncryptedConnection', 'denyOutboundEncryptedConnection',
      'denyInboundUpgradedConnection', 'denyOutboundUpgradedConnection'
    ] as const
    const connectionGater: ConnectionGater = {}
    names.forEach(name => {
      connectionGater[name] = () => {
        steps.push(name)
        return false
      }
    })
    const node = await stage.node({ ...(secret == null ? {} : { secret }), options: { connectionGater } })
    return { node, steps }
  }

  /** The first bytes of a dialler's upgrade go along with its proof; nothing else happens before both have proved the secret. */
  function assertNotUpgraded (...all: string[][]): void {
    assert.deepEqual(all.flat().filter(step => step !== 'denyOutboundConnection'), [], 'how far connections came')
  }

  for (const [kind, secret] of [['a text', SECRET], ['bytes', BYTES]] as const) {
    it(`connects those who have the same secret, which is ${kind}, and what they have outlives its path`, async () => {
      const [a, b] = await stage.pair({ secret })
      const [connection] = await Promise.all([stage.link(a, b), stage.dial(b, a)])
      const transfer = await Transfer.start(connection, 10_000_000)
      await transfer.reaches(2_000_000)
      await stage.star.restart()
      await transfer.done
      assertOneLink(a, b)
    })
  }

  const strangers = [
    ['another secret', SECRET, `${SECRET}!`], ['no secret', SECRET, undefined],
    ['the secret where there is none', undefined, SECRET],
    ['other bytes', BYTES, BYTES.map(byte => byte ^ 1)]
  ] as const
  for (const [kind, inside, outside] of strangers) {
    it(`refuses at both sides, before libp2p hears of it, who has ${kind}`, async () => {
      const [{ node: a, steps: inner }, { node: b, steps: outer }] = await Promise.all([guarded(inside), guarded(outside)])
      for (const [from, to] of [[a, b], [b, a]] as const) {
        const since = [from.events.length, to.events.length]
        assert.deepEqual(await failure(stage.dial(from, to)), ['ERR_LINK_SECRET'])
        await from.told('attempt', 'ERR_LINK_SECRET', { since: since[0] ?? 0 })
        await to.told('attempt', 'ERR_LINK_SECRET', { since: since[1] ?? 0 })
      }
      assert.deepEqual([...a.brief, ...b.brief], Array.from({ length: 4 }, () => 'attempt ERR_LINK_SECRET'))
      assertNotUpgraded(inner, outer)
      assert.deepEqual([a.connections(b), b.connections(a), a.links.status(), b.links.status()], [[], [], [], []])
      assert.match(a.events[0]?.error?.message ?? '', /private/)
    })
  }

  it('refuses strangers who dial each other at the same moment', async () => {
    const [{ node: a, steps: inner }, { node: b, steps: outer }] = await Promise.all([guarded(SECRET), guarded(`${SECRET}!`)])
    const codes = await Promise.all([failure(stage.dial(a, b)), failure(stage.dial(b, a))])
    assert.deepEqual(codes, [['ERR_LINK_SECRET'], ['ERR_LINK_SECRET']])
    assertNotUpgraded(inner, outer)
  })

  it('refuses a secret that is too short to be one', async () => {
    for (const secret of ['hunter2', new Uint8Array(15), '']) {
      await assert.rejects(stage.node({ secret }), { code: 'ERR_OPTIONS' })
    }
  })

  it('lets nobody in by a plain stream, and dials nobody by one', async () => {
    const { node, steps } = await guarded(SECRET)
    const client = await connect(stage.star.address, { retryMin: 10 })
    clients.push(client)
    assert.deepEqual(await failure(client.dial(node.id)), ['ERR_LINK_SECRET'])
    const dialled = client[Symbol.asyncIterator]().next()
    assert.deepEqual(await failure(node.node.dial(multiaddr(client.address))), ['ERR_NOT_SPOKEN'])
    assert.deepEqual(steps, [])
    await client.close()
    assert.equal((await dialled).done, true)
  })

  it('does not disturb a public node of the same process', async () => {
    const [a, b] = await Promise.all([stage.node({ secret: SECRET }), stage.node({ secret: SECRET })])
    const [c, d] = await stage.pair()
    await Promise.all([works(await stage.dial(a, b)), works(await stage.dial(c, d))])
    assert.deepEqual(await failure(stage.dial(a, c)), ['ERR_LINK_SECRET'])
  })
})

describe('peers that know nothing of links', () => {
  const stage = linkStage()
  const clients: StarClient[] = []

  afterEach(async () => {
    await Promise.all(clients.splice(0).map(async client => { await client.close() }))
  })

  async function join (): Promise<StarClient> {
    const client = await connect(stage.star.address, { retryMin: 10 })
    clients.push(client)
    return client
  }

  it('get a plain stream when a node dials them', async () => {
    const [node, client] = [await stage.node(), await join()]
    const incoming = client[Symbol.asyncIterator]().next()
    const dial = node.node.dial(multiaddr(client.address))
    dial.catch(() => undefined)
    const { value: stream } = await within('a stream', incoming)
    assert.ok(stream)
    const { value } = await within('the first bytes', stream.source.next())
    assert.match(Buffer.from(value ?? []).toString(), /\/multistream\/1\.0\.0/)
    await stream.sink([])
    assert.notDeepEqual(await failure(dial), [])
    assert.deepEqual(node.links.status(), [])
  })

  it('are answered in plain bytes when they dial a node', async () => {
    const [node, client] = [await stage.node(), await join()]
    const stream = await client.dial(node.id)
    void stream.sink((async function * () {
      yield Buffer.from('\x13/multistream/1.0.0\n')
      await new Promise(() => {}) // a connection that is half closed is closed
    })()).catch(() => undefined)
    const { value } = await within('the first bytes', stream.source.next())
    assert.match(Buffer.from(value ?? []).toString(), /\/multistream\/1\.0\.0/)
    assert.deepEqual([node.links.status(), node.events], [[], []])
  })

  it('are told apart by what they announced, and a node that starts to speak of links later gets one', async () => {
    const [node, client] = [await stage.node(), await join()]
    const dial = node.node.dial(multiaddr(client.address))
    dial.catch(() => undefined)
    await within('a stream', client[Symbol.asyncIterator]().next())
    await client.close()
    await failure(dial)
    const other = await stage.node()
    await works(await stage.dial(node, other))
    await whenNode(other.node, 'connection:open', () => other.connections(node).length === 1)
    assertOneLink(node, other)
    await until(() => node.links.status().length === 1)
  })
})
