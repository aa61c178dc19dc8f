// The raw relay, with real WebSockets: the way it is meant to be used, each refusal, each close code, readers that stop, and
// those who mean harm.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { WebSocket } from 'ws'
import { Event } from '../../src/star/protocol.ts'
import { MAX_ANNOUNCED } from '../../src/relay/pairing.ts'
import { until } from '../support/nodes.ts'
import { stages } from '../support/raw.ts'
import { RelaySocket, newPath } from '../support/relay-socket.ts'
import { within } from '../support/waiting.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { WireError } from '../../src/star/protocol.ts'
import type { RawClient, Stage } from '../support/raw.ts'
import type { ClientOptions } from 'ws'

const MESSAGE = 65_536
const LONGEST = 1_114_112

describe('the raw relay', () => {
  const openStage = stages()
  const sockets: RelaySocket[] = []
  let stage: Stage
  let owner: RawClient

  // whatever a test has done, and before its star is closed
  afterEach(async () => {
    sockets.splice(0).forEach(({ ws }) => { ws.terminate() })
    await until(async () => await stage.metric('star_relay_pairs') + await stage.metric('star_relay_waiting') === 0)
    assert.equal(await stage.metric('star_relay_pair_bytes_in_flight'), 0)
  })

  async function setting (options?: ServerOptions): Promise<void> {
    stage = await openStage(options)
    owner = await stage.join('star')
  }

  function enter (path: string, options?: ClientOptions): RelaySocket {
    const socket = new RelaySocket(stage.star.server.url, path, options)
    sockets.push(socket)
    return socket
  }

  async function announce (client: RawClient = owner, path: unknown = newPath()): Promise<string> {
    const [error] = await client.ask(Event.Relay, path)
    if (error != null) {
      throw Object.assign(new Error('refused'), error)
    }
    return path as string
  }

  async function pair (): Promise<[RelaySocket, RelaySocket]> {
    const path = await announce()
    const first = await enter(path).open()
    return [first, await enter(path).open()]
  }

  async function refusals (code: number): Promise<number> {
    return await stage.metric(`star_relay_refusals_total{code="${code}"}`)
  }

  it('joins the two that enter an announced path, and carries what they say both ways', async () => {
    await setting()
    const [first, second] = await pair()
    assert.deepEqual([await stage.metric('star_relay_pairs'), await stage.metric('star_relay_waiting')], [1, 0])
    first.say('hello')
    await second.reads(5)
    second.say('hello yourself')
    await first.reads(14)
    assert.deepEqual([second.heard, first.heard], [['hello'], ['hello yourself']])
    assert.equal(await stage.metric('star_relay_pair_bytes_total'), 19)
    assert.match(await (await fetch(stage.star.server.url)).text(), /relay pairs<\/dt><dd>1</)
    first.ws.close(1000)
    assert.deepEqual([await second.closed(), await first.closed()], [1000, 1000])
  })

  it('keeps what the first one says before the second one comes, up to 64 KiB', async () => {
    await setting()
    const path = await announce()
    const first = await enter(path).open()
    first.say('early')
    first.ws.send(Buffer.alloc(MESSAGE - 5))
    await until(async () => await stage.metric('star_relay_pair_bytes_in_flight') === MESSAGE)
    assert.equal(await stage.metric('star_relay_waiting'), 1)
    const second = enter(path)
    await second.reads(MESSAGE)
    assert.deepEqual(second.heard, ['early'])
    const other = await enter(await announce()).open()
    other.ws.send(Buffer.alloc(MESSAGE + 1))
    assert.equal(await other.closed(), 4000)
    const many = await enter(await announce()).open()
    Array.from({ length: 257 }, () => { many.say('') })
    assert.equal(await many.closed(), 4000)
  })

  it('carries 48 MB each way, in messages of all sizes, byte for byte', async function () {
    this.timeout(60_000)
    await setting()
    const ends = await pair()
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_048_576, 1_048_596, LONGEST]
    const expected = await Promise.all(ends.map(async ({ ws }, index) => {
      const hash = createHash('sha256')
      let bytes = 0
      for (let round = 0; bytes < 48e6; round++) {
        const message = Buffer.alloc(sizes[round % sizes.length] ?? 0, round * 3 + index)
        hash.update(message)
        bytes += message.length
        await new Promise<void>((resolve, reject) => {
          ws.send(message, error => { if (error == null) { resolve() } else { reject(error) } })
        })
      }
      return { bytes, digest: hash.digest('hex') }
    }))
    await ends[0].reads(expected[1]?.bytes ?? 0, 30_000)
    await ends[1].reads(expected[0]?.bytes ?? 0, 30_000)
    assert.deepEqual([ends[0].digest, ends[1].digest], [expected[1]?.digest, expected[0]?.digest])
  })

  it('hands on 1000 and 4100 to 4199, and makes 4004 of every other end', async () => {
    await setting()
    const codes = [[1000, 1000], [4100, 4100], [4199, 4199], [1001, 4004], [4000, 4004], [4200, 4004], [3000, 4004]]
    for (const [code, handedOn] of codes) {
      const [first, second] = await pair()
      second.ws.close(code)
      assert.equal(await first.closed(), handedOn, `after ${code}`)
    }
    const [first, second] = await pair()
    first.ws.close()
    assert.equal(await second.closed(), 4004, 'without a code')
    const [lost, left] = await pair()
    lost.ws.terminate()
    assert.equal(await left.closed(), 4004, 'without a word')
  })

  it('delivers what was sent before a close before the close', async () => {
    await setting()
    const [first, second] = await pair()
    second.ws.pause()
    for (let sent = 0; sent < 16e6; sent += MESSAGE) {
      first.ws.send(Buffer.alloc(MESSAGE, 1))
    }
    first.say('the last word')
    first.ws.close(4123)
    await until(async () => await stage.metric('star_relay_pair_bytes_in_flight') > 0)
    second.ws.resume()
    assert.equal(await second.closed(), 4123)
    assert.deepEqual([second.received, second.heard], [Math.ceil(16e6 / MESSAGE) * MESSAGE + 13, ['the last word']])
  })

  it('closes with 4003 who waits in vain', async () => {
    await setting({ relayWait: 1_000 })
    assert.equal(await (await enter(await announce()).open()).closed(), 4003)
    assert.equal(await refusals(4003), 1)
  })

  it('closes with 4003 who waits when the one who announced the path has gone, and leaves pairs alone', async () => {
    await setting()
    const [first, second] = await pair()
    const waiting = await enter(await announce()).open()
    owner.socket.disconnect()
    assert.equal(await waiting.closed(), 4003)
    first.say('still there')
    await second.reads(11)
  })

  it('closes with 4000 a third one, and whom nobody has announced', async () => {
    await setting()
    const path = await announce()
    const [first, second] = [await enter(path).open(), await enter(path).open()]
    assert.equal(await enter(path).closed(), 4000)
    const unknown = newPath()
    for (const wrong of [unknown, unknown.toUpperCase(), unknown.slice(1), `${unknown}0`, `${unknown}/`, '', 'socket.io/']) {
      assert.equal(await enter(wrong).closed(), 4000, wrong)
    }
    assert.equal(await refusals(4000), 8)
    first.say('undisturbed')
    await second.reads(11)
  })

  it('is good for one pair for each announcement', async () => {
    await setting()
    const path = await announce()
    const [first, second] = [await enter(path).open(), await enter(path).open()]
    await assert.rejects(announce(owner, path), { code: 'ERR_RELAY_PATH' })
    first.ws.close(1000)
    await Promise.all([first.closed(), second.closed()])
    await until(async () => await stage.metric('star_relay_pairs') === 0)
    assert.equal(await enter(path).closed(), 4000)
  })

  it('serves paths that nobody announced when it is open', async () => {
    await setting({ openRelay: true, relayWait: 2_000 })
    const path = newPath()
    const [first, second] = [await enter(path).open(), await enter(`${path}?whatever`).open()]
    second.say('open')
    await first.reads(4)
    assert.equal(await enter('nothing').closed(), 4000)
    assert.equal(await enter(newPath()).closed(), 4003)
  })

  it('takes announcements only from those who have joined, and only of what is a path', async () => {
    await setting()
    for (const generation of ['star', 'original'] as const) {
      const stranger = await stage.connect(generation)
      const [error] = await stranger.ask(Event.Relay, newPath())
      assert.ok(generation === 'original' ? typeof error === 'string' : (error as WireError).code === 'ERR_NOT_JOINED')
      await stranger.join()
      await announce(stranger)
    }
    for (const wrong of ['', 'a', newPath().toUpperCase(), 5, null, [newPath()], {}, Buffer.alloc(32)]) {
      await assert.rejects(announce(owner, wrong), { code: 'ERR_ARGUMENTS' })
    }
    owner.tell(Event.Relay, newPath())
    await owner.settled()
    assert.equal(await stage.refusals('ERR_ARGUMENTS'), 9)
    assert.equal(await stage.refusals('ERR_NOT_JOINED'), 2)
  })

  it('bounds what one socket announces, and what has been announced already', async () => {
    await setting()
    const paths = await Promise.all(Array.from({ length: MAX_ANNOUNCED }, async () => await announce()))
    await assert.rejects(announce(), { code: 'ERR_TOO_MANY_PATHS' })
    const other = await stage.join('star')
    await assert.rejects(announce(other, paths[0]), { code: 'ERR_RELAY_PATH' })
    await announce(other)
    await Promise.all([enter(paths[0] ?? '').open(), enter(paths[0] ?? '').open()])
    await announce()
  })

  it('is not there when it is off', async () => {
    await setting({ relay: false })
    await assert.rejects(announce(), { code: 'ERR_NO_RELAY' })
    assert.equal(await enter(newPath()).refused(), 404)
    assert.deepEqual([await refusals(404), await stage.refusals('ERR_NO_RELAY')], [1, 1])
  })

  it('refuses with an HTTP status what is too much, or comes from the wrong page', async () => {
    const limits = { relayPairs: 2, relayPairsPerAddress: 2 }
    await setting({ openRelay: true, trustProxy: true, corsOrigin: 'https://good.example', ...limits })
    const from = (address: string, origin?: string): ClientOptions =>
      ({ headers: { 'x-forwarded-for': address, ...(origin == null ? {} : { origin }) } })
    const [one, two] = [newPath(), newPath()]
    assert.equal(await enter(one, from('192.0.2.1', 'https://evil.example')).refused(), 403)
    await enter(one, from('2001:db8::1', 'https://good.example')).open()
    const last = await enter(two, from('2001:db8::2')).open()
    assert.equal(await enter(one, from('2001:db8::3')).refused(), 429)
    assert.equal(await enter(newPath(), from('192.0.2.1')).refused(), 503)
    await enter(one, from('192.0.2.1')).open()
    last.ws.close(1000)
    await last.closed()
    await until(async () => await stage.metric('star_relay_waiting') === 0)
    await enter(newPath(), from('2001:db8::3')).open()
    assert.deepEqual([await refusals(403), await refusals(429), await refusals(503)], [1, 1, 1])
  })

  it('goes by the rate of connections and by their number', async () => {
    await setting({ openRelay: true, connectionsPerSecond: 1, maxConnections: 5 })
    const others = await Promise.all([1, 2, 3, 4].map(async () => await enter(newPath()).open()))
    assert.equal(await enter(newPath()).refused(), 503)
    await assert.rejects(stage.connect('star'), ({ data }: { data?: WireError }) => data?.code === 'ERR_TOO_MANY_CONNECTIONS')
    others.forEach(({ ws }) => { ws.terminate() })
    await until(async () => await stage.metric('star_relay_waiting') === 0)
    const flood = Array.from({ length: 20 }, () => enter('wrong'))
    await Promise.all(flood.map(async socket => { await socket.when('an answer', () => (socket.status ?? socket.code) != null) }))
    const late = flood.filter(({ status }) => status === 429)
    assert.ok(late.length > 0)
    assert.ok(late.every(({ retryAfter }) => Number(retryAfter) > 0))
  })

  it('closes with 4000 who sends text, and tells the other one at once', async () => {
    await setting()
    const [first, second] = await pair()
    first.say('bytes')
    first.ws.send('text')
    first.say('more bytes')
    assert.deepEqual([await first.closed(), await second.closed()], [4000, 4004])
    assert.deepEqual(second.heard, ['bytes'])
    const waiting = await enter(await announce()).open()
    waiting.ws.send('text')
    assert.equal(await waiting.closed(), 4000)
  })

  it('closes who sends too long a message, or what is no WebSocket frame', async () => {
    await setting()
    const [first, second] = await pair()
    first.ws.send(Buffer.alloc(LONGEST))
    await second.reads(LONGEST)
    first.ws.send(Buffer.alloc(LONGEST + 1))
    assert.deepEqual([await first.closed(), await second.closed()], [1009, 4004])
    const [third, fourth] = await pair()
    const tcp: unknown = Reflect.get(third.ws, '_socket')
    ;(tcp as { write: (data: Buffer) => void }).write(Buffer.from('ffff', 'hex'))
    assert.deepEqual([await third.closed(), await fourth.closed()], [1002, 4004])
  })

  it('ends a pair that has carried as much as it may', async () => {
    await setting({ relayBytes: 100_000 })
    const [first, second] = await pair()
    first.ws.send(Buffer.alloc(60_000))
    second.ws.send(Buffer.alloc(40_000))
    await Promise.all([second.reads(60_000), first.reads(40_000)])
    first.say('!')
    assert.deepEqual([await first.closed(), await second.closed()], [4000, 4000])
    assert.equal(second.received, 60_000)
  })

  describe('whose reader stops', () => {
    const BUDGET = 262_144

    it('holds no more than its budget and a message, and does not let others feel it', async () => {
      await setting({ relayBudget: BUDGET })
      const [first, second] = await pair()
      const [one, other] = await pair()
      second.ws.pause()
      let taken = 0
      const send = (): void => {
        first.ws.send(Buffer.alloc(MESSAGE), error => {
          if (error == null) {
            taken += MESSAGE
            send()
          }
        })
      }
      Array.from({ length: 8 }, send)
      await until(async () => await stage.metric('star_relay_pair_bytes_in_flight') > BUDGET)
      // all that the sender has, and the systems between take, is more than fits in the star
      let before = -1
      while (before !== taken) {
        before = taken
        one.say('ping')
        await other.reads(other.received + 4)
        const held = await stage.metric('star_relay_pair_bytes_in_flight')
        assert.ok(held <= BUDGET + 2 * MESSAGE + 1_024, `it holds ${held} bytes`)
      }
      second.ws.resume()
      await second.reads(taken)
      first.ws.terminate()
      await second.closed()
    })

    it('counts what a message costs, not only its bytes', async () => {
      await setting({ relayBudget: 64 * BUDGET })
      const [first, second] = await pair()
      const held = async (): Promise<number> => await stage.metric('star_relay_pair_bytes_in_flight')
      second.ws.pause()
      for (let sent = MESSAGE; await held() < 4 * BUDGET; sent += MESSAGE) {
        first.ws.send(Buffer.alloc(MESSAGE))
        await until(async () => await stage.metric('star_relay_pair_bytes_total') === sent)
      }
      const before = await held()
      Array.from({ length: 1_000 }, () => { first.ws.send(Buffer.alloc(0)) })
      await until(async () => await held() >= before + 1_000 * 256)
      first.ws.terminate()
      second.ws.terminate()
    })

    it('is cut after a while, and the other one told', async () => {
      await setting({ relayBudget: BUDGET, stallTimeout: 100 })
      const [first, second] = await pair()
      second.ws.pause()
      for (let sent = 0; sent < 24e6; sent += MESSAGE) {
        first.ws.send(Buffer.alloc(MESSAGE))
      }
      assert.equal(await first.closed(), 4004)
      assert.equal(await stage.refusals('ERR_STALLED'), 1)
    })
  })

  it('finds sockets that have died without a word, and keeps those that live', async () => {
    // not less: a star that stands still for so long itself takes all for dead
    await setting({ openRelay: true, pingInterval: 500, pingTimeout: 2_500 })
    const path = newPath()
    const alive = await enter(path).open()
    const lively = enter(newPath())
    await lively.open()
    const dead = await enter(path, { autoPong: false }).open()
    assert.equal(await alive.closed(), 4004)
    assert.equal(await dead.closed(), 1006)
    assert.equal(lively.code, undefined)
  })

  it('keeps nothing for a WebSocket that is never completed, and answers upgrades of nobody', async () => {
    await setting({ openRelay: true })
    const { port } = stage.star.server
    const head = 'Host: star\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    for (const [request, answer] of [
      [`GET /relay/${newPath()} HTTP/1.1\r\n${head}\r\n`, /^HTTP\/1.1 400 /],
      [`GET /nothing HTTP/1.1\r\n${head}\r\n`, /^HTTP\/1.1 404 /]
    ] as const) {
      const tcp = connectTcp(port, '127.0.0.1')
      let said = ''
      tcp.setEncoding('utf8').on('data', text => { said += text })
      tcp.write(request)
      await within('the star to answer and close', once(tcp, 'close'))
      assert.match(said, answer)
    }
    const reset = connectTcp(port, '127.0.0.1')
    await once(reset, 'connect')
    const key = `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'a'.repeat(22)}==\r\n`
    reset.write(`GET /relay/${newPath()} HTTP/1.1\r\n${head}${key}\r\n`)
    reset.resetAndDestroy()
    await once(reset, 'close')
    assert.equal((await fetch(`${stage.star.server.url}/healthz`)).status, 200)
  })

  describe('when the star goes down', () => {
    it('closes all with 1001 and leaves nothing open, whoever sleeps or waits', async () => {
      const star = await openStage({ openRelay: true, relayBudget: 65_536 })
      stage = await openStage() // for what is looked at afterwards
      const { url } = star.star.server
      const open = async (path: string): Promise<RelaySocket> => await new RelaySocket(url, path).open()
      const path = newPath()
      const [first, second, waiting] = [await open(path), await open(path), await open(newPath())]
      const stuck = newPath()
      const [writer, sleeper] = [await open(stuck), await open(stuck)]
      sleeper.ws.pause()
      for (let sent = 0; sent < 24e6; sent += MESSAGE) {
        writer.ws.send(Buffer.alloc(MESSAGE))
      }
      await until(async () => await star.metric('star_relay_pair_bytes_in_flight') > 65_536)
      await within('the star to close', star.star.server.close())
      assert.deepEqual([await first.closed(), await second.closed(), await waiting.closed()], [1001, 1001, 1001])
      await writer.closed()
      sleeper.ws.terminate()
      const late = new WebSocket(`${url.replace('http', 'ws')}/relay/${path}`)
      await assert.rejects(once(late, 'open'))
    })
  })
})
