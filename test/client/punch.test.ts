// A punch as its user sees it: one wire after the other until one is the peer's, whatever else happens.
import assert from 'node:assert/strict'
import net from 'node:net'
import { setTimeout as pass } from 'node:timers/promises'
import { Punch } from '../../client/punch.ts'
import { Port, modeOf } from '../../client/paths/node/port.ts'
import { TcpWire } from '../../client/paths/node/tcp.ts'
import { StarError } from '../../src/errors.ts'
import { PlainHello } from '../support/plain-hello.ts'
import { within } from '../support/waiting.ts'
import { MemoryWire, Owner } from '../support/wires.ts'
import type { PunchContact } from '../../src/contact/candidates.ts'
import type { PunchInit } from '../../client/punch.ts'
import type { PunchPort } from '../../client/paths/platform.ts'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'
import type { Role } from '../support/plain-hello.ts'

const KEY = Buffer.from('a key that both have')
const PROTOCOL = 4000
const TARGET = { ip: '127.0.0.1', port: 7_000 }
const PEER: PunchContact = { local: [TARGET] }
const OWN: PunchContact = { local: [{ ip: '127.0.0.1', port: 7_001 }] }

/** A port in memory: the dials, for a test to answer. */
class FakePort implements PunchPort {
  readonly port = 7_001
  readonly mode = 'shared'
  readonly dials: Array<{ readonly owner: WireOwner, closed: boolean }> = []

  dial (_: unknown, owner: WireOwner): Wire {
    const dial = { owner, closed: false }
    this.dials.push(dial)
    return {
      via: 'fake', queued: 0, own () {}, send () {}, pause () {}, resume () {},
      close () {
        if (!dial.closed) {
          dial.closed = true
          queueMicrotask(() => { owner.onClose(undefined, undefined) })
        }
      }
    }
  }

  fail (index: number, code: string): void {
    const cause = Object.assign(new Error(code), { code })
    this.dials[index]?.owner.onClose(undefined, new StarError('ERR_PATH_LOST', { cause }))
  }
}

describe('A punch', () => {
  /** What was handed out, and how it ended. */
  function follow (port: PunchPort, more: Partial<PunchInit> = {}): {
    readonly punch: Punch, readonly wires: Array<{ wire: Wire, owner: Owner, dialled: boolean }>, readonly ends: unknown[]
  } {
    const wires: Array<{ wire: Wire, owner: Owner, dialled: boolean }> = []
    const ends: unknown[] = []
    const punch = new Punch({
      port, own: OWN, peer: PEER, loopback: true, allow: () => true,
      onWire: (wire, target) => {
        const owner = new Owner()
        wire.own(owner)
        wires.push({ wire, owner, dialled: target != null })
      },
      onOver: error => { ends.push(error?.code) },
      ...more
    })
    return { punch, wires, ends }
  }

  it('hands out what was dialled and what came in, with what came on it, until one is verified', async () => {
    const port = new FakePort()
    const { punch, wires, ends } = follow(port)
    assert.equal(port.dials.length, 0, 'not before its user has it')
    await Promise.resolve()
    assert.equal(port.dials.length, 1)
    const [near, far] = MemoryWire.pair(new Owner(), new Owner())
    punch.accept(far, [Uint8Array.of(1, 2)])
    port.dials[0]?.owner.onOpen()
    port.dials[0]?.owner.onBytes(Uint8Array.of(3))
    assert.deepEqual(wires.map(({ dialled, owner }) => [dialled, [...owner.bytes]]), [[false, [1, 2]], [true, [3]]])
    punch.verified(near) // not one of its own
    assert.deepEqual(ends, [])
    assert.ok(wires[1])
    punch.verified(wires[1].wire)
    assert.deepEqual([ends, port.dials[0]?.closed], [[undefined], false])
    wires[1].wire.close(PROTOCOL)
    await wires[1].owner.ended()
    punch.stop()
    assert.deepEqual(ends, [undefined])
  })

  it('goes on when a stranger breaks off, and dials again where it was refused', async () => {
    const port = new FakePort()
    const { punch, wires, ends } = follow(port)
    await Promise.resolve()
    port.fail(0, 'ECONNREFUSED')
    const [stranger, far] = MemoryWire.pair(new Owner(), new Owner())
    punch.accept(far, [])
    stranger.close(PROTOCOL)
    await pass(30)
    assert.deepEqual([port.dials.length, wires.length, ends], [2, 1, []])
    port.dials[1]?.owner.onOpen()
    port.fail(1, 'ECONNRESET')
    await pass(30)
    assert.deepEqual([port.dials.length, wires.length, ends], [3, 2, []])
    assert.ok(wires[1])
    wires[1].owner.assertOver()
    punch.stop()
    assert.deepEqual([port.dials[2]?.closed, ends], [true, [undefined]])
  })

  it('closes all that was not verified when the time is up, and what comes afterwards', async () => {
    const port = new FakePort()
    const { punch, wires, ends } = follow(port, { time: 50 })
    await Promise.resolve()
    port.dials[0]?.owner.onOpen()
    await pass(100)
    assert.deepEqual([ends, port.dials[0]?.closed, wires.length], [['ERR_PATH_TIMEOUT'], true, 1])
    const late = new Owner()
    const [, far] = MemoryWire.pair(late, new Owner())
    punch.accept(far, [])
    await late.ended()
    assert.equal(wires.length, 1)
  })

  it('is nothing where it was stopped before it began, or there is nobody to be dialled but ourselves', async () => {
    const port = new FakePort()
    const stopped = follow(port)
    stopped.punch.stop()
    const own = follow(port, { peer: OWN })
    await Promise.resolve()
    assert.deepEqual([stopped.ends, own.ends, port.dials.length], [[undefined], ['ERR_PATH_LOST'], 0])
  })

  for (const mode of new Set([modeOf(net), 'plain', 'portable'] as const)) {
    it(`finds the peer among strangers, over ports that are ${mode}`, async () => {
      const wires: Wire[] = []
      const sides = await Promise.all((['initiator', 'responder'] as const).map(async role => {
        const side: { role: Role, port: Port, punch?: Punch } = {
          role,
          port: await Port.open({ port: 0, mode, onSocket: socket => {
            const wire = new TcpWire(socket)
            wires.push(wire)
            side.punch?.accept(wire, [])
          } })
        }
        return side
      }))
      const contacts = sides.map(({ port }) => ({ local: [{ ip: '127.0.0.1', port: port.port }] }))
      const stranger = await Port.open({ port: 0, onSocket: socket => socket.destroy() })
      const done = sides.map(async (side, index) => {
        const [own, peer] = [contacts[index], contacts[1 - index]]
        assert.ok(own != null && peer != null)
        await new Promise<void>(resolve => {
          let taken = false
          const punch = new Punch({
            port: side.port, own, peer, loopback: true, allow: () => true,
            onWire: wire => {
              wires.push(wire)
              const hello: PlainHello = new PlainHello(wire, side.role, KEY, () => !taken && (taken = true), () => {
                punch.verified(hello.wire)
              })
            },
            onOver: error => {
              assert.equal(error, undefined)
              resolve()
            }
          })
          side.punch = punch
        })
      })
      for (const { port } of sides) {
        wires.push(stranger.dial({ ip: '127.0.0.1', port: port.port, family: 4 }, new Owner()))
      }
      await within('both to have found each other', Promise.all(done))
      wires.forEach(wire => { wire.close(PROTOCOL) })
      ;[stranger, ...sides.map(({ port }) => port)].forEach(port => { port.close() })
    })
  }
})
