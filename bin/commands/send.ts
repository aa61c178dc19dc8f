// `libp2p-star send`: sends a file to a peer that receives, and tells the checksum that the peer verified.
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { peerAddress } from '../address.ts'
import { Exit, Failure, codeOf } from '../failure.ts'
import { speed, withHelp, withNode } from '../options.ts'
import { startProgress } from '../progress.ts'
import { run } from '../run.ts'
import { sendFile } from '../transfer/sender.ts'
import { SEND_PROTOCOL } from '../transfer/wire.ts'
import type { FileHandle } from 'node:fs/promises'
import type { Connection, Stream } from '@libp2p/interface'
import type { Command } from 'commander'
import type { ClientOptions } from '../options.ts'
import type { Progress } from '../progress.ts'
import type { Context } from '../run.ts'

interface SendOptions extends ClientOptions {
  readonly name?: string
}

/** What is sent to whom. */
export interface Delivery {
  readonly path: string
  /** The name that the receiver sees. */
  readonly name: string
  readonly connection: Connection
}

/** Adds the command. */
export function addSend (program: Command): void {
  const command = withNode(program.command('send')
    .summary('send a file to a peer')
    .description('Sends a file to a peer that runs `libp2p-star receive`, through the star, encrypted end to end.')
    .argument('<file>', 'file to send')
    .argument('<peer>', 'peer id, or full star address'))
    .option('--name <name>', 'the name under which the receiver keeps it (default: the file\'s own)')
  withHelp(command, [
    'libp2p-star send photo.jpg 12D3KooW…',
    'libp2p-star send backup.tar /dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/12D3KooW…',
    'libp2p-star send --json --name today.log /var/log/app.log 12D3KooW…'
  ], 'It is done, and the exit code 0, when the receiver has verified the file\'s SHA-256.')
  command.action(async (path: string, peer: string, options: SendOptions) => {
    await run(options, async context => {
      const address = peerAddress(peer, options.star)
      await (await openFile(path)).close()
      const { dial, startNode } = await import('../node.ts')
      await using node = await startNode(options, { listen: false, signal: context.signal })
      const connection = await dial(node, address, context.signal)
      await deliver({ path, name: options.name ?? basename(path), connection }, context)
    })
  })
}

/** Sends a file over a connection and tells of it. */
export async function deliver ({ path, name, connection }: Delivery, { signal, output }: Context): Promise<void> {
  await using file = await openFile(path)
  const { size } = await file.stat()
  const stream = await openStream(connection, signal)
  const peer = connection.remotePeer.toString()
  const start = performance.now()
  let progress: Progress | undefined
  let sha256
  try {
    sha256 = await sendFile(stream, {
      file,
      name,
      size,
      signal,
      onAccepted: () => {
        output.tell('sending', { name, size, peer })
        progress = startProgress(output, name, size)
      },
      onProgress: bytes => { progress?.update(bytes) }
    })
  } finally {
    progress?.stop()
  }
  const seconds = (performance.now() - start) / 1000
  output.tell('sent', { name, size, sha256, peer, seconds },
    `Sent ${name}: ${speed(size, seconds)}\nSHA-256, verified by the receiver: ${sha256}`)
}

async function openStream (connection: Connection, signal: AbortSignal): Promise<Stream> {
  try {
    return await connection.newStream(SEND_PROTOCOL, { signal })
  } catch (error) {
    if (error instanceof Error && error.name === 'UnsupportedProtocolError') {
      throw new Failure('ERR_NO_RECEIVER', 'the peer takes no files', {
        advice: 'it must run `libp2p-star receive`', cause: error
      })
    }
    throw error
  }
}

async function openFile (path: string): Promise<FileHandle> {
  let file
  try {
    file = await open(path)
  } catch (error) {
    throw new Failure(codeOf(error), `cannot read ${path} (${codeOf(error)})`, {
      advice: 'check its spelling and who may read it', exit: Exit.usage, cause: error
    })
  }
  if (!(await file.stat()).isFile()) {
    await file.close()
    throw new Failure('ERR_NO_FILE', `${path} is no file`, {
      advice: 'pack a directory first, for example with tar', exit: Exit.usage
    })
  }
  return file
}
