// What somebody who means harm can do to links: nothing to those of others, and to its own no more than end them.
import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { writeDataHeader } from '../../src/link/frame.ts'
import { random64, strangers } from '../support/link-raw.ts'
import { Transfer, assertOneLink, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import { quickly } from '../support/waiting.ts'
import type { Speaker } from '../support/link-raw.ts'

const MIB = 1_048_576

describe('a stranger who speaks of links', () => {
  const stage = linkStage()
  const join = strangers()

  it('is let in when it proves who it is: the tests below know how to', async () => {
    const a = await stage.node()
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    const outcome = await stranger.shake(speaker)
    assert.equal(outcome?.do, 'proved')
    await a.told({ what: 'path', peer: stranger.name })
  })

  it('cannot say that it is another than the star says', async () => {
    const [a, victim] = await stage.pair()
    const connection = await stage.link(a, victim)
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    const outcome = await stranger.shake(speaker, { options: { name: victim.id } })
    assert.ok(outcome?.do === 'over')
    assert.equal(outcome.error.code, 'ERR_LINK_NAME')
    await a.told({ what: 'attempt', peer: stranger.name }, 'ERR_LINK_NAME')
    await works(connection)
  })

  for (const [step, talk] of Object.entries({
    'before its name': async () => {},
    'after its name': async (speaker: Speaker, name: () => void) => {
      name()
      await speaker.hears('server_status')
      await speaker.hears('server_challenge')
    },
    'in the middle of a frame': async (speaker: Speaker) => { speaker.path.send([Uint8Array.of(1, 0, 0)]) },
    'in the middle of its name': async (speaker: Speaker) => { speaker.path.send([Uint8Array.of(1, 0, 0, 100, 1, 2, 3)]) }
  })) {
    it(`is given up when it stalls ${step}`, async () => {
      await quickly('the end', 3_000, async () => {
        const a = await stage.node({ handshakeTimeout: 2_000 })
        const stranger = await join(stage.star.address)
        const speaker = stranger.dial(a.id)
        const begin = performance.now()
        await talk(speaker, () => { speaker.say(stranger.claim(5n)) })
        await speaker.ended()
        const took = performance.now() - begin
        await a.told({ what: 'attempt', peer: stranger.name }, 'ERR_LINK_TIMEOUT')
        assert.deepEqual(a.brief, ['attempt ERR_LINK_TIMEOUT'])
        return took
      })
    })
  }

  it('is given up when it takes its time for each step', async () => {
    const a = await stage.node({ handshakeTimeout: 600 })
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    const drip = setInterval(() => {
      if (speaker.gone == null) {
        speaker.path.send([Uint8Array.of(1)]) // a frame of 65,793 bytes, one by one
      }
    }, 50)
    await speaker.ended().finally(() => { clearInterval(drip) })
    await a.told('attempt')
    assert.match(a.brief.join(), /^attempt ERR_(LINK_TIMEOUT|PROTOCOL)$/)
  })

  it('is given up when it stalls as the one who is dialled, and the dial says why', async () => {
    const a = await stage.node({ handshakeTimeout: 400 })
    const stranger = await join(stage.star.address, { onDial: () => {} })
    await assert.rejects(a.node.dial(multiaddr(`${stage.star.address}/p2p/${stranger.name}`)), { code: 'ERR_LINK_TIMEOUT' })
    await a.told({ what: 'attempt', peer: stranger.name }, 'ERR_LINK_TIMEOUT')
  })

  for (const [what, bytes] of Object.entries({
    'a frame that is too long': Uint8Array.of(1, 0, 16, 1),
    'the longest frame that can be spelled': Uint8Array.of(5, 255, 255, 255),
    'a frame of no known type': Uint8Array.of(9, 0, 0, 0, 0),
    'an empty handshake message': Uint8Array.of(1, 0, 0, 0),
    'a handshake message that is none': Uint8Array.of(1, 0, 0, 3, 255, 255, 255),
    'data that is too long': dataHead(0, MIB + 1),
    'data beyond what can be counted': Uint8Array.of(2, 0, 0, 9, 255, 255, 255, 255, 255, 255, 255, 255, 0),
    'an acknowledgement of the wrong length': Uint8Array.of(3, 0, 0, 2, 1, 1),
    'a web page': new TextEncoder().encode('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n')
  })) {
    it(`is left at once when it sends ${what}`, async () => {
      const a = await stage.node()
      const stranger = await join(stage.star.address)
      const speaker = stranger.dial(a.id)
      await speaker.pour(bytes)
      await speaker.ended()
      await a.told({ what: 'attempt', peer: stranger.name }, 'ERR_PROTOCOL')
      assert.deepEqual(a.brief, ['attempt ERR_PROTOCOL'])
    })
  }

  it('is left whatever bytes it sends, and whatever it adds to a good beginning', async () => {
    const [a, friend] = await stage.pair({ handshakeTimeout: 100 })
    await until(async () => await stage.dial(a, friend).then(() => true, () => false)) // its handshake has little time, too
    const connection = await stage.link(a, friend)
    const stranger = await join(stage.star.address)
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, named) => {
      const speaker = stranger.dial(a.id)
      if (named) {
        speaker.say(stranger.claim(random64()))
      }
      await speaker.pour(bytes)
      await speaker.ended()
    }), { numRuns: 100 })
    await works(connection)
    assertOneLink(a, friend)
  }).timeout(60_000)

  it('can send no more than the windows before it has proved itself', async () => {
    const a = await stage.node({ handshakeTimeout: 3_000 })
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    speaker.say(stranger.claim(5n))
    await speaker.hears('server_status')
    await speaker.hears('server_challenge')
    const before = process.memoryUsage().arrayBuffers
    let sent = 0
    const block = new Uint8Array(65_536)
    block.set(dataHead(0, block.byteLength - 12))
    const pouring = (async () => {
      while (speaker.gone == null) {
        await speaker.pour(block)
        sent += block.byteLength
      }
    })().catch(() => undefined)
    await Promise.race([pouring, speaker.ended()])
    assert.ok(sent < 4 * MIB, `${sent} bytes`)
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB)
  })

  it('that makes attempt after attempt has the oldest dropped, and disturbs nobody', async () => {
    const [a, friend] = await stage.pair()
    const connection = await stage.link(a, friend)
    const stranger = await join(stage.star.address)
    const speakers = Array.from({ length: 100 }, () => {
      const speaker = stranger.dial(a.id)
      speaker.say(stranger.claim(random64()))
      return speaker
    })
    await until(() => speakers.filter(({ gone }) => gone == null).length <= 8)
    await a.told({ what: 'attempt', peer: stranger.name }, 'ERR_TOO_MANY_IN_FLIGHT')
    await works(connection)
    const other = await stage.node()
    await works(await stage.dial(other, a))
  })

  it('that has a link cannot send more than it was allowed', async () => {
    const a = await stage.node()
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    assert.equal((await stranger.shake(speaker))?.do, 'proved')
    await a.told('path')
    await speaker.pour(dataHead(0, MIB))
    for (let sent = 0; sent < 3 * MIB && speaker.gone == null; sent += 65_536) {
      await speaker.pour(dataHead(sent + MIB, 65_524)).catch(() => undefined)
      await speaker.pour(new Uint8Array(65_524)).catch(() => undefined)
    }
    await speaker.ended()
    await a.told('over')
    assert.match(a.brief.join(), /over ERR_(BUDGET|PROTOCOL|STREAM_RESET)/)
  })

  it('that has a link and never reads nor acknowledges costs no more than the windows', async () => {
    const a = await stage.node({ probeTimeout: 500 })
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    assert.equal((await stranger.shake(speaker))?.do, 'proved')
    await a.told('path')
    const hello = new TextEncoder().encode('\x13/multistream/1.0.0\n')
    await speaker.pour(dataHead(0, hello.byteLength))
    await speaker.pour(hello) // which is answered
    await speaker.ended()
    const came = speaker.frames.reduce((sum, frame) => sum + (frame.type === 'data' ? frame.bytes.byteLength : 0), 0)
    assert.ok(came < 65_536, `${came} bytes`)
    await a.told('over', 'ERR_PATH_DEAD')
    assert.deepEqual(a.links.status(), [])
  })

  it('that has a link cannot make its peer answer without end', async () => {
    const a = await stage.node()
    const stranger = await join(stage.star.address)
    const speaker = stranger.dial(a.id)
    assert.equal((await stranger.shake(speaker))?.do, 'proved')
    await a.told('path')
    const pings = new Uint8Array(8 * 1_000)
    for (let position = 0; position < pings.byteLength; position += 8) {
      pings.set([6, 0, 0, 4], position)
    }
    await speaker.pour(pings)
    await until(() => speaker.frames.some(({ type }) => type === 'pong') || speaker.gone != null)
    const other = await stage.node()
    await works(await stage.dial(other, a))
  })
})

describe('a stranger who goes by the name of another, on a star that asks for no proof', () => {
  const stage = linkStage({ cryptoChallenge: false })
  const join = strangers()

  it('does not disturb the link of who it says it is, nor its streams', async () => {
    const [a, victim] = await stage.pair()
    const connection = await stage.link(victim, a)
    const transfer = await Transfer.start(connection, 30 * MIB)
    const stranger = await join(stage.star.address, { name: victim.id, listed: false })
    for (let round = 0; round < 20; round++) {
      // says that it no longer holds the link, and should have a new one
      const outcome = await stranger.shake(stranger.dial(a.id))
      assert.ok(outcome?.do === 'over', JSON.stringify(outcome?.do))
      assert.equal(outcome.error.code, 'ERR_LINK_PROOF')
    }
    await transfer.done
    assertOneLink(a, victim)
    assert.deepEqual(new Set(a.brief), new Set(['path', 'attempt ERR_LINK_PROOF']))
  })

  it('cannot take a link over: neither by its id, nor with a secret that it made up', async () => {
    const [a, victim] = await stage.pair()
    const connection = await stage.link(victim, a)
    const stranger = await join(stage.star.address, { name: victim.id, listed: false })
    const resume = BigInt(`0x${a.link(victim)?.link ?? ''}`)
    for (const secret of [new Uint8Array(), new Uint8Array(32), randomFillSync(new Uint8Array(32))]) {
      const outcome = await stranger.shake(stranger.dial(a.id), { resume, secret })
      assert.ok(outcome?.do === 'over')
      assert.equal(outcome.error.code, 'ERR_LINK_PROOF')
    }
    const outcome = await stranger.shake(stranger.dial(a.id), { resume: resume ^ 1n })
    assert.ok(outcome?.do === 'over', 'a link that is none: it has to prove who it is even to be told so')
    await works(connection)
    assertOneLink(a, victim)
    assert.deepEqual(new Set(a.brief), new Set(['path', 'attempt ERR_LINK_PROOF']))
  })

  it('cannot take a link over that waits for a path either', async () => {
    const [a, victim] = await stage.pair()
    const connection = await stage.link(victim, a)
    const resume = BigInt(`0x${a.link(victim)?.link ?? ''}`)
    const since = a.events.length
    await stage.star.restart()
    const stranger = await join(stage.star.address, { name: victim.id, listed: false })
    await until(() => stage.star.server.peers().some(address => address.endsWith(a.id)))
    const outcome = await stranger.shake(stranger.dial(a.id), { resume })
    assert.ok(outcome?.do === 'over')
    assert.equal(outcome.error.code, 'ERR_LINK_PROOF')
    await a.told('path', undefined, { since })
    await works(connection)
  })

  it('does not disturb dials in progress, in either direction, with attempts that it leaves at every step', async () => {
    const [a, victim] = await stage.pair()
    const stranger = await join(stage.star.address, { name: victim.id, listed: false })
    for (let round = 0; round < 10; round++) {
      const attempts = Array.from({ length: 6 }, () => stranger.dial(a.id))
      attempts.forEach((speaker, number) => {
        if (number > 0) {
          speaker.say(stranger.claim(random64()))
        }
      })
      const refused = stranger.shake(stranger.dial(a.id))
      const dials = round % 2 === 0 ? [stage.dial(a, victim)] : [stage.dial(victim, a)]
      if (round % 4 > 1) {
        dials.push(round % 2 === 0 ? stage.dial(victim, a) : stage.dial(a, victim))
      }
      const connections = await Promise.all(dials)
      await Promise.all(connections.map(async connection => { await works(connection) }))
      assertOneLink(a, victim)
      assert.equal((await refused)?.do, 'over')
      await connections[0]?.close()
      await until(() => a.links.status().length === 0 && victim.links.status().length === 0)
      attempts.forEach(({ path }) => { path.close() })
    }
  }).timeout(60_000)

  it('gets no link from who dials it under that name, and the dial says that nothing was proved', async () => {
    const [a, victim] = await stage.pair()
    const connection = await stage.link(a, victim)
    const resume = BigInt(`0x${a.link(victim)?.link ?? ''}`)
    const answers = [
      { status: 'alive', link: resume }, { status: 'nok', link: 0n }, { status: 'nok', link: 7n }, { status: 'ok' },
      { status: 'not_allowed' }
    ] as const
    let asked = 0
    // the star gives the victim's address to who came last; the victim's own socket stays, and so does the link's path
    const stranger = await join(stage.star.address, {
      name: victim.id,
      onDial: speaker => {
        const answer = answers[asked++ % answers.length]
        void stranger.shake(speaker, { decide: () => answer ?? { status: 'ok' } })
      }
    })
    const since = a.events.length
    victim.links.drop(a.id)
    await until(() => asked >= answers.length)
    assert.equal(a.link(victim)?.state, 'suspended')
    const expected = /^(suspended|attempt) ERR_(STREAM_CLOSED|LINK_PROOF|LINK_REFUSED|PROTOCOL|LINK_EXISTS|PATH_DEAD)$/
    assert.deepEqual(a.brief.slice(since).filter(what => !expected.test(what)), [])
    stranger.member.stop()
    await works(connection)
    assertOneLink(a, victim)
  }).timeout(60_000)
})

/** The head of a frame with so many bytes of data. */
function dataHead (offset: number, length: number): Uint8Array {
  const head = new Uint8Array(12)
  writeDataHeader(head, 0, offset, length)
  return head
}
