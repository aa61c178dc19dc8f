// `libp2p-star demo-node`, hidden: one of the processes that `libp2p-star demo` starts and listens to.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import { withNode } from '../options.ts'
import { PathWatch, ping } from '../pinger.ts'
import { aborted, run, unlessAborted } from '../run.ts'
import { SEND_PROTOCOL } from '../transfer/wire.ts'
import { Inbox } from './receive.ts'
import { deliver } from './send.ts'
import type { PeerId } from '@libp2p/interface'
import type { Command } from 'commander'
import type { StarNode } from '../node.ts'
import type { ClientOptions } from '../options.ts'
import type { Context } from '../run.ts'

interface DemoNodeOptions extends ClientOptions {
  readonly out: string
  readonly file: string
}

const PINGS = 5
const PING_PAUSE = 200

type Role = (options: DemoNodeOptions, context: RoleContext) => Promise<void>

const ROLES: Readonly<Record<string, Role>> = { star, receiver, sender }

/** Adds the command. */
export function addDemoNode (program: Command): void {
  withNode(program.command('demo-node <role>', { hidden: true }))
    .option('--out <dir>', 'directory of the receiver', '.')
    .option('--file <file>', 'file of the sender', '')
    .action(async (role: string, options: DemoNodeOptions) => {
      await run(options, async context => {
        using lifeline = new Lifeline()
        await ROLES[role]?.(options, { ...context, lifeline, signal: AbortSignal.any([context.signal, lifeline.signal]) })
      })
    })
}

/** What a role is given beside its options. */
interface RoleContext extends Context {
  readonly lifeline: Lifeline
}

/** The demo at the other end of stdin: each line lets us take a step, and when it is gone, so are we. */
class Lifeline implements Disposable {
  readonly #controller = new AbortController()
  readonly #lines: AsyncIterator<string>

  constructor () {
    const lines = createInterface({ input: process.stdin })
    lines.once('close', () => { this.#controller.abort(new Failure('ERR_ABANDONED', 'the demo is gone')) })
    this.#lines = lines[Symbol.asyncIterator]()
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  /** Waits for the next step. */
  async next (): Promise<void> {
    await unlessAborted(this.#lines.next(), this.signal)
  }

  [Symbol.dispose] (): void {
    process.stdin.destroy()
  }
}

async function star (_: DemoNodeOptions, { signal, output }: RoleContext): Promise<void> {
  const { startStar } = await import('../../server/index.ts')
  const server = await startStar({ port: 0 })
  output.tell('listening', { address: server.addresses[0], url: server.url })
  await aborted(signal)
  await server.close()
}

async function receiver (options: DemoNodeOptions, context: RoleContext): Promise<void> {
  const limits = { from: undefined, maxSize: Number.MAX_SAFE_INTEGER, keep: false, force: false }
  const inbox = new Inbox({ dir: options.out, ...limits }, context)
  const { startNode } = await import('../node.ts')
  await using node = await startNode(options, { listen: true, signal: context.signal })
  const discovered = discover(node, context)
  await node.libp2p.handle(SEND_PROTOCOL, (stream, connection) => { inbox.take(stream, connection.remotePeer.toString()) })
  introduce(node, context)
  await discovered
  await inbox.done
}

async function sender (options: DemoNodeOptions, context: RoleContext): Promise<void> {
  const { signal, output, lifeline } = context
  const { startNode } = await import('../node.ts')
  await using node = await startNode(options, { listen: true, signal })
  const discovered = discover(node, context)
  introduce(node, context)
  const peer = await discovered
  using _watch = new PathWatch(node.events, peer.toString(), change => { output.tell('path', { ...change }) })
  // under the address that the star told
  const connection = await node.libp2p.dial(peer, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
  await lifeline.next()
  for (let seq = 1; seq <= PINGS; seq++) {
    output.tell('pong', { seq, ms: await ping(connection, signal) })
    await sleep(PING_PAUSE, undefined, { signal })
  }
  output.tell('pinged', {})
  await lifeline.next()
  await deliver({ path: options.file, name: 'demo.bin', connection }, context)
}

function introduce ({ libp2p, address }: StarNode, { output }: Context): void {
  output.tell('listening', { peer: libp2p.peerId.toString(), address })
}

/** The first peer that the star tells of; there is but one other. */
async function discover ({ libp2p }: StarNode, { signal, output }: Context): Promise<PeerId> {
  const { promise, resolve } = Promise.withResolvers<PeerId>()
  const known = await libp2p.peerStore.all()
  known.filter(peer => !peer.id.equals(libp2p.peerId)).forEach(peer => { resolve(peer.id) })
  libp2p.addEventListener('peer:discovery', event => { resolve(event.detail.id) }, { once: true })
  const peer = await unlessAborted(promise, signal)
  output.tell('discovered', { peer: peer.toString() })
  return peer
}
