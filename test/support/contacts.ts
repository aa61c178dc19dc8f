// Contacts of every kind for tests that try them all: sensible ones, and those that somebody makes up.
import fc from 'fast-check'
import type { Endpoint, PunchContact } from '../../src/contact/candidates.ts'

const ADDRESSES = [
  '198.51.100.11', '198.51.100.12', '10.0.1.2', '10.0.1.3', '192.168.1.7', '127.0.0.1', '127.9.9.9', '169.254.3.4', '0.0.0.0',
  '224.0.0.251', '255.255.255.255', '2001:db8:1::2', '2001:db8:1::3', '2001:db8:2::2', '::1', '::', 'fe80::1', 'ff02::1',
  '::ffff:10.0.1.2', '::ffff:127.0.0.1', 'fd00::7', 'nonsense'
]
const PORTS = [0, 22, 1_023, 1_024, 4_000, 5_000, 65_535, 65_536]

const endpoint: fc.Arbitrary<Endpoint> = fc.record({ ip: fc.constantFrom(...ADDRESSES), port: fc.constantFrom(...PORTS) })

/** Any contact. */
export const contacts: fc.Arbitrary<PunchContact> = fc.record({
  v4: fc.option(endpoint, { nil: undefined }),
  v6: fc.option(endpoint, { nil: undefined }),
  local: fc.array(endpoint, { maxLength: 8 }),
  mapping: fc.constantFrom('same', 'sym', undefined)
})
