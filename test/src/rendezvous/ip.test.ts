// What may be dialled on another peer's word: a table of addresses, and that no text whatever makes it throw.
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { isDialable, isLinkLocal, isLoopback, parse } from '../../../src/ip.ts'
import { mayDial, withZone } from '../../../src/rendezvous/ip.ts'
import type { LocalAddress } from '../../../src/rendezvous/plan.ts'

function local (ip: string, prefix: number): LocalAddress {
  return { interface: 'eth0', ip, prefix, networkCost: 'unknown', fast: true }
}

const OWN = [
  local('127.0.0.1', 8), local('::1', 128), local('192.168.7.20', 24), local('10.9.1.1', 30), local('100.70.0.5', 32),
  local('fd12:3456:789a:1::5', 64), local('fe80::5', 64), local('2a01:4f8:1:2::20', 64), local('198.51.100.9', 29)
]
const PORT = 40_000
/** What addresses, and what looks like some, are made of. */
const PARTS = ['1', '0', '::', ':', '.', 'ffff', '00001', '%', '1.2.3.4', 'g', ' ', '[', '-', '0x7f', '/8']

function dials (ip: string, port: number = PORT, loopback: boolean = false, own: readonly LocalAddress[] = OWN): boolean {
  return mayDial({ ip, port }, own, loopback)
}

describe('On another peer\'s word', () => {
  it('addresses of the internet are dialled, at any port', () => {
    for (const ip of [
      '8.8.8.8', '1.1.1.1', '9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.1', '192.167.255.255', '192.169.0.1',
      '100.63.255.255',
      '100.128.0.1', '169.253.255.255', '169.255.0.1', '198.17.255.255', '198.20.0.1', '223.255.255.255', '2a00:1450::1',
      '2606:4700::1111',
      '2001:4860::8888', '2003::1', '::ffff:8.8.8.8'
    ]) {
      for (const port of [PORT, 1_024, 443, 22]) {
        assert.equal(dials(ip, port), true, `${ip} ${port}`)
      }
    }
  })

  it('private addresses are not, where this device is in no such network', () => {
    for (const ip of [
      '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.254', '192.168.0.1', '192.168.255.1', '100.64.0.1',
      '100.127.255.255',
      '169.254.169.254', '192.0.0.170', '198.18.0.1', '198.19.255.255', 'fc00::1', 'fdff::1', 'fe81::1', 'febf::1', 'fec0::1'
    ]) {
      assert.equal(dials(ip), false, ip)
      assert.equal(dials(ip, PORT, true), false, `${ip}, with loopback`)
      assert.equal(dials(ip, PORT, false, []), false, `${ip}, without interfaces`)
    }
  })

  it('private addresses of a network of this device are, by its prefix', () => {
    for (const [ip, expected] of [
      ['192.168.7.1', true], ['192.168.7.255', true], ['192.168.6.255', false], ['192.168.8.0', false], ['10.9.1.2', true],
      ['10.9.1.4', false],
      ['10.9.0.255', false], ['100.70.0.5', true], ['100.70.0.4', false], ['fd12:3456:789a:1::77', true],
      ['fd12:3456:789a:2::77', false],
      ['fe80::77', true], ['fe80:0:0:1::77', false], ['::ffff:192.168.7.1', true], ['::ffff:c0a8:0701', true],
      ['::ffff:192.168.6.1', false]
    ] as const) {
      assert.equal(dials(ip), expected, ip)
    }
    assert.equal(dials('10.200.3.4', PORT, false, [local('10.0.0.1', 8)]), true)
  })

  it('nothing in a network of this device is, public or private, at the ports of the system', () => {
    for (const ip of [
      '192.168.7.1', 'fd12:3456:789a:1::77', 'fe80::77', '2a01:4f8:1:2::1', '198.51.100.10', '::ffff:198.51.100.10'
    ]) {
      for (const [port, expected] of [[22, false], [80, false], [1_023, false], [1_024, true], [65_535, true]] as const) {
        assert.equal(dials(ip, port), expected, `${ip} ${port}`)
      }
    }
    assert.equal(dials('198.51.100.16', 22), true, 'the network after it')
    assert.equal(dials('2a01:4f8:1:3::1', 22), true, 'the network after it')
  })

  it('this device itself is only if told so, and not at the ports of the system', () => {
    for (const ip of ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '0:0:0:0:0:0:0:1', '::ffff:7f00:1']) {
      assert.equal(dials(ip), false, ip)
      assert.equal(dials(ip, PORT, true), true, `${ip}, if told so`)
      assert.equal(dials(ip, 1_023, true), false, `${ip}, port 1023`)
      assert.equal(dials(ip, PORT, false, [local('127.0.0.1', 8), local('::1', 128)]), false, `${ip}, on a device without others`)
    }
  })

  it('no IPv4 address is that is hidden in one of IPv6', () => {
    for (const ip of [
      '::7f00:1', '::127.0.0.1', '::10.0.0.1', '::ffff:0:127.0.0.1', '::ffff:0:10.0.0.1', '64:ff9b::7f00:1',
      '64:ff9b::10.0.0.1', '64:ff9b:1::1',
      '2002:7f00:1::', '2002:c0a8:101::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'
    ]) {
      assert.equal(dials(ip), false, ip)
      assert.equal(dials(ip, PORT, true), false, `${ip}, with loopback`)
    }
  })

  it('nothing is that stands for any address, for many, or is none', () => {
    for (const ip of [
      '0.0.0.0', '0.1.2.3', '::', '::ffff:0.0.0.0', '224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255',
      '::ffff:224.0.0.1', 'ff02::1',
      '', ' ', 'localhost', 'example.com', 'fe80::1%eth0', '127.0.0.1%lo', '8.8.8.8 ', '8.8.8', '8.8.8.8.8', '0x8080808',
      '134744072', '010.8.8.8.8',
      '256.1.1.1', '1::2::3', '[2606:4700::1111]', '8.8.8.8:80', '8.8.8.8\u0000', '８.8.8.8', 'g::1', '12345::1', 'metadata'
    ]) {
      assert.equal(dials(ip), false, ip)
      assert.equal(dials(ip, PORT, true), false, `${ip}, with loopback`)
    }
  })
})

describe('An address', () => {
  it('is the same in every spelling', () => {
    assert.deepEqual(parse('::ffff:1.2.3.4'), Uint8Array.of(1, 2, 3, 4))
    assert.deepEqual(parse('::FFFF:0102:0304'), Uint8Array.of(1, 2, 3, 4))
    assert.deepEqual(parse('0:0:0:0:0:ffff:1.2.3.4'), Uint8Array.of(1, 2, 3, 4))
    assert.deepEqual(parse('2001:DB8::1'), parse('2001:0db8:0:0:0:0:0:1'))
  })

  it('is loopback, link-local, or dialable by its bytes', () => {
    const bytes = (ip: string): Uint8Array => parse(ip) ?? assert.fail(ip)
    assert.deepEqual(['127.9.9.9', '::1', '126.0.0.1', '::2', '1::1'].map(ip => isLoopback(bytes(ip))),
      [true, true, false, false, false])
    assert.deepEqual(['fe80::1', 'febf::1', 'fec0::1', 'fe7f::1'].map(ip => isLinkLocal(bytes(ip))), [true, true, false, false])
    assert.deepEqual(['0.0.0.0', '::', '224.0.0.1', 'ff05::2', '223.1.1.1', '::1'].map(ip => isDialable(bytes(ip))),
      [false, false, false, false, true, true])
  })

  it('is dialled on our cable when it is known on its own cable alone', () => {
    assert.equal(withZone('fe80::77', OWN), 'fe80::77%eth0')
    for (const ip of ['192.168.7.1', '2a01:4f8:1:2::1', 'fec0::1', '::1']) {
      assert.equal(withZone(ip, OWN), ip)
    }
    assert.equal(withZone('fe80::77', OWN.filter(one => one.ip !== 'fe80::5')), 'fe80::77')
  })

  it('is never found in text in which the system would see a name', () => {
    const text = fc.oneof(
      fc.string(), fc.ipV4(), fc.ipV6(), fc.domain(),
      fc.array(fc.constantFrom(...PARTS), { maxLength: 14 })
        .map(parts => parts.join(''))
    )
    fc.assert(fc.property(text, fc.integer(), fc.boolean(), (ip, port, loopback) => {
      const may = mayDial({ ip, port }, OWN, loopback)
      assert.equal(typeof may, 'boolean')
      if (isIP(ip) === 0) {
        assert.equal(may, false)
        assert.equal(parse(ip), undefined)
      }
    }), { numRuns: 5_000 })
  })

  it('of this device may be anything that a system says', () => {
    fc.assert(fc.property(fc.string(), fc.integer({ min: -1, max: 200 }), (ip, prefix) => {
      assert.equal(dials('127.0.0.1', PORT, false, [local(ip, prefix)]), false)
      assert.equal(dials('8.8.8.8', PORT, false, [local(ip, prefix)]), true)
    }))
  })
})
