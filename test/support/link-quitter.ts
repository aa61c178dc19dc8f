// A process of its own with a link in the state that it is told, whose nodes are then stopped: it must end by itself.
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { resolve } from '../../client/options.ts'
import { Member } from '../../client/star.ts'
import { createTestStar } from '../../server/testing.ts'
import { requireStarAddress } from '../../src/address.ts'
import { Linked, Transfer } from './links.ts'
import { until } from './nodes.ts'

const star = await createTestStar()
const [a, b] = await Promise.all([Linked.start([star.address]), Linked.start([star.address])])
const mutes: Member[] = []

async function link (): Promise<Transfer> {
  const connection = await a.node.dial(multiaddr(`${star.address}/p2p/${b.id}`))
  await until(() => a.link(b)?.resumable === true && b.link(a)?.resumable === true)
  return await Transfer.start(connection, 1_000_000_000)
}

/** A peer that takes dials and says nothing, ever. */
async function mute (): Promise<string> {
  const privateKey = await generateKeyPair('Ed25519')
  const self = peerIdFromPrivateKey(privateKey).toString()
  const member = new Member({
    star: requireStarAddress(star.address),
    privateKey,
    self,
    options: resolve(),
    speaks: ['link/1'],
    answer: slot => ({
      open: () => { slot.send({ do: 'send', kind: 'accept', side: 'dialer', payload: 65_536 }) },
      receive () {},
      lose () {}
    })
  })
  mutes.push(member)
  member.list(true)
  await member.whenJoined()
  return self
}

const settings: Record<string, () => Promise<void>> = {
  suspended: async () => {
    await link()
    await star.stop()
    await Promise.all([a.told('suspended'), b.told('suspended')])
  },
  handshake: async () => {
    const peer = await mute()
    const station = Promise.withResolvers<void>()
    const onProgress = ({ type }: { type: string }): void => {
      if (type === 'star:dial') {
        station.resolve()
      }
    }
    a.node.dial(multiaddr(`${star.address}/p2p/${peer}`), { onProgress }).catch(() => undefined)
    await station.promise
  },
  waiting: async () => {
    const transfer = await link()
    await transfer.reaches(1_000_000)
  }
}

await settings[process.argv[2] ?? '']?.()
await Promise.all([a.node.stop(), b.node.stop()])
mutes.forEach(member => { member.stop() })
await star.close()
process.stdout.write('everything is closed\n')
