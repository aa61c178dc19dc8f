// `libp2p-star demo`: it works, and nothing stays behind.
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { Cli, cleanUp, cli, temporary } from './cli.ts'

describe('libp2p-star demo', function () {
  this.timeout(120_000)
  afterEach(cleanUp)

  it('shows discovery, pings and a verified file', async () => {
    const TMPDIR = await temporary()
    const { code, stdout, stderr } = await cli(['demo', '--size', '2'], { TMPDIR })
    deepEqual([code, stderr], [0, ''])
    match(stdout, /Ada has discovered Bob/)
    match(stdout, /Bob has discovered Ada/)
    match(stdout, /connection has moved: relay(-ws)? → tcp \(/)
    equal(stdout.match(/seq=\d time=/g)?.length, 5)
    match(stdout, /2\.0 MB in [\d.]+ s/)
    const checksums = [...stdout.matchAll(/SHA-256 .*: +([0-9a-f]{64})$/gm)].map(found => found[1])
    equal(checksums.length, 3)
    equal(new Set(checksums).size, 1)
    deepEqual(await readdir(TMPDIR), [])
  })

  it('runs a process for the star and for each node, and leaves none', async () => {
    const TMPDIR = await temporary()
    const { code, events } = await cli(['demo', '--size', '1', '--json'], { TMPDIR })
    equal(code, 0)
    const pids = events.filter(({ event }) => event === 'star' || event === 'node').map(event => Number(event['pid']))
    equal(new Set(pids).size, 3)
    for (const pid of pids) {
      throws(() => { process.kill(pid, 0) }, { code: 'ESRCH' })
    }
    ok(events.some(({ event }) => event === 'verified'))
  })

  it('cleans up when it is interrupted in the middle', async () => {
    const TMPDIR = await temporary()
    const demo = new Cli(['demo', '--size', '100', '--json'], { TMPDIR })
    await demo.event('sending')
    const { code, events } = await demo.interrupt()
    equal(code, 130)
    equal(events.at(-1)?.['code'], 'ERR_INTERRUPTED')
    deepEqual(await readdir(TMPDIR), [])
    for (const { pid } of events.filter(({ event }) => event === 'star' || event === 'node')) {
      throws(() => { process.kill(Number(pid), 0) }, { code: 'ESRCH' })
    }
  })
})
