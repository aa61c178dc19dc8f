// `libp2p-star rendezvous offer` and `join`: two devices connected directly by a URL, without a star; stdin and stdout go across.
import { pipeline } from 'node:stream/promises'
import { Option } from 'commander'
import { Failure, codeOf } from '../failure.ts'
import { jsonOption, seconds, withHelp } from '../options.ts'
import { Terminal, isAttended } from '../question.ts'
import { run } from '../run.ts'
import { threeWords } from '../words.ts'
import type { Command } from 'commander'
import type { RendezvousConnection } from '../../client/rendezvous.ts'
import type { Output } from '../output.ts'
import type { Context } from '../run.ts'

/** What both ends can be told. */
interface CommonOptions {
  readonly timeout: number
  /** Ask whether the words are the same, or don't; neither: ask if somebody is there. */
  readonly confirm?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

interface OfferOptions extends CommonOptions {
  readonly loopback?: boolean
  readonly relay?: string
  /** Show a QR code, or don't; absent: show it on terminals. */
  readonly qr?: boolean
}

interface JoinOptions extends CommonOptions {
  readonly relay: boolean
}

const STREAMS = `What comes on stdin is sent, what the other device sends goes to stdout; everything else, --json too, is said on
stderr. The command ends when both have ended. The lines "words" and "path" are the same at both ends unless somebody who has
the URL sits between the two: compare the words by voice or by eye, and where much depends on it the whole path. Who is at a
terminal is asked for it, and before the answer is yes nothing is sent and nothing goes to stdout. In pipes nobody is asked;
with --confirm the question is put to the terminal that the command was started from.`

const QUESTION = 'do both sides show the same three words? [y/N] '

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
    .option('--relay <url>', 'wss:// URL of a star with --open-relay, for devices that cannot reach each other')
    .option('-W, --timeout <seconds>', 'to wait for the other device', seconds, 600_000)
    .option('--qr', 'show the URL as a QR code, if not in JSON (default: on terminals)')
    .option('--no-qr', 'show none')
  withQuestion(command)
  command.options.find(one => one.attributeName() === 'timeout')?.default(600_000, '600')
  withHelp(command, [
    'libp2p-star rendezvous offer',
    'libp2p-star rendezvous offer > file',
    'tar c folder | libp2p-star rendezvous offer'
  ], STREAMS)
  command.action(async ({ loopback = false, relay, timeout, qr, ...options }: OfferOptions) => {
    await run(options, async context => {
      using terminal = terminalFor(options)
      const { offerRendezvous } = await import('../../client/rendezvous.ts')
      const { url, connected } = await offerRendezvous({
        loopback, timeout, signal: context.signal, ...relay == null ? {} : { relay }
      })
      context.output.tell('offer', { url }, url)
      await showQr(url, qr, context.output)
      await exchange(await connected, terminal, context)
    }, process.stderr)
  })
}

function addJoin (parent: Command): void {
  const command = parent.command('join')
    .summary('connect to a device that waits')
    .description('Connects to the device that has printed the URL.')
    .argument('<url>', 'what `libp2p-star rendezvous offer` has printed')
    .option('--no-relay', 'do not connect to the relay that the other device has chosen')
    .option('-W, --timeout <seconds>', 'to find a path', seconds, 30_000)
  withQuestion(command)
  command.options.find(one => one.attributeName() === 'timeout')?.default(30_000, '30')
  withHelp(command, [
    'libp2p-star rendezvous join libp2p-star://rendezvous#…',
    'libp2p-star rendezvous join libp2p-star://rendezvous#… < file'
  ], STREAMS)
  command.action(async (url: string, { timeout, relay, ...options }: JoinOptions) => {
    await run(options, async context => {
      using terminal = terminalFor(options)
      const { joinRendezvous } = await import('../../client/rendezvous.ts')
      await exchange(await joinRendezvous(url, { timeout, relay, signal: context.signal }), terminal, context)
    }, process.stderr)
  })
}

/** Adds `--confirm`, `--yes` and `--json`. */
function withQuestion (command: Command): void {
  command
    .addOption(new Option('--confirm', 'ask if both sides show the same words (default: at terminals)').conflicts('yes'))
    .option('-y, --yes', 'do not ask')
    .addOption(jsonOption())
}

/** The terminal to ask at, if anybody is to be asked. */
function terminalFor ({ confirm = false, yes = false, json = false }: Omit<CommonOptions, 'timeout'>): Terminal | undefined {
  return confirm || (isAttended() && !yes && !json) ? new Terminal() : undefined
}

async function showQr (url: string, wanted: boolean | undefined, output: Output): Promise<void> {
  if (!(wanted ?? output.interactive)) {
    return
  }
  const { qrCode } = await import('../qr.ts')
  const { text, width } = qrCode(url, process.stderr.isTTY)
  const { columns } = process.stderr
  const fits = wanted === true || width <= columns || columns === 0 // 0: the terminal doesn't say
  output.note(fits ? text : `(no QR code: it is ${width} columns wide)`)
}

/** Sends stdin, writes to stdout, until both have ended or one breaks; with a terminal not before the answer there is yes. */
async function exchange (
  connection: RendezvousConnection, terminal: Terminal | undefined, { signal, output }: Context
): Promise<void> {
  const rph = Buffer.from(connection.rph).toString('hex')
  const words = threeWords(connection.rph)
  output.tell('connected', { rph, words }, `words ${words.join(' ')}\npath ${rph.replace(/.{8}(?=.)/g, '$& ')}`)
  const onAbort = (): void => { void connection.close() }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const agreed = terminal == null ? Promise.resolve() : agree(terminal, words, output)
    // the sink is there from the beginning: it notices while somebody thinks that the other end has gone
    await Promise.all([
      connection.sink(after(agreed, process.stdin)),
      agreed.then(async () => { await pipeline(connection.source, process.stdout, { end: false }) })
    ])
  } catch (error) {
    throw codeOf(error) === 'ERR_PATH_LOST' ? brokenOff(error) : error
  } finally {
    signal.removeEventListener('abort', onAbort)
    process.stdin.destroy() // nobody reads it any more
    await connection.close()
  }
}

/** Asks about the words; rejects unless the answer is yes. */
async function agree (terminal: Terminal, words: readonly string[], output: Output): Promise<void> {
  output.tell('question', { question: QUESTION.trim(), words })
  if (!await terminal.agrees(output.json ? '' : QUESTION)) {
    throw new Failure('ERR_NOT_CONFIRMED', 'the words were not confirmed: nothing was sent, and nothing was taken', {
      advice: 'if they differ, somebody has the URL and sits between the two: make another, and hand it over in another way'
    })
  }
}

/** All of a source, from when something has come true. */
async function * after (condition: Promise<void>, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  await condition
  yield * source
}

function brokenOff (cause: unknown): Failure {
  return new Failure('ERR_PATH_LOST', 'the other device broke off, or cannot be reached any more', {
    advice: 'it was ended, or somebody there did not confirm the words: it says why', cause
  })
}
