// The stand-alone rendezvous: two devices over TCP on loopback, and what strangers, cuts and filters make of it.
import { deepEqual, equal, notDeepEqual, ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { StarError, joinRendezvous, offerRendezvous } from '../../client/rendezvous.ts'
import { encodeInvitation } from '../../src/rendezvous/wire.ts'
import { MAX_STRANGERS } from '../../src/rendezvous/accept.ts'
import { createTestStar } from '../../server/testing.ts'
import { until } from '../support/nodes.ts'
import { within } from '../support/waiting.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type {
  RendezvousConnection, RendezvousJoinOptions, RendezvousOffer, RendezvousOfferOptions
} from '../../client/rendezvous.ts'

/** Loopback alone, in IPv4: the other addresses of a machine may be anything. */
const LOCAL = { loopback: true, allow: ({ ip }: { readonly ip: string }) => ip === '127.0.0.1' } as const

async function digest (source: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of source) {
    hash.update(chunk)
  }
  return hash.digest('hex')
}

function sha256 (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function * cut (bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += size) {
    yield bytes.subarray(offset, offset + size)
  }
}

function code (expected: string, cause?: string): (error: unknown) => boolean {
  return error => error instanceof StarError && error.code === expected &&
    (cause == null || (error.cause instanceof StarError && error.cause.code === cause))
}

/** The invitation of an offer, with the port of somebody else. */
function urlTo (server: Server, { init }: RendezvousOffer): string {
  const { port } = server.address() as AddressInfo
  return encodeInvitation({ ...init, directTcpServer: { port, ipAddresses: init.directTcpServer?.ipAddresses ?? [] } })
}

describe('A stand-alone rendezvous', () => {
  const open: Array<{ close (): Promise<void> }> = []

  afterEach(async () => {
    await within('everything to close', Promise.all(open.splice(0).map(async one => { await one.close() })))
  })

  function owned<T extends { close (): Promise<void> }> (one: T): T {
    open.push(one)
    return one
  }

  async function offerOne (options: RendezvousOfferOptions = {}): Promise<RendezvousOffer> {
    return owned(await offerRendezvous({ ...LOCAL, ...options }))
  }

  async function join (url: string, options: RendezvousJoinOptions = {}): Promise<RendezvousConnection> {
    return owned(await joinRendezvous(url, options))
  }

  async function pair (): Promise<{ readonly offered: RendezvousConnection, readonly joined: RendezvousConnection }> {
    const offer = await offerOne()
    const joined = await join(offer.url)
    return { joined, offered: owned(await offer.connected) }
  }

  function portOf ({ init }: RendezvousOffer): number {
    return init.directTcpServer?.port ?? 0
  }

  async function stranger (port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    owned({ close: async () => { socket.destroy() } })
    await once(socket, 'connect')
    return socket
  }

  /** A proxy before an offer, whose sockets a test can cut, and the URL that leads through it. */
  async function proxied (offer: RendezvousOffer): Promise<{ readonly url: string, readonly sockets: Socket[] }> {
    const sockets: Socket[] = []
    const proxy = createServer(socket => {
      const onward = connect(portOf(offer), '127.0.0.1')
      sockets.push(socket, onward)
      socket.on('error', () => {}).pipe(onward).on('error', () => {}).pipe(socket)
    }).listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    owned({
      close: async () => {
        sockets.forEach(socket => { socket.destroy() })
        proxy.close()
      }
    })
    return { url: urlTo(proxy, offer), sockets }
  }

  it('connects two devices, and both have the same hash of the path', async () => {
    const { offered, joined } = await pair()
    equal(offered.rph.byteLength, 32)
    deepEqual(offered.rph, joined.rph)
    const other = await pair()
    notDeepEqual(other.joined.rph, joined.rph)
  })

  it('connects over whatever addresses the machine has', async () => {
    const offer = owned(await offerRendezvous({ loopback: true }))
    const ips = (offer.init.directTcpServer?.ipAddresses ?? []).map(({ ip }) => ip)
    ok(ips.includes('127.0.0.1'))
    equal(new Set(ips).size, ips.length)
    deepEqual((await join(offer.url)).rph, owned(await offer.connected).rph)
  })

  it('carries 20 MB in both directions at once, and each ends by itself', async () => {
    const { offered, joined } = await pair()
    const there = randomBytes(20_000_000)
    const back = randomBytes(20_000_000)
    // one direction in large pieces, the other in small ones
    const sums = await Promise.all([
      digest(offered.source), digest(joined.source), joined.sink(cut(there, 1_000_000)), offered.sink(cut(back, 10_007))
    ])
    deepEqual(sums.slice(0, 2), [sha256(there), sha256(back)])
  }).timeout(60_000)

  for (const first of ['offered', 'joined'] as const) {
    it(`answers after the end of the other direction: ${first} ends first`, async () => {
      const both = await pair()
      const [one, other] = first === 'offered' ? [both.offered, both.joined] : [both.joined, both.offered]
      const question = randomBytes(100_000)
      await one.sink([question])
      equal(await digest(other.source), sha256(question))
      const answer = randomBytes(300_000)
      const [sum] = await Promise.all([digest(one.source), other.sink([answer])])
      equal(sum, sha256(answer))
      await within('nothing to be open', Promise.all([one.close(), other.close()]))
    })
  }

  it('stops a writer whose reader pauses, and goes on when it reads', async () => {
    const { offered, joined } = await pair()
    const chunk = new Uint8Array(65_536)
    const total = 64 * 1024 * 1024
    let taken = 0
    let last = performance.now()
    async function * produce (): AsyncGenerator<Uint8Array> {
      for (; taken < total; taken += chunk.byteLength) {
        last = performance.now()
        yield chunk
      }
    }
    const sent = joined.sink(produce())
    await offered.source.next() // the reader takes one chunk and pauses
    let before = -1
    while (taken !== before || performance.now() - last < 200) { // as often as the loop turns, until nothing has moved for long
      before = taken
      await new Promise<void>(resolve => { setImmediate(resolve) })
    }
    ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken for a reader that doesn't read`)
    let read = chunk.byteLength
    for await (const { byteLength } of offered.source) {
      read += byteLength
    }
    await sent
    equal(read, total)
    await offered.sink([])
  }).timeout(60_000)

  it('keeps out who has another key, and stays open for who has the right one', async () => {
    const offer = await offerOne()
    const wrong = encodeInvitation({ ...offer.init, ak: randomBytes(32) })
    await rejects(joinRendezvous(wrong), code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_LOST'))
    deepEqual((await join(offer.url)).rph, owned(await offer.connected).rph)
  })

  it('is not disturbed by port scanners: garbage, silence, and many of both', async () => {
    const offer = await offerOne()
    const port = portOf(offer)
    const garbage = await stranger(port)
    garbage.write('GET / HTTP/1.1\r\n\r\n')
    await within('garbage to be closed', once(garbage.resume(), 'close'))
    const noise = await stranger(port)
    noise.write(Buffer.concat([Buffer.from([68, 0, 0, 0]), randomBytes(68)]))
    await within('noise to be closed', once(noise.resume(), 'close'))
    const silent = await Promise.all(Array.from({ length: 3 * MAX_STRANGERS }, async () => await stranger(port)))
    const closed = silent.map(async socket => await once(socket.resume(), 'close'))
    const { rph } = await join(offer.url)
    deepEqual(rph, owned(await offer.connected).rph)
    await within('all strangers to be closed', Promise.all(closed))
    await within('the port to be closed', rejects(stranger(port), { code: 'ECONNREFUSED' }))
  })

  it('breaks at both ends when it is cut, and never takes that for an end', async () => {
    const offer = await offerOne()
    const { url, sockets } = await proxied(offer)
    const joined = await join(url)
    const offered = owned(await offer.connected)
    await joined.sink([]) // one direction has ended
    deepEqual(await offered.source.next(), { done: true, value: undefined })
    const sending = rejects(offered.sink((async function * () {
      yield Uint8Array.of(1)
      await new Promise(() => {})
    })()), code('ERR_PATH_LOST'))
    deepEqual((await joined.source.next()).value, Uint8Array.of(1))
    sockets.forEach(socket => { socket.destroy() })
    await within('the reader to be told', rejects(joined.source.next(), code('ERR_PATH_LOST')))
    await within('the writer to be told', sending)
  })

  it('fails when the other device vanishes after its Hello', async () => {
    const offer = await offerOne()
    const hello = createServer(socket => { socket.once('data', bytes => { got.resolve(bytes) }).on('error', () => {}) })
    const got = Promise.withResolvers<Uint8Array>()
    hello.listen(0, '127.0.0.1')
    await once(hello, 'listening')
    const controller = new AbortController()
    const joining = joinRendezvous(urlTo(hello, offer), { signal: controller.signal })
    const socket = await stranger(portOf(offer))
    socket.write(await got.promise)
    await once(socket, 'data') // AuthHello: the only path id is used up
    socket.destroy()
    await rejects(offer.connected, code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_LOST'))
    controller.abort()
    await rejects(joining, { name: 'AbortError' })
    hello.close()
  })

  it('ends with a handshake that takes too long', async () => {
    const mute = createServer(socket => { socket.resume().on('error', () => {}) }).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const offer = await offerOne()
    const url = urlTo(mute, offer)
    await rejects(joinRendezvous(url, { handshakeTimeout: 20 }), code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_TIMEOUT'))
    await rejects(joinRendezvous(url, { timeout: 20 }), code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_TIMEOUT'))
    mute.close()
  })

  it('ends when nobody comes in time, when it is withdrawn, and when its signal says so', async () => {
    await rejects((await offerOne({ timeout: 20 })).connected, code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_TIMEOUT'))
    const withdrawn = await offerOne()
    await withdrawn.close()
    await rejects(withdrawn.connected, code('ERR_STOPPED'))
    await rejects(joinRendezvous(withdrawn.url), code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_LOST'))
    const controller = new AbortController()
    const offer = await offerOne({ signal: controller.signal })
    controller.abort(new Error('no time'))
    await rejects(offer.connected, { message: 'no time' })
    await rejects(offerRendezvous({ signal: controller.signal }), { message: 'no time' })
    await rejects(joinRendezvous(offer.url, { signal: controller.signal }), { message: 'no time' })
  })

  it('leaves a connection alone when the signal comes late', async () => {
    const controller = new AbortController()
    const offer = await offerOne({ signal: controller.signal })
    const joined = await join(offer.url, { signal: controller.signal })
    const offered = owned(await offer.connected)
    controller.abort()
    await offer.close()
    await Promise.all([joined.sink([Uint8Array.of(1)]), offered.sink([])])
    equal(await digest(offered.source), sha256(Uint8Array.of(1)))
  })

  it('offers and dials nothing that a filter forbids', async () => {
    await rejects(offerRendezvous({ loopback: true, allow: () => false }), code('ERR_RENDEZVOUS_FAILED'))
    await rejects(offerRendezvous({ allow: ({ ip }) => ip === '127.0.0.1' || ip === '::1' }), code('ERR_RENDEZVOUS_FAILED'))
    const offer = await offerOne()
    deepEqual(offer.init.directTcpServer?.ipAddresses.map(({ ip }) => ip), ['127.0.0.1'])
    const asked: unknown[] = []
    const allow = (address: object): boolean => {
      asked.push(address)
      return false
    }
    await rejects(joinRendezvous(offer.url, { allow }), code('ERR_RENDEZVOUS_FAILED'))
    equal(asked.length, 1)
  })

  it('refuses what is no invitation, and options that make no sense', async () => {
    await rejects(joinRendezvous('libp2p-star://rendezvous#AAAA'), code('ERR_RENDEZVOUS_INIT'))
    await rejects(offerRendezvous({ timeout: 0 }), code('ERR_OPTIONS'))
    await rejects(joinRendezvous('', { collectTime: 0.5 }), code('ERR_OPTIONS'))
  })

  it('ends with the error of whoever fails: a source, a reader that leaves, a second sink', async () => {
    const failing = await pair()
    const failed = rejects(failing.joined.sink((function * () {
      yield Uint8Array.of(1)
      throw new Error('the disk is full')
    })()), { message: 'the disk is full' })
    deepEqual((await failing.offered.source.next()).value, Uint8Array.of(1))
    await rejects(failing.offered.source.next(), code('ERR_PATH_LOST'))
    await failed
    await rejects(failing.joined.sink([]), code('ERR_STREAM_CLOSED'))
    const leaving = await pair()
    const unread = rejects(leaving.joined.sink(cut(new Uint8Array(64_000_000), 65_536)), code('ERR_PATH_LOST'))
    for await (const chunk of leaving.offered.source) {
      ok(chunk.byteLength > 0)
      break
    }
    await unread
  })

  for (const state of ['waiting', 'ended', 'broken'] as const) {
    it(`lets its process end by itself: ${state}`, async () => {
      const script = fileURLToPath(new URL('../support/rendezvous-quitter.js', import.meta.url))
      const child = spawn(process.execPath, [script, state], { stdio: ['ignore', 'pipe', 'inherit'] })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
      try {
        const [exit] = await within('the process to end', once(child, 'close'))
        deepEqual([output, exit], ['everything is closed\n', 0])
      } finally {
        child.kill('SIGKILL')
      }
    })
  }

  it('goes through the open relay of a star where neither can reach the other', async () => {
    const star = owned(await createTestStar({ openRelay: true }))
    const relay = star.server.url.replace('http', 'ws')
    const offer = await offerOne({ allow: () => false, relay })
    assertRelayed(offer, relay)
    const joined = await join(offer.url)
    const offered = owned(await offer.connected)
    deepEqual(offered.rph, joined.rph)
    const bytes = randomBytes(3_000_000)
    const sinks = [joined.sink(cut(bytes, 100_000)), offered.sink([]), digest(joined.source)]
    const [came] = await Promise.all([digest(offered.source), ...sinks])
    equal(came, sha256(bytes))
  })

  it('prefers the direct way to the relay, and takes the relay of an invitation only where it may', async () => {
    const star = owned(await createTestStar({ openRelay: true }))
    const relay = star.server.url.replace('http', 'ws')
    const both = await offerOne({ relay })
    owned(await join(both.url))
    owned(await both.connected)
    await until(async () => /^star_relay_waiting 0$/m.test(await star.server.metrics()))
    const alone = await offerOne({ allow: () => false, relay })
    await rejects(join(alone.url, { relay: false }), code('ERR_RENDEZVOUS_FAILED'))
  })

  it('says that a relay is not there, or does not serve it, or is none', async () => {
    const star = owned(await createTestStar())
    const unserved = await offerOne({ allow: () => false, relay: star.server.url.replace('http', 'ws') })
    await rejects(unserved.connected, code('ERR_RENDEZVOUS_FAILED', 'ERR_PATH_LOST'))
    await star.close()
    await rejects(offerOne({ relay: star.server.url.replace('http', 'ws') }), code('ERR_PATH_LOST'))
    for (const relay of ['star.example', 'https://star.example', '']) {
      await rejects(offerOne({ relay }), code('ERR_OPTIONS'))
    }
  })
})

/** The invitation leads to that relay alone. */
function assertRelayed ({ init }: RendezvousOffer, relay: string): void {
  deepEqual([init.directTcpServer, init.relayedWebSocket?.url.slice(0, -64)], [undefined, `${relay}/relay/`])
}
