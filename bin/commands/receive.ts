// `libp2p-star receive`: takes files that peers send, and keeps those whose checksum is right.
import { access, constants, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { peerIdOf } from '../address.ts'
import { Exit, Failure, codeOf } from '../failure.ts'
import { formatBytes, parseBytes, withHelp, withNode } from '../options.ts'
import { harmless } from '../output.ts'
import { startProgress } from '../progress.ts'
import { aborted, run } from '../run.ts'
import { Refused, receiveFile } from '../transfer/receiver.ts'
import { SEND_PROTOCOL } from '../transfer/wire.ts'
import type { Stream } from '@libp2p/interface'
import type { Command } from 'commander'
import type { ClientOptions } from '../options.ts'
import type { Progress } from '../progress.ts'
import type { Context } from '../run.ts'
import type { Received } from '../transfer/receiver.ts'

interface ReceiveOptions extends ClientOptions {
  readonly out: string
  readonly from?: string[]
  readonly maxSize: number
  readonly keep?: boolean
  readonly force?: boolean
}

/** Adds the command. */
export function addReceive (program: Command): void {
  const command = withNode(program.command('receive')
    .summary('receive a file')
    .description('Waits on a star for a file, verifies its SHA-256, keeps it, and ends.'))
    .option('-o, --out <dir>', 'directory for what arrives', '.')
    .option('--from <peer...>', 'take files from this peer only; without it, from anybody on the star')
    .option('--max-size <bytes>', 'refuse larger files', parseBytes, 1e9)
    .option('--force', 'replace a file of the same name; without it, such a file is refused')
    .option('-k, --keep', 'keep on receiving until Ctrl-C, one file after the other')
  const maxSize = command.options.find(one => one.attributeName() === 'maxSize')
  maxSize?.default(1e9, '1GB')
  withHelp(command, [
    'libp2p-star receive',
    'libp2p-star receive --from 12D3KooW… --out downloads --max-size 20GB',
    'libp2p-star receive --keep --identity me.key --json'
  ], 'What a peer sends is written as NAME.*.part, and renamed when it is verified. Names with a path, hidden names (.bashrc)\n' +
    'and names with control characters are refused; a refusal does not end the command, a transfer that breaks does, with\n' +
    'exit code 1, unless --keep is given.')
  command.action(async (options: ReceiveOptions) => {
    await run(options, async context => {
      const { signal, output } = context
      const inbox = new Inbox(await inboxOptions(options), context)
      const { startNode } = await import('../node.ts')
      await using node = await startNode(options, { listen: true, signal })
      await node.libp2p.handle(SEND_PROTOCOL, (stream, connection) => { inbox.take(stream, connection.remotePeer.toString()) })
      const peer = node.libp2p.peerId.toString()
      output.tell('listening', { peer, address: node.address }, `Listening as ${node.address}`)
      output.note(`Send a file here with: libp2p-star send FILE ${node.address}`)
      await inbox.done
    })
  })
}

/** Where files go, and whose. */
export interface InboxOptions {
  readonly dir: string
  /** Peer ids; anybody when there are none. */
  readonly from: ReadonlySet<string> | undefined
  readonly maxSize: number
  readonly keep: boolean
  readonly force: boolean
}

async function inboxOptions ({ out, from, star, maxSize, keep, force }: ReceiveOptions): Promise<InboxOptions> {
  const senders = from == null ? undefined : new Set(from.map(peer => peerIdOf(peer, star)))
  const dir = resolve(out)
  try {
    if (!(await stat(dir)).isDirectory()) {
      throw new Failure('ENOTDIR', `${dir} is no directory`, { advice: 'name a directory with --out', exit: Exit.usage })
    }
    await access(dir, constants.W_OK)
  } catch (error) {
    throw error instanceof Failure
      ? error
      : new Failure(codeOf(error), `cannot write to ${dir} (${codeOf(error)})`, {
        advice: 'name another directory with --out', exit: Exit.usage, cause: error
      })
  }
  return { dir, from: senders, maxSize, keep: keep === true, force: force === true }
}

/** Takes files, one at a time. */
export class Inbox {
  /** Resolves when a file has arrived, or with `keep` when the signal is aborted while nothing is on the way. */
  readonly done: Promise<void>
  readonly #options: InboxOptions
  readonly #context: Context
  #settle: { resolve: () => void, reject: (error: unknown) => void }
  #busy: Promise<void> | undefined

  constructor (options: InboxOptions, context: Context) {
    this.#options = options
    this.#context = context
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#settle = { resolve, reject }
    this.done = promise
    promise.catch(() => {})
    const { signal } = context
    void aborted(signal).then(async () => {
      const busy = this.#busy
      await busy
      if (options.keep && busy == null) {
        resolve()
      } else {
        reject(signal.reason)
      }
    })
  }

  /** Takes what comes on a stream. */
  take (stream: Stream, peer: string): void {
    const { dir, from, maxSize, force } = this.#options
    const { signal, output } = this.#context
    const { promise: busy, resolve: free } = Promise.withResolvers<void>()
    let progress: Progress | undefined
    void receiveFile(stream, {
      dir,
      force,
      maxSize,
      signal,
      welcome: from == null || from.has(peer),
      claim: ({ name, size }) => {
        if (this.#busy != null) {
          return 'ERR_BUSY'
        }
        this.#busy = busy
        output.tell('receiving', { name, size, peer })
        output.note(`Receiving ${name}, ${formatBytes(size)}, from ${peer}`)
        progress = startProgress(output, name, size)
        return undefined
      },
      onProgress: bytes => { progress?.update(bytes) }
    }).finally(() => {
      progress?.stop()
    }).then(received => {
      this.#received(received, peer)
    }, (error: unknown) => {
      this.#failed(error, peer, progress != null)
    }).finally(() => {
      if (progress != null) {
        this.#busy = undefined
        free()
      }
    })
  }

  #received ({ name, path, size, sha256 }: Received, peer: string): void {
    this.#context.output.tell('received', { name, path, size, sha256, peer },
      `Received ${path}: ${formatBytes(size)} from ${peer}\nSHA-256, verified: ${sha256}`)
    if (!this.#options.keep) {
      this.#settle.resolve()
    }
  }

  #failed (error: unknown, peer: string, begun: boolean): void {
    const { output, signal } = this.#context
    if (signal.aborted) {
      return
    }
    if (error instanceof Refused && !begun) {
      const { code, message, offered } = error
      const name = offered == null ? 'what' : harmless(offered.slice(0, 80))
      output.tell('refused', { code, message, peer, name: offered })
      output.note(`Refused ${name} from ${peer}: ${message} [${code}]`)
    } else if (begun && !this.#options.keep) {
      this.#settle.reject(error)
    } else {
      const message = error instanceof Error ? error.message : String(error)
      output.tell('failed', { code: codeOf(error), message, peer })
      output.note(`Nothing kept from ${peer}: ${message}`)
    }
  }
}
