// Incoming connections: which path each of them is, and what becomes of those that are none.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { Acceptor, MAX_HELLO, MAX_STRANGERS, STRANGER_TIME } from '../../../src/rendezvous/accept.ts'
import { toFrame } from '../../../src/rendezvous/frame.ts'
import { Rendezvous } from '../../../src/rendezvous/keys.ts'
import { encodeMessage } from '../../../src/rendezvous/wire.ts'
import { Random } from '../../support/random.ts'
import { NOW, hex, nodeCrypto, times } from '../../support/rendezvous.ts'
import type { AcceptOutput } from '../../../src/rendezvous/accept.ts'

const AK = times(0xa1, 32)
const OFFERED = [{ pathId: 1, ip: '10.0.0.1' }, { pathId: 2, ip: 'fd00::2' }, { pathId: 3, ip: '203.0.113.3' }]
const HELLO = encodeMessage('hello', { challenge: times(2, 16), etk: times(3, 32) })

/** The Hello of a path, in its frame. */
function hello (pathId: number, plaintext: Uint8Array = HELLO, ak: Uint8Array = AK): Uint8Array {
  return concat([...toFrame(new Rendezvous(nodeCrypto, 'rrd', ak).claim(pathId)?.seal(plaintext) ?? [], false)])
}

/** The machine of a port that waits for the other device of one rendezvous. */
function acceptor (rendezvous: Rendezvous, offer: number = 0): Acceptor {
  const machine = new Acceptor()
  machine.input({ type: 'offer', offer, rendezvous, offered: OFFERED }, NOW)
  return machine
}

/** A port at which connections come in. */
class Port {
  readonly rendezvous: Rendezvous = new Rendezvous(nodeCrypto, 'rid', AK)
  readonly machine: Acceptor = acceptor(this.rendezvous)
  now = NOW

  connect (connection: number, localAddress: string = '192.0.2.1'): string[] {
    return this.machine.input({ type: 'connected', connection, localAddress }, this.now).map(tell)
  }

  hear (connection: number, bytes: Uint8Array): string[] {
    return this.machine.input({ type: 'bytes', connection, bytes }, this.now).map(tell)
  }

  wake (): string[] {
    return this.machine.input({ type: 'wake' }, this.now).map(tell)
  }
}

function tell (output: AcceptOutput): string {
  return output.do === 'claim'
    ? `${output.connection} is path ${output.pathId}`
    : ['close', output.connection, output.error?.code].filter(part => part != null).join(' ')
}

describe('An incoming connection', () => {
  it('is the path whose Hello it says, whichever address it came to', () => {
    for (const address of ['10.0.0.1', '::ffff:10.0.0.1', '::FFFF:10.0.0.1', 'fd00::2', '203.0.113.3', '192.168.7.7']) {
      for (const { pathId } of OFFERED) {
        const port = new Port()
        assert.deepEqual(port.connect(9, address), [])
        assert.deepEqual(port.hear(9, hello(pathId)), [`9 is path ${pathId}`])
        assert.deepEqual([port.machine.strangers, port.machine.wakeAt], [0, undefined])
      }
    }
  })

  it('is tried first as the path of the address that it came to', () => {
    const tried: number[] = []
    class Watched extends Rendezvous {
      override isHello (pathId: number, sealed: Uint8Array): boolean {
        tried.push(pathId)
        return super.isHello(pathId, sealed)
      }
    }
    const machine = acceptor(new Watched(nodeCrypto, 'rid', AK))
    machine.input({ type: 'connected', connection: 1, localAddress: '::ffff:203.0.113.3' }, NOW)
    machine.input({ type: 'bytes', connection: 1, bytes: hello(2) }, NOW)
    assert.deepEqual(tried, [3, 1, 2])
  })

  it('is handed on with every byte that came, in the pieces in which they came', () => {
    const port = new Port()
    port.connect(1)
    const bytes = concat([hello(2), hex('0102')])
    const pieces = [bytes.subarray(0, 3), bytes.subarray(3, 71), bytes.subarray(71)]
    assert.deepEqual([port.hear(1, pieces[0] as Uint8Array), port.hear(1, pieces[1] as Uint8Array)], [[], []])
    const outputs = port.machine.input({ type: 'bytes', connection: 1, bytes: pieces[2] as Uint8Array }, NOW)
    assert.deepEqual(outputs, [{ do: 'claim', connection: 1, offer: 0, pathId: 2, bytes: pieces }])
    assert.deepEqual(port.hear(1, hex('03')), [], 'what comes then is the path\'s')
  })

  it('takes its path for ever: a Hello that comes again, or another one for it, is none', () => {
    const port = new Port()
    for (const connection of [1, 2, 3]) {
      port.connect(connection)
    }
    assert.deepEqual(port.hear(1, hello(2)), ['1 is path 2'])
    assert.deepEqual(port.hear(2, hello(2)), ['close 2 ERR_PATH_PROOF'])
    port.machine.input({ type: 'lost', connection: 1 }, NOW)
    const another = encodeMessage('hello', { challenge: times(8, 16), etk: times(9, 32) })
    assert.deepEqual(port.hear(3, hello(2, another)), ['close 3 ERR_PATH_PROOF'])
  })

  it('is no path that was claimed elsewhere', () => {
    const port = new Port()
    port.rendezvous.claim(1)
    port.connect(1)
    assert.deepEqual(port.hear(1, hello(1)), ['close 1 ERR_PATH_PROOF'])
  })

  it('is a path of the rendezvous whose key it has, of several that share the port', () => {
    const port = new Port()
    const ak = times(9, 32)
    port.machine.input({ type: 'offer', offer: 7, rendezvous: new Rendezvous(nodeCrypto, 'rid', ak), offered: OFFERED }, NOW)
    const offers = [hello(2), hello(2, HELLO, ak)].flatMap((bytes, connection) => {
      port.connect(connection)
      return port.machine.input({ type: 'bytes', connection, bytes }, NOW)
    })
    assert.deepEqual(offers.map(output => output.do === 'claim' ? [output.offer, output.pathId] : []), [[0, 2], [7, 2]])
    port.connect(3)
    assert.deepEqual(port.machine.input({ type: 'withdraw', offer: 7 }, NOW), [])
    assert.deepEqual(port.hear(3, hello(1, HELLO, ak)), ['close 3 ERR_PATH_PROOF'])
  })

  it('is closed when all paths are taken', () => {
    const port = new Port()
    for (const { pathId } of OFFERED) {
      port.connect(pathId)
      port.hear(pathId, hello(pathId))
    }
    assert.deepEqual(port.connect(7), ['close 7'])
  })
})

describe('A stranger at the port', () => {
  it('is closed by itself, whatever it says, and the paths stay free', () => {
    const port = new Port()
    const garbage: ReadonlyArray<readonly [Uint8Array, string]> = [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'ERR_PROTOCOL'],
      [hex('16030100'), 'ERR_PROTOCOL'],
      [hex('00000000'), 'ERR_PROTOCOL'],
      [concat([...toFrame([times(0, 68)], false)]), 'ERR_PATH_PROOF'],
      [hello(1, HELLO, times(1, 32)), 'ERR_PATH_PROOF'],
      [hello(4), 'ERR_PATH_PROOF'],
      [hello(1, HELLO.subarray(0, 17)), 'ERR_PATH_PROOF'],
      [concat([...toFrame([times(0, MAX_HELLO + 1)], false)]), 'ERR_PROTOCOL']
    ]
    for (const [index, [bytes, code]] of garbage.entries()) {
      port.connect(index)
      assert.deepEqual(port.hear(index, bytes), [`close ${index} ${code}`])
      assert.deepEqual(port.hear(index, bytes), [], 'that is all')
    }
    port.connect(100)
    assert.deepEqual(port.hear(100, hello(1)), ['100 is path 1'])
  })

  it('has a time for its Hello, and no more of it by sending a part', () => {
    const port = new Port()
    port.connect(1)
    port.now += 4_000
    port.connect(2)
    port.hear(1, hello(1).subarray(0, 71))
    assert.equal(port.machine.wakeAt, NOW + STRANGER_TIME)
    port.now = NOW + STRANGER_TIME - 1
    assert.deepEqual(port.wake(), [])
    port.now++
    assert.deepEqual(port.wake(), ['close 1 ERR_PATH_TIMEOUT'])
    assert.equal(port.machine.wakeAt, NOW + 4_000 + STRANGER_TIME)
    assert.deepEqual(port.hear(1, hello(1).subarray(71)), [], 'too late')
    port.now += 4_000
    assert.deepEqual(port.wake(), ['close 2 ERR_PATH_TIMEOUT'])
    assert.equal(port.machine.wakeAt, undefined)
  })

  it('has to go for the ninth, and can\'t keep anybody out by holding on', () => {
    const port = new Port()
    for (let connection = 0; connection < MAX_STRANGERS; connection++) {
      assert.deepEqual(port.connect(connection), [])
    }
    assert.deepEqual(port.connect(50), ['close 0 ERR_PATH_TIMEOUT'])
    assert.equal(port.machine.strangers, MAX_STRANGERS)
    assert.deepEqual(port.hear(50, hello(3)), ['50 is path 3'])
    assert.deepEqual(port.connect(51), [], 'who is a path is no stranger')
  })

  it('is forgotten when it goes', () => {
    const port = new Port()
    port.connect(1)
    assert.deepEqual(port.machine.input({ type: 'lost', connection: 1 }, NOW), [])
    assert.deepEqual(port.hear(1, hello(1)), [])
    assert.deepEqual([port.machine.strangers, port.machine.wakeAt], [0, undefined])
  })

  it('is closed when nobody is waited for any more, and so is who comes then', () => {
    const port = new Port()
    port.connect(1)
    port.connect(2)
    assert.deepEqual(port.machine.input({ type: 'withdraw', offer: 0 }, NOW).map(tell), ['close 1', 'close 2'])
    assert.deepEqual(port.connect(3), ['close 3'])
    assert.deepEqual(port.hear(3, hello(1)), [])
  })
})

describe('A port', () => {
  it('lets each path in once and nobody else, in whatever order all this comes', () => {
    fc.assert(fc.property(fc.integer(), seed => {
      const random = new Random(seed)
      const port = new Port()
      const queues = new Map<number, Uint8Array>()
      const claimed: number[] = []
      for (let step = 0, connection = 0; step < 60; step++) {
        if (random.chance(0.3)) {
          connection++
          const says = random.pick([hello(1), hello(2), hello(3), hello(4), random.bytes(random.between(1, 90))])
          queues.set(connection, says)
          port.connect(connection, random.pick(['10.0.0.1', 'fd00::2', '::1']))
        }
        const waiting = [...queues.keys()]
        if (waiting.length > 0) {
          const one = random.pick(waiting)
          const bytes = queues.get(one) ?? hex('')
          const length = random.between(1, 80)
          const outputs = port.machine.input({ type: 'bytes', connection: one, bytes: bytes.subarray(0, length) }, port.now)
          claimed.push(...outputs.flatMap(output => output.do === 'claim' ? [output.pathId] : []))
          if (bytes.byteLength > length) {
            queues.set(one, bytes.subarray(length))
          } else {
            queues.delete(one)
          }
        }
        port.now += random.between(0, 500)
        port.wake()
        assert.ok(port.machine.strangers <= MAX_STRANGERS)
      }
      assert.equal(new Set(claimed).size, claimed.length)
      assert.ok(claimed.every(pathId => pathId <= 3))
    }), { numRuns: 100 })
  })
})
