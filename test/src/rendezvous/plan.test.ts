// Addresses: which are offered, and which are dialled, when.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { STAGGER, dialPlan, offerAddresses } from '../../../src/rendezvous/plan.ts'
import { MAX_ADDRESSES, decodeInit, encodeInit } from '../../../src/rendezvous/wire.ts'
import { times } from '../../support/rendezvous.ts'
import type { Dial, DialLimits, LocalAddress } from '../../../src/rendezvous/plan.ts'
import type { RendezvousInit } from '../../../src/rendezvous/wire.ts'

const ALL: DialLimits = { families: [4, 6], allow: () => true }
const RELAY = { pathId: 90, networkCost: 'metered', url: 'wss://relay.example/00' } as const

function init (ips: readonly string[], { port = 7_000, relay = false } = {}): RendezvousInit {
  return {
    ak: times(1, 32),
    relayedWebSocket: relay ? RELAY : undefined,
    directTcpServer: { port, ipAddresses: ips.map((ip, index) => ({ pathId: index + 1, networkCost: 'unknown', ip })) }
  }
}

function tell ({ pathId, target, after }: Dial): string {
  return `${after}: ${pathId} ${target.kind === 'tcp' ? `${target.ip} ${target.port} ${target.family}` : target.url}`
}

function local (ip: string, { name = 'eth0', ...rest }: Partial<LocalAddress> & { readonly name?: string } = {}): LocalAddress {
  return { interface: name, ip, prefix: 24, networkCost: 'unknown', fast: false, ...rest }
}

function offered (addresses: readonly LocalAddress[], loopback: boolean = false): string[] {
  return offerAddresses(addresses, { firstPathId: 1, loopback }).map(({ ip }) => ip)
}

describe('What is dialled', () => {
  it('is the relay at once and the addresses one after the other, in the order in which they were offered', () => {
    assert.equal(STAGGER, 100)
    assert.deepEqual(dialPlan(init(['10.0.0.1', 'fd00::1', '203.0.113.9'], { relay: true }), ALL).map(tell), [
      '0: 90 wss://relay.example/00', '0: 1 10.0.0.1 7000 4', '100: 2 fd00::1 7000 6', '200: 3 203.0.113.9 7000 4'
    ])
  })

  it('tells what the path costs the one who offered it', () => {
    const [relay] = dialPlan(init([], { relay: true }), ALL)
    assert.equal(relay?.networkCost, 'metered')
  })

  it('is nothing of a family that this device lacks, and it doesn\'t wait for what it leaves out', () => {
    const both = init(['fd00::1', '10.0.0.1', 'fd00::2', '10.0.0.2'])
    assert.deepEqual(dialPlan(both, { ...ALL, families: [4] }).map(tell), ['0: 2 10.0.0.1 7000 4', '100: 4 10.0.0.2 7000 4'])
    assert.deepEqual(dialPlan(both, { ...ALL, families: [6] }).map(({ pathId }) => pathId), [1, 3])
    assert.deepEqual(dialPlan(both, { ...ALL, families: [] }), [])
  })

  it('is what the filter allows, which is asked for everything as it would be dialled', () => {
    const asked: string[] = []
    const allow: DialLimits['allow'] = target => {
      asked.push(target.kind === 'tcp' ? target.ip : target.url)
      return target.kind === 'tcp' && target.ip !== '127.0.0.1'
    }
    const offers = init(['127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '10.0.0.1'], { relay: true })
    const plan = dialPlan(offers, { ...ALL, allow })
    assert.deepEqual(plan.map(tell), ['0: 4 10.0.0.1 7000 4'])
    assert.deepEqual(asked, ['wss://relay.example/00', '127.0.0.1', '127.0.0.1', '127.0.0.1', '10.0.0.1'])
  })

  it('is no address twice, however it is spelled', () => {
    const ips = ['10.0.0.1', '10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', 'fd00::1', 'fd00:0:0::1', 'FD00::0001']
    assert.deepEqual(dialPlan(init(ips), ALL).map(tell), ['0: 1 10.0.0.1 7000 4', '100: 5 fd00::1 7000 6'])
  })

  it('is nothing that is no address of one device: no names, zones, networks, and not anybody', () => {
    const ips = ['example.org', '', '10.0.0', '010.0.0.1', '10.0.0.1 ', '0x7f.1', '2130706433', 'fe80::1%eth0', '10.0.0.1%lo',
      '0.0.0.0', '::', '::ffff:0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', 'ff02::1', '10.0.0.1/8', 'fd00::1::2']
    assert.deepEqual(dialPlan(init(ips), ALL), [])
  })

  it('is nothing at port 0, and nothing of an init that offers nothing', () => {
    assert.deepEqual(dialPlan(init(['10.0.0.1'], { port: 0 }), ALL), [])
    assert.deepEqual(dialPlan({ ak: times(1, 32), relayedWebSocket: undefined, directTcpServer: undefined }, ALL), [])
  })

  it('is something or nothing, whatever is offered', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), { maxLength: MAX_ADDRESSES }), ips => {
      const plan = dialPlan(init(ips), ALL)
      assert.ok(plan.every(({ target }) => target.kind === 'tcp' && /^[\d.]+$|:/.test(target.ip)))
      plan.forEach(({ after }, index) => { assert.equal(after, index * STAGGER) })
    }))
  })
})

describe('What is offered', () => {
  it('is each address once, with an id of its own', () => {
    const addresses = [local('10.0.0.1'), local('10.0.0.1', { name: 'eth1' }), local('::ffff:10.0.0.1'), local('fd00::1')]
    assert.deepEqual(offerAddresses(addresses, { firstPathId: 5, loopback: false }), [
      { pathId: 5, networkCost: 'unknown', ip: '10.0.0.1' }, { pathId: 6, networkCost: 'unknown', ip: 'fd00::1' }
    ])
  })

  it('is not what reaches only this device, unless that is wanted', () => {
    const addresses = [local('127.0.0.1'), local('127.9.9.9'), local('::1'), local('10.0.0.1')]
    assert.deepEqual(offered(addresses), ['10.0.0.1'])
    assert.deepEqual(offered(addresses, true), ['127.0.0.1', '127.9.9.9', '::1', '10.0.0.1'])
  })

  it('is a link-local IPv6 address only of an interface that has another one of IPv6', () => {
    const addresses = [
      local('fe80::1', { name: 'wlan0' }), local('192.168.0.2', { name: 'wlan0' }),
      local('fe80::2'), local('fd00::2'), local('febf::3'), local('169.254.1.1', { name: 'usb0' })
    ]
    assert.deepEqual(offered(addresses), ['192.168.0.2', 'fe80::2', 'fd00::2', 'febf::3', '169.254.1.1'])
  })

  it('comes in the order of what it costs and how fast it is, otherwise as it was', () => {
    const addresses = [
      local('10.0.0.1'), local('10.0.0.2', { networkCost: 'metered' }), local('10.0.0.3', { networkCost: 'metered', fast: true }),
      local('10.0.0.4', { networkCost: 'unmetered' }), local('10.0.0.5', { networkCost: 'unmetered', fast: true }),
      local('10.0.0.6', { fast: true }), local('10.0.0.7')
    ]
    assert.deepEqual(offered(addresses).map(ip => ip.at(-1)).join(''), '5431267')
  })

  it('is no more than an init may hold, and an init that can be read', () => {
    const addresses = Array.from({ length: 10_000 }, (_, index) => local(`10.0.${index >> 8}.${index & 255}`))
    const ipAddresses = offerAddresses(addresses, { firstPathId: 1, loopback: true })
    assert.equal(ipAddresses.length, MAX_ADDRESSES)
    assert.equal(ipAddresses.at(-1)?.ip, '10.0.0.63')
    const one: RendezvousInit = { ...init([]), directTcpServer: { port: 1, ipAddresses } }
    assert.deepEqual(decodeInit(encodeInit(one)), one)
  })
})
