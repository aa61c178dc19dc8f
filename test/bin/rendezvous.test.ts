// `libp2p-star rendezvous`: two processes that have nothing in common but a URL.
import { deepEqual, equal, match } from 'node:assert/strict'
import { Cli, cleanUp, cli } from './cli.ts'
import type { Ended } from './cli.ts'

/** What is said on stderr in JSON. */
function said ({ stderr }: Ended, name: string): Record<string, unknown> | undefined {
  const events = stderr.trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  return events.find(({ event }) => event === name)
}

describe('libp2p-star rendezvous', function () {
  this.timeout(30_000)
  afterEach(cleanUp)

  async function urlOf (offer: Cli): Promise<string> {
    return /libp2p-star:\/\/rendezvous#[\w-]+/.exec(await offer.note(/rendezvous#[\w-]+.*\n/))?.[0] ?? ''
  }

  it('carries stdin to stdout in both directions, and shows the same path at both ends', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback'], {}, 'from the offer\n')
    const joined = await new Cli(['rendezvous', 'join', await urlOf(offer)], {}, 'from the joiner\n'.repeat(20_000)).ended
    const offered = await offer.ended
    deepEqual([joined.code, joined.stdout], [0, 'from the offer'])
    deepEqual([offered.code, offered.stdout], [0, 'from the joiner\n'.repeat(20_000).trimEnd()])
    const [path = 'none'] = /^path ([\da-f]{8} ?){8}$/m.exec(joined.stderr) ?? []
    match(offered.stderr, new RegExp(`^${path}$`, 'm'))
  })

  it('says in JSON on stderr what it says, and leaves stdout to the other device', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--json'], {}, 'there')
    const joined = await new Cli(['rendezvous', 'join', '--json', await urlOf(offer)], {}, 'back').ended
    const offered = await offer.ended
    deepEqual([offered.stdout, joined.stdout, offered.code, joined.code], ['back', 'there', 0, 0])
    equal(said(offered, 'connected')?.['rph'], said(joined, 'connected')?.['rph'] ?? 'none')
  })

  it('ends with 130 when it is interrupted, and then the other one fails', async () => {
    const waiting = new Cli(['rendezvous', 'offer', '--loopback'])
    await urlOf(waiting)
    equal((await waiting.interrupt()).code, 130)
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--json'], {}, null)
    const join = new Cli(['rendezvous', 'join', '--json', await urlOf(offer)], {}, null)
    await Promise.all([offer.note(/connected/), join.note(/connected/)])
    equal((await offer.interrupt()).code, 130)
    const failed = await join.ended
    deepEqual([failed.code, said(failed, 'error')?.['code']], [1, 'ERR_PATH_LOST'])
  })

  it('says with exit code 3 that nobody came, or that nobody waits', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--timeout', '0.5'])
    const url = await urlOf(offer)
    const late = await offer.ended
    equal(late.code, 3)
    match(late.stderr, /\[ERR_RENDEZVOUS_FAILED\]\n {2}does the other device still wait/)
    equal((await cli(['rendezvous', 'join', url, '--timeout', '5'])).code, 3)
  })
})
