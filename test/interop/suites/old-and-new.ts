// An original client and one of ours on our star: they discover each other, dial both ways, and hear of each other's end.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { connect, star as starTransport, type ConnectOptions, type StarClient, type StarStream } from '../../../client/index.ts'
import { startStar, type StarServer } from '../../../server/index.ts'
import { eventually, within } from '../driver.ts'
import { OldClients } from '../peers.ts'

const TEN_MB = 10_000_000

/** Only on our star: the original does not take our client. */
export function oldAndNew (): void {
  describe('an original client and one of ours', () => {
    let old: OldClients
    let server: StarServer
    let star: string
    let ours: StarClient[]

    beforeEach(async () => {
      old = new OldClients()
      ours = []
      server = await startStar({ port: 0, refreshPeerListIntervalMS: 250, announceDelay: 20, restartDelay: 10 })
      star = server.addresses[0] as string
    })

    afterEach(async () => {
      await Promise.all(ours.map(async (client) => { await client.close() }))
      await old.close()
      await server.close()
    })

    async function joinNew (options?: ConnectOptions): Promise<StarClient> {
      const client = await within(10_000, 'our client to join', connect(star, { retryMin: 50, ...options }))
      ours.push(client)
      return client
    }

    /** The address of one of ours, as an original client is told it. */
    function spell (client: StarClient): string {
      return `${star}/ipfs/${client.id.toString()}`
    }

    describe('discovery', () => {
      it('shows ours to the original, in the spelling that it reads, whoever came first', async () => {
        const first = await joinNew()
        const peer = await old.join(star)
        const second = await joinNew()
        for (const client of [first, second]) {
          const address = spell(client)
          await peer.hears(address)
          const { addresses } = await old.next('discovery', { peer: peer.number, peerId: client.id.toString() })
          assert.deepEqual(addresses, [address])
        }
        await peer.hears(spell(second), { since: old.now, times: 2 })
        assert.deepEqual(old.told('peer').filter(({ address }) => address?.includes('/p2p/')), [])
      })

      it('shows the original to ours, whoever came first', async () => {
        const first = await old.join(star)
        const client = await joinNew()
        assert.deepEqual(client.peers(), [`${star}/p2p/${first.id}`])
        const second = await old.join(star)
        await eventually('ours knows the newcomer', () => client.peers().includes(`${star}/p2p/${second.id}`))
      })

      it('shows a libp2p node to the original', async () => {
        const peer = await old.join(star)
        const { transport, discovery } = starTransport()
        const node = await createLibp2p({
          addresses: { listen: [star] },
          transports: [transport],
          peerDiscovery: [discovery],
          connectionEncrypters: [noise()],
          streamMuxers: [yamux()]
        })
        try {
          await peer.hears(`${star}/ipfs/${node.peerId.toString()}`)
        } finally {
          await node.stop()
        }
      })

      it('does not show ours when it only dials, but lets it', async () => {
        const peer = await old.join(star)
        const shy = await joinNew({ listed: false })
        const { received, sent } = await exchange(await shy.dial(peer.address), 1000)
        assert.equal(received, sent)
        await peer.hears(await old.join(star), { times: 3 })
        assert.deepEqual(old.told('peer').filter(({ address }) => address?.endsWith(shy.id.toString())), [])
      })
    })

    describe('streams', () => {
      it('goes from ours to the original: 10 MB come back with the same checksum', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const { received, sent } = await exchange(await client.dial(peer.address), TEN_MB)
        assert.equal(received, sent)
      })

      it('goes from the original to ours: 10 MB come back with the same checksum', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        void echo(client)
        const { bytes, sha256, sent, error } = await peer.echo(spell(client), TEN_MB)
        assert.deepEqual({ bytes, sha256, error }, { bytes: TEN_MB, sha256: sent, error: null })
      })

      it('goes both ways at once', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        void echo(client)
        const [there, back] = await Promise.all([
          peer.echo(spell(client), TEN_MB),
          client.dial(peer.address).then(async (stream) => await exchange(stream, TEN_MB))
        ])
        assert.deepEqual([there.sha256, back.received], [there.sent, back.sent])
      })

      it('is dialled by ours under every name of the original', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        for (const name of [peer.address, `${star}/p2p/${peer.id}`, peer.id, client.peers()[0] as string]) {
          const { received, sent } = await exchange(await client.dial(name), 100)
          assert.equal(received, sent, name)
        }
      })

      it('tells both who is at the other end', async () => {
        const peer = await old.join(star, { handler: 'collect' })
        const client = await joinNew()
        await client.dial(peer.address)
        assert.equal((await peer.accept()).from, spell(client))
        await peer.dial(spell(client))
        assert.equal((await next(client)).remote, `${star}/p2p/${peer.id}`)
      })

      it('half-closes: ours has ended, the original still speaks', async () => {
        const peer = await old.join(star, { handler: 'collect' })
        const stream = await (await joinNew()).dial(peer.address)
        const incoming = await peer.accept()
        await stream.sink([Buffer.from('question')])
        const { text, ended, error } = await incoming.until()
        assert.deepEqual({ text, ended, error }, { text: 'question', ended: true, error: null })
        await incoming.write('answer')
        await incoming.end()
        assert.equal(await readText(stream), 'answer')
      })

      it('half-closes: the original has ended, ours still speaks', async () => {
        const peer = await old.join(star, { handler: 'collect' })
        const client = await joinNew()
        const stream = await peer.dial(spell(client))
        const incoming = await next(client)
        await stream.write('question')
        await stream.end()
        assert.equal(await readText(incoming), 'question')
        await incoming.sink([Buffer.from('answer')])
        const { text, ended, error } = await stream.until()
        assert.deepEqual({ text, ended, error }, { text: 'answer', ended: true, error: null })
      })

      it('ends for the original when ours breaks it off, and for ours when the original does', async () => {
        const peer = await old.join(star, { handler: 'collect' })
        const client = await joinNew()
        const broken = await client.dial(peer.address)
        const incoming = await peer.accept()
        const since = old.now
        broken.abort()
        const { ended, error } = await incoming.until()
        assert.equal(ended, true)
        assert.ok(error !== null)

        const stream = await client.dial(peer.address)
        await (await peer.accept({ since })).end('no further')
        await assert.rejects(readText(stream), { name: 'StarError' })
      })

      it('holds the original back when ours reads slowly, and loses nothing', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const stream = await peer.dial(spell(client))
        const incoming = await next(client)
        const sent = await stream.fill(20_000_000)
        await stream.end()
        await eventually('the budget is used', async () => await metric(server, 'star_bytes_in_flight') > 500_000)
        const relayed = await metric(server, 'star_relayed_bytes_total')
        assert.ok(relayed < 4_000_000, `${relayed} bytes had been taken in for a reader that had not begun`)
        const hash = createHash('sha256')
        await within(30_000, 'the rest', (async () => { for await (const chunk of incoming.source) hash.update(chunk) })())
        assert.equal(hash.digest('hex'), sent)
      })

      it('goes on beside a stream of the original that ours does not want to read', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const unwanted = await peer.dial(spell(client))
        const incoming = await next(client)
        await unwanted.write('enough')
        await within(10_000, 'the first chunk', (async () => { for await (const _ of incoming.source) break })())
        // the original cannot be told, and sends all of it
        await unwanted.fill(5_000_000)
        const { received, sent } = await exchange(await client.dial(peer.address), 1000)
        assert.equal(received, sent)
      })
    })

    describe('leaving', () => {
      it('is told to ours when the original goes, with its streams and its name', async () => {
        const peer = await old.join(star, { handler: 'collect' })
        const client = await joinNew()
        const stream = await client.dial(peer.address)
        await peer.accept()
        const left = told(client, 'left')
        await peer.drop()
        assert.equal(await left, `${star}/p2p/${peer.id}`)
        assert.deepEqual(client.peers(), [])
        await assert.rejects(readText(stream), { code: 'ERR_PEER_GONE' })
        await assert.rejects(client.dial(peer.address), { code: 'ERR_PEER_NOT_FOUND' })
      })

      it('is told to ours when the original sends ss-leave', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const left = told(client, 'left')
        await peer.leave()
        assert.equal(await left, `${star}/p2p/${peer.id}`)
        await assert.rejects(client.dial(peer.address), { code: 'ERR_PEER_NOT_FOUND' })
      })

      it('ends streams and dials of the original when ours goes', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const stream = await peer.dial(spell(client))
        await next(client)
        await client.close()
        const { ended, error } = await stream.until()
        assert.deepEqual({ ended, error }, { ended: true, error: null })
        await assert.rejects(peer.dial(spell(client)), { message: 'Peer not found' })
      })

      it('brings both back when the star restarts', async () => {
        const peer = await old.join(star)
        const client = await joinNew()
        const since = old.now
        const back = Promise.all([once(client, 'joined'), old.next('reconnect', { peer: peer.number }, { since })])
        await server.close()
        server = await startStar({ port: server.port, refreshPeerListIntervalMS: 250, announceDelay: 20 })
        await within(20_000, 'both to come back', back)
        await peer.hears(spell(client), { since })
        await eventually('ours knows the original', () => client.peers().length === 1)
        const { received, sent } = await exchange(await client.dial(peer.address), 1000)
        assert.equal(received, sent)
      })
    })

    describe('takeover', () => {
      it('moves an identity from the original to ours and back', async () => {
        const key = await old.makeKey()
        await old.join(star, { key, handler: 'ignore' })
        const witness = await joinNew()

        const heir = await joinNew({ privateKey: privateKeyFromProtobuf(await old.exportKey(key)) })
        assert.equal(heir.id.toString(), key.id)
        void echo(heir)
        const first = await exchange(await witness.dial(key.id), 100)
        assert.equal(first.received, first.sent)

        const down = told(heir, 'down')
        const again = await old.join(star, { key, handler: 'echo' })
        assert.equal((await down as Error & { code: string }).code, 'ERR_REPLACED')
        const second = await exchange(await witness.dial(again.address), 100)
        assert.equal(second.received, second.sent)
        assert.equal(server.peers().filter((address) => address.endsWith(key.id)).length, 1)
      })
    })
  })
}

/** The detail of the next event of that name. */
async function told (client: StarClient, event: string): Promise<unknown> {
  const heard = (async () => {
    const [{ detail }] = await once(client, event) as [CustomEvent<unknown>]
    return detail
  })()
  return await within(10_000, `our client to hear ${event}`, heard)
}

async function next (client: StarClient): Promise<StarStream> {
  const { value } = await within(10_000, 'our client to be dialled', client[Symbol.asyncIterator]().next())
  assert.ok(value !== undefined)
  return value
}

/** Sends back whatever comes, until the client closes. */
async function echo (client: StarClient): Promise<void> {
  for await (const stream of client) void stream.sink(stream.source).catch(() => {})
}

async function readText (stream: StarStream): Promise<string> {
  const chunks: Uint8Array[] = []
  await within(10_000, 'the end of a stream', (async () => { for await (const chunk of stream.source) chunks.push(chunk) })())
  return Buffer.concat(chunks).toString()
}

/** Sends random bytes to somebody who echoes them; gives both checksums. */
async function exchange (stream: StarStream, size: number): Promise<{ sent: string, received: string }> {
  const [sent, received] = [createHash('sha256'), createHash('sha256')]
  const write = stream.sink((function * () {
    for (let left = size; left > 0; left -= 65_536) {
      const chunk = randomBytes(Math.min(left, 65_536))
      sent.update(chunk)
      yield chunk
    }
  })())
  const read = (async () => { for await (const chunk of stream.source) received.update(chunk) })()
  await within(40_000, `${size} bytes to come back`, Promise.all([write, read]))
  return { sent: sent.digest('hex'), received: received.digest('hex') }
}

async function metric (server: StarServer, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(await server.metrics())?.[1])
}
