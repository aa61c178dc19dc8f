// `libp2p-star send` and `receive`: what arrives is what was sent, and what shouldn't arrive doesn't.
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, readdir, truncate, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { startStar } from '../../server/index.ts'
import { until } from '../support/nodes.ts'
import { Cli, cleanUp, cli, temporary } from './cli.ts'
import { Foreign } from './foreign.ts'
import type { StarServer } from '../../server/index.ts'
import type { JsonEvent } from './cli.ts'
import type { ForeignStream } from './foreign.ts'

describe('a file through a star', function () {
  this.timeout(60_000)
  const foreigners: Foreign[] = []
  let star: StarServer
  let STAR: string
  let dir: string
  let out: string

  beforeEach(async () => {
    star = await startStar({ port: 0 })
    STAR = star.addresses[0] ?? ''
    dir = await temporary()
    out = await temporary()
  })

  afterEach(async () => {
    await Promise.all(foreigners.splice(0).map(async node => { await node.stop() }))
    await cleanUp()
    await star.close()
  })

  async function receive (...args: string[]): Promise<{ receiver: Cli, address: string }> {
    const receiver = new Cli(['receive', '--json', '--out', out, ...args], { STAR })
    return { receiver, address: String((await receiver.event('listening'))['address']) }
  }

  async function file (name: string, size: number): Promise<{ path: string, sha256: string }> {
    const path = join(dir, name)
    const bytes = randomBytes(size)
    await writeFile(path, bytes)
    return { path, sha256: createHash('sha256').update(bytes).digest('hex') }
  }

  /** A file that takes a while, and no room. */
  async function largeFile (): Promise<string> {
    const path = join(dir, 'large')
    await writeFile(path, '')
    await truncate(path, 1_000_000_000)
    return path
  }

  /** A peer that speaks the protocol, or pretends to. */
  async function foreigner (): Promise<Foreign> {
    const node = await Foreign.start(STAR)
    foreigners.push(node)
    return node
  }

  it('arrives whole, and both ends tell its verified checksum', async () => {
    const { path, sha256 } = await file('some bytes.bin', 3_000_000)
    const { receiver, address } = await receive()
    const { code, events } = await cli(['send', '--json', path, address], { STAR })
    const { code: receiverCode, events: received, stderr } = await receiver.ended
    deepEqual([code, receiverCode, stderr], [0, 0, ''])
    const sent = events.at(-1)
    deepEqual([sent?.event, sent?.['sha256'], sent?.['size']], ['sent', sha256, 3_000_000])
    const target = join(out, 'some bytes.bin')
    const last = received.at(-1)
    deepEqual([last?.event, last?.['sha256'], last?.['path']], ['received', sha256, target])
    deepEqual(await readFile(target), await readFile(path))
    deepEqual(await readdir(out), ['some bytes.bin'])
  })

  it('is told of in sentences, without a bar where nobody looks', async () => {
    const { path, sha256 } = await file('a.bin', 1)
    const receiver = new Cli(['receive', '--out', out], { STAR })
    const address = (await receiver.line(/^Listening as /)).slice('Listening as '.length)
    const { code, stdout, stderr } = await cli(['send', '--star', STAR, path, basename(address)])
    deepEqual([code, stderr], [0, ''])
    match(stdout, new RegExp(`^Sent a\\.bin: 1 bytes in .*\nSHA-256, verified by the receiver: ${sha256}$`))
    const ended = await receiver.ended
    match(ended.stdout, new RegExp(`\nReceived ${join(out, 'a.bin')}: 1 bytes from 12D3.*\nSHA-256, verified: ${sha256}$`))
    match(ended.stderr, /^Send a file here with: libp2p-star send FILE \/ip4.*\nReceiving a\.bin, 1 bytes, from 12D3\S+\n$/)
  })

  it('may be empty, and may be sent under another name', async () => {
    const { path, sha256 } = await file('empty', 0)
    const { receiver, address } = await receive()
    const { code, events } = await cli(['send', '--json', '--name', 'nothing.txt', path, address], { STAR })
    deepEqual([code, events.at(-1)?.['sha256'], (await receiver.ended).code], [0, sha256, 0])
    deepEqual(await readdir(out), ['nothing.txt'])
  })

  it('does not replace another of its name, unless that is wanted', async () => {
    const { path } = await file('a.bin', 1000)
    await writeFile(join(out, 'a.bin'), 'mine')
    const { receiver, address } = await receive()
    const { code, stderr } = await cli(['send', path, address], { STAR })
    equal(code, 1)
    match(stderr, /^error: the receiver has a file of that name already: send it under another.*\[ERR_FILE_EXISTS\]\n$/)
    await receiver.event('refused', { code: 'ERR_FILE_EXISTS', name: 'a.bin' })
    equal(await readFile(join(out, 'a.bin'), 'utf8'), 'mine')
    equal((await receiver.interrupt()).code, 130)

    const forced = await receive('--force')
    equal((await cli(['send', path, forced.address], { STAR })).code, 0)
    equal((await forced.receiver.ended).code, 0)
    deepEqual(await readFile(join(out, 'a.bin')), await readFile(path))
  })

  it('can be followed by others with --keep, which Ctrl-C ends with exit code 0', async () => {
    const { receiver, address } = await receive('--keep')
    const sender = await foreigner()
    for (const name of ['a', 'b']) {
      await sender.give(address, name, randomBytes(100))
      await receiver.event('received', { name })
    }
    equal((await receiver.interrupt()).code, 0)
    deepEqual(await readdir(out), ['a', 'b'])
  })

  it('is taken from nobody else with --from, and not when it is too large', async () => {
    const [friend, stranger] = [await foreigner(), await foreigner()]
    const { receiver, address } = await receive('--from', friend.address, '--max-size', '1kB')
    deepEqual(await (await stranger.open(address)).offer({ name: 'small', size: 1000 }), { error: 'ERR_SENDER' })
    deepEqual(await (await friend.open(address)).offer({ name: 'large', size: 1001 }), { error: 'ERR_FILE_SIZE' })
    await friend.give(address, 'small', randomBytes(1000))
    equal((await receiver.ended).code, 0)
    deepEqual(await readdir(out), ['small'])
  })

  it('needs a file, a directory, a peer, and a peer that receives', async () => {
    const { path } = await file('a', 1)
    const listen = new Cli(['listen', '--json'], { STAR })
    const { address } = await listen.event('listening')
    const cases: Array<readonly [args: string[], code: string, exit: number]> = [
      [['send', join(dir, 'missing'), String(address)], 'ENOENT', 2],
      [['send', dir, String(address)], 'ERR_NO_FILE', 2],
      [['receive', '--out', join(dir, 'missing')], 'ENOENT', 2],
      [['receive', '--out', path], 'ENOTDIR', 2],
      [['receive', '--from', 'somebody'], 'ERR_ADDRESS', 2],
      [['send', path, '12D3KooWFzJbaMjBMJ2QjPZcrfNNGErJQuvka3CsWQeoZ5t1pn3H'], 'ERR_PEER_NOT_FOUND', 3],
      [['send', path, String(address)], 'ERR_NO_RECEIVER', 1]
    ]
    for (const [args, expected, exit] of cases) {
      const { code, events } = await cli([...args, '--json'], { STAR })
      deepEqual([events.at(-1)?.['code'], code], [expected, exit], args.join(' '))
    }
  })

  describe('from a sender with bad intentions', () => {
    const names = [
      '../evil', '/tmp/evil', 'a/b', '..', '.', '', '.bashrc', 'a\\b', 'a\nb', 'a\u0000b', '\u001b[2Jx',
      'gpj.\u202Eexe', 'x'.repeat(201)
    ]

    it('is refused when its name leaves the directory, hides or deceives', async () => {
      const { receiver, address } = await receive()
      const sender = await foreigner()
      for (const name of names) {
        const stream = await sender.open(address)
        deepEqual(await stream.offer({ name, size: 4 }), { error: 'ERR_FILE_NAME' }, JSON.stringify(name))
        await receiver.event('refused', { name })
      }
      deepEqual(await readdir(out), [])
      equal((await receiver.interrupt()).code, 130)
    })

    it('is refused when it is no offer', async () => {
      const { receiver, address } = await receive()
      const sender = await foreigner()
      for (const offer of [null, 'a', { name: 1, size: 1 }, { name: 'a', size: -1 }, { name: 'a', size: 1.5 }, { name: 'a' }]) {
        deepEqual(await (await sender.open(address)).offer(offer), { error: 'ERR_PROTOCOL' }, JSON.stringify(offer))
      }
      deepEqual(await readdir(out), [])
      await receiver.interrupt()
    })

    it('cannot print what it likes on the receiver\'s terminal', async () => {
      const receiver = new Cli(['receive', '--out', out], { STAR })
      const address = (await receiver.line(/^Listening as /)).slice('Listening as '.length)
      const sender = await foreigner()
      await (await sender.open(address)).offer({ name: '\u001b]0;owned\u0007\n\u202E', size: 1 })
      await receiver.note(/\nRefused \uFFFD]0;owned\uFFFD\uFFFD\uFFFD from 12D3/)
      await receiver.interrupt()
    })

    it('is not kept when the checksum is wrong', async () => {
      const { receiver, address } = await receive()
      const stream = await (await foreigner()).open(address)
      deepEqual(await stream.offer({ name: 'a', size: 3 }), { ok: true })
      await stream.send(Buffer.from('abc'))
      deepEqual(await stream.ask({ sha256: createHash('sha256').update('abd').digest('hex') }), { error: 'ERR_CHECKSUM' })
      const { code, events } = await receiver.ended
      deepEqual([code, events.at(-1)?.['code']], [1, 'ERR_CHECKSUM'])
      deepEqual(await readdir(out), [])
    })

    it('is not kept when it breaks off, and with --keep the next one is', async () => {
      const { receiver, address } = await receive('--keep')
      const sender = await foreigner()
      const stream = await sender.open(address)
      await stream.offer({ name: 'a', size: 1_000_000 })
      await stream.send(Buffer.alloc(500_000))
      deepEqual((await readdir(out)).map(name => /^a\.[0-9a-f]{8}\.part$/.test(name)), [true])
      stream.abort()
      await receiver.event('failed')
      deepEqual(await readdir(out), [])
      await sender.give(address, 'a', randomBytes(10))
      await receiver.event('received')
      equal((await receiver.interrupt()).code, 0)
      deepEqual(await readdir(out), ['a'])
    })

    it('does not keep others from trying: they are told to come later', async () => {
      const { receiver, address } = await receive('--keep')
      const stream = await (await foreigner()).open(address)
      await stream.offer({ name: 'slow', size: 1_000_000 })
      const { path } = await file('a', 10)
      const { code, events } = await cli(['send', '--json', path, address], { STAR })
      deepEqual([code, events.at(-1)?.['code']], [1, 'ERR_BUSY'])
      stream.abort()
      await receiver.event('failed')
      await (await foreigner()).give(address, 'a', randomBytes(10))
      await receiver.interrupt()
    })
  })

  describe('to a receiver with bad intentions', () => {
    async function sendTo (answer: (stream: ForeignStream) => Promise<void>): Promise<JsonEvent | undefined> {
      const receiver = await foreigner()
      const { path } = await file('a', 1_000_000)
      const sender = new Cli(['send', '--json', path, receiver.address], { STAR })
      await answer(await receiver.taken())
      const { code, events } = await sender.ended
      equal(code, 1)
      return events.at(-1)
    }

    it('is not called sent when another checksum comes back', async () => {
      const last = await sendTo(async stream => {
        await stream.message()
        await stream.say({ ok: true })
        await stream.skip(1_000_000)
        await stream.message()
        await stream.say({ ok: true, sha256: '0'.repeat(64) })
      })
      equal(last?.['code'], 'ERR_CHECKSUM')
    })

    it('is broken off when the receiver has had enough', async () => {
      const last = await sendTo(async stream => {
        await stream.message()
        await stream.say({ ok: true })
        await stream.say({ error: 'ERR_WRITE' })
      })
      equal(last?.['code'], 'ERR_WRITE')
    })

    it('cannot be answered with what a terminal obeys', async () => {
      const last = await sendTo(async stream => {
        await stream.message()
        await stream.say({ error: '\u001b[2J\nowned' })
      })
      deepEqual([last?.['code'], last?.['message']], ['ERR_REFUSED', 'the receiver refused: \uFFFD[2J\uFFFDowned'])
    })

    it('is given up when what comes back is no answer', async () => {
      equal((await sendTo(async stream => { await stream.say({ well: 'perhaps' }) }))?.['code'], 'ERR_PROTOCOL')
    })
  })

  describe('that Ctrl-C breaks off', () => {
    it('at the receiver leaves nothing there, and the sender hears of it', async () => {
      const path = await largeFile()
      const { receiver, address } = await receive()
      const sender = new Cli(['send', '--json', path, address], { STAR })
      await receiver.event('progress')
      equal((await readdir(out)).length, 1)
      const [received, sent] = await Promise.all([receiver.interrupt(), sender.ended])
      deepEqual([received.code, received.events.at(-1)?.['code']], [130, 'ERR_INTERRUPTED'])
      deepEqual([sent.code, sent.events.at(-1)?.event], [1, 'error'])
      deepEqual(await readdir(out), [])
      await until(() => star.peers().length === 0)
    })

    it('at the sender leaves nothing at the receiver either', async () => {
      const path = await largeFile()
      const { receiver, address } = await receive()
      const sender = new Cli(['send', '--json', path, address], { STAR })
      await sender.event('progress')
      const [sent, received] = await Promise.all([sender.interrupt(), receiver.ended])
      deepEqual([sent.code, sent.events.at(-1)?.['code']], [130, 'ERR_INTERRUPTED'])
      deepEqual([received.code, received.events.at(-1)?.event], [1, 'error'])
      deepEqual(await readdir(out), [])
    })

    it('waits for nobody', async () => {
      const receiver = await foreigner()
      const path = await largeFile()
      const sender = new Cli(['send', '--json', path, receiver.address], { STAR })
      const stream = await receiver.taken()
      await stream.message()
      await stream.say({ ok: true })
      await sender.event('sending')
      // the receiver reads no further
      equal((await sender.interrupt()).code, 130)
      await rejects(stream.skip(100_000_000))
    })
  })

  it('outlives the star that it goes through', async () => {
    const { path, sha256 } = await file('survivor', 150_000_000)
    const { receiver, address } = await receive()
    const sender = new Cli(['send', '--json', path, address], { STAR })
    await receiver.event('progress')
    const { port } = star
    await star.close()
    star = await startStar({ port })
    for (const { code, events } of await Promise.all([sender.ended, receiver.ended])) {
      deepEqual([code, events.at(-1)?.['sha256']], [0, sha256])
    }
    equal(createHash('sha256').update(await readFile(join(out, 'survivor'))).digest('hex'), sha256)
  })

  it('is not held in memory while its reader is slow', async () => {
    const [receiver, sender] = [await foreigner(), await foreigner()]
    const [outgoing, incoming] = await Promise.all([sender.open(receiver.address), receiver.taken()])
    const size = 40_000_000
    const chunk = Buffer.alloc(64 * 1024)
    let [sent, read, lead] = [0, 0, 0]
    const reading = (async () => {
      while (read < size) {
        read += await incoming.read(16 * 1024)
        lead = Math.max(lead, sent - read)
        await new Promise(resolve => { setImmediate(resolve) })
      }
    })()
    for (; sent < size; sent += chunk.byteLength) {
      await outgoing.send(chunk)
    }
    await reading
    // a stream's window, a connection's, and what the reader has taken in advance
    ok(lead < 6_000_000, `${lead} bytes ahead`)
  })
})
