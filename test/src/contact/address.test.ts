// Socket addresses in the spellings of Rust's standard library: each is read to one, and nothing else is.
import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { formatSocketAddress, parseSocketAddress, toSocketAddress } from '../../../src/contact/address.ts'
import type { Family } from '../../../src/contact/address.ts'

function spelled (family: Family, text: string): string | undefined {
  const address = parseSocketAddress(family, text)
  return address && formatSocketAddress(address)
}

describe('A socket address', () => {
  for (const [family, text, canonical = text] of [
    ['v4', '1.8.3.1:2304'],
    ['v4', '0.0.0.0:0'],
    ['v4', '255.255.255.255:65535'],
    ['v4', '1.2.3.4:00080', '1.2.3.4:80'],
    ['v6', '[ab:41::b:43]:92'],
    ['v6', '[::]:0'],
    ['v6', '[::1]:1'],
    ['v6', '[1::]:1'],
    ['v6', '[fe80::1%5]:7'],
    ['v6', '[fe80::1%0]:7', '[fe80::1]:7'],
    ['v6', '[fe80::1%0004294967295]:7', '[fe80::1%4294967295]:7'],
    ['v6', '[2001:DB8:0:0:0:0:0:00a1]:1', '[2001:db8::a1]:1'],
    ['v6', '[1:0:0:2:0:0:0:3]:1', '[1:0:0:2::3]:1'],
    ['v6', '[1:0:0:2:3:0:0:4]:1', '[1::2:3:0:0:4]:1'],
    ['v6', '[1:0:2:3:4:5:6:7]:1', '[1:0:2:3:4:5:6:7]:1'],
    ['v6', '[1:2:3:4:5:6:7::]:1', '[1:2:3:4:5:6:7:0]:1'],
    ['v6', '[::ffff:1.2.3.4]:1'],
    ['v6', '[::ffff:102:304]:1', '[::ffff:1.2.3.4]:1'],
    ['v6', '[64:ff9b::192.0.2.33]:1', '[64:ff9b::c000:221]:1'],
    ['v6', '[1:2:3:4:5:6:1.2.3.4]:1', '[1:2:3:4:5:6:102:304]:1']
  ] as ReadonlyArray<readonly [Family, string, string?]>) {
    it(`may be ${text}`, () => {
      assert.equal(spelled(family, text), canonical)
    })
  }

  for (const [family, text] of [
    ['v4', ''], ['v4', '1.2.3.4'], ['v4', '1.2.3.4:'], ['v4', '1.2.3:1'], ['v4', '1.2.3.4.5:1'], ['v4', '01.2.3.4:1'],
    ['v4', '1.2.3.00:1'], ['v4', '1.2.3.256:1'], ['v4', '1.2.3.4:65536'], ['v4', '1.2.3.4:-1'], ['v4', '1.2.3.4:+1'],
    ['v4', ' 1.2.3.4:1'], ['v4', '1.2.3.4:1 '], ['v4', '1.2.3.4:1\n'], ['v4', 'localhost:1'], ['v4', '0x1.2.3.4:1'],
    ['v4', '[::1]:1'], ['v4', '１.2.3.4:1'], ['v4', `1.2.3.4:${'9'.repeat(400)}`],
    ['v6', '::1'], ['v6', '[::1]'], ['v6', '::1:1'], ['v6', '[:::1]:1'], ['v6', '[1::2::3]:1'], ['v6', '[1:2:3:4:5:6:7]:1'],
    ['v6', '[1:2:3:4:5:6:7:8:9]:1'], ['v6', '[1:2:3:4::5:6:7:8]:1'], ['v6', '[12345::]:1'], ['v6', '[g::]:1'],
    ['v6', '[::1%]:1'], ['v6', '[::1%eth0]:1'], ['v6', '[::1%4294967296]:1'], ['v6', '[::1]:65536'], ['v6', '[1.2.3.4::]:1'],
    ['v6', '[::1.2.3]:1'], ['v6', '[::1.2.3.04]:1'], ['v6', '[1:2:3::4:5:6:1.2.3.4]:1'], ['v6', '[1:2:3:4:5:6:7:1.2.3.4]:1'],
    ['v6', '1.2.3.4:1'], ['v6', '[]:1'], ['v6', '[:1]:1'], ['v6', '[1:]:1']
  ] as const) {
    it(`is not ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.equal(parseSocketAddress(family, text), undefined)
    })
  }

  it('has one spelling, which stays as it is', () => {
    fc.assert(fc.property(fc.ipV6(), fc.nat(65_535), (ip, port) => {
      const text = spelled('v6', `[${ip}]:${port}`)
      assert.ok(text != null && isIPv6(text.slice(1, text.lastIndexOf(']'))))
      assert.equal(spelled('v6', text), text)
      assert.equal(new URL(`http://[${ip}]/`).hostname, new URL(`http://${text.slice(0, text.lastIndexOf(':'))}/`).hostname)
    }), { numRuns: 1_000 })
  })

  it('of a socket for both families is of its own family, and has no scope but a number', () => {
    assert.deepEqual(toSocketAddress('::ffff:1.2.3.4', 5), { ip: '1.2.3.4', port: 5 })
    assert.deepEqual(toSocketAddress('::FFFF:102:304', 5), { ip: '1.2.3.4', port: 5 })
    assert.deepEqual(toSocketAddress('fe80::1%eth0', 5), { ip: 'fe80::1', port: 5 })
    assert.deepEqual(toSocketAddress('fe80::1%3', 5), { ip: 'fe80::1%3', port: 5 })
    assert.deepEqual(toSocketAddress('2001:DB8::1', 5), { ip: '2001:db8::1', port: 5 })
    for (const port of [65_536, 1.5, -1, NaN]) {
      assert.equal(toSocketAddress('1.2.3.4', port), undefined, String(port))
    }
    for (const ip of ['', 'star.example', '1.2.3', '::g', '[::1]']) {
      assert.equal(toSocketAddress(ip, 5), undefined, ip)
    }
  })
})
