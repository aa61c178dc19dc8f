// The script of the page that a real browser runs: a libp2p node on a star, whose address is in the page's query.
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { star } from '../../client/index.ts'
import type { Stream } from '@libp2p/interface'

const SIZE = 1_048_576
const address = new URLSearchParams(location.search).get('star') ?? ''
const { transport, discovery } = star()

const node = await createLibp2p({
  addresses: { listen: [address] },
  transports: [transport],
  peerDiscovery: [discovery],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  // a browser dials no private address and no unencrypted WebSocket unless it is told to
  connectionGater: { denyDialMultiaddr: () => false },
  services: { ping: ping() },
  start: false
})

node.addEventListener('peer:discovery', event => {
  void node.dialProtocol(event.detail.id, '/interop/echo/1.0.0').then(async stream => {
    const verdict = await echo(stream)
    // the other side may not have its handler yet
    for (;;) {
      try {
        const report = await node.dialProtocol(event.detail.id, '/interop/report/1.0.0')
        report.send(new TextEncoder().encode(verdict))
        return
      } catch {
        await new Promise<void>(resolve => { setTimeout(resolve, 100) })
      }
    }
  })
})
await node.start()

async function echo (stream: Stream): Promise<string> {
  const sent = Uint8Array.from({ length: SIZE }, (_, i) => (i * 7 + (i >> 8)) % 256)
  return await new Promise<string>(resolve => {
    let received = 0
    let equal = true
    stream.addEventListener('message', event => {
      for (const byte of event.data.subarray()) {
        equal &&= byte === sent[received++]
      }
      if (received >= SIZE) {
        resolve(`echoed ${received} bytes, ${equal ? 'all equal' : 'not all equal'}`)
      }
    })
    stream.send(sent)
  })
}
