// One stream past the star, or through its raw relay, against what else carries libp2p directly or through a relay.
import { throughput } from './throughput.ts'
import type { Case } from '../harness.ts'

export const past: Case = {
  ...throughput,
  name: 'past',
  title: 'One stream that has moved',
  rivals: ['star-direct', 'star-direct-sealed', 'tcp', 'star-relay-ws', 'circuit-relay', 'star']
}
