// The original libp2p-websocket-star: its rendezvous server 0.4.1 and its clients 0.10.2, unmodified.
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectFolder } from './project.ts'
import { pullChannel } from './pull-stream.ts'
import type { PullDuplex } from './pull-stream.ts'
import type { Rival, Server, ServerOptions } from './types.ts'

const FOLDER = 'test/interop/original'

interface OriginalServer { stop: () => Promise<void> }
interface Rendezvous { start: (options: object) => Promise<OriginalServer> }
interface OriginalId { toB58String: () => string }
interface PeerIds { createFromPrivKey: (key: Buffer, done: (error: Error | null, id: OriginalId) => void) => void }
interface Listener { io?: { disconnect: () => void }, listen: (address: object, done: (error?: Error) => void) => void }
interface Star {
  createListener: (handler: (connection: PullDuplex) => void) => Listener
  dial: (address: object, options: object, done: (error: Error | null, connection: PullDuplex) => void) => void
}
type StarClass = new (options: { id: OriginalId }) => Star

/** Loads a package of the original world, or one that such a package brings along. */
export function load<T> (name: string, owner?: string): T {
  const require = createRequire(join(projectFolder(), FOLDER, 'package.json'))
  return (owner === undefined ? require(name) : createRequire(require.resolve(owner))(name)) as T
}

/** Lets the old clients use `ws`, as they did in their time, and not Node's own WebSocket, which masks frames more slowly. */
export function preferWs (): void {
  Reflect.deleteProperty(globalThis, 'WebSocket')
}

/** Says how to install the original, when it isn't. */
export function missing (): string | undefined {
  const there = existsSync(join(projectFolder(), FOLDER, 'node_modules/libp2p-websocket-star'))
  return there ? undefined : `not installed: npm ci --prefix ${FOLDER}`
}

/** Starts the original server. */
export async function startServer (options: ServerOptions): Promise<Server> {
  // Port 0 means its default port to the original, so a free one is looked up first.
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  const server = await load<Rendezvous>('libp2p-websocket-star-rendezvous').start({
    host: '127.0.0.1',
    port,
    cryptoChallenge: true,
    strictMultiaddr: true,
    refreshPeerListIntervalMS: options.announceEvery ?? 10_000
  })
  return { address: `/ip4/127.0.0.1/tcp/${port}/ws/p2p-websocket-star`, close: async () => await server.stop() }
}

/** A key in the form of 2019, which carried the public half of an Ed25519 key once more. */
async function oldKey (key?: Uint8Array): Promise<Buffer> {
  const modern = key === undefined ? await generateKeyPair('Ed25519') : privateKeyFromProtobuf(key)
  const bytes = privateKeyToProtobuf(modern)
  if (modern.type !== 'Ed25519') return Buffer.from(bytes)
  return Buffer.concat([Buffer.from([0x08, 0x01, 0x12, 96]), bytes.subarray(4), modern.publicKey.raw])
}

export const original: Rival = {
  name: 'original',
  about: 'libp2p-websocket-star-rendezvous 0.4.1 with libp2p-websocket-star 0.10.2, unmodified, clients on `ws`; ' +
    'raw pull-streams without libp2p encryption or back-pressure',
  like: 'star-raw',
  // It has no back-pressure: whatever is offered lies in its queues, and more than this only measures the garbage collector.
  maxFlood: 64 * 1024 * 1024,
  missing,
  startServer,

  startEnd: async (server, options) => {
    preferWs()
    const WebsocketStar = load<StarClass>('libp2p-websocket-star')
    const multiaddr = load<(text: string) => object>('multiaddr', 'libp2p-websocket-star')
    const ids = load<PeerIds>('peer-id', 'libp2p-websocket-star')
    const id = await promisify<Buffer, OriginalId>((key, done) => ids.createFromPrivKey(key, done))(await oldKey(options.key))
    const address = `${server}/ipfs/${id.toB58String()}`
    const star = new WebsocketStar({ id })
    const listener = star.createListener(connection => options.onChannel(pullChannel(connection)))
    await promisify((done: (error?: Error) => void) => listener.listen(multiaddr(address), done))()
    const dial = async (peer: string): Promise<PullDuplex> =>
      await promisify<PullDuplex>(done => star.dial(multiaddr(peer), {}, done))()
    return {
      address,
      dial: async peer => {
        let first: PullDuplex | undefined = await dial(peer)
        return {
          open: async () => {
            const duplex = first ?? await dial(peer)
            first = undefined
            return pullChannel(duplex)
          },
          close: async () => {
            if (first !== undefined) await pullChannel(first).close()
          }
        }
      },
      // Its own close() waits for dialled streams; a bench is done with them.
      close: async () => listener.io?.disconnect()
    }
  }
}
