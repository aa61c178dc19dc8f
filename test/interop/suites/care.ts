// What original clients get from our star that the original star did not give: bounded waits and memory, dead peers noticed.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { eventually } from '../driver.ts'
import { OldClients } from '../peers.ts'
import { RawClients } from '../raw.ts'
import { startStar, type ServerOptions, type StarServer } from '../../../server/index.ts'

/** Milliseconds between two announcements. */
const REFRESH = 250
/** Milliseconds that a silent client is kept: a star or a client that stands still for so long itself looks no different. */
const SILENT = 3_000

/** Only for our star: its options are used. */
export function care (): void {
  describe('our star takes care of original clients', () => {
    let clients: OldClients
    let others: OldClients
    let server: StarServer
    let star: string

    async function start (options: ServerOptions): Promise<void> {
      server = await startStar({ port: 0, refreshPeerListIntervalMS: REFRESH, ...options })
      star = server.addresses[0] as string
    }

    beforeEach(() => {
      clients = new OldClients()
      others = new OldClients()
    })

    afterEach(async () => {
      await Promise.all([clients.close(), others.close()])
      await server.close()
    })

    async function metric (name: string): Promise<number> {
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(await server.metrics())?.[1])
    }

    it('hears their heartbeats, which come the other way round than today', async () => {
      await start({ pingInterval: 200, pingTimeout: SILENT })
      const [one, other] = [await clients.join(star), await others.join(star)]
      // longer than a silent client is kept
      await one.hears(other, { since: clients.now, times: SILENT / REFRESH + 4 })
      assert.deepEqual([...clients.told('disconnect'), ...others.told('disconnect')], [])
    })

    it('drops a client that is silent, and others cannot dial it', async () => {
      await start({ pingInterval: 200, pingTimeout: SILENT })
      const [one, other] = [await clients.join(star), await others.join(star)]
      others.freeze()
      await eventually('the frozen client is gone', () => server.peers().length === 1)
      await assert.rejects(one.dial(other), { message: 'Peer not found' })
    })

    it('takes back a client that it had dropped', async () => {
      await start({ pingInterval: 200, pingTimeout: SILENT })
      const [one, other] = [await clients.join(star), await others.join(star)]
      others.freeze()
      await eventually('the frozen client is gone', () => server.peers().length === 1)
      const since = clients.now
      others.thaw()
      await others.next('reconnect', { peer: other.number })
      await one.hears(other, { since })
      assert.equal((await one.echo(other, 1000)).bytes, 1000)
    })

    it('ends a dial that the callee does not answer', async () => {
      await start({ dialTimeout: 200, cryptoChallenge: false })
      const raw = new RawClients()
      try {
        const [near, far] = [`${star}/ipfs/${(await clients.makeKey()).id}`, `${star}/ipfs/${(await clients.makeKey()).id}`]
        const [socket, silent] = [await raw.connect(server.url), await raw.connect(server.url, 'later')]
        await socket.ask('ss-join', near, '')
        await silent.ask('ss-join', far, '')
        const [error] = await socket.ask('ss-dial', near, far, randomUUID())
        assert.match(String(error), /did not answer/)
      } finally {
        await raw.close()
      }
    })

    it('brakes a flood for a reader that does not read, and loses nothing of it', async () => {
      await start({ pairBudget: 1_048_576 })
      const [one, other] = [await clients.join(star), await others.join(star, { handler: 'collect' })]
      const stream = await one.dial(other)
      const incoming = await other.accept()
      others.freeze()
      const sent = await stream.fill(40_000_000)
      await stream.end()
      await eventually('the writer is braked', async () => await metric('star_bytes_in_flight') > 500_000)
      const relayed = await metric('star_relayed_bytes_total')
      assert.ok(relayed < 35_000_000, `${relayed} of 40,000,000 bytes had been taken in`)
      assert.ok(await metric('star_bytes_in_flight') <= 2 * 1_048_576)
      others.thaw()
      const { bytes, sha256, error } = await incoming.until()
      assert.deepEqual({ bytes, sha256, error }, { bytes: 40_000_000, sha256: sent, error: null })
    })

    it('ends the stream of a reader that does not read for too long, in words, and serves the writer on', async () => {
      await start({ pairBudget: 1_048_576, stallTimeout: 500 })
      const [one, other] = [await clients.join(star), await others.join(star, { handler: 'collect' })]
      const third = await clients.join(star)
      const stream = await one.dial(other)
      others.freeze()
      await stream.fill(40_000_000)
      const { ended, error } = await stream.until()
      assert.equal(ended, true)
      assert.ok(error === null || error === 'ERR_STALLED', String(error))
      assert.equal((await one.echo(third, 1000)).bytes, 1000)
    })
  })
}
