// The rendezvous' messages on the wire: their bytes, what an init may hold, its URL, and whatever else may come in their place.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { StarError } from '../../../src/errors.ts'
import {
  MAX_ADDRESSES, MAX_INIT, NetworkCost, decodeInit, decodeInvitation, decodeMessage, encodeInit, encodeInvitation, encodeMessage,
  pathIds
} from '../../../src/rendezvous/wire.ts'
import { hex, times, toHex } from '../../support/rendezvous.ts'
import type { IpAddress, NetworkCostName, PathMessages, RendezvousInit } from '../../../src/rendezvous/wire.ts'

const AK = times(0xa1, 32)
const RELAY_PATH = 'ab'.repeat(32)
const URL = `wss://r.example/ab/${RELAY_PATH}`

const FULL: RendezvousInit = {
  ak: AK,
  relayedWebSocket: { pathId: 1, networkCost: 'metered', url: URL },
  directTcpServer: {
    port: 65_535,
    ipAddresses: [
      { pathId: 0, networkCost: 'unmetered', ip: '10.0.0.7' },
      { pathId: 0xffff_ffff, networkCost: 'unknown', ip: 'fe80::1' }
    ]
  }
}
const BARE: RendezvousInit = { ak: AK, relayedWebSocket: undefined, directTcpServer: undefined }

const FULL_HEX = toHex(hex(`
  12 20 ${toHex(AK)}                                    # ak
  1a 59 08 01 10 02 1a 53 ${toHex(Buffer.from(URL))}    # relay: path 1, metered, url
  22 23 08 ffff03                                       # port 65,535
    12 0c 10 01 1a 08 31302e302e302e37                  # path 0, unmetered, 10.0.0.7
    12 0f 08 ffffffff0f 1a 07 666538303a3a31            # path 2^32 - 1, unknown, fe80::1
`))

/** Decodes; anything but a result or the one error that is due gets through. */
function attempt<Result> (decode: () => Result, code: string): Result | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof StarError && error.code === code) {
      return undefined
    }
    throw error
  }
}

function refuses (bytes: Uint8Array | string, message: RegExp = /./): void {
  assert.throws(() => decodeInit(typeof bytes === 'string' ? hex(bytes) : bytes), { code: 'ERR_RENDEZVOUS_INIT', message })
}

/** Both ways: it is neither written nor read. `raw` is what another program might write. */
function refusesBoth (init: RendezvousInit, raw: string, message: RegExp): void {
  assert.throws(() => encodeInit(init), { code: 'ERR_RENDEZVOUS_INIT', message })
  refuses(raw, message)
}

function addresses (count: number, ip: string = '10.0.0.7'): IpAddress[] {
  return Array.from({ length: count }, (_, pathId) => ({ pathId, networkCost: 'unknown' as const, ip }))
}

function withAddresses (ipAddresses: readonly IpAddress[]): RendezvousInit {
  return { ...BARE, directTcpServer: { port: 1, ipAddresses } }
}

describe('A RendezvousInit', () => {
  it('has the numbers of the document', () => {
    assert.equal(toHex(encodeInit(FULL)), FULL_HEX)
    assert.deepEqual(decodeInit(hex(FULL_HEX)), FULL)
    assert.equal(toHex(encodeInit(BARE)), `1220${toHex(AK)}`)
    assert.deepEqual(decodeInit(encodeInit(BARE)), BARE)
    assert.deepEqual(NetworkCost, { unknown: 0, unmetered: 1, metered: 2 })
    assert.deepEqual(pathIds(FULL), [1, 0, 0xffff_ffff])
  })

  it('keeps its key when the bytes that it came in are used again', () => {
    const bytes = Buffer.from(encodeInit(FULL))
    const { ak } = decodeInit(bytes)
    bytes.fill(0)
    assert.deepEqual(ak, AK)
  })

  it('may hold empty offers, unknown fields, and costs that are not known yet', () => {
    assert.deepEqual(decodeInit(hex(`1220${toHex(AK)} 2200`)), { ...BARE, directTcpServer: { port: 0, ipAddresses: [] } })
    assert.deepEqual(decodeInit(hex(`1220${toHex(AK)} fa0103616263`)), BARE)
    const { directTcpServer } = decodeInit(hex(`1220${toHex(AK)} 2208 0801 1204 1009 1a00`))
    assert.equal(directTcpServer?.ipAddresses[0]?.networkCost, 'unknown')
  })

  it('comes back as it was written, whatever it holds', () => {
    fc.assert(fc.property(anyInit(), init => {
      assert.deepEqual(decodeInit(encodeInit(init)), init)
      assert.deepEqual(decodeInvitation(encodeInvitation(init)), init)
    }))
  })
})

describe('What is no RendezvousInit to be trusted', () => {
  it('is one of a newer version', () => {
    refuses(`0801 1220${toHex(AK)}`, /version 1 is newer/)
  })

  it('is one without a key, or with one of another length', () => {
    refuses('', /a key of 0 bytes/)
    refuses(`1221${toHex(AK)}00`, /a key of 33 bytes/)
    assert.throws(() => encodeInit({ ...BARE, ak: times(1, 31) }), { code: 'ERR_RENDEZVOUS_INIT', message: /31/ })
  })

  it('is one with a port that is none', () => {
    refusesBoth({ ...BARE, directTcpServer: { port: 65_536, ipAddresses: [] } }, `1220${toHex(AK)} 2204 08808004`, /port 65536/)
    assert.throws(() => encodeInit({ ...BARE, directTcpServer: { port: 1.5, ipAddresses: [] } }), /port 1.5/)
    assert.throws(() => encodeInit({ ...BARE, directTcpServer: { port: -1, ipAddresses: [] } }), /port -1/)
  })

  it('is one in which a path id comes twice: among the addresses, or there and at the relay', () => {
    const relayedWebSocket = { pathId: 3, networkCost: 'unknown', url: 'ws://r' } as const
    const ip = { networkCost: 'unknown', ip: '' } as const
    refusesBoth(withAddresses([{ ...ip, pathId: 3 }, { ...ip, pathId: 3 }]),
      `1220${toHex(AK)} 220a 0801 12020803 12020803 1800`.replace('1800', ''), /a path id comes twice/)
    refusesBoth({ ...withAddresses([{ ...ip, pathId: 3 }]), relayedWebSocket },
      `1220${toHex(AK)} 1a0a 0803 1a06 77733a2f2f72 2206 0801 12020803`, /a path id comes twice/)
    assert.throws(() => encodeInit(withAddresses([{ ...ip, pathId: 2 ** 32 }])), /a path id that is none/)
  })

  it('is one with more addresses than anybody should dial, be they ten thousand', () => {
    const most = withAddresses(addresses(MAX_ADDRESSES))
    assert.deepEqual(decodeInit(encodeInit(most)), most)
    assert.throws(() => encodeInit(withAddresses(addresses(MAX_ADDRESSES + 1))), { message: /65 addresses/ })
    const one = '1204 0801 1a00'
    const body = hex(one.repeat(MAX_ADDRESSES + 1))
    const length = Uint8Array.of(body.byteLength & 127 | 128, body.byteLength >> 7)
    refuses(`1220${toHex(AK)} 22 ${toHex(length)} ${toHex(body)}`, /65 addresses/)
    const many = hex('1200'.repeat(10_000))
    refuses(`1220${toHex(AK)} 22 a09c01 ${toHex(many)}`, /bytes, and no more than 16384/)
  })

  it('is one with an address or a URL that is longer than any, or no URL of a WebSocket', () => {
    assert.throws(() => encodeInit(withAddresses(addresses(1, '1'.repeat(65)))), /an address that is too long/)
    const urls =
      ['', 'https://r.example', 'wss://', 'wss://r example', 'wss://r.example/\n', 'ws://r.exämple', `ws://${'a'.repeat(2_048)}`]
    for (const url of urls) {
      const init: RendezvousInit = { ...BARE, relayedWebSocket: { pathId: 0, networkCost: 'unknown', url } }
      assert.throws(() => encodeInit(init), { code: 'ERR_RENDEZVOUS_INIT', message: /the URL of the relay/ }, url)
    }
    refuses(`1220${toHex(AK)} 1a00`, /the URL of the relay/)
  })

  it('is one that is too long, before it is looked at', () => {
    refuses(times(0x0b, MAX_INIT + 1), /16385 bytes/)
    assert.throws(() => encodeInit(withAddresses(addresses(64, 'x'.repeat(65)))), { code: 'ERR_RENDEZVOUS_INIT' })
  })

  it('is any bytes, also those that almost are one', () => {
    const almost = fc.tuple(anyInit(), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([init, position, byte]) => {
      const bytes = encodeInit(init)
      bytes[position % bytes.byteLength] = byte
      return bytes
    })
    fc.assert(fc.property(fc.oneof(almost, fc.uint8Array()), bytes => {
      const init = attempt(() => decodeInit(bytes), 'ERR_RENDEZVOUS_INIT')
      if (init != null) {
        assert.deepEqual(decodeInit(encodeInit(init)), init)
        assert.equal(new Set(pathIds(init)).size, pathIds(init).length)
      }
    }), { numRuns: 3_000 })
  })
})

describe('An invitation', () => {
  it('is an init in a URL, in base64 that needs no escape', () => {
    const url = encodeInvitation(FULL)
    assert.match(url, /^libp2p-star:\/\/rendezvous#[\w-]+$/)
    assert.deepEqual(decodeInvitation(url), FULL)
    assert.deepEqual(decodeInvitation(` ${url}\n`), FULL, 'pasted with blanks')
    assert.deepEqual(decodeInvitation(url.replace('#', '/#')), FULL, 'as a URL parser writes it')
    const bare = encodeInvitation(BARE)
    assert.equal((bare.split('#')[1] ?? '').length % 4, 2, 'so it would be padded with two')
    for (const padding of ['', '=', '==']) {
      assert.deepEqual(decodeInvitation(`${bare}${padding}`), BARE)
    }
  })

  it('is nothing else', () => {
    const url = encodeInvitation(BARE)
    const others = [
      '', 'libp2p-star://rendezvous', 'libp2p-star://rendezvous#', 'libp2p-star://rendezvous#A', url.replace('star', 'stars'),
      `libp2p-star://rendezvous#${'A'.repeat(30_000)}`, `https://example.org/${url}`, `${url}===`, `${url}+`, `${url} ${url}`,
      url.slice(0, -1), url.slice(0, -2)
    ]
    for (const other of others) {
      assert.throws(() => decodeInvitation(other), { name: 'StarError', code: 'ERR_RENDEZVOUS_INIT' }, other)
    }
    fc.assert(fc.property(fc.string(), text => {
      assert.equal(attempt(() => decodeInvitation(text), 'ERR_RENDEZVOUS_INIT'), undefined)
      attempt(() => decodeInvitation(`libp2p-star://rendezvous#${text}`), 'ERR_RENDEZVOUS_INIT')
    }))
  })
})

describe('A message of a path', () => {
  const challenge = times(0xc0, 16)
  const response = times(0x5e, 16)
  const etk = times(0xe0, 32)
  const vectors: ReadonlyArray<readonly [keyof PathMessages, object, string]> = [
    ['hello', { challenge, etk }, `0a10${toHex(challenge)}1220${toHex(etk)}`],
    ['authHello', { response, challenge, etk }, `0a10${toHex(response)}1210${toHex(challenge)}1a20${toHex(etk)}`],
    ['auth', { response }, `0a10${toHex(response)}`],
    ['nominate', {}, '']
  ]

  it('has the numbers of the document', () => {
    for (const [type, message, bytes] of vectors) {
      assert.equal(toHex(encodeMessage(type, message as never)), bytes, type)
      assert.deepEqual(decodeMessage(type, hex(bytes)), message, type)
      assert.deepEqual(decodeMessage(type, hex(`${bytes}fa0103616263`)), message, `${type} with an unknown field`)
    }
  })

  it('is refused when one of its fields is missing or of another length', () => {
    for (const [type, whole] of vectors) {
      for (const [name, value] of Object.entries(whole as Record<string, Uint8Array>)) {
        for (const length of [0, value.byteLength - 1, value.byteLength + 1]) {
          const bytes = encodeMessage(type, { ...whole, [name]: times(1, length) } as never)
          const message = new RegExp(`a ${name} of ${length} bytes`)
          assert.throws(() => decodeMessage(type, bytes), { code: 'ERR_PROTOCOL', message })
        }
      }
    }
  })

  it('is refused when it is another one', () => {
    for (const [type] of vectors) {
      for (const [other, , bytes] of vectors) {
        const isTaken = attempt(() => decodeMessage(type, hex(bytes)), 'ERR_PROTOCOL') != null
        const superset = type === 'nominate' || (type === 'auth' && other === 'authHello')
        // a Hello begins like an Auth, and what follows is unknown to it: keys and states tell them apart
        assert.equal(isTaken, type === other || superset || (type === 'auth' && other === 'hello'), `${other} for ${type}`)
      }
    }
  })

  it('is refused or is some message, whatever bytes come', () => {
    const types = fc.constantFrom<keyof PathMessages>('hello', 'authHello', 'auth', 'nominate')
    const almost = fc.tuple(fc.constantFrom(...vectors), fc.nat(), fc.nat({ max: 255 })).map(([[, , text], position, byte]) => {
      const bytes = hex(text)
      bytes[position % Math.max(1, bytes.byteLength)] = byte
      return bytes
    })
    fc.assert(fc.property(types, fc.oneof(fc.uint8Array({ maxLength: 200 }), almost), (type, bytes) => {
      const message = attempt(() => decodeMessage(type, bytes), 'ERR_PROTOCOL')
      if (message != null) {
        assert.deepEqual(decodeMessage(type, encodeMessage(type, message as never)), message)
      }
    }), { numRuns: 3_000 })
  })
})

function anyInit (): fc.Arbitrary<RendezvousInit> {
  const networkCost = fc.constantFrom<NetworkCostName>('unknown', 'unmetered', 'metered')
  const pathId = fc.nat({ max: 0xffff_ffff })
  const ip = fc.oneof(fc.ipV4(), fc.ipV6())
  const url = fc.webUrl({ validSchemes: ['ws', 'wss'] }).filter(one => /^[\x21-\x7e]+$/.test(one))
  const relay = fc.record({ pathId, networkCost, url }, { noNullPrototype: true })
  const address = fc.record({ pathId, networkCost, ip }, { noNullPrototype: true })
  const ipAddresses = fc.uniqueArray(address, { maxLength: MAX_ADDRESSES, selector: one => one.pathId })
  const tcp = fc.record({ port: fc.nat({ max: 65_535 }), ipAddresses }, { noNullPrototype: true })
  return fc.record({
    ak: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    relayedWebSocket: fc.option(relay, { nil: undefined }),
    directTcpServer: fc.option(tcp, { nil: undefined })
  }, { noNullPrototype: true }).filter(init => new Set(pathIds(init)).size === pathIds(init).length)
}
