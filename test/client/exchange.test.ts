// The offers that two peers hand each other: what is spelled is read, and whatever else comes is refused with a reason.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { encode } from '../../src/protobuf.ts'
import { StarError } from '../../src/errors.ts'
import { MAX_ADDRESSES, encodeInit } from '../../src/rendezvous/wire.ts'
import { decodeOffer, encodeOffer } from '../../client/upgrade/exchange.ts'
import { times } from '../support/rendezvous.ts'
import type { Offer } from '../../client/upgrade/exchange.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'

const INIT: RendezvousInit = {
  ak: times(7, 32),
  relayedWebSocket: { pathId: 9, networkCost: 'unknown', url: `wss://star.example/relay/${'ab'.repeat(32)}` },
  directTcpServer: { port: 4_001, ipAddresses: [{ pathId: 1, networkCost: 'unknown', ip: '192.0.2.1' }] }
}

const PLAIN = { noNullPrototype: true }

const anyOffer: fc.Arbitrary<Offer> = fc.record({
  link: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  sealed: fc.boolean(),
  dials: fc.boolean(),
  seen: fc.subarray([{ ip: '192.0.2.1', port: 9 }, { ip: '2001:db8::1', port: 65_535 }]),
  init: fc.record({
    ak: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    relayedWebSocket: fc.constantFrom(undefined, INIT.relayedWebSocket),
    directTcpServer: fc.option(fc.record({
      port: fc.nat({ max: 65_535 }),
      ipAddresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 })), { maxLength: MAX_ADDRESSES })
        .map(all => all.map((ip, index) => ({ pathId: 10 + index, networkCost: 'unknown' as const, ip })))
    }, PLAIN), { nil: undefined })
  }, PLAIN)
}, PLAIN)

/** An offer whose init is these bytes. */
function offerOf (init: Uint8Array): Uint8Array {
  return encode([[1, 'link', 'uint64'], [2, 'init', 'bytes']], { link: 1n, init })
}

describe('An offer', () => {
  it('is read as it was spelled', () => {
    fc.assert(fc.property(anyOffer, offer => {
      assert.deepEqual(decodeOffer(encodeOffer(offer)), offer)
    }))
  })

  it('survives what a later version adds, and is not sealed, and comes from who can dial nothing, unless it says so', () => {
    const later = Uint8Array.of(...encodeOffer({ link: 5n, init: INIT, sealed: false, dials: false, seen: [] }), 0x7a, 2, 1, 2)
    assert.deepEqual(decodeOffer(later), { link: 5n, init: INIT, sealed: false, dials: false, seen: [] })
  })

  it('is refused with a reason, or read, whatever the bytes are', () => {
    const spelled = encodeOffer({ link: 77n, init: INIT, sealed: true, dials: true, seen: [{ ip: '192.0.2.1', port: 9 }] })
    const bent = fc.record({ at: fc.nat({ max: spelled.byteLength - 1 }), bits: fc.integer({ min: 1, max: 255 }), cut: fc.nat() })
      .map(({ at, bits, cut }) => {
        const bytes = Uint8Array.from(spelled)
        bytes[at] = (bytes[at] ?? 0) ^ bits
        return cut % 3 === 0 ? bytes.subarray(0, cut % bytes.byteLength) : bytes
      })
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), bent), bytes => {
      try {
        const { link, init, sealed, dials } = decodeOffer(bytes)
        assert.deepEqual([typeof link, typeof sealed, typeof dials, init.ak.byteLength], ['bigint', 'boolean', 'boolean', 32])
      } catch (error) {
        assert.ok(error instanceof StarError)
        assert.ok(error.code === 'ERR_PROTOCOL' || error.code === 'ERR_RENDEZVOUS_INIT', error.code)
      }
    }), { numRuns: 2_000 })
  })

  it('is refused without an init, with one too long, with too many addresses, or with a path id that comes twice', () => {
    const addresses = (count: number, pathId = (index: number) => index): Uint8Array => encode([
      [2, 'ak', 'bytes'],
      [4, 'tcp', [[1, 'port', 'uint32'], [2, 'all', [[1, 'pathId', 'uint32'], [3, 'ip', 'string']], 'repeated']]]
    ], {
      ak: times(7, 32),
      tcp: { port: 4_001, all: Array.from({ length: count }, (_, index) => ({ pathId: pathId(index), ip: '192.0.2.1' })) }
    })
    assert.equal(decodeOffer(offerOf(addresses(MAX_ADDRESSES))).init.directTcpServer?.ipAddresses.length, MAX_ADDRESSES)
    for (const init of [
      new Uint8Array(), addresses(MAX_ADDRESSES + 1), addresses(10_000), addresses(2, () => 3),
      Uint8Array.of(...encodeInit(INIT), 0x7a, 0xff, 0xff, 3),
      times(0, 16_385)
    ]) {
      assert.throws(() => decodeOffer(offerOf(init)), { code: 'ERR_RENDEZVOUS_INIT' })
    }
    const offer = (...seen: string[]): Uint8Array => encode([
      [1, 'link', 'uint64'], [2, 'init', 'bytes'], [5, 'seen', 'string', 'repeated']
    ], { link: 1n, init: encodeInit(INIT), seen })
    assert.deepEqual(decodeOffer(offer('[::ffff:192.0.2.1]:5')).seen, [{ ip: '192.0.2.1', port: 5 }])
    for (const seen of [['192.0.2.1'], ['localhost:5'], ['192.0.2.1:65536'], ['x'.repeat(99)], Array(3).fill('192.0.2.1:5')]) {
      assert.throws(() => decodeOffer(offer(...seen as string[])), { code: 'ERR_PROTOCOL' }, String(seen))
    }
    const init = { ...INIT, ak: times(1, 31) }
    assert.throws(() => encodeOffer({ link: 1n, sealed: false, dials: true, seen: [], init }), { code: 'ERR_RENDEZVOUS_INIT' })
  })
})
