// The original libp2p-websocket-star, unchanged from npm, on our server.
import { describeOriginal } from './driver.ts'
import { ourStars } from './our-stars.ts'
import { clientCases } from './suites/client-cases.ts'
import { joining } from './suites/joining.ts'
import { oldAndNew } from './suites/old-and-new.ts'
import { serverCases } from './suites/server-cases.ts'
import { traffic } from './suites/traffic.ts'
import { care } from './suites/care.ts'
import { wire } from './suites/wire.ts'

describeOriginal('libp2p-websocket-star 0.10.2', () => {
  const stars = ourStars()
  joining(stars)
  traffic(stars)
  clientCases(stars)
  serverCases(stars)
  wire(stars)
  care()
  oldAndNew()
})
