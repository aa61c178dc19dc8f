// The contract of wires (client/paths/wire.ts), kept by each of them: in memory, TCP, a WebSocket through the relay of a star.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { concat } from 'uint8arrays/concat'
import { Port } from '../../client/paths/node/port.ts'
import { TcpWire } from '../../client/paths/node/tcp.ts'
import { WebSocketWire } from '../../client/paths/node/web-socket.ts'
import { createTestStar } from '../../server/testing.ts'
import { Random } from '../support/random.ts'
import { MemoryWire, Owner, relayUrl } from '../support/wires.ts'
import type { AddressInfo, Socket } from 'node:net'
import type { WirePair } from '../support/wires.ts'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'
import type { TestStar } from '../../server/testing.ts'

const MIB = 1_048_576
/** More than the system, or a star, holds between two ends. */
const MUCH = 48 * MIB
const NORMAL = 1000
const PROTOCOL = 4000

/** How the wires of a kind are had. */
interface Kind {
  open (): Promise<WirePair>
  /** Whether the other end hears the code. */
  readonly codes: boolean
}

function noise (random: Random, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, () => random.between(0, 255))
}

function keepsTheContract (name: string, kind: () => Kind): void {
  describe(`${name} keeps the contract of wires:`, function () {
    this.timeout(60_000)

    it('bytes come in order and unchanged, in both directions, however they are cut', async () => {
      const { wires, owners } = await kind().open()
      const random = new Random(1)
      const sent: [Uint8Array[], Uint8Array[]] = [[], []]
      for (let round = 0; round < 60; round++) {
        for (const way of [0, 1] as const) {
          const count = random.between(1, 4)
          const parts = Array.from({ length: count }, () => noise(random, random.pick([1, 4, 80, 4_095, 4_096, 70_000])))
          sent[way].push(...parts)
          wires[way].send(parts)
        }
      }
      for (const way of [0, 1] as const) {
        const all = concat(sent[way])
        await owners[1 - way]?.got(all.byteLength)
        assert.ok(Buffer.from(owners[1 - way]?.bytes ?? []).equals(all))
      }
      wires[0].close(NORMAL)
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      owners.forEach(owner => { owner.assertOver() })
    })

    it('who does not read stops who writes, and nothing is lost when it reads again', async () => {
      const { wires, owners } = await kind().open()
      wires[1].pause()
      const block = new Uint8Array(MIB).fill(7)
      for (let sent = 0; sent < MUCH; sent += MIB) {
        wires[0].send([block])
      }
      wires[1].send([Uint8Array.of(1)])
      await owners[0].got(1) // what isn't read doesn't keep it from writing
      assert.ok(wires[0].queued > 0)
      assert.ok(owners[1].received < MUCH)
      const held = owners[1].received
      await new Promise(resolve => { setImmediate(resolve) })
      assert.equal(owners[1].received, held)
      wires[1].resume()
      await owners[1].got(MUCH, 20_000)
      await owners[0].when('everything to be taken', () => wires[0].queued === 0)
      assert.ok(owners[0].taken > 0)
      assert.equal(owners[1].received, MUCH)
      wires[0].close(NORMAL)
      await Promise.all(owners.map(async owner => { await owner.ended() }))
    })

    it('a close comes behind what was sent, and is told once at each end', async () => {
      const { wires, owners } = await kind().open()
      const all = noise(new Random(2), 2 * MIB)
      for (let position = 0; position < all.byteLength; position += 65_536) {
        wires[0].send([all.subarray(position, position + 65_536)])
      }
      wires[0].close(NORMAL)
      wires[0].close(NORMAL)
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      assert.ok(Buffer.from(owners[1].bytes).equals(all))
      owners.forEach(owner => { owner.assertOver() })
      assert.deepEqual(owners[1].ends, [{ code: kind().codes ? NORMAL : undefined, error: undefined }])
    })

    it('any other close is told once at each end, too, with its code where there are codes', async () => {
      const { wires, owners } = await kind().open()
      wires[0].close(PROTOCOL)
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      owners.forEach(owner => { owner.assertOver() })
    })

    it('a close reaches who does not read', async () => {
      const { wires, owners } = await kind().open()
      wires[1].pause()
      wires[0].send([new Uint8Array(1_000)])
      wires[1].close(NORMAL)
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      owners.forEach(owner => { owner.assertOver() })
    })

    it('both may close at once, and what is sent or closed after the end does nothing', async () => {
      const { wires, owners } = await kind().open()
      wires.forEach(wire => { wire.close(NORMAL) })
      await Promise.all(owners.map(async owner => { await owner.ended() }))
      for (const wire of wires) {
        wire.pause()
        wire.resume()
        wire.send([Uint8Array.of(1)])
        wire.close(NORMAL)
        wire.close(PROTOCOL)
      }
      await new Promise(resolve => { setImmediate(resolve) })
      owners.forEach(owner => { owner.assertOver() })
    })
  })
}

function dials (name: string, dial: (owner: WireOwner, how: 'refused' | 'silent') => Promise<Wire>): void {
  describe(`${name}, dialled in vain, keeps the contract of wires:`, () => {
    it('where nobody is there, the end is told with its reason, and nothing before it', async () => {
      const owner = new Owner()
      await dial(owner, 'refused')
      await owner.ended()
      owner.assertOver()
      assert.deepEqual([owner.opened, owner.ends[0]?.error?.code], [0, 'ERR_PATH_LOST'])
    })

    it('a close before there is a connection is told once', async () => {
      for (const code of [NORMAL, PROTOCOL]) {
        const owner = new Owner()
        const wire = await dial(owner, 'silent')
        wire.close(code)
        await owner.ended()
        owner.assertOver()
        assert.equal(owner.opened, 0)
      }
    })
  })
}

/** A port at which connections are made and nothing is said, or one at which nobody is any more. */
async function portOf (how: 'refused' | 'silent', sockets: Socket[]): Promise<number> {
  const server = createServer(socket => sockets.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  if (how === 'refused') {
    server.close()
    await once(server, 'close')
  }
  server.unref()
  return port
}

describe('Wires', () => {
  let star: TestStar
  const sockets: Socket[] = []

  before(async () => { star = await createTestStar({ openRelay: true }) })

  after(async () => {
    sockets.forEach(socket => socket.destroy())
    await star.close()
  })

  keepsTheContract('a wire in memory', () => ({
    codes: true,
    open: async () => {
      const owners = [new Owner(), new Owner()] as const
      return { owners, wires: MemoryWire.pair(...owners) }
    }
  }))

  keepsTheContract('TCP', () => ({
    codes: false,
    open: async () => {
      const owners = [new Owner(), new Owner()] as const
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const accepted = once(server, 'connection')
      const dialled = TcpWire.dial({ ip: '127.0.0.1', port, family: 4 }, owners[0])
      const [socket] = await accepted as [Socket]
      const answered = new TcpWire(socket, owners[1])
      await owners[0].when('the connection', () => owners[0].opened === 1)
      server.close()
      assert.deepEqual([dialled.via, answered.via], [`127.0.0.1:${port}`, `127.0.0.1:${socket.remotePort ?? 0}`])
      return { owners, wires: [dialled, answered] }
    }
  }))

  keepsTheContract('TCP from a port', () => ({
    codes: false,
    open: async () => {
      const owners = [new Owner(), new Owner()] as const
      const accepted = Promise.withResolvers<Socket>()
      const there = await Port.open({ port: 0, onSocket: accepted.resolve })
      const here = await Port.open({ port: 0, onSocket: socket => socket.destroy() })
      const dialled = here.dial({ ip: '127.0.0.1', port: there.port, family: 4 }, owners[0])
      const answered = new TcpWire(await accepted.promise, owners[1])
      await owners[0].when('the connection', () => owners[0].opened === 1)
      here.close()
      there.close()
      assert.deepEqual([dialled.via, answered.via], [`127.0.0.1:${there.port}`, `127.0.0.1:${here.port}`])
      return { owners, wires: [dialled, answered] }
    }
  }))

  dials('TCP', async (owner, how) =>
    TcpWire.dial({ ip: '127.0.0.1', port: await portOf(how, sockets), family: 4 }, owner))

  dials('TCP from a port', async (owner, how) => {
    const here = await Port.open({ port: 0, onSocket: socket => socket.destroy() })
    const wire = here.dial({ ip: '127.0.0.1', port: await portOf(how, sockets), family: 4 }, owner)
    here.close() // what was dialled goes on
    return wire
  })

  keepsTheContract('a WebSocket through a star', () => ({
    codes: true,
    open: async () => {
      const owners = [new Owner(), new Owner()] as const
      const url = relayUrl(star)
      const wires = [new WebSocketWire(url, undefined, owners[0]), new WebSocketWire(url, undefined, owners[1])] as const
      await Promise.all(owners.map(async owner => { await owner.when('the connection', () => owner.opened === 1) }))
      return { owners, wires }
    }
  }))

  dials('a WebSocket', async (owner, how) =>
    new WebSocketWire(`ws://127.0.0.1:${await portOf(how, sockets)}/relay/00`, undefined, owner))

  it('close TCP connections that the other end leaves half open', async () => {
    const server = createServer({ allowHalfOpen: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const accepted = once(server, 'connection')
    const owner = new Owner()
    const wire = new TcpWire(connect(port, '127.0.0.1'), owner, 'there')
    const [socket] = await accepted as [Socket]
    socket.on('error', () => {}).resume()
    await owner.when('the connection', () => owner.opened === 1)
    wire.close(NORMAL)
    await owner.ended()
    owner.assertOver()
    socket.destroy()
    server.close()
  })
})
