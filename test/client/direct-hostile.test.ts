// What a peer can do that means harm to the direct paths of its links: nothing but stay on the star.
import assert from 'node:assert/strict'
import { parseStarAddress } from '../../src/address.ts'
import { encode } from '../../src/protobuf.ts'
import { MAX_STRANGERS } from '../../src/rendezvous/accept.ts'
import { encodeInit } from '../../src/rendezvous/wire.ts'
import { encodeOffer } from '../../client/upgrade/exchange.ts'
import { Foe, Knock, PLAIN_OFFER, Trap, initOf, linkId } from '../support/direct.ts'
import { linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { times } from '../support/rendezvous.ts'
import type { Connection } from '@libp2p/interface'
import type { Answer } from '../support/direct.ts'
import type { Linked, LinkedInit } from '../support/links.ts'

/** Dials what it is told to, and offers nothing: a try is over as soon as all that was told has come to nothing. */
const DIALS = { direct: 'prefer', directLoopback: true, directRelay: false, offerAddress: () => false } as const
const DIRECT = { direct: 'prefer', directLoopback: true, directRelay: false } as const
const BAD_OFFER = [[1, 'link', 'uint64'], [2, 'init', 'bytes']] as const
const BAD_INIT = [
  [1, 'version', 'uint32'], [2, 'ak', 'bytes'],
  [4, 'tcp', [[1, 'port', 'uint32'], [2, 'all', [[1, 'pathId', 'uint32'], [3, 'ip', 'string']], 'repeated']]]
] as const

/** An offer that is none, by what its init holds. */
function badOffer (link: bigint, { count = 1, pathId = (index: number) => index, ...rest }: {
  readonly count?: number, readonly pathId?: (index: number) => number, readonly version?: number, readonly ak?: Uint8Array
} = {}): Uint8Array {
  const all = Array.from({ length: count }, (_, index) => ({ pathId: pathId(index), ip: '127.0.0.1' }))
  return encode(BAD_OFFER, { link, init: encode(BAD_INIT, { version: 0, ak: times(1, 32), ...rest, tcp: { port: 9, all } }) })
}

describe('A peer that answers with', () => {
  const stage = linkStage()
  const answers: Record<string, Answer> = {
    garbage: () => Uint8Array.from({ length: 300 }, (_, index) => index * 7),
    nothing: () => new Uint8Array(),
    '65 addresses': ({ link }) => badOffer(link, { count: 65 }),
    '10,000 addresses': ({ link }) => badOffer(link, { count: 10_000 }),
    'a path id that comes twice': ({ link }) => badOffer(link, { count: 2, pathId: () => 1 }),
    'a key that is too short': ({ link }) => badOffer(link, { ak: times(1, 31) }),
    'a version to come': ({ link }) => badOffer(link, { version: 1 }),
    'another link': ({ link }) => encodeOffer({ link: link + 1n, init: initOf(9, ['127.0.0.1']), ...PLAIN_OFFER }),
    'a reset': (_, stream) => { stream.abort(new Error('no')); return undefined },
    'the end': (_, stream) => { void stream.close(); return undefined }
  }

  for (const [name, answer] of Object.entries(answers)) {
    it(`${name} stays where it is, and is asked again after a rest`, async () => {
      const [alice, foe] = await Promise.all([stage.node(DIALS), Foe.start(await stage.node(), answer)])
      const connection = await stage.link(alice, foe.linked)
      await foe.asked(2)
      await works(connection)
      assert.equal(alice.link(foe.linked)?.path?.kind, 'relay')
      assert.deepEqual(alice.brief, ['path'], 'nothing was dialled, and nothing lost')
    })
  }

  it('silence is left alone, and holds nobody up who stops', async () => {
    const [alice, foe] = await Promise.all([stage.node(DIRECT), Foe.start(await stage.node())])
    const connection = await stage.link(alice, foe.linked)
    await foe.asked(1)
    await works(connection)
    await alice.node.stop()
    assert.equal(foe.offers.length, 1)
  })

  it('its own offer sent back has a peer meet nobody but itself', async () => {
    const [alice, foe] = await Promise.all([stage.node(DIRECT), Foe.start(await stage.node(), encodeOffer)])
    const connection = await stage.link(alice, foe.linked)
    await foe.asked(2)
    await works(connection)
    assert.equal(alice.link(foe.linked)?.path?.kind, 'relay')
    assert.equal(alice.brief.filter(text => text === 'path').length, 1)
  })
})

describe('What a peer says is not dialled', () => {
  const stage = linkStage()
  const traps: Trap[] = []

  async function trap (): Promise<Trap> {
    const set = await Trap.set()
    traps.push(set)
    return set
  }

  afterEach(() => { traps.splice(0).forEach(each => { each.close() }) })

  /** Has a node ask twice, so that the first try is over; the answer is an init with these addresses. */
  async function askedTwice (init: LinkedInit, port: number, ips: readonly string[]): Promise<Linked> {
    const offered = { init: initOf(port, ips), ...PLAIN_OFFER }
    const foe = await Foe.start(await stage.node(), ({ link }) => encodeOffer({ link, ...offered }))
    const alice = await stage.node(init)
    const connection = await stage.link(alice, foe.linked)
    await foe.asked(2)
    await works(connection)
    return alice
  }

  it('when it is this very device, in any spelling, unless that is wanted', async () => {
    const set = await trap()
    const ips = [
      '127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::7f00:1', '0.0.0.0', '::',
      '::ffff:0.0.0.0',
      'localhost', '127.1', '2130706433', '0x7f.0.0.1', '127.0.0.1 ', '127.0.0.1%lo', '::1%lo', '64:ff9b::7f00:1',
      '::ffff:0:127.0.0.1'
    ]
    const alice = await askedTwice({ ...DIALS, directLoopback: false }, set.port, ips)
    assert.deepEqual([set.sockets.length, alice.brief], [0, ['path']])
    const bob = await stage.node(DIALS)
    const foe = await Foe.start(await stage.node(), ({ link }) =>
      encodeOffer({ link, init: initOf(set.port, ['127.0.0.1']), ...PLAIN_OFFER }))
    await stage.link(bob, foe.linked)
    await set.caught(1) // the trap works
  })

  it('when it is a name, a foreign network, many hosts, or a service of the system', async () => {
    const set = await trap()
    const foreign = [
      '169.254.169.254', '10.255.1.1', '172.31.250.1', '192.168.250.250', '100.64.9.9', 'fd99::1', 'fe80::1%eth0', 'fe80::1%1',
      '224.0.0.1',
      '255.255.255.255', 'ff02::1', 'example.com', 'metadata.google.internal', '2002:7f00:1::', '2001:0:7f00:1::'
    ]
    const nodes = await Promise.all([
      askedTwice(DIALS, set.port, foreign),
      askedTwice(DIALS, 80, ['127.0.0.1', '::1', ...foreign]),
      askedTwice(DIALS, 0, ['127.0.0.1'])
    ])
    assert.deepEqual([set.sockets.length, ...nodes.map(({ brief }) => brief)], [0, ['path'], ['path'], ['path']])
  })

  it('twice, however often it is said', async () => {
    const set = await trap()
    const calls: number[] = []
    const foe = await Foe.start(await stage.node(), ({ link }) => {
      calls.push(set.sockets.length)
      const init = initOf(set.port, ['127.0.0.1', '::ffff:127.0.0.1', '127.0.0.1', '::ffff:7f00:1'])
      return encodeOffer({ link, init, ...PLAIN_OFFER })
    })
    const alice = await stage.node(DIALS)
    await stage.link(alice, foe.linked)
    await set.caught(1)
    set.sockets[0]?.destroy()
    await alice.told('tried', 'ERR_PATH_LOST')
    await foe.asked(2)
    assert.deepEqual(calls.slice(0, 2), [0, 1], 'calls before each answer')
  })

  it('when it is the relay of somebody else: only the path is taken, to the star that the link runs through', async () => {
    const set = await trap()
    const url = `ws://127.0.0.1:${set.port}/relay/${'ab'.repeat(32)}`
    const relayedWebSocket = { pathId: 1, networkCost: 'unknown', url } as const
    const init = { ...initOf(0, []), directTcpServer: undefined, relayedWebSocket }
    const foe = await Foe.start(await stage.node(), ({ link }) => encodeOffer({ link, init, ...PLAIN_OFFER }))
    const alice = await stage.node({ ...DIALS, directRelay: true })
    await works(await stage.link(alice, foe.linked))
    const { path } = await alice.told('tried', 'ERR_PATH_LOST')
    assert.deepEqual(path, { kind: 'relay-ws', via: parseStarAddress(stage.star.address)?.url })
    const bob = await stage.node({ ...DIALS, directRelay: true })
    const connection = await stage.link(foe.linked, bob)
    assert.ok(await foe.offer(connection, bob, init))
    await bob.told('tried', 'ERR_PATH_LOST')
    assert.equal(set.sockets.length, 0)
  })
})

describe('At the port of a peer', () => {
  const stage = linkStage()

  /** A foe that has dialled a peer, and what that one offers. */
  async function invited (init: LinkedInit = DIRECT): Promise<{ alice: Linked, foe: Foe, connection: Connection }> {
    const [alice, foe] = await Promise.all([stage.node(init), Foe.start(await stage.node())])
    return { alice, foe, connection: await stage.link(foe.linked, alice) }
  }

  it('who has another key, or repeats what was said, is sent away, and the right one is let in', async () => {
    const { alice, foe, connection } = await invited()
    const offer = await foe.offer(connection, alice)
    assert.ok(offer)
    const wrong = await Knock.path({ ...offer.init, ak: times(3, 32) }, true)
    await wrong.ended()
    const right = await Knock.path(offer.init, true)
    await right.established()
    const again = await Knock.silent(offer.init.directTcpServer?.port ?? 0)
    again.say(right.sent.subarray(0, 72))
    await again.ended()
    assert.equal(right.closed, false)
    await works(connection)
  })

  it('strangers who say nothing, anything, or too little at a time don\'t keep the right one out', async () => {
    const { alice, foe, connection } = await invited()
    const offer = await foe.offer(connection, alice)
    const { port } = offer?.init.directTcpServer ?? assert.fail('it offers a port')
    const silent = await Promise.all(Array.from({ length: 3 * MAX_STRANGERS }, async () => await Knock.silent(port)))
    await until(() => silent.filter(({ closed }) => !closed).length === MAX_STRANGERS)
    const loud = await Promise.all([times(0xff, 4), times(0, 4), Uint8Array.of(68, 0, 0, 0, ...times(5, 68)), times(0x47, 2_000)]
      .map(async bytes => {
        const knock = await Knock.silent(port)
        knock.say(bytes)
        return knock
      }))
    await Promise.all(loud.map(async knock => { await knock.ended() }))
    const slow = await Knock.silent(port)
    slow.say(Uint8Array.of(68, 0))
    const right = await Knock.path(offer?.init ?? assert.fail(), true)
    slow.say(Uint8Array.of(0, 0, 1))
    await right.established()
    await alice.told('tried')
    right.tell({ type: 'nominate' })
    await until(() => silent.every(({ closed }) => closed) && slow.closed) // nobody is waited for any more
    await works(connection)
  })

  it('a path that is nominated and then says nothing is closed, and the link has not moved', async () => {
    const { alice, foe, connection } = await invited()
    const offer = await foe.offer(connection, alice)
    const knock = await Knock.path(offer?.init ?? assert.fail(), true, 1, true)
    await knock.established()
    await knock.ended()
    assert.equal(alice.brief.filter(text => text === 'path').length, 1)
    assert.equal(alice.link(foe.linked)?.path?.kind, 'relay')
    await works(connection)
  })

  it('a path that is never nominated is closed when the race is over', async () => {
    const { alice, foe, connection } = await invited()
    const offer = await foe.offer(connection, alice)
    const knock = await Knock.path(offer?.init ?? assert.fail(), true)
    await knock.established()
    await knock.ended(15_000)
    assert.equal(knock.outputs.some(output => output.do === 'nominated'), false)
    assert.equal(alice.link(foe.linked)?.path?.kind, 'relay')
    await works(connection)
  }).timeout(60_000)

  it('who nominates and is not to closes its own path only', async () => {
    const [alice, foe] = await Promise.all([stage.node(DIRECT), Foe.start(await stage.node(), ({ link }) =>
      encodeOffer({ link, init: { ...initOf(0, []), directTcpServer: undefined }, ...PLAIN_OFFER }))])
    const connection = await stage.link(alice, foe.linked)
    await foe.asked(1)
    const [offer] = foe.offers
    const knock = await Knock.path(offer?.init ?? assert.fail(), true, 1, true)
    await knock.established()
    await knock.ended()
    await alice.told('tried', 'ERR_PROTOCOL')
    assert.equal(alice.link(foe.linked)?.path?.kind, 'relay')
    await works(connection)
  })

  it('that opens and never answers, a peer gives up in time', async () => {
    const set = await Trap.set()
    const foe = await Foe.start(await stage.node(), ({ link }) =>
      encodeOffer({ link, init: initOf(set.port, ['127.0.0.1']), ...PLAIN_OFFER }))
    const alice = await stage.node(DIALS)
    const connection = await stage.link(alice, foe.linked)
    await set.caught(1)
    await works(connection)
    await alice.told('tried', 'ERR_PATH_TIMEOUT')
    await works(connection)
    set.close()
  }).timeout(60_000)
})

describe('A peer that asks', () => {
  const stage = linkStage()

  it('is not answered when it has not dialled the link, or speaks of another one', async () => {
    const [alice, foe] = await Promise.all([stage.node(DIRECT), Foe.start(await stage.node())])
    await stage.link(alice, foe.linked)
    const [there] = foe.linked.connections(alice)
    assert.ok(there)
    assert.equal(await foe.offer(there, alice), undefined)
    const bob = await stage.node(DIRECT)
    const connection = await stage.link(foe.linked, bob)
    const other = encodeOffer({ link: linkId(foe.linked, alice), init: initOf(0, []), ...PLAIN_OFFER })
    assert.equal(await foe.ask(connection, other), undefined)
    assert.equal(await foe.ask(connection, encodeInit(initOf(0, []))), undefined)
    assert.equal(await foe.ask(connection, new Uint8Array(20_000)), undefined)
    assert.ok(await foe.offer(connection, bob), 'and is when all is as it should be')
    await Promise.all([works(there), works(connection)])
  })

  it('again and again is answered twice a second, and has nobody dial more often than that', async () => {
    const set = await Trap.set()
    const [alice, foe] = await Promise.all([stage.node(DIRECT), Foe.start(await stage.node())])
    const connection = await stage.link(foe.linked, alice)
    const start = performance.now()
    let answered = 0
    for (let round = 0; round < 10; round++) {
      const offers = Array.from({ length: 20 }, async () => await foe.offer(connection, alice, initOf(set.port, ['127.0.0.1'])))
      answered += (await Promise.all(offers)).filter(offer => offer != null).length
    }
    const most = 1 + (performance.now() - start) / 500
    assert.ok(answered >= 1 && answered <= most, `${answered} answers, and ${most} were due`)
    await set.caught(1)
    assert.ok(set.sockets.length <= answered, `${set.sockets.length} calls for ${answered} answers`)
    await works(connection)
    set.close()
  })

  it('on many streams, and says nothing, takes no other peer\'s turn', async () => {
    const alice = await stage.node(DIRECT)
    const foes = await Promise.all(Array.from({ length: 5 }, async () => await Foe.start(await stage.node())))
    for (const foe of foes) {
      const connection = await stage.link(foe.linked, alice)
      await Promise.all(Array.from({ length: 30 }, async () => await foe.open(connection)))
    }
    const bob = await stage.node(DIRECT)
    await works(await stage.link(alice, bob))
    await until(() => alice.link(bob)?.path?.kind === 'tcp' && bob.link(alice)?.path?.kind === 'tcp')
  }).timeout(60_000)
})
