// Original clients join: with every type of key, and with every mistake that a client can make.
import assert from 'node:assert/strict'
import { eventually } from '../driver.ts'
import { KEY_TYPES, OldClients } from '../peers.ts'
import type { Star, Stars } from '../stars.ts'

/** Joining a star that asks for a proof, and one that does not. */
export function joining (stars: Stars): void {
  describe(`original clients join ${stars.name}`, () => {
    let clients: OldClients
    let strict: Star
    let open: Star

    before(async () => {
      clients = new OldClients()
      strict = await stars.start()
      open = await stars.start({ cryptoChallenge: false })
    })

    after(async () => {
      await clients.close()
      await strict.close()
      await open.close()
    })

    for (const type of KEY_TYPES) {
      it(`takes the proof of an ${type} key`, async () => {
        const peer = await clients.make(strict.address, { key: await clients.makeKey(type) })
        assert.deepEqual(await peer.listen(), [peer.address])
        assert.ok(await knows(strict, peer.id))
        await peer.close()
      })
    }

    it('takes the proof of an RSA key of 1024 bits, as clients of 2017 had', async () => {
      const key = await clients.call<{ key: number, id: string }>('id', { type: 'RSA', bits: 1024 })
      const peer = await clients.join(strict.address, { key })
      assert.ok(await knows(strict, peer.id))
    })

    it('takes an identity that came late (lazySetId)', async () => {
      const peer = await clients.join(strict.address, { key: await clients.makeKey(), lazy: true })
      assert.ok(await knows(strict, peer.id))
    })

    it('refuses the signature of another key', async () => {
      const peer = await clients.make(strict.address, { key: await clients.makeKey(), signAs: await clients.makeKey() })
      await assert.rejects(peer.listen(), { message: 'Signature Invalid' })
      assert.ok(!await knows(strict, peer.id))
    })

    for (const type of KEY_TYPES) {
      it(`refuses a signature that is no ${type} signature at all`, async () => {
        const other = type === 'RSA' ? 'Ed25519' : 'RSA'
        const [key, signAs] = [await clients.makeKey(type), await clients.makeKey(other)]
        const peer = await clients.make(strict.address, { key, signAs })
        await assert.rejects(peer.listen(), /^Error: (Signature Invalid|Crypto error)$/)
        assert.ok(!await knows(strict, peer.id))
      })
    }

    it('refuses an address that ends in the id of another key', async () => {
      const [own, other] = [await clients.makeKey(), await clients.makeKey()]
      const peer = await clients.make(strict.address, { key: own, id: other.id })
      // the original sends an Error object, which arrives empty
      const message = stars.original ? '[object Object]' : /^(?!\[object Object\])./
      await assert.rejects(peer.listen(), { message })
      assert.ok(!await knows(strict, other.id))
    })

    it('refuses a client without an identity', async () => {
      const { id } = await clients.makeKey()
      const peer = await clients.make(strict.address, { id })
      await assert.rejects(peer.listen(), { message: 'Crypto Challenge required but no Id provided' })
      assert.ok(!await knows(strict, id))
    })

    it('is told apart by clients: one that wants a proof refuses a star that asks for none', async () => {
      const peer = await clients.make(open.address, { key: await clients.makeKey() })
      await assert.rejects(peer.listen(), /crypto challenge disabled/)
      await eventually('its socket is gone from the star', async () => !await knows(open, peer.id))
    })

    it('takes anyone when it asks for no proof', async () => {
      const { id } = await clients.makeKey()
      const peer = await clients.join(open.address, { id, flag: true })
      assert.ok(await knows(open, id))
      await peer.close()
      await eventually('it has left', async () => !await knows(open, id))
    })

    it('gives the address to the newest proof: takeover by the same key', async () => {
      const key = await clients.makeKey()
      const former = await clients.join(strict.address, { key, handler: 'collect' })
      const latter = await clients.join(strict.address, { key, handler: 'echo' })
      const caller = await clients.join(strict.address)
      assert.equal((await strict.peers()).filter((address) => address.endsWith(key.id)).length, 1)

      const { bytes, sent, sha256 } = await caller.echo(latter, 10_000)
      assert.equal(bytes, 10_000)
      assert.equal(sha256, sent)
      assert.equal(clients.told('connection', { peer: former.number }).length, 0)

      // the former owner's end is not the end of the address
      const since = clients.now
      await former.drop()
      await clients.next('disconnect', { peer: former.number }, { since })
      assert.equal((await caller.echo(latter, 10)).bytes, 10)
      assert.ok(await knows(strict, key.id))
    })

    it('gives no address away to another key', async () => {
      const owner = await clients.join(strict.address)
      const thief = await clients.make(strict.address, { key: await clients.makeKey(), id: owner.id })
      await assert.rejects(thief.listen())
      const caller = await clients.join(strict.address)
      assert.equal((await caller.echo(owner, 100)).bytes, 100)
    })

    it('serves a client again after a refusal', async () => {
      const key = await clients.makeKey()
      const peer = await clients.make(strict.address, { key, signAs: await clients.makeKey() })
      await assert.rejects(peer.listen())
      const again = await clients.join(strict.address, { key })
      assert.ok(await knows(strict, again.id))
    })
  })
}

async function knows (star: Star, id: string): Promise<boolean> {
  return (await star.peers()).some((address) => address.endsWith(`/${id}`))
}
