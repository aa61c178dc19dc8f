// How a node's port is seen: by one star, asked once for all who want to know, and not asked when it has nothing to say; and how
// often anybody may be dialled on a peer's word.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { platform } from '#paths'
import { DialBudget } from '../../client/upgrade/dial-budget.ts'
import { Outlook } from '../../client/upgrade/outlook.ts'
import { createTestStar } from '../../server/testing.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { TcpDoor } from '../../client/paths/platform.ts'
import type { TestStar } from '../../server/testing.ts'

const { tcp } = platform
assert.ok(tcp)

describe('The outlook of a port', () => {
  let door: TcpDoor
  let star: TestStar | undefined
  let server: Server | undefined
  const sockets: Socket[] = []

  beforeEach(() => { door = tcp.door({ port: 0, allow: () => true }) })

  afterEach(async () => {
    await Promise.all([door.close(), star?.close()])
    sockets.splice(0).forEach(socket => socket.destroy())
    server?.close()
    star = server = undefined
  })

  /** A server of ours, and who comes there. */
  async function serve (onSocket: (socket: Socket) => void = () => {}): Promise<number> {
    server = createServer(socket => {
      sockets.push(socket.on('error', () => {}))
      onSocket(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  it('is asked for once by all who want to know, and is the same for them', async () => {
    star = await createTestStar({ contactPort: 0 })
    const outlook = new Outlook(tcp, door)
    const observer = { host: '127.0.0.1', port: star.server.contactPort ?? 0 }
    const views = await Promise.all([outlook.see(observer), outlook.see(observer), outlook.see(observer)])
    const [port] = views.map(view => view?.port.port)
    assert.deepEqual(views.map(view => view?.seen), Array(3).fill([{ ip: '127.0.0.1', port }]))
    assert.match(await star.server.metrics(), /star_contact_connections 1$/m)
    views.slice(1).forEach(view => { view?.release() })
    const late = await outlook.see(observer)
    assert.deepEqual([late?.port.port, late?.seen], [port, views[0]?.seen], 'as long as one of them wants to know')
    late?.release()
    views[0]?.release()
  })

  it('is found through a name, and not where a name stands for what is near', async () => {
    star = await createTestStar({ contactPort: 0 })
    const port = star.server.contactPort ?? 0
    const local = await new Outlook(tcp, door).see({ host: 'localhost', port })
    assert.equal(local?.seen.length, 1)
    local?.release()
    const lying = new Outlook({ ...tcp, lookup: async () => ['127.0.0.1', '10.255.255.1'] }, door)
    assert.equal(await lying.see({ host: 'star.example', port }), undefined)
  })

  it('is not there where a star says nothing, and is not waited for again', async () => {
    const port = await serve()
    const outlook = new Outlook(tcp, door)
    assert.equal(await outlook.see({ host: '127.0.0.1', port }), undefined)
    assert.equal(await outlook.see({ host: '127.0.0.1', port }), undefined)
    assert.equal(sockets.length, 1)
  })

  it('is not waited for longer than a second, whatever becomes of a name', async () => {
    const outlook = new Outlook({ ...tcp, lookup: async () => await new Promise(() => {}) }, door)
    assert.equal(await outlook.see({ host: 'star.example', port: 2_311 }), undefined)
  })

  it('is not there where a star makes no sense, or says what is of the other family', async () => {
    for (const reply of ['\x03\x00\x02{}', 'HTTP/1.1 400\r\n\r\n',
      '\x03\x00\x44{"type":"ReflectedAddr","public":{"v4":null,"v6":"[2001:db8::1]:9"}}']) {
      const port = await serve(socket => { socket.end(reply, 'latin1') })
      assert.equal(await new Outlook(tcp, door).see({ host: '127.0.0.1', port }), undefined, reply)
      server?.close()
    }
  })

  it('is not asked for where one dial at a time keeps others from coming in, nor at a port of the system', async () => {
    const port = await serve()
    const portable = tcp.door({ port: 0, mode: 'portable', allow: () => true })
    assert.equal(await new Outlook(tcp, portable).see({ host: '127.0.0.1', port }), undefined)
    await portable.close()
    assert.equal(await new Outlook(tcp, door).see({ host: '127.0.0.1', port: 25 }), undefined)
    assert.equal(sockets.length, 0)
  })

  it('fails as its port does', async () => {
    const port = await serve()
    const taken = tcp.door({ port, allow: () => true })
    await assert.rejects(new Outlook(tcp, taken).see({ host: '127.0.0.1', port: 2_311 }), { code: 'EADDRINUSE' })
    await taken.close()
  })
})

describe('A budget of dials', () => {
  it('is for each address, for all of them, and for ten seconds', () => {
    const budget = new DialBudget()
    const dials = (ip: string, now: number): number => {
      return Array.from({ length: 100 }, () => budget.take(ip, now)).filter(isTaken => isTaken).length
    }
    assert.deepEqual([dials('192.0.2.1', 0), dials('192.0.2.1', 9_999), dials('192.0.2.1', 10_000)], [64, 0, 64])
    const all = Array.from({ length: 20 }, (_, index) => dials(`2001:db8::${index}`, 15_000))
    assert.deepEqual(all, [...Array(7).fill(64), ...Array(13).fill(0)])
  })
})
