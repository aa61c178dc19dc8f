// The addresses of this device, as its interfaces have them.
import { networkInterfaces } from 'node:os'
import type { LocalAddress } from '../../../src/rendezvous/plan.ts'
import type { NetworkCostName } from '../../../src/rendezvous/wire.ts'

/** Interfaces that are known to be fast: cables and wireless networks, by the names that systems give them. */
const FAST = /^(eth|en|wl|br|bond|wi-?fi|ethernet)/i

/** Every address of every interface. */
export function localAddresses (networkCost: (name: string) => NetworkCostName): LocalAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    // the same cable-local address means another device on each cable, and on none this one
    addresses.filter(({ address, internal }) => !internal || !/^fe[89ab]/i.test(address)).map(({ address, cidr }) => ({
      interface: name,
      ip: address,
      prefix: Number(cidr?.split('/')[1] ?? (address.includes(':') ? 128 : 32)),
      networkCost: networkCost(name),
      fast: FAST.test(name)
    })))
}

/** Whether no way out of this device costs anything, as far as is known. */
export function isUnmetered (networkCost: (name: string) => NetworkCostName): boolean {
  const outward = Object.entries(networkInterfaces()).filter(([, addresses = []]) => addresses.some(({ internal }) => !internal))
  return outward.every(([name]) => networkCost(name) === 'unmetered')
}
