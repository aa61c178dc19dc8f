// A process of its own with a link in the state that it is told, whose nodes are then stopped: it must end by itself.
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { resolve } from '../../client/options.ts'
import { Member } from '../../client/star.ts'
import { createTestStar } from '../../server/testing.ts'
import { requireStarAddress } from '../../src/address.ts'
import { encodeOffer } from '../../client/upgrade/exchange.ts'
import { Foe, Knock, Trap, initOf } from './direct.ts'
import { Linked, Transfer } from './links.ts'
import { until } from './nodes.ts'
import type { StarInit } from '../../client/index.ts'

const star = await createTestStar()
const state = process.argv[2] ?? ''
/** How the nodes are to look for better paths, in the states in which they do. */
const DIRECT: Record<string, StarInit> = {
  direct: { direct: 'prefer', directLoopback: true },
  relayed: { direct: 'prefer', offerAddress: () => false },
  racing: { direct: 'prefer', directLoopback: true, directRelay: false },
  answering: { direct: 'prefer', directLoopback: true },
  asking: { direct: 'prefer', directLoopback: true }
}
/** In these only the first one does, and the other one is a foe. */
const ALONE = new Set(['asking', 'racing', 'answering'])
const [a, b] = await Promise.all([
  Linked.start([star.address], DIRECT[state]), Linked.start([star.address], ALONE.has(state) ? {} : DIRECT[state])
])
const mutes: Member[] = []
/** Closes what a state has opened beside the nodes. */
const after: Array<() => void> = []

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
  asking: async () => {
    const foe = await Foe.start(b)
    await link()
    await foe.asked(1)
  },
  racing: async () => {
    const trap = await Trap.set()
    await Foe.start(b, offer => encodeOffer({ ...offer, init: initOf(trap.port, ['127.0.0.1']) }))
    await link()
    await trap.caught(1)
    after.push(() => { trap.close() })
  },
  answering: async () => {
    const foe = await Foe.start(b)
    const connection = await b.node.dial(multiaddr(`${star.address}/p2p/${a.id}`))
    await until(() => a.link(b)?.resumable === true && b.link(a)?.resumable === true)
    const offer = await foe.offer(connection, a)
    if (offer == null) {
      throw new Error('it was not answered')
    }
    const knock = await Knock.path(offer.init, true)
    await knock.established()
    after.push(() => { knock.socket.destroy() })
  },
  direct: async () => {
    const transfer = await link()
    await until(() => a.link(b)?.path?.kind === 'tcp')
    await transfer.reaches(transfer.sent + 1_000_000)
  },
  relayed: async () => {
    const transfer = await link()
    await until(() => a.link(b)?.path?.kind === 'relay-ws')
    await transfer.reaches(transfer.sent + 1_000_000)
  },
  waiting: async () => {
    const transfer = await link()
    await transfer.reaches(1_000_000)
  }
}

await settings[state]?.()
await Promise.all([a.node.stop(), b.node.stop()])
mutes.forEach(member => { member.stop() })
after.forEach(close => { close() })
await star.close()
process.stdout.write('everything is closed\n')
