// The star is killed in the middle of fifty transfers between processes, and started again: a pause, and nothing else.
import assert from 'node:assert/strict'
import { setTimeout as pass } from 'node:timers/promises'
import { Cli, cleanUp } from '../bin/cli.ts'
import { LinkWorker } from '../support/link-worker.ts'

const NODES = 10
const PEERS = 5
const BYTES = 8 * 1_048_576
/** Milliseconds for which there is no star. */
const AWAY = 1_000

describe('a star that is killed', function () {
  this.timeout(90_000)
  const workers: LinkWorker[] = []

  afterEach(async () => {
    workers.splice(0).forEach(worker => { worker.end() })
    await cleanUp()
  })

  async function startStar (port: number): Promise<{ star: Cli, port: number, address: string }> {
    const star = new Cli(['server', '--json', '--port', String(port)])
    const told = await star.event('listening') as unknown as { port: number, addresses: [string] }
    return { star, port: told.port, address: told.addresses[0] }
  }

  it(`and started again after ${AWAY} ms takes nothing from ${NODES * PEERS} transfers between processes but time`, async () => {
    const { star, port, address } = await startStar(0)
    const [from, to] = [new LinkWorker(), new LinkWorker()]
    workers.push(from, to)
    const [, ids] = await Promise.all([from.start(address, NODES), to.start(address, NODES)])
    const partners = Array.from({ length: NODES }, (_, node) =>
      Array.from({ length: PEERS }, (__, peer) => ids[(node + peer) % NODES] ?? ''))
    const begin = performance.now()
    const sending = from.send(address, partners, BYTES)
    await from.when('half of the bytes to be sent', () => from.moved > NODES * PEERS * BYTES / 2, 30_000)
    star.kill('SIGKILL')
    const killed = performance.now()
    await star.ended
    await pass(AWAY)
    await startStar(port)
    const away = performance.now() - killed
    const { errors, pauses } = await sending
    const seconds = (performance.now() - begin) / 1_000
    assert.deepEqual(errors, [])
    assert.equal(pauses.length, NODES * PEERS)
    const sights = await Promise.all([from.look(), to.look()])
    for (const { opened, closed, events } of sights) {
      assert.deepEqual([opened, closed], [NODES * PEERS, 0], 'one connection each, from beginning to end')
      assert.ok(Object.keys(events).every(what => !what.startsWith('over')), JSON.stringify(events))
    }
    const sorted = pauses.toSorted((one, other) => one - other)
    const at = (part: number): string => (sorted[Math.ceil(sorted.length * part) - 1] ?? 0).toFixed(0)
    console.log(`      ${seconds.toFixed(1)} s in all, the star was away for ${away.toFixed(0)} ms; ` +
      `longest pause of each transfer p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`)
  })
})
