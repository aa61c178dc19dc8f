// The port from which others are dialled, and at which they come in: the same one, however the system lets it be shared.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net, { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Door } from '../../client/paths/node/door.ts'
import { Port, modeOf } from '../../client/paths/node/port.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { isOpen } from '../support/ports.ts'
import { nodeCrypto, times } from '../support/rendezvous.ts'
import { within } from '../support/waiting.ts'
import { Owner } from '../support/wires.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Guest } from '../../client/paths/platform.ts'
import type { Wire } from '../../client/paths/wire.ts'

/** Those that this system has. */
const MODES = (['shared', 'plain', 'portable'] as const).filter(mode => mode !== 'shared' || modeOf(net) === mode)
const LOOPBACK = { ip: '127.0.0.1', family: 4 } as const
const PROTOCOL = 4000

function codeOf (owner: Owner): unknown {
  const { cause } = owner.ends[0]?.error ?? {}
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}

for (const mode of MODES) {
  describe(`A port that is ${mode}`, () => {
    const closing: Array<() => unknown> = []

    afterEach(() => {
      closing.splice(0).toReversed().forEach(close => close())
    })

    /** Somebody to be dialled: the ports from which they were. */
    async function host (ip = '127.0.0.1'): Promise<{ readonly port: number, readonly from: number[], readonly server: Server }> {
      const from: number[] = []
      const server = createServer(socket => {
        from.push(socket.remotePort ?? 0)
        socket.on('error', () => {})
        closing.push(() => socket.destroy())
      }).listen(0, ip)
      closing.push(() => server.close())
      await once(server, 'listening')
      return { port: (server.address() as AddressInfo).port, from, server }
    }

    async function open (port = 0, host?: string): Promise<{ readonly port: Port, readonly came: Socket[] }> {
      const came: Socket[] = []
      const opened = await Port.open({ port, host, mode, onSocket: socket => {
        came.push(socket.on('error', () => {}))
        closing.push(() => socket.destroy())
      } })
      closing.push(() => { opened.close() })
      return { port: opened, came }
    }

    function dial (port: Port, target: Parameters<Port['dial']>[0]): Owner {
      const owner = new Owner()
      const wire = port.dial(target, owner)
      closing.push(() => { wire.close(PROTOCOL) })
      return owner
    }

    async function connected (owner: Owner): Promise<void> {
      await owner.when('the connection', () => owner.opened === 1)
    }

    it('is dialled from, and is open, in both families, with one number', async () => {
      const { port, came } = await open()
      assert.equal(port.mode, mode)
      const there = await host()
      const owner = dial(port, { ...LOOPBACK, port: there.port })
      await connected(owner)
      const there6 = await host('::1')
      await connected(dial(port, { ip: '::1', family: 6, port: there6.port }))
      assert.deepEqual([there.from, there6.from], [[port.port], [port.port]])
      assert.deepEqual([await isOpen(port.port), await isOpen(port.port, '::1')], [true, true])
      assert.equal(came.length, 2)
    })

    if (mode === 'portable') {
      it('has one dial at a time, and is open as soon as that has come to something or to nothing', async () => {
        const { port } = await open()
        const there = await host()
        const [one, other] = [dial(port, { ...LOOPBACK, port: there.port }), dial(port, { ...LOOPBACK, port: 1 })]
        await other.ended()
        assert.equal(codeOf(other), 'EADDRINUSE')
        await connected(one)
        assert.equal(await isOpen(port.port), true)
        const refused = dial(port, { ...LOOPBACK, port: 1 })
        await refused.ended()
        assert.equal(await isOpen(port.port), true)
      })
    } else {
      it('has any number of dials at a time, and is open all the while', async () => {
        const { port } = await open()
        const hosts = await Promise.all(Array.from({ length: 8 }, async () => await host()))
        const owners = hosts.map(there => dial(port, { ...LOOPBACK, port: there.port }))
        await new Promise(resolve => { setImmediate(resolve) }) // where it is plain, not in the turn in which the dials begin
        const others = Array.from({ length: 8 }, async () => await isOpen(port.port))
        await Promise.all(owners.map(async owner => { await connected(owner) }))
        assert.deepEqual(new Set(hosts.flatMap(({ from }) => from)), new Set([port.port]))
        assert.deepEqual(new Set(await Promise.all(others)), new Set([true]))
      })
    }

    it('says what the system says when a dial fails', async () => {
      const { port } = await open()
      const there = await host()
      await connected(dial(port, { ...LOOPBACK, port: there.port }))
      for (const [target, code] of [
        [{ ...LOOPBACK, port: 1 }, 'ECONNREFUSED'],
        [{ ip: '::1', family: 6, port: 1 }, 'ECONNREFUSED'],
        [{ ...LOOPBACK, port: there.port }, 'EADDRNOTAVAIL'], // there is a connection between the two already
        [{ ...LOOPBACK, port: 99_999 }, 'ERR_SOCKET_BAD_PORT']
      ] as const) {
        const owner = dial(port, target)
        await owner.ended()
        owner.assertOver()
        assert.deepEqual([owner.opened, owner.ends[0]?.error?.code, codeOf(owner)], [0, 'ERR_PATH_LOST', code])
      }
    })

    it('can be dialled from to the same address again at once, when a connection there was closed unverified', async () => {
      const { port } = await open()
      const there = await host()
      for (let round = 1; round <= 3; round++) {
        const owner = new Owner()
        const wire = port.dial({ ...LOOPBACK, port: there.port }, owner)
        await connected(owner)
        wire.close(PROTOCOL)
        await owner.ended()
        assert.deepEqual([there.from.length, owner.ends[0]?.error], [round, undefined])
      }
    })

    it('does not dial itself, at whatever address', async () => {
      const { port } = await open()
      const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
      for (const ip of [...own, '127.0.0.2', '0.0.0.0', '::', '::ffff:127.0.0.1']) {
        const owner = dial(port, { ip, port: port.port, family: ip.includes(':') ? 6 : 4 })
        await owner.ended()
        assert.deepEqual([ip, owner.opened, codeOf(owner)], [ip, 0, 'ERR_DIAL_SELF'])
      }
    })

    it('is at one address only, if that is wanted', async () => {
      const { port } = await open(0, '127.0.0.2')
      assert.deepEqual([await isOpen(port.port), await isOpen(port.port, '127.0.0.2')], [false, true])
      const owner = dial(port, { ip: '::1', family: 6, port: 9_999 })
      await owner.ended()
      assert.equal(codeOf(owner), 'ENETUNREACH')
    })

    it('is nobody else\'s, and is had again as soon as it is closed', async () => {
      const { port } = await open()
      await assert.rejects(open(port.port), { code: 'EADDRINUSE' })
      const there = await host()
      const owner = dial(port, { ...LOOPBACK, port: there.port })
      await connected(owner)
      port.close()
      assert.equal(await isOpen(port.port), false)
      const late = dial(port, { ...LOOPBACK, port: there.port })
      await late.ended()
      assert.equal(codeOf(late), 'ERR_STOPPED')
      const { port: again } = await open(port.port)
      assert.deepEqual([again.port, await isOpen(port.port), owner.ends], [port.port, true, []])
    })

    it('is what a door has: kept with its number while it is held, whoever else comes and goes', async () => {
      const door = new Door({ port: 0, mode, allow: () => true })
      const guest: Guest = {
        rendezvous: new Rendezvous(nodeCrypto, 'rid', times(9, 32)), offered: [{ pathId: 1, ip: '127.0.0.1' }], onClaim () {}
      }
      const held = await door.hold()
      assert.deepEqual([await door.admit(guest), held.mode], [held.port, mode])
      door.dismiss(guest)
      const there = await host()
      const owner = new Owner()
      const wire: Wire = held.dial({ ...LOOPBACK, port: there.port }, owner)
      await connected(owner)
      assert.deepEqual([there.from, await isOpen(held.port)], [[held.port], true])
      const second = await door.hold()
      held.release()
      held.release()
      assert.deepEqual([second.port, await isOpen(held.port)], [held.port, true])
      await door.close()
      assert.equal(await isOpen(held.port), false)
      wire.close(PROTOCOL)
    })

    it('keeps no process alive once it is closed, and what was dialled', async () => {
      const script = fileURLToPath(new URL('../support/punch-quitter.js', import.meta.url))
      const child = spawn(process.execPath, ['--enable-source-maps', script, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
      const [code] = await within('the process to end by itself', once(child, 'close'), 8_000)
      assert.deepEqual([output, code], ['everything is closed\n', 0])
    })
  })
}

describe('What a system can do with a port', () => {
  function fake (what: 'shares' | 'does not share'): Pick<typeof net, 'BoundSocket'> {
    class Fake {
      constructor () {
        if (what === 'does not share') {
          throw Object.assign(new Error('ENOTSUP'), { code: 'ENOTSUP' })
        }
      }

      close (): void {}
    }
    return { BoundSocket: Fake as unknown as typeof net.BoundSocket }
  }

  it('is found out by trying it', () => {
    assert.deepEqual([
      modeOf(fake('shares'), 'linux'), modeOf(fake('shares'), 'freebsd'), modeOf(fake('does not share'), 'linux'),
      modeOf(fake('does not share'), 'darwin'), modeOf({}, 'linux'), modeOf({}, 'win32')
    ], ['shared', 'shared', 'plain', 'portable', 'plain', 'portable'])
  })

  it('is done without being told', async () => {
    const port = await Port.open({ port: 0, onSocket: () => {} })
    assert.equal(port.mode, modeOf(net))
    port.close()
  })
})
