// What of a peer's addresses is dialled: a table of rules, and that nothing a peer says has us dial what they forbid.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { MAX_CANDIDATES, candidates } from '../../../src/contact/candidates.ts'
import { isLinkLocal, isLoopback, parse } from '../../../src/ip.ts'
import { contacts } from '../../support/contacts.ts'
import type { CandidateOptions, Endpoint, PunchContact, PunchMode } from '../../../src/contact/candidates.ts'

const OWN: PunchContact = {
  v4: { ip: '198.51.100.11', port: 5_000 },
  v6: { ip: '2001:db8:1::2', port: 4_000 },
  local: [{ ip: '10.0.1.2', port: 4_000 }, { ip: '2001:db8:1::2', port: 4_000 }, { ip: '127.0.0.1', port: 4_000 }],
  mapping: 'same'
}
const V4 = { ip: '198.51.100.12', port: 6_000 }
const V6 = { ip: '2001:db8:2::2', port: 7_000 }

function dialled (peer: Partial<PunchContact>, rest: Partial<CandidateOptions> = {}): string[] {
  const found = candidates({
    own: OWN, peer: { local: [], ...peer }, mode: 'shared', loopback: false, allow: () => true, ...rest
  })
  return found.map(({ ip, port, dials }) => `${ip} ${port}${dials === Infinity ? '' : ` ${dials} times`}`)
}

describe('The addresses of a peer that are dialled', () => {
  it('are both public ones, and no local ones of another network', () => {
    assert.deepEqual(dialled({ v4: V4, v6: V6, local: [{ ip: '10.0.1.9', port: 7_000 }] }),
      ['2001:db8:2::2 7000', '198.51.100.12 6000'])
  })

  it('are the local ones first behind the same public address, or in the same network of IPv6, at most four in all', () => {
    const local = [9, 10, 11, 12].map(host => ({ ip: `10.0.1.${host}`, port: 7_000 }))
    const near = { ip: '198.51.100.11', port: 6_000 }
    assert.deepEqual(dialled({ v4: near, local: local.slice(0, 1) }), ['10.0.1.9 7000', '198.51.100.11 6000'])
    assert.deepEqual(dialled({ v6: { ip: '2001:db8:1::77', port: 7_000 }, local: local.slice(0, 1) }),
      ['10.0.1.9 7000', '2001:db8:1::77 7000'])
    assert.deepEqual(dialled({ v4: near, v6: V6, local }),
      ['10.0.1.9 7000', '10.0.1.10 7000', '2001:db8:2::2 7000', '198.51.100.11 6000'])
  })

  it('are none of our own: not the same port, and no other port of this device unless that is wanted', () => {
    const local = [{ ip: '10.0.1.2', port: 4_000 }, { ip: '10.0.1.2', port: 9_000 }, { ip: '127.0.0.1', port: 9_000 }]
    const peer = { v4: OWN.v4, local }
    assert.deepEqual(dialled(peer), [])
    assert.deepEqual(dialled(peer, { loopback: true }), ['10.0.1.2 9000', '127.0.0.1 9000'])
    assert.deepEqual(dialled({ v4: { ip: '::ffff:198.51.100.11', port: 5_000 } }), [])
  })

  it('are none that have no meaning, or that only the system has', () => {
    for (const ip of [
      '0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1', 'fe80::1', 'fe80::1%eth0', '169.254.1.1', 'name', ''
    ]) {
      assert.deepEqual(dialled({ v4: { ip, port: 6_000 } }), [], ip)
    }
    for (const port of [-1, 0, 22, 1_023, 65_536, 1e9]) {
      assert.deepEqual(dialled({ v4: { ...V4, port } }), [], String(port))
    }
    assert.deepEqual(dialled({ v4: { ...V4, port: 1_024 } }), ['198.51.100.12 1024'])
  })

  it('are of a family that this device has, none twice, and none that is not allowed', () => {
    const own = { v4: OWN.v4, local: [] }
    assert.deepEqual(dialled({ v4: V4, v6: V6 }, { own }), ['198.51.100.12 6000'])
    assert.deepEqual(dialled({ v4: V4, v6: { ip: '::ffff:c633:640c', port: 6_000 } }), ['198.51.100.12 6000'])
    assert.deepEqual(dialled({ v4: V4, v6: V6 }, { allow: ({ ip }) => ip === V6.ip }), ['2001:db8:2::2 7000'])
    const hidden = { v6: { ip: '::ffff:198.51.100.12', port: 6_000 } }
    assert.deepEqual(dialled(hidden, { allow: ({ ip }) => ip !== '198.51.100.12' }), [], 'who allows sees what is dialled')
  })

  it('are dialled as often as makes sense where a router has a port for each destination', () => {
    const sym = { v4: V4, v6: V6, mapping: 'sym' } as const
    const table: ReadonlyArray<readonly [PunchContact['mapping'], PunchMode, string[]]> = [
      ['same', 'shared', ['2001:db8:2::2 7000', '198.51.100.12 6000']],
      [undefined, 'shared', ['2001:db8:2::2 7000', '198.51.100.12 6000']],
      ['same', 'plain', ['2001:db8:2::2 7000', '198.51.100.12 6000 1 times']],
      ['same', 'portable', ['2001:db8:2::2 7000', '198.51.100.12 6000 0 times']],
      ['sym', 'shared', ['2001:db8:2::2 7000']],
      ['sym', 'portable', ['2001:db8:2::2 7000']]
    ]
    for (const [mapping, mode, expected] of table) {
      assert.deepEqual(dialled(sym, { own: { ...OWN, mapping }, mode }), expected)
    }
    assert.deepEqual(dialled({ v4: V4 }, { own: { ...OWN, mapping: 'sym' }, mode: 'plain' }), ['198.51.100.12 6000'])
  })

  it('are never any others, whatever the peer says', () => {
    fc.assert(fc.property(contacts, contacts, fc.boolean(), fc.constantFrom<PunchMode>('shared', 'plain', 'portable'),
      (own, peer, loopback, mode) => {
        const asked: Endpoint[] = []
        const found = candidates({ own, peer, mode, loopback, allow: target => asked.push(target) % 5 !== 0 })
        assert.ok(found.length <= MAX_CANDIDATES)
        const mine = [own.v4, own.v6, ...own.local].flatMap(one => one == null ? [] : [`${String(parse(one.ip))} ${one.port}`])
        const keys = found.map(({ ip, port }) => `${String(parse(ip))} ${port}`)
        assert.equal(new Set(keys).size, keys.length)
        for (const [index, { ip, port, family, dials }] of found.entries()) {
          const bytes = parse(ip)
          assert.ok(bytes != null && bytes.byteLength === (family === 4 ? 4 : 16))
          assert.ok(port >= 1_024 && port <= 65_535)
          assert.ok(!isLinkLocal(bytes) && !ip.startsWith('169.254.') && (bytes[0] ?? 0) !== 0xff)
          assert.ok(family === 6 || (bytes[0] ?? 0) < 224)
          assert.ok(loopback || !isLoopback(bytes))
          assert.ok(loopback || own.local.every(one => String(parse(one.ip)) !== String(bytes)))
          assert.ok(!mine.includes(keys[index] ?? ''))
          assert.ok(asked.some(one => one.ip === ip || String(parse(one.ip)) === String(bytes)))
          assert.ok(dials >= 0)
        }
      }), { numRuns: 2_000 })
  })
})
