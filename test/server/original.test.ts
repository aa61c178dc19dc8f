// The star as original clients see it: the original server's own test cases by intent, and its wire to the letter.
import assert from 'node:assert/strict'
import { startStar } from '../../server/index.ts'
import { Event } from '../../src/star/protocol.ts'
import { digestOf } from '../support/raw-stream.ts'
import { makeIdentity, openStream, stages } from '../support/raw.ts'
import { until } from '../support/nodes.ts'
import { within } from '../support/waiting.ts'

const PORT_WITHOUT_OPTION = 9_090

describe('life of a star', () => {
  it('starts on the port of the original without options and stops', async function () {
    let server
    try {
      server = await startStar()
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EADDRINUSE')
      this.skip() // somebody else has it: nothing is wrong with us
    }
    assert.equal(server.port, PORT_WITHOUT_OPTION)
    assert.equal(server.url, 'http://127.0.0.1:9090')
    assert.deepEqual(server.addresses, ['/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star'])
    await within('the star to close', server.close())
  })

  it('starts on a port of choice and stops', async () => {
    const { port } = await startStar({ port: 0 }).then(async probe => {
      await probe.close()
      return probe
    })
    const server = await startStar({ port })
    assert.equal(server.port, port)
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    await within('the star to close', server.close())
    await assert.rejects(fetch(`${server.url}/healthz`))
  })
})

for (const cryptoChallenge of [true, false]) {
  describe(`original clients on a star ${cryptoChallenge ? 'with' : 'without'} challenge`, () => {
    const open = stages()

    it('are nobody at first', async () => {
      const { star } = await open({ cryptoChallenge })
      assert.deepEqual(star.server.peers(), [])
    })

    it('connect one by one without having joined', async () => {
      const stage = await open({ cryptoChallenge })
      await stage.connect('original')
      await stage.connect('original')
      await stage.connect('original')
      assert.equal(await stage.metric('star_connections_original'), 3)
      assert.deepEqual(stage.star.server.peers(), [])
    })

    it('are told of nobody when they are the first to join', async () => {
      const stage = await open({ cryptoChallenge })
      const client = await stage.connect('original')
      assert.deepEqual(await client.join(), [null, null, []])
      assert.deepEqual(stage.star.server.peers(), [client.address.replace('/ipfs/', '/p2p/')])
    })

    it('are told of the first, who has heard of them before they know that they have joined', async () => {
      const stage = await open({ cryptoChallenge })
      const first = await stage.join('original')
      const second = await stage.connect('original')
      const [, , peers] = await second.join()
      assert.deepEqual(peers, [first.address])
      await first.hears(Event.Peer, address => address === second.address)
      assert.ok(!second.heard.some(({ args }) => args[0] === second.address), 'nobody is told of himself')
    })

    it('hear of each other in the order of the wire: announcement first, acknowledgement afterwards', async () => {
      const stage = await open({ cryptoChallenge })
      const both = await stage.connect('original')
      const [one, other] = [await makeIdentity(), await makeIdentity()]
      await both.join({ identity: one })
      const order: string[] = []
      both.socket.onAny((name: string) => { order.push(name) })
      const third = await stage.connect('original')
      const joined = third.join({ identity: other }).then(() => { order.push('acknowledged') })
      await both.hears(Event.Peer, address => address === third.spell(other.id))
      await joined
      assert.deepEqual(order.filter(name => name !== Event.Peers), [Event.Peer, 'acknowledged'])
    })

    it('are gone when they leave', async () => {
      const stage = await open({ cryptoChallenge })
      const client = await stage.join('original')
      client.tell(Event.Leave, client.address)
      await client.settled()
      assert.deepEqual(stage.star.server.peers(), [])
    })

    it('are gone when they disconnect', async () => {
      const stage = await open({ cryptoChallenge })
      const client = await stage.join('original')
      client.socket.disconnect()
      await until(() => stage.star.server.peers().length === 0)
    })

    it('are announced again each period, to others only', async () => {
      const stage = await open({ cryptoChallenge, refreshPeerListIntervalMS: 50 })
      const [first, second] = [await stage.join('original'), await stage.join('original')]
      await first.when('three announcements', () => first.heard.length >= 3)
      await second.when('three announcements', () => second.heard.length >= 3)
      assert.ok(first.heard.every(({ name, args }) => name === Event.Peer && args.length === 1 && args[0] === second.address))
      assert.ok(second.heard.every(({ name, args }) => name === Event.Peer && args.length === 1 && args[0] === first.address))
    })

    it('are not announced any more when they have left', async () => {
      const stage = await open({ cryptoChallenge, refreshPeerListIntervalMS: 20 })
      const [first, second, third] = [await stage.join('original'), await stage.join('original'), await stage.join('original')]
      second.tell(Event.Leave, second.address)
      await second.settled()
      await first.settled()
      const since = first.heard.length
      await first.when('more announcements', () => first.heard.length >= since + 3)
      assert.ok(first.heard.slice(since).every(({ args }) => args[0] === third.address))
    })

    it('dial: the other gets the dial id and the caller, and the answer is an empty acknowledgement', async () => {
      const stage = await open({ cryptoChallenge })
      const [first, second] = [await stage.join('original'), await stage.join('original')]
      const dialled = first.dial(second, 'dial.id')
      const ring = await second.ring()
      assert.deepEqual([ring.id, ring.from], ['dial.id', first.address])
      assert.equal(second.heard.find(({ name }) => name === Event.Incoming)?.args.length, 3)
      ring.ack()
      assert.deepEqual((await dialled).reply, [])
    })

    it('fail to dial one who has left, and one who has disconnected', async () => {
      const stage = await open({ cryptoChallenge })
      const [first, second, third] = [await stage.join('original'), await stage.join('original'), await stage.join('original')]
      second.tell(Event.Leave, second.address)
      await second.settled()
      third.socket.disconnect()
      await until(() => stage.star.server.peers().length === 1)
      assert.deepEqual((await first.dial(second)).reply, ['Peer not found'])
      assert.deepEqual((await first.dial(third)).reply, ['Peer not found'])
      assert.equal(await stage.refusals('ERR_PEER_NOT_FOUND'), 2)
    })

    it('may pass zero, false, null or nothing as a sign that they take a dial, and a text as one that they do not', async () => {
      const stage = await open({ cryptoChallenge })
      const [first, second] = [await stage.join('original'), await stage.join('original')]
      for (const [answer, expected] of [
        [[], []], [[null], []], [[0], []], [[false], []], [[''], []], [['busy'], ['busy']], [[{}], ['the peer refused the dial']]
      ]) {
        const dialled = first.dial(second)
        const ring = await second.ring()
        ring.ack(...answer ?? [])
        assert.deepEqual((await dialled).reply, expected, JSON.stringify(answer))
      }
    })
  })
}

describe('refusals of original clients', () => {
  const open = stages()

  it('are the texts of the original', async () => {
    const stage = await open()
    const client = await stage.join('original')
    const [self, other] = [await makeIdentity(), await makeIdentity()]
    const address = client.spell(self.id)
    assert.deepEqual(await client.ask(Event.Join, '/ip4/0.0.0.0', self.key), ['Invalid multiaddr'])
    assert.deepEqual(await client.ask(Event.Join, address, ''), ['Crypto Challenge required but no Id provided'])
    assert.deepEqual(await client.ask(Event.Join, address, other.key), ['Id is not matching'])
    assert.deepEqual(await client.ask(Event.Join, address, 'no hex'), ['Id is not matching'])
    const [, nonce] = await client.introduce(self)
    assert.match(nonce as string, /^[\x21-\x7e]{72}$/)
    assert.deepEqual(await client.ask(Event.Join, address, 'abcd'), ['Signature Invalid'])
    assert.deepEqual(await client.ask(Event.Dial, address, client.address, 'id'), ['Not authorized for this address'])
    assert.deepEqual(await client.ask(Event.Dial, client.address, address, 'id'), ['Peer not found'])
  })

  it('let any multiaddr join where the star is not strict', async () => {
    const stage = await open({ strictMultiaddr: false, cryptoChallenge: false })
    const client = await stage.connect('original')
    assert.deepEqual(await client.ask(Event.Join, '/ip4/0.0.0.0', ''), [null, null, []])
    assert.deepEqual(stage.star.server.peers(), ['/ip4/0.0.0.0'])
    const other = await stage.connect('original')
    assert.deepEqual(await other.ask(Event.Join, '/ip4/0.0.0.1', ''), [null, null, ['/ip4/0.0.0.0']])
    await client.hears(Event.Peer, address => address === '/ip4/0.0.0.1')
  })
})

describe('star clients as original clients see them', () => {
  const open = stages()

  it('are spelled with /ipfs/: in lists, announcements and dials', async () => {
    const stage = await open({ refreshPeerListIntervalMS: 50 })
    const star = await stage.join('star')
    const spelling = star.address.replace('/p2p/', '/ipfs/')
    const old = await stage.connect('original')
    assert.deepEqual(await old.join(), [null, null, [spelling]])
    await old.hears(Event.Peer, address => address === spelling)
    const dialled = star.dial(old)
    const ring = await old.ring()
    assert.equal(ring.from, spelling)
    ring.ack()
    assert.deepEqual((await dialled).reply, [])
    assert.ok(!JSON.stringify(old.heard).includes('/p2p/'))
  })

  it('can be dialled in either spelling, and hear of original clients as peer ids', async () => {
    const stage = await open()
    const star = await stage.join('star')
    const old = await stage.join('original')
    await star.hears(Event.Peers, changes => (changes as { joined: string[] }).joined.includes(old.identity?.id ?? ''))
    for (const to of [star.address, star.address.replace('/p2p/', '/ipfs/')]) {
      const dialled = old.dial(to)
      const ring = await star.ring()
      assert.equal(ring.from, old.address.replace('/ipfs/', '/p2p/'))
      ring.ack()
      assert.deepEqual((await dialled).reply, [])
    }
  })
})

describe('streams between the generations', () => {
  const open = stages()

  it('pass on why they end, as far as the other end has words for it', async () => {
    const stage = await open()
    const [old, star] = [await stage.join('original'), await stage.join('star')]
    for (const [reason, forStar, forOld] of [
      [true, true, true], ['broken', 'broken', 'broken'], [{}, 'ERR_STREAM_RESET', {}], [null, 'ERR_STREAM_RESET', {}]
    ]) {
      const [fromOld, toStar] = await openStream(old, star)
      fromOld.end(reason)
      toStar.end(reason)
      assert.deepEqual([await toStar.ended(), await fromOld.ended()], [forStar, forOld], JSON.stringify(reason))
    }
  })

  it('do not trouble an original writer with credit and aborts, and drop what it sends for nobody', async () => {
    const stage = await open()
    const [old, star] = [await stage.join('original'), await stage.join('star')]
    const [fromOld, toStar] = await openStream(old, star)
    fromOld.write('one')
    await toStar.reads(3)
    toStar.abort()
    await star.settled()
    fromOld.write('two')
    toStar.write('answer')
    await fromOld.reads(6)
    assert.equal(toStar.text, 'one')
    assert.deepEqual([fromOld.got.credit, fromOld.got.abort], [[], []])
    assert.ok(!old.heard.some(({ name }) => String(name).includes('pull-stream')))
  })

  it('bring what was said before the socket went, even behind an event whose limit is being checked', async () => {
    const stage = await open()
    const [goes, stays] = [await stage.join('star'), await stage.join('star')]
    const [dialled, accepted] = await openStream(goes, stays)
    // all of it comes in one piece
    goes.tell(Event.Join, goes.address, '', () => undefined)
    dialled.write('the last words')
    dialled.end()
    goes.socket.disconnect()
    assert.equal(await accepted.ended(), true)
    assert.equal(accepted.text, 'the last words')
    await until(() => stage.star.server.peers().length === 1)
  })

  it('end for each in its own way when the socket of the other goes', async () => {
    const stage = await open()
    for (const [goes, stays, expected] of [['original', 'star', 'ERR_PEER_GONE'], ['star', 'original', true]] as const) {
      const [one, other] = [await stage.join(goes), await stage.join(stays)]
      const [, end] = await openStream(one, other)
      one.webSocket.terminate()
      assert.equal(await end.ended(), expected)
      assert.deepEqual(end.got.abort, stays === 'star' ? ['ERR_PEER_GONE'] : [])
    }
  })
})

describe('streams of original clients', () => {
  const open = stages()

  it('carry bytes both ways, with their borders, and empty chunks too', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    const [dialled, accepted] = await openStream(one, other)
    const chunks = [1, 0, 65_536, 999_000, 3].map((size, index) => Buffer.alloc(size, index))
    for (const [writer, reader] of [[dialled, accepted], [accepted, dialled]] as const) {
      chunks.forEach(chunk => { writer.write(chunk) })
      await reader.when('all chunks', () => reader.got.queue.length === chunks.length)
      const sizes = (list: readonly Uint8Array[]): number[] => list.map(({ byteLength }) => byteLength)
      assert.deepEqual(sizes(reader.got.queue as Uint8Array[]), sizes(chunks))
      assert.equal(reader.digest, digestOf(chunks))
    }
  })

  it('are accepted by the reader, not by the star, and without a window', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    const dialled = one.dial(other)
    const ring = await other.ring()
    ring.ack()
    const { stream } = await dialled
    ring.stream.open()
    await stream.when('the accept', () => stream.got.accept.length > 0)
    assert.deepEqual([stream.got.accept, ring.stream.got.accept], [[undefined], []])
  })

  it('can end on one side while the other goes on', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    const [dialled, accepted] = await openStream(one, other)
    dialled.write('question')
    dialled.end()
    assert.equal(await accepted.ended(), true)
    assert.equal(accepted.text, 'question')
    accepted.write('answer')
    accepted.end()
    assert.equal(await dialled.ended(), true)
    assert.equal(dialled.text, 'answer')
    assert.equal(await stage.metric('star_streams'), 0)
  })

  it('pass on why they end', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    for (const [reason, expected] of [
      [true, true], ['broken', 'broken'], [{}, {}], [{ message: 'x' }, {}], [null, {}], [7, {}]
    ]) {
      const [dialled, accepted] = await openStream(one, other)
      dialled.end(reason)
      assert.deepEqual(await accepted.ended(), expected, JSON.stringify(reason))
    }
  })

  it('end in good order when the socket of the other end goes', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    const streams = [await openStream(one, other), await openStream(other, one)]
    other.webSocket.terminate()
    const ends = streams.flat().filter(({ client }) => client === one)
    assert.deepEqual(await Promise.all(ends.map(async end => await end.ended())), [true, true])
    await until(async () => await stage.metric('star_streams') === 0)
  })

  it('live on when their owner leaves the star', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('original')]
    const [dialled, accepted] = await openStream(one, other)
    one.tell(Event.Leave, one.address)
    await one.settled()
    dialled.write('still here')
    await accepted.reads(10)
    assert.equal(accepted.text, 'still here')
  })
})
