// `libp2p-star ping`: how long a peer takes to answer through the star, end to end.
import { setTimeout as sleep } from 'node:timers/promises'
import { peerAddress, peerIdOf } from '../address.ts'
import { Failure, explain } from '../failure.ts'
import { seconds, wholeNumber, withHelp, withNode } from '../options.ts'
import { PathWatch, Statistics, formatChange, ping } from '../pinger.ts'
import { Interruption, run } from '../run.ts'
import type { Command } from 'commander'
import type { ClientOptions } from '../options.ts'

interface PingOptions extends ClientOptions {
  readonly count: number
  readonly interval: number
  readonly timeout: number
}

/** Adds the command. */
export function addPing (program: Command): void {
  const command = withNode(program.command('ping')
    .summary('measure the way to a peer')
    .description('Pings a libp2p node through a star: 32 bytes there and back, encrypted end to end.')
    .argument('<peer>', 'peer id, or full star address'))
    .option('-c, --count <count>', 'pings; 0 for as many as there is time until Ctrl-C', wholeNumber(0), 5)
    .option('-i, --interval <seconds>', 'from one ping to the next', seconds, 1000)
    .option('-W, --timeout <seconds>', 'that an answer may take', seconds, 10_000)
  describeDefault(command, 'interval', '1')
  describeDefault(command, 'timeout', '10')
  withHelp(command, [
    'libp2p-star ping 12D3KooW…',
    'libp2p-star ping --count 100 --interval 0 --json 12D3KooW…',
    'libp2p-star ping /dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/12D3KooW…'
  ], `Tells of each change of the path between the two as it happens: \`path relay → none (why)\`, \`path none → relay via STAR\`.
The exit code is 0 when at least one answer came.`)
  command.action(async (peer: string, options: PingOptions) => {
    await run(options, async ({ signal, output }) => {
      const address = peerAddress(peer, options.star)
      const { dial, startNode } = await import('../node.ts')
      await using node = await startNode(options, { listen: false, signal })
      using watch = new PathWatch(node.events, peerIdOf(peer, options.star), change => {
        output.tell('path', change, formatChange(change))
      })
      const to = (await dial(node, address, signal)).remotePeer.toString()
      const fields = { peer: to, address: address.toString(), path: watch.path }
      output.tell('connected', fields, `PING ${to} through ${options.star}`)
      const statistics = new Statistics()
      for (let seq = 1; (seq <= options.count || options.count === 0) && !signal.aborted; seq++) {
        statistics.sent++
        try {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeout)])
          const ms = await ping(await dial(node, address, limit), limit)
          statistics.add(ms)
          output.tell('pong', { seq, ms }, `32 bytes from ${to}: seq=${seq} time=${ms.toFixed(2)} ms`)
        } catch (error) {
          if (signal.aborted) {
            statistics.sent--
            break
          }
          const { code, message } = explain(error)
          output.tell('lost', { seq, code, message }, `no answer from ${to}: seq=${seq} ${message}`)
        }
        if (seq !== options.count) {
          await sleep(options.interval, undefined, { signal }).catch(() => {})
        }
      }
      watch[Symbol.dispose]() // that we leave is no news
      output.tell('summary', statistics.figures, `\n--- ${to} ping statistics ---\n${statistics.text}`)
      if (signal.reason instanceof Interruption && options.count !== 0) {
        throw signal.reason
      }
      if (statistics.received === 0 && statistics.sent > 0) {
        throw new Failure('ERR_NO_ANSWER', 'no answer came', { advice: 'is the peer a libp2p node that answers pings?' })
      }
    })
  })
}

/** Shows a default in the unit in which the option is written. */
function describeDefault (command: Command, name: string, text: string): void {
  const option = command.options.find(one => one.attributeName() === name)
  option?.default(option.defaultValue, text)
}
