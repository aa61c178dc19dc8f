// `libp2p-star rendezvous offer` and `join`: two devices connected directly by a URL, without a star; stdin and stdout go across.
import { pipeline } from 'node:stream/promises'
import { jsonOption, seconds, withHelp } from '../options.ts'
import { run } from '../run.ts'
import type { Command } from 'commander'
import type { RendezvousConnection } from '../../client/rendezvous.ts'
import type { Context } from '../run.ts'

interface OfferOptions {
  readonly loopback?: boolean
  readonly timeout: number
  readonly json?: boolean
}

interface JoinOptions {
  readonly timeout: number
  readonly json?: boolean
}

const STREAMS = `What comes on stdin is sent, what the other device sends goes to stdout; everything else, --json too, is said on
stderr. The command ends when both have ended. Compare the line "path" at both ends: it differs if somebody who has the URL
sits between the two.`

/** Adds the commands. */
export function addRendezvous (program: Command): void {
  const command = program.command('rendezvous')
    .summary('connect two devices directly, without a star')
    .description('Connects two devices directly over TCP, encrypted, by a URL that one of them prints and the other one reads.')
  addOffer(command)
  addJoin(command)
  withHelp(command, ['libp2p-star rendezvous offer', 'libp2p-star rendezvous join URL'])
}

function addOffer (parent: Command): void {
  const command = parent.command('offer')
    .summary('wait for another device')
    .description('Prints a URL and waits for the device that joins by it. Whoever has the URL can: keep it between the two.')
    .option('--loopback', 'offer the addresses that only this device can reach, too')
    .option('-W, --timeout <seconds>', 'to wait for the other device', seconds, 600_000)
    .addOption(jsonOption())
  command.options.find(one => one.attributeName() === 'timeout')?.default(600_000, '600')
  withHelp(command, [
    'libp2p-star rendezvous offer',
    'libp2p-star rendezvous offer > file',
    'tar c folder | libp2p-star rendezvous offer'
  ], STREAMS)
  command.action(async ({ loopback = false, timeout, ...options }: OfferOptions) => {
    await run(options, async context => {
      const { offerRendezvous } = await import('../../client/rendezvous.ts')
      const { url, connected } = await offerRendezvous({ loopback, timeout, signal: context.signal })
      context.output.tell('offer', { url }, url)
      await exchange(await connected, context)
    }, process.stderr)
  })
}

function addJoin (parent: Command): void {
  const command = parent.command('join')
    .summary('connect to a device that waits')
    .description('Connects to the device that has printed the URL.')
    .argument('<url>', 'what `libp2p-star rendezvous offer` has printed')
    .option('-W, --timeout <seconds>', 'to find a path', seconds, 30_000)
    .addOption(jsonOption())
  command.options.find(one => one.attributeName() === 'timeout')?.default(30_000, '30')
  withHelp(command, [
    'libp2p-star rendezvous join libp2p-star://rendezvous#…',
    'libp2p-star rendezvous join libp2p-star://rendezvous#… < file'
  ], STREAMS)
  command.action(async (url: string, { timeout, ...options }: JoinOptions) => {
    await run(options, async context => {
      const { joinRendezvous } = await import('../../client/rendezvous.ts')
      await exchange(await joinRendezvous(url, { timeout, signal: context.signal }), context)
    }, process.stderr)
  })
}

/** Sends stdin, writes to stdout, until both have ended or one breaks. */
async function exchange (connection: RendezvousConnection, { signal, output }: Context): Promise<void> {
  const rph = Buffer.from(connection.rph).toString('hex')
  output.tell('connected', { rph }, `path ${rph.replace(/.{8}(?=.)/g, '$& ')}`)
  const onAbort = (): void => { void connection.close() }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await Promise.all([connection.sink(process.stdin), pipeline(connection.source, process.stdout, { end: false })])
  } finally {
    signal.removeEventListener('abort', onAbort)
    process.stdin.destroy() // nobody reads it any more
    await connection.close()
  }
}
