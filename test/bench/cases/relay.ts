// One stream through the raw relay, against the least that such a relay can be.
import type { Case } from '../harness.ts'
import { throughput } from './throughput.ts'

export const relay: Case = {
  ...throughput,
  name: 'relay',
  title: 'One stream through the raw relay',
  rivals: ['star-relay', 'ws', 'star-raw']
}
