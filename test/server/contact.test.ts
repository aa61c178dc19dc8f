// A star's contact server over real TCP and TLS, in both families: the conversation in each version, each refusal, half-close,
// floods, clients that take nothing or say nothing, resets, metrics, and its end.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Socket, connect, createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as pass } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startStar } from '../../server/index.ts'
import { encodeRequest } from '../../src/contact/wire.ts'
import { RawContact, VERSIONS, at, create, frame, ready, record } from '../support/contact.ts'
import { until } from '../support/nodes.ts'
import { within } from '../support/waiting.ts'
import type { AddressInfo } from 'node:net'
import type { ServerOptions, StarServer } from '../../server/index.ts'
import type { Reply } from '../../src/contact/wire.ts'

function tls (name: string): string {
  return fileURLToPath(new URL(`../../../test/support/tls/${name}`, import.meta.url))
}

const PEM: ServerOptions = { key: tls('star.key'), cert: tls('star.crt') }
const CA = readFileSync(tls('star.crt'))
const LOCAL = { v4: at('10.0.0.2', 5), v6: undefined }

/** What was seen of a connection. */
function seen (reply: Reply | undefined): unknown {
  assert.ok(reply != null && 'contact' in reply)
  return reply.contact.public
}

describe('the contact server', () => {
  const clients: RawContact[] = []
  let star: StarServer

  async function start (options: ServerOptions = {}): Promise<number> {
    star = await startStar({ port: 0, contactPort: 0, ...options })
    assert.ok(star.contactPort != null && star.contactPort > 0 && star.contactPort !== star.port)
    return star.contactPort
  }

  async function open (host?: string, ca?: Buffer): Promise<RawContact> {
    const client = await RawContact.open(star.contactPort ?? 0, host, ca)
    clients.push(client)
    return client
  }

  async function metric (name: string): Promise<number> {
    const line = (await star.metrics()).split('\n').find(one => one.startsWith(`${name} `))
    return Number(line?.split(' ').at(-1) ?? 0)
  }

  afterEach(async () => {
    clients.splice(0).forEach(({ socket }) => { socket.destroy() })
    await within('the star to close', star.close())
  })

  for (const version of VERSIONS) {
    it(`makes two peers known to each other, over IPv6 and IPv4, in version ${version}`, async () => {
      await start({ host: '::' })
      const [first, second, other] = [await open('::1'), await open('127.0.0.1'), await open('127.0.0.1')]
      assert.equal((await first.ask(create(), version)).type, 'RoomCreated')
      assert.equal((await first.ask(record(true), version)).type, 'ReceivedAddr')
      assert.equal((await second.ask(record(true), version)).type, 'ReceivedAddr')
      const own = await first.ask(ready(true, LOCAL), version)
      const creator = { v6: at('::1', first.socket.localPort ?? 0), v4: at('127.0.0.1', second.socket.localPort ?? 0) }
      assert.deepEqual(seen(own), creator)
      assert.equal((await other.ask(record(false), version)).type, 'ReceivedAddr')
      other.say(ready(false), version)
      await Promise.all([other.hears(3), first.hears(4)])
      assert.deepEqual(other.types, ['ReceivedAddr', 'ClientContact', 'PeerContact'])
      assert.deepEqual(seen(other.heard[2]?.[1]), creator)
      assert.deepEqual(seen(first.heard[3]?.[1]), { v6: undefined, v4: at('127.0.0.1', other.socket.localPort ?? 0) })
      assert.deepEqual([...first.heard, ...other.heard].filter(([spoken]) => spoken !== version), [])
      // all stay, and the code is free again
      assert.equal((await second.ask(create(), version)).type, 'RoomCreated')
      assert.equal((await other.ask(record(false), version)).type, 'ReceivedAddr')
    })
  }

  it('speaks TLS with the star\'s own certificate where that has one, and has no rooms for others', async () => {
    await start(PEM)
    const [one, other] = [await open('127.0.0.1', CA), await open('127.0.0.1', CA)]
    assert.equal((await one.ask(create(), 1)).type, 'RoomCreated')
    one.say(ready(true), 1)
    other.say(ready(false), 3)
    await Promise.all([one.hears(3), other.hears(2)])
    assert.deepEqual([one.types.at(-1), other.types.at(-1)], ['PeerContact', 'PeerContact'])
    one.socket.end() // a close_notify alone
    await one.gone()
    assert.equal(one.types.at(-1), 'ErrorSyntax')
    const plain = await open()
    plain.socket.on('data', () => {})
    const { localPort: port = 0 } = plain.socket
    assert.deepEqual(await plain.ask({ type: 'ReflectAddr' }), {
      type: 'ReflectedAddr', seen: { v4: { ip: '127.0.0.1', port }, v6: undefined }
    })
    plain.say(create())
    await plain.gone()
    assert.deepEqual(plain.types, ['ReflectedAddr', 'ErrorSyntax'])
    await assert.rejects(open('127.0.0.1', readFileSync(tls('other.crt'))), /self-signed|certificate/)
    plain.socket.destroy()
    one.socket.destroy()
    await until(async () => await metric('star_contact_connections') === 1)
  })

  it('takes a PKCS#12 file, too', async () => {
    await start({ pfx: tls('star.pfx'), passphrase: 'test-only' })
    const client = await open('127.0.0.1', CA)
    assert.equal((await client.ask(create())).type, 'RoomCreated')
  })

  it('refuses in the words of the protocol, and goes on', async () => {
    await start()
    const [one, other] = [await open(), await open()]
    await one.ask(create())
    assert.equal((await other.ask(create())).type, 'ErrorRoomTaken')
    assert.equal((await other.ask(record(false, 'x'))).type, 'ErrorNoSuchRoomCode')
    assert.equal((await one.ask(record(true))).type, 'ReceivedAddr')
    assert.equal((await one.ask(ready(true))).type, 'ClientContact')
    assert.equal((await other.ask(record(true))).type, 'ErrorUnexpectedMsg')
    assert.equal((await other.ask(create('y'))).type, 'RoomCreated')
    assert.equal(await metric('star_contact_replies_total{type="ErrorRoomTaken"}'), 1)
    assert.equal(await metric('star_contact_replies_total{type="RoomCreated"}'), 2)
    assert.deepEqual([await metric('star_contact_rooms'), await metric('star_contact_waiting')], [2, 1])
    assert.equal(await metric('star_contact_connections'), 2)
  })

  for (const [what, said] of [
    ['bytes that are no message', frame(3, 'x')], ['a message that is too long', Buffer.from('030401', 'hex')],
    ['another version', Buffer.from('c80000', 'hex')], ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')]
  ] as const) {
    it(`says so and closes when it hears ${what}, with much behind it`, async () => {
      await start()
      const client = await open()
      client.socket.write(Buffer.concat([said, Buffer.alloc(300_000)]))
      await client.gone()
      assert.deepEqual(client.types, ['ErrorSyntax'])
    })
  }

  it('ends a half that the client has ended with one ErrorSyntax, after all that it is owed', async () => {
    await start()
    const [one, other] = [await open(), await open()]
    one.say(create())
    one.socket.end(encodeRequest(3, ready(true)))
    await one.hears(2)
    assert.equal(one.ended, false)
    other.say(ready(false))
    await one.gone()
    assert.deepEqual(one.types, ['RoomCreated', 'ClientContact', 'PeerContact', 'ErrorSyntax'])
  })

  it('answers the eleventh bad request with ErrorTooManyRequests and the end, and leaves the other family alone', async () => {
    await start({ host: '::' })
    const [one, other, far] = [await open(), await open(), await open('::1')]
    for (let index = 0; index < 10; index++) {
      assert.equal((await one.ask(record(true))).type, 'ErrorNoSuchRoomCode')
    }
    one.say(record(true))
    await one.gone()
    assert.equal(one.types.at(-1), 'ErrorTooManyRequests')
    other.say(create())
    await other.gone()
    assert.deepEqual(other.types, ['ErrorTooManyRequests'])
    assert.equal((await far.ask(create())).type, 'RoomCreated')
  })

  it('cuts off connections above its bounds at once, and takes new ones when others have gone', async () => {
    await start({ contactConnections: 5, contactConnectionsPerAddress: 3, host: '::' })
    const three = [await open(), await open(), await open()]
    const flood = await Promise.all(Array.from({ length: 20 }, async () => await open()))
    await Promise.all(flood.map(async client => { await client.gone() }))
    assert.equal(await metric('star_contact_connections'), 3)
    assert.equal(await metric('star_refusals_total{code="ERR_TOO_MANY_CONNECTIONS"}'), 20)
    assert.equal((await three[0]?.ask(create()))?.type, 'RoomCreated')
    three[1]?.socket.destroy()
    await until(async () => await metric('star_contact_connections') === 2)
    assert.equal((await (await open()).ask(create('x'))).type, 'RoomCreated')
  })

  it('ends a room in time, and connections that are silent', async () => {
    await start({ contactRoomTime: 300, contactIdle: 200 })
    const [one, silent] = [await open(), await open()]
    await one.ask(create(), 1)
    one.say(ready(true), 1)
    await silent.gone()
    assert.deepEqual(silent.heard, [])
    await one.gone()
    assert.deepEqual(one.heard.map(([version, { type }]) => `${version} ${type}`), [
      '1 RoomCreated', '1 ClientContact', '1 ErrorPeerTimedOut'
    ])
  })

  it('is not harmed by a client that resets before it is told of the other peer', async () => {
    await start()
    const one = await open()
    await one.ask(create())
    for (let round = 0; round < 5; round++) {
      const other = await open()
      other.socket.write(encodeRequest(3, ready(false)), () => { other.socket.resetAndDestroy() })
      await other.when('the end', () => other.closed)
    }
    await until(async () => await metric('star_contact_connections') === 1)
    const last = await open()
    one.say(ready(true))
    last.say(ready(false))
    await Promise.all([one.hears(3), last.hears(2)])
    assert.deepEqual([one.types.at(-1), last.types.at(-1)], ['PeerContact', 'PeerContact'])
  })

  it('does not read a client that takes nothing, until it does, and gets rid of it if it does not', async () => {
    const port = await start({ contactIdle: 400 })
    const [client, other] = [await open(), await open()]
    const full: Socket[] = []
    const write = Reflect.get(Duplex.prototype, 'write') as (...args: unknown[]) => boolean
    // the system takes many megabytes of such short replies before it is full: here it is full at once
    Socket.prototype.write = function (this: Socket, ...args: unknown[]): boolean {
      const taken = Reflect.apply(write, this, args)
      full.push(...this.localPort === port ? [this] : [])
      return taken && this.localPort !== port
    }
    try {
      await client.ask(create())
      await other.ask(create('s'))
      client.say(create())
      other.say(create('s'))
      await pass(100)
      assert.deepEqual([client.types, other.types], [['RoomCreated'], ['RoomCreated']])
      full.find(one => one.remotePort === client.socket.localPort)?.emit('drain')
      await client.hears(2)
      await other.gone()
      assert.deepEqual([client.types, other.types], [['RoomCreated', 'ErrorRoomTaken'], ['RoomCreated']])
    } finally {
      Reflect.deleteProperty(Socket.prototype, 'write')
    }
  })

  it('is there only where it is asked for, and its port is told', async () => {
    star = await startStar({ port: 0 })
    assert.equal(star.contactPort, undefined)
    assert.equal(await metric('star_contact_connections'), 0)
  })

  it('listens where the star listens, at all addresses of a name, and nowhere else', async () => {
    const port = await start({ host: '127.0.0.1' })
    await assert.rejects(RawContact.open(port, '::1'), { code: 'ECONNREFUSED' })
    await star.close()
    await start({ host: 'localhost' })
    assert.equal((await (await open('127.0.0.1')).ask(create())).type, 'RoomCreated')
  })

  it('keeps the star from starting when its port is taken, and leaves no port open', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    star = await startStar({ port: 0 })
    await assert.rejects(startStar({ port: 0, contactPort: port }), { code: 'EADDRINUSE', port })
    await assert.rejects(startStar({ port, contactPort: 0 }), { code: 'EADDRINUSE', port })
    taken.close()
  })

  it('ends with the star, whoever is there, and lets nobody in any more', async () => {
    const port = await start()
    const [one, idle, paused] = [await open(), await open(), await open()]
    await one.ask(create())
    one.say(ready(true))
    await one.hears(2)
    paused.socket.pause()
    await within('the star to close', star.close(), 1_000)
    await Promise.all([one.gone(), idle.gone()])
    const socket = connect(port, '127.0.0.1')
    await assert.rejects(once(socket, 'connect'), { code: 'ECONNREFUSED' })
  })
})
