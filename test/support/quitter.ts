// A process of its own with a star, clients and a libp2p node, which closes them in the order it is told and must then end
// by itself: whatever were left open would keep it alive.
import { multiaddr } from '@multiformats/multiaddr'
import { connect } from '../../client/index.ts'
import { startStar } from '../../server/index.ts'
import { createNode } from './nodes.ts'

const star = await startStar({ port: 0 })
const [address = ''] = star.addresses
const clients = [await connect(address), await connect(address), await connect(address, { listed: false })] as const
const node = await createNode([address])
const friend = await createNode()
await friend.dial(multiaddr(`${address}/p2p/${node.peerId.toString()}`))
const stream = await clients[2].dial(clients[0].id)
// never ended, never read
void stream.sink([new Uint8Array(100_000)]).catch(() => undefined)

const closing = {
  star: async () => { await star.close() },
  clients: async () => { await Promise.all(clients.map(async client => { await client.close() })) },
  nodes: async () => { await Promise.all([node.stop(), friend.stop()]) }
}
for (const name of process.argv.slice(2)) {
  await closing[name as keyof typeof closing]()
}
process.stdout.write('everything is closed\n')
