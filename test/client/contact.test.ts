// `libp2p-star/contact`: two peers and a star's contact server, over TCP and TLS, in both families; every error; servers that
// lie, hang up or say nothing; and what a browser gets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { StarError, exchangeContacts } from '../../client/contact.ts'
import { startStar } from '../../server/index.ts'
import { encodeReply } from '../../src/contact/wire.ts'
import { NOWHERE } from '../support/contact.ts'
import { root } from '../support/root.ts'
import { within } from '../support/waiting.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { ContactExchange, ContactOptions } from '../../client/contact.ts'
import type { ServerOptions, StarServer } from '../../server/index.ts'
import type { Reply } from '../../src/contact/wire.ts'

function tls (name: string): string {
  return fileURLToPath(new URL(`../../../test/support/tls/${name}`, import.meta.url))
}

const CA = readFileSync(tls('star.crt'), 'utf8')

describe('exchangeContacts', () => {
  const closing: Array<() => Promise<unknown>> = []

  afterEach(async () => {
    await within('all to be closed', Promise.all(closing.splice(0).map(async close => { await close() })))
  })

  async function start (options: ServerOptions = {}): Promise<StarServer> {
    const star = await startStar({ port: 0, contactPort: 0, ...options })
    closing.push(async () => { await star.close() })
    return star
  }

  /** A server that says this to whoever comes, and then what it is told to do. */
  async function pretend (...replies: ReadonlyArray<Reply | Uint8Array>): Promise<{ server: string, sockets: Socket[] }> {
    const sockets: Socket[] = []
    const server: Server = createServer(socket => {
      sockets.push(socket.on('error', () => {}))
      socket.once('data', () => {
        replies.forEach(reply => { socket.write(reply instanceof Uint8Array ? reply : encodeReply(3, reply)) })
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(async () => {
      sockets.forEach(socket => { socket.destroy() })
      await new Promise(resolve => { server.close(resolve) })
    })
    return { server: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
  }

  /** Both peers of a room. */
  async function meet (
    common: Omit<ContactOptions, 'creator' | 'room'>, other: Partial<ContactOptions> = {}
  ): Promise<ContactExchange[]> {
    const room = 'blue otter ☃'
    let tell = (): void => {}
    const created = new Promise<void>(resolve => { tell = resolve })
    return await Promise.all([
      exchangeContacts({ room, ...common, creator: true, onRoom: () => { tell() } }),
      created.then(async () => await exchangeContacts({ room, ...common, ...other, creator: false }))
    ])
  }

  const plain = (server: string): ContactOptions => ({ server, tls: false, room: 'r', creator: true })

  async function fails (options: ContactOptions, code: string, message = /./): Promise<StarError> {
    const failed = exchangeContacts(options).then(() => 'it did not fail', (cause: unknown) => cause)
    const error = await within('it to fail', failed)
    assert.ok(error instanceof StarError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return error
  }

  it('gives both peers the same, and leaves no connection open', async () => {
    const star = await start()
    const [one, other] = await meet({ server: `127.0.0.1:${star.contactPort}`, tls: false })
    assert.ok(one != null && other != null)
    const at = (port: number | undefined): unknown => ({ v4: { ip: '127.0.0.1', port }, v6: undefined })
    assert.deepEqual(one.own, { local: at(one.ports.v4), public: at(one.ports.v4) })
    assert.deepEqual(other.own, { local: at(other.ports.v4), public: at(other.ports.v4) })
    assert.deepEqual([one.peer, other.peer], [other.own, one.own])
    assert.notEqual(one.ports.v4, other.ports.v4)
    assert.deepEqual(Object.keys(one.ports), ['v4'])
    await one.close()
    await within('the server to see them go', (async () => {
      while (!/^star_contact_connections 0$/m.test(await star.metrics())) {
        await new Promise(resolve => { setTimeout(resolve, 5) })
      }
    })())
  })

  for (const [what, host, families] of [['IPv6', '[::1]', ['v6']], ['IPv4', '127.0.0.1', ['v4']]] as const) {
    it(`goes over ${what} alone where the server is an address of that`, async () => {
      const star = await start({ host: '::' })
      const [one, other] = await meet({ server: `${host}:${star.contactPort}`, tls: false })
      assert.deepEqual(Object.keys(one?.ports ?? {}), families)
      assert.equal(other?.peer.public.v6?.ip, what === 'IPv6' ? '::1' : undefined)
    })
  }

  it('goes over TLS unless it is told not to, and trusts who it is told to trust', async () => {
    const star = await start({ key: tls('star.key'), cert: tls('star.crt') })
    const server = `localhost:${star.contactPort}`
    const [one, other] = await meet({ server, ca: CA })
    assert.deepEqual(one?.peer, other?.own)
    await fails({ ...plain(server), tls: true }, 'ERR_STAR_UNREACHABLE', /self-signed/)
    await fails({ ...plain(server), tls: true, ca: readFileSync(tls('other.crt'), 'utf8') }, 'ERR_STAR_UNREACHABLE')
    // the server may have a word of TLS for it, or none
    await assert.rejects(exchangeContacts(plain(server)), ({ code }: StarError) => /^ERR_(STAR_LOST|PROTOCOL)$/.test(code))
  })

  it('says of this device what it is told to, and comes from the port that it is told', async () => {
    const star = await start()
    const local = { v4: { ip: '10.1.2.3', port: 77 }, v6: { ip: 'FE80:0::1%4', port: 78 } }
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port: localPort } = free.address() as AddressInfo
    await new Promise(resolve => { free.close(resolve) })
    const [one, other] = await meet({ server: `127.0.0.1:${star.contactPort}`, tls: false }, { local, localPort })
    assert.deepEqual(one?.peer.local, { v4: local.v4, v6: { ip: 'fe80::1%4', port: 78 } })
    assert.deepEqual(one?.peer.public.v4, { ip: '127.0.0.1', port: localPort })
    assert.deepEqual(other?.ports, { v4: localPort })
  })

  it('holds its connections if it is told to, so that others can be made from their ports, until they are closed', async () => {
    const star = await start()
    const [one, other] = await meet({ server: `127.0.0.1:${star.contactPort}`, tls: false, hold: true })
    assert.match(await star.metrics(), /^star_contact_connections 2$/m)
    const peer = createServer().listen(0, '127.0.0.1')
    await once(peer, 'listening')
    const punched = connect({ host: '127.0.0.1', port: (peer.address() as AddressInfo).port, localPort: one?.ports.v4 ?? 0 })
    await once(punched, 'connect')
    assert.equal(punched.localPort, one?.own.public.v4?.port)
    punched.destroy()
    await new Promise(resolve => { peer.close(resolve) })
    await Promise.all([one?.close(), other?.close()])
    await one?.close()
  })

  it('throws what the server has against it', async () => {
    const star = await start({ contactRoomTime: 300, contactRequestsPerMinute: 3 })
    const options = plain(`127.0.0.1:${star.contactPort}`)
    const waiting = fails(options, 'ERR_ROOM_TIMEOUT')
    await within('the room', (async () => {
      while (!/^star_contact_waiting 1$/m.test(await star.metrics())) {
        await new Promise(resolve => { setTimeout(resolve, 5) })
      }
    })())
    await fails(options, 'ERR_ROOM_TAKEN')
    await waiting
    await fails({ ...options, creator: false }, 'ERR_NO_ROOM')
    assert.equal((await fails(options, 'ERR_TOO_MANY_REQUESTS')).retryAfter, 60_000)
  })

  it('throws what the server makes of it that is no server, is gone, or says nothing', async () => {
    const { server: mute } = await pretend()
    await fails({ ...plain(mute), timeout: 100 }, 'ERR_STAR_TIMEOUT')
    const { server: noisy } = await pretend(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await fails(plain(noisy), 'ERR_PROTOCOL', /version 72/)
    const { server: liar } = await pretend({ type: 'PeerContact', contact: { local: NOWHERE, public: NOWHERE } })
    await fails(plain(liar), 'ERR_PROTOCOL', /PeerContact/)
    const { server: huge } = await pretend(Buffer.concat([Buffer.from('03ffff', 'hex'), Buffer.alloc(100_000)]))
    await fails(plain(huge), 'ERR_PROTOCOL', /65535 bytes/)
    const { server: leaver, sockets } = await pretend({ type: 'RoomCreated' })
    const onRoom = (): void => { sockets.forEach(socket => { socket.resetAndDestroy() }) }
    await fails({ ...plain(leaver), onRoom }, 'ERR_STAR_LOST', /ECONNRESET/)
    const star = await startStar({ port: 0, contactPort: 0 })
    await star.close()
    await fails(plain(`127.0.0.1:${star.contactPort}`), 'ERR_STAR_UNREACHABLE', /ECONNREFUSED/)
    await fails(plain('nowhere.invalid'), 'ERR_STAR_UNREACHABLE')
  })

  it('ends with the signal\'s reason, before and while it waits', async () => {
    const star = await start()
    const options = plain(`127.0.0.1:${star.contactPort}`)
    const reason = new Error('enough')
    await assert.rejects(exchangeContacts({ ...options, signal: AbortSignal.abort(reason) }), reason)
    const controller = new AbortController()
    await assert.rejects(exchangeContacts({
      ...options, signal: controller.signal, onRoom: () => { controller.abort(reason) }
    }), reason)
  })

  it('refuses options that make no sense', async () => {
    const bad: ReadonlyArray<Record<string, unknown>> = [
      ...['', 'a b', 'tcp://star', 'star:0', 'star:65536', 'star:', '::1', '[::g]:1', '[star]:1', 1].map(server => ({ server })),
      { room: 1 }, { room: '\ud800' }, { creator: 'yes' }, { creator: undefined }, { tls: 1 }, { hold: 1 }, { timeout: 0 },
      { localPort: 65_536 }, { localPort: -1 }, { local: { v4: { ip: '::1', port: 1 } } },
      { local: { v6: { ip: '::1', port: 65_536 } } }, { local: { v4: { ip: 'star', port: 1 } } }
    ]
    for (const options of bad) {
      await fails({ ...plain('127.0.0.1:1'), ...options } as ContactOptions, 'ERR_OPTIONS')
    }
    await fails({ ...plain('127.0.0.1:1'), room: 'x'.repeat(1_000) }, 'ERR_ARGUMENTS', /long room code/)
  })

  for (const state of ['met', 'held', 'waiting', 'silent'] as const) {
    it(`lets its process end by itself: ${state}`, async () => {
      const script = fileURLToPath(new URL('../support/contact-quitter.js', import.meta.url))
      const child = spawn(process.execPath, [script, state], { stdio: ['ignore', 'pipe', 'inherit'] })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
      try {
        const [exit] = await within('the process to end', once(child, 'close'), 8_000)
        assert.deepEqual([output, exit], ['everything is closed\n', 0])
      } finally {
        child.kill('SIGKILL')
      }
    })
  }

  it('says in a browser that it can\'t be done there, and needs nothing of Node to say so', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'dist/client/contact.js')],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      logLevel: 'silent'
    })
    const url = `data:text/javascript,${encodeURIComponent(outputFiles[0]?.text ?? '')}`
    const page = await import(url) as { exchangeContacts: typeof exchangeContacts }
    await assert.rejects(page.exchangeContacts(plain('star.example')), { name: 'StarError', code: 'ERR_PLATFORM' })
  })
})
