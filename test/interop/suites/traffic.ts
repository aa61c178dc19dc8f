// Original clients among themselves: they discover and dial each other, move bytes, leave, and come back after a restart.
import assert from 'node:assert/strict'
import { eventually } from '../driver.ts'
import { OldClients, type OldPeer } from '../peers.ts'
import type { Star, Stars } from '../stars.ts'

const TEN_MB = 10_000_000

/** Everything that two or three joined clients do. */
export function traffic (stars: Stars): void {
  describe(`original clients on ${stars.name}`, () => {
    let clients: OldClients
    let star: Star

    beforeEach(async () => {
      clients = new OldClients()
      star = await stars.start({ refreshPeerListIntervalMS: 250 })
    })

    afterEach(async () => {
      await clients.close()
      await star.close()
    })

    async function pair (handler: 'echo' | 'collect' = 'echo'): Promise<[OldPeer, OldPeer]> {
      return [await clients.join(star.address, { handler }), await clients.join(star.address, { handler })]
    }

    describe('discovery', () => {
      it('tells the older of the newcomer', async () => {
        const [older, newer] = await pair()
        await older.hears(newer)
      })

      it('tells the newcomer of all that are present, at once', async () => {
        const [first, second] = await pair()
        const since = clients.now
        const third = await clients.join(star.address)
        // no waiting: they come with the answer to the join
        for (const other of [first, second]) {
          assert.notEqual(clients.told('peer', { peer: third.number, address: other.address }, since).length, 0)
          const found = clients.told('discovery', { peer: third.number, peerId: other.id }, since)
          assert.deepEqual(found[0]?.addresses, [other.address])
        }
      })

      it('announces every address to every other again and again, and never to itself', async () => {
        const [older, newer] = await pair()
        const since = clients.now
        await Promise.all([older.hears(newer, { since, times: 3 }), newer.hears(older, { since, times: 3 })])
        assert.equal(clients.told('peer', { peer: older.number, address: older.address }).length, 0)
      })

      it('says no more of a peer that has left', async () => {
        const [watcher, leaver] = await pair()
        const stayer = await clients.join(star.address)
        await leaver.close()
        await eventually('it has left', async () => (await star.peers()).length === 2)
        await watcher.hears(stayer, { since: clients.now })
        const since = clients.now
        await watcher.hears(stayer, { since, times: 3 })
        assert.equal(clients.told('peer', { peer: watcher.number, address: leaver.address }, since).length, 0)
      })
    })

    describe('streams', () => {
      it('lets both dial each other', async () => {
        const [one, other] = await pair()
        for (const [from, to] of [[one, other], [other, one]] as const) {
          const { bytes, sha256, sent, error } = await from.echo(to, 1000)
          assert.deepEqual({ bytes, sha256, error }, { bytes: 1000, sha256: sent, error: null })
        }
      })

      it('echoes 10 MB with the same checksum, both ways at once', async () => {
        const [one, other] = await pair()
        const answers = await Promise.all([one.echo(other, TEN_MB), other.echo(one, TEN_MB)])
        for (const { bytes, sha256, sent, error } of answers) {
          assert.deepEqual({ bytes, sha256, error }, { bytes: TEN_MB, sha256: sent, error: null })
        }
      })

      it('passes chunks of nearly a million bytes, which is the limit', async () => {
        const [one, other] = await pair()
        const { bytes, sha256, sent } = await one.echo(other, 3 * 999_000, 999_000)
        assert.deepEqual({ bytes, sha256 }, { bytes: 3 * 999_000, sha256: sent })
      })

      it('keeps the borders of chunks', async () => {
        const [one, other] = await pair()
        const { chunks } = await one.echo(other, 1000, 300)
        assert.deepEqual(chunks, [300, 300, 300, 100])
      })

      it('keeps twenty streams between two peers apart', async () => {
        const [one, other] = await pair()
        const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => await one.echo(other, 5000 + n)))
        answers.forEach(({ bytes, sha256, sent }, n) => {
          assert.deepEqual({ bytes, sha256 }, { bytes: 5000 + n, sha256: sent })
        })
      })

      it('tells the callee who calls', async () => {
        const [one, other] = await pair('collect')
        await one.dial(other)
        assert.equal((await other.accept()).from, one.address)
      })

      it('half-closes: the dialler has ended, the callee still speaks', async () => {
        const [one, other] = await pair('collect')
        const near = await one.dial(other)
        const far = await other.accept()
        await near.write('question')
        await near.end()
        assert.deepEqual(pick(await far.until()), { text: 'question', ended: true, error: null })
        await far.write('answer')
        assert.deepEqual(pick(await near.until(6)), { text: 'answer', ended: false, error: null })
        await far.end()
        assert.deepEqual(pick(await near.until()), { text: 'answer', ended: true, error: null })
      })

      it('half-closes: the callee has ended, the dialler still speaks', async () => {
        const [one, other] = await pair('collect')
        const near = await one.dial(other)
        const far = await other.accept()
        await far.end()
        assert.deepEqual(pick(await near.until()), { text: '', ended: true, error: null })
        await near.write('still here')
        assert.deepEqual(pick(await far.until(10)), { text: 'still here', ended: false, error: null })
        await near.end()
        assert.equal((await far.until()).ended, true)
      })

      it('passes an error on to the reader', async () => {
        const [one, other] = await pair('collect')
        const near = await one.dial(other)
        const far = await other.accept()
        await near.write('so far')
        await near.end('no further')
        const { text, error } = await far.until()
        assert.deepEqual({ text, error }, { text: 'so far', error: 'no further' })
      })
    })

    describe('leaving', () => {
      it('ends a dial to a peer that was never there', async () => {
        const [one] = await pair()
        const { id } = await clients.makeKey()
        await assert.rejects(one.dial(`${star.address}/ipfs/${id}`), { message: 'Peer not found' })
      })

      it('ends a dial to a peer that closed its listener', async () => {
        const [one, other] = await pair()
        await other.close()
        await eventually('it has left', async () => (await star.peers()).length === 1)
        await assert.rejects(one.dial(other), { message: 'Peer not found' })
      })

      it('ends a dial to a peer that sent ss-leave, who may dial no more either', async () => {
        const [one, other] = await pair()
        await other.leave()
        // its own dial comes after its leave on the same socket
        await assert.rejects(other.dial(one), { message: 'Not authorized for this address' })
        await assert.rejects(one.dial(other), { message: 'Peer not found' })
        assert.deepEqual((await star.peers()).map((address) => address.split('/').pop()), [one.id])
      })

      it('does not let a peer make another one leave', async () => {
        const [one, other] = await pair()
        await one.leave(other.address)
        assert.equal((await one.echo(other, 10)).bytes, 10)
      })

      it('keeps the streams of a peer that sent ss-leave', async () => {
        const [one, other] = await pair('collect')
        const near = await one.dial(other)
        const far = await other.accept()
        await other.leave()
        await assert.rejects(other.dial(one))
        await near.write('still heard')
        assert.equal((await far.until(11)).text, 'still heard')
      })
    })

    describe('restart', () => {
      it('takes clients back when it starts again on the same port: streams have ended, discovery and dials work', async () => {
        const [one, other] = await pair('collect')
        const near = await one.dial(other)
        const far = await other.accept()
        await near.write('before')
        await far.until(6)

        const since = clients.now
        await star.close()
        const ends = await Promise.all([near.until(), far.until()])
        for (const { ended, error } of ends) assert.deepEqual({ ended, error }, { ended: true, error: null })
        await Promise.all([one, other].map(async ({ number }) => await clients.next('disconnect', { peer: number }, { since })))

        star = await stars.start({ refreshPeerListIntervalMS: 250, port: star.port })
        await Promise.all([one, other].map(async ({ number }) => await clients.next('reconnect', { peer: number }, { since })))
        const back = { since }
        await Promise.all([one.hears(other, back), other.hears(one, back)])

        const third = await clients.join(star.address)
        await Promise.all([one.hears(third, back), other.hears(third, back)])
        const again = await one.dial(other)
        const incoming = await other.accept({ since })
        await again.write('after')
        assert.equal((await incoming.until(5)).text, 'after')
        assert.deepEqual(clients.told('listener error'), [])
      })
    })
  })
}

function pick ({ text, ended, error }: { text?: string, ended: boolean, error: unknown }): object {
  return { text, ended, error }
}
