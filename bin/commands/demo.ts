// `libp2p-star demo`: a star and two libp2p nodes, a process each, which find each other, ping, and send a real file.
import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../failure.ts'
import { formatBytes, jsonOption, speed, wholeNumber, withHelp } from '../options.ts'
import { startProgress } from '../progress.ts'
import { Player } from '../players.ts'
import { run } from '../run.ts'
import type { Command } from 'commander'
import type { PlayerEvent } from '../players.ts'
import type { Output } from '../output.ts'
import type { Progress } from '../progress.ts'
import type { Context } from '../run.ts'

interface DemoOptions {
  /** Megabytes. */
  readonly size: number
  readonly json?: boolean
}

const BLOCK = 1_000_000
const NAME = 'demo.bin'

/** Adds the command. */
export function addDemo (program: Command): void {
  const command = program.command('demo')
    .summary('see it work: a star, two nodes, a file')
    .description('Starts a star on loopback and two libp2p nodes in processes of their own. They discover each other, ping, ' +
      'and send a file of random bytes through the star, whose SHA-256 is verified. Nothing stays behind.')
    .option('--size <MB>', 'megabytes to send', wholeNumber(0, 100_000), 100)
    .addOption(jsonOption())
  withHelp(command, ['libp2p-star demo', 'libp2p-star demo --size 500', 'npm run demo'])
  command.action(async (options: DemoOptions) => {
    await run(options, async context => {
      const start = performance.now()
      await using dir = await temporary()
      await play(options.size * BLOCK, dir.path, context)
      const seconds = (performance.now() - start) / 1000
      context.output.tell('done', { seconds }, `\nDone in ${seconds.toFixed(1)} s. Now yourself: libp2p-star --help`)
    })
  })
}

async function temporary (): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'libp2p-star-demo-'))
  return { path, [Symbol.asyncDispose]: async () => { await rm(path, { recursive: true, force: true }) } }
}

async function play (size: number, dir: string, { signal, output }: Context): Promise<void> {
  const show = new Show(output, size)
  await using star = new Player('star', [], () => {})
  const address = String((await star.until('listening', signal))['address'])
  output.tell('star', { address, pid: star.pid }, `A star, process ${star.pid}:\n  ${address}`)
  const file = join(dir, NAME)
  const out = join(dir, 'received')
  await mkdir(out)
  const made = await makeFile(file, size, signal)

  // there may be no other address than loopback on this machine
  const common = ['--star', address, '--direct-loopback']
  output.tell('nodes', {}, '\nTwo libp2p nodes on it:')
  await using ada = new Player('receiver', [...common, '--out', out], event => { show.hear('Ada', ada.pid, event) })
  await ada.until('listening', signal)
  await using bob = new Player('sender', [...common, '--file', file], event => { show.hear('Bob', bob.pid, event) })
  await Promise.all([ada.until('discovered', signal), bob.until('discovered', signal)])
  output.tell('pings', {}, '\nBob pings Ada, encrypted end to end:')
  bob.go()
  await bob.until('pinged', signal)
  output.tell('file', { size }, `\nBob sends Ada a file of ${formatBytes(size)} of random bytes:`)
  bob.go()
  try {
    await Promise.all([ada.until('received', signal), bob.until('sent', signal)])
  } finally {
    show.stop()
  }
  const arrived = await hashOf(join(out, NAME))
  const [sent, received] = [show.sha256('Bob'), show.sha256('Ada')]
  output.tell('verified', { made, sent, received, arrived }, [
    `  SHA-256 of the file that was made: ${made}`,
    `  SHA-256 that Ada verified:         ${received}`,
    `  SHA-256 of the file Ada has now:   ${arrived}`
  ].join('\n'))
  if (new Set([made, sent, received, arrived]).size !== 1) {
    throw new Failure('ERR_CHECKSUM', 'what arrived is not what was sent', { advice: 'this must not happen: please report it' })
  }
}

/** Tells what the nodes say. */
class Show {
  readonly #output: Output
  readonly #size: number
  readonly #names = new Map<unknown, string>()
  readonly #checksums = new Map<string, string>()
  #progress: Progress | undefined

  constructor (output: Output, size: number) {
    this.#output = output
    this.#size = size
  }

  hear (node: string, pid: number | undefined, { event, ...fields }: PlayerEvent): void {
    const { peer } = fields
    switch (event) {
      case 'listening':
        this.#names.set(peer, node)
        return this.#output.tell('node', { node, pid, ...fields }, `  ${node}, process ${pid}: ${String(peer)}`)
      case 'discovered':
        return this.#output.tell(event, { node, ...fields }, `  ${node} has discovered ${this.#names.get(peer) ?? String(peer)}`)
      case 'path':
        return this.#output.tell(event, { node, ...fields },
          `  their connection has moved: ${String(fields['from'])} → ${String(fields['to'])} (${String(fields['via'])})`)
      case 'pong':
        return this.#output.tell(event, { node, ...fields },
          `  seq=${Number(fields['seq'])} time=${Number(fields['ms']).toFixed(2)} ms`)
      case 'sending':
        return this.#output.tell(event, { node, ...fields })
      case 'progress':
        if (node === 'Bob') {
          this.#progress ??= startProgress(this.#output, NAME, this.#size)
          this.#progress.update(Number(fields['bytes']))
        }
        return
      case 'sent':
        this.stop()
        this.#checksums.set(node, String(fields['sha256']))
        return this.#output.tell(event, { node, ...fields }, `  ${speed(this.#size, Number(fields['seconds']))}`)
      case 'received':
        this.#checksums.set(node, String(fields['sha256']))
    }
  }

  sha256 (node: string): string | undefined {
    return this.#checksums.get(node)
  }

  stop (): void {
    this.#progress?.stop()
    this.#progress = undefined
  }
}

/** Makes a file of random bytes; resolves with its SHA-256. */
async function makeFile (path: string, size: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path, 'wx')
  const block = Buffer.alloc(Math.min(BLOCK, size))
  for (let left = size; left > 0; left -= block.byteLength) {
    signal.throwIfAborted()
    randomFillSync(block)
    hash.update(block)
    await file.writeFile(block)
  }
  return hash.digest('hex')
}

async function hashOf (path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk)
  }
  return hash.digest('hex')
}
