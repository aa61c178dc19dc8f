// `libp2p-star listen`: a libp2p node on a star that answers pings and tells of whom it sees.
import { withHelp, withNode } from '../options.ts'
import { aborted, run } from '../run.ts'
import type { Command } from 'commander'
import type { StarNode } from '../node.ts'
import type { ClientOptions } from '../options.ts'
import type { Output } from '../output.ts'

/** Adds the command. */
export function addListen (program: Command): void {
  const command = withNode(program.command('listen')
    .summary('be a libp2p node on a star')
    .description('Joins a star as a libp2p node until Ctrl-C: prints its address, answers pings, tells whom it discovers.'))
  withHelp(command, [
    'libp2p-star listen',
    'libp2p-star listen --identity me.key',
    'libp2p-star listen --star /dns4/star.example/tcp/443/wss/p2p-websocket-star'
  ])
  command.action(async (options: ClientOptions) => {
    await run(options, async ({ signal, output }) => {
      const { startNode } = await import('../node.ts')
      await using node = await startNode(options, { listen: true, signal })
      watch(node, output)
      const peer = node.libp2p.peerId.toString()
      output.tell('listening', { peer, address: node.address }, `Listening as ${node.address}`)
      await aborted(signal)
    })
  })
}

function watch ({ libp2p, address }: StarNode, output: Output): void {
  libp2p.addEventListener('peer:discovery', event => {
    const peer = event.detail.id.toString()
    const addresses = event.detail.multiaddrs.map(String)
    // one that has no address has dialled us and can't be dialled
    if (addresses.length > 0) {
      output.tell('discovered', { peer, addresses }, `Discovered ${peer}`)
    }
  })
  libp2p.addEventListener('peer:connect', event => {
    output.tell('connected', { peer: event.detail.toString() }, `Connected to ${event.detail.toString()}`)
  })
  libp2p.addEventListener('peer:disconnect', event => {
    output.tell('disconnected', { peer: event.detail.toString() }, `Disconnected from ${event.detail.toString()}`)
  })
  let joined = true
  libp2p.addEventListener('transport:listening', event => {
    const now = event.detail.getAddrs().length > 0
    if (now !== joined) {
      joined = now
      output.tell(now ? 'back' : 'down', { address })
      output.note(now ? 'on the star again' : 'off the star: it is gone, or our identity is in use elsewhere; will come back')
    }
  })
}
