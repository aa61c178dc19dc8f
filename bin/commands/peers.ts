// `libp2p-star peers`: who is on a star, and who comes and goes, without being seen there.
import { withHelp, withStar } from '../options.ts'
import { aborted, run } from '../run.ts'
import type { Command } from 'commander'
import type { StarClient } from '../../client/index.ts'
import type { ClientOptions } from '../options.ts'
import type { Output } from '../output.ts'

interface PeersOptions extends ClientOptions {
  readonly once?: boolean
}

/** Adds the command. */
export function addPeers (program: Command): void {
  const command = withStar(program.command('peers')
    .summary('list who is on a star, live')
    .description('Lists the peers of a star, then those who come (+) and go (-), until Ctrl-C. Nobody sees who looks.'))
    .option('--once', 'list them and end')
  withHelp(command, [
    'libp2p-star peers',
    'libp2p-star peers --once --json | jq -r .peers[]',
    'STAR=/dns4/star.example/tcp/443/wss/p2p-websocket-star libp2p-star peers'
  ])
  command.action(async (options: PeersOptions) => {
    await run(options, async ({ signal, output }) => {
      const { connect } = await import('../../client/index.ts')
      const client = await connect(options.star, { listed: false, signal })
      const list = new LiveList(client, output)
      const { peers } = list
      const count = peers.length === 1 ? '1 peer' : `${peers.length} peers`
      const lines = [`${count} on ${options.star}`, ...peers.map(peer => `+ ${peer}`)]
      output.tell('peers', { star: options.star, peers }, lines.join('\n'))
      if (options.once !== true) {
        await aborted(signal)
      }
      await client.close()
    })
  })
}

/** The peers that were told of; a star that was lost and came back has told of those who left by leaving them out. */
class LiveList {
  readonly #known: Set<string>
  readonly #client: StarClient
  readonly #output: Output

  constructor (client: StarClient, output: Output) {
    this.#client = client
    this.#output = output
    this.#known = new Set(client.peers().map(peerOf))
    client.addEventListener('peer', event => { this.#joined(peerOf(event.detail)) })
    client.addEventListener('left', event => { this.#left(peerOf(event.detail)) })
    client.addEventListener('down', event => {
      const { code, message } = event.detail
      output.tell('down', { code, message })
      output.note(`${message}; trying to come back`)
    })
    client.addEventListener('joined', () => { this.#back() })
  }

  get peers (): string[] {
    return [...this.#known]
  }

  #joined (peer: string): void {
    if (!this.#known.has(peer)) {
      this.#known.add(peer)
      this.#output.tell('joined', { peer }, `+ ${peer}`)
    }
  }

  #left (peer: string): void {
    if (this.#known.delete(peer)) {
      this.#output.tell('left', { peer }, `- ${peer}`)
    }
  }

  #back (): void {
    this.#output.tell('back', {})
    this.#output.note('the star is back')
    // the peers are told of right after the event
    queueMicrotask(() => {
      const now = new Set(this.#client.peers().map(peerOf))
      this.peers.filter(peer => !now.has(peer)).forEach(peer => { this.#left(peer) })
    })
  }
}

function peerOf (address: string): string {
  return address.slice(address.lastIndexOf('/') + 1)
}
