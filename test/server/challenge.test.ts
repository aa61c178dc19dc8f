// The challenge: who can prove an identity joins, and nobody else does, by whatever way the proof comes.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { connect } from '../../client/index.ts'
import { StarError } from '../../src/errors.ts'
import { Event } from '../../src/star/protocol.ts'
import { evilStars } from '../support/evil.ts'
import { until } from '../support/nodes.ts'
import { GENERATIONS, makeIdentity, openStream, stages } from '../support/raw.ts'
import { within } from '../support/waiting.ts'
import type { PrivateKey } from '@libp2p/interface'
import type { Reason } from '../../src/errors.ts'
import type { Generation } from '../../src/star/protocol.ts'
import type { RawClient, Stage } from '../support/raw.ts'

const KEYS: Record<string, () => Promise<PrivateKey>> = {
  Ed25519: async () => await generateKeyPair('Ed25519'),
  secp256k1: async () => await generateKeyPair('secp256k1'),
  'RSA of 2048 bits': async () => await generateKeyPair('RSA', 2048),
  ECDSA: async () => await generateKeyPair('ECDSA')
}

/** What each generation is told. */
const TEXTS: Partial<Record<Reason, string>> = {
  ERR_KEY: 'Id is not matching',
  ERR_SIGNATURE: 'Signature Invalid',
  ERR_CHALLENGE_EXPIRED: new StarError('ERR_CHALLENGE_EXPIRED').message
}

function assertRefused (generation: Generation, [error]: unknown[], code: Reason): void {
  if (generation === 'original') {
    assert.equal(error, TEXTS[code])
  } else {
    assert.deepEqual(error, { code, message: new StarError(code).message })
  }
}

for (const generation of GENERATIONS) {
  describe(`challenge for ${generation} clients`, () => {
    const open = stages()

    async function setting (): Promise<{ stage: Stage, client: RawClient }> {
      const stage = await open()
      return { stage, client: await stage.connect(generation) }
    }

    for (const [type, make] of Object.entries(KEYS)) {
      it(`is answered with a key of the type ${type}`, async () => {
        const { stage, client } = await setting()
        const identity = await makeIdentity(await make())
        const [error] = await client.join({ identity })
        assert.equal(error, null)
        assert.deepEqual(stage.star.server.peers(), [`${stage.star.address}/p2p/${identity.id}`])
        assert.equal(await stage.metric('rendezvous_joins_total_success'), 1)
        assert.equal(await stage.metric('rendezvous_joins_total'), 1)
      })
    }

    it('is not given for the key of another id', async () => {
      const { stage, client } = await setting()
      const [victim, other] = [await makeIdentity(), await makeIdentity()]
      assertRefused(generation, await client.introduce(other, { address: client.spell(victim.id) }), 'ERR_KEY')
      assert.equal(await stage.refusals('ERR_KEY'), 1)
      assert.equal(await stage.metric('rendezvous_joins_total_failure'), 1)
    })

    it('is not given for an address without an id', async () => {
      const { client } = await setting()
      assertRefused(generation, await client.introduce(await makeIdentity(), { address: client.star }), 'ERR_KEY')
    })

    it('is not given for what is no key at all', async () => {
      const { client } = await setting()
      const identity = await makeIdentity()
      const { key: good } = identity
      for (const key of ['00', 'ff'.repeat(40), good.slice(2), `${good}00`, '0'.repeat(8_000), good.slice(0, -1)]) {
        const [error] = await client.introduce({ ...identity, key })
        assert.notEqual(error, null, key)
      }
    })

    it('is answered in upper case as well', async () => {
      const { client } = await setting()
      const identity = await makeIdentity()
      const [, challenge] = await client.introduce({ ...identity, key: identity.key.toUpperCase() })
      const proof = JSON.parse(JSON.stringify(await client.sign(identity, challenge), (_name, value: unknown) =>
        typeof value === 'string' ? value.toUpperCase() : value)) as unknown
      assert.equal((await client.ask(Event.Join, client.spell(identity.id), proof))[0], null)
    })

    it('is not passed by the signature of another key', async () => {
      const { stage, client } = await setting()
      const [victim, other] = [await makeIdentity(), await makeIdentity()]
      const [, challenge] = await client.introduce(victim)
      const reply = await client.ask(Event.Join, client.spell(victim.id), await client.sign(other, challenge, {
        address: client.spell(victim.id)
      }))
      assertRefused(generation, reply, 'ERR_SIGNATURE')
      assert.equal(await stage.refusals('ERR_SIGNATURE'), 1)
      assert.deepEqual(stage.star.server.peers(), [])
    })

    it('can be answered once only: the right signature after a wrong one comes too late', async () => {
      const { stage, client } = await setting()
      const identity = await makeIdentity()
      const [, challenge] = await client.introduce(identity)
      const proof = await client.sign(identity, challenge)
      const wrong = generation === 'original' ? 'abcd' : { signature: 'abcd' }
      assertRefused(generation, await client.ask(Event.Join, client.spell(identity.id), wrong), 'ERR_SIGNATURE')
      // an original client's signature is read as a key when no challenge is open
      assertRefused(generation, await client.ask(Event.Join, client.spell(identity.id), proof),
        generation === 'original' ? 'ERR_KEY' : 'ERR_CHALLENGE_EXPIRED')
      assert.deepEqual(stage.star.server.peers(), [])
    })

    it('is not passed by a signature that was used before, on the same socket or on another', async () => {
      const { stage, client } = await setting()
      const identity = await makeIdentity()
      const address = client.spell(identity.id)
      const [, challenge] = await client.introduce(identity)
      const proof = await client.sign(identity, challenge)
      assert.equal((await client.ask(Event.Join, address, proof))[0], null)
      client.tell(Event.Leave, address)
      const unasked = generation === 'original' ? 'ERR_KEY' : 'ERR_CHALLENGE_EXPIRED'
      assertRefused(generation, await client.ask(Event.Join, address, proof), unasked)
      const other = await stage.connect(generation)
      assertRefused(generation, await other.ask(Event.Join, address, proof), unasked)
      for (const socket of [client, other]) {
        await socket.introduce(identity)
        assertRefused(generation, await socket.ask(Event.Join, address, proof), 'ERR_SIGNATURE')
      }
      assert.deepEqual(stage.star.server.peers(), [])
    })

    it('is bound to its address', async () => {
      const { stage, client } = await setting()
      const identity = await makeIdentity()
      const [one, other] = [client.spell(identity.id), client.spell(identity.id).replace('/ip4/127.0.0.1/', '/dns4/localhost/')]
      const [, challenge] = await client.introduce(identity, { address: one })
      await client.introduce(identity, { address: other })
      const proof = await client.sign(identity, challenge, { address: one })
      assertRefused(generation, await client.ask(Event.Join, other, proof), 'ERR_SIGNATURE')
      assert.equal((await client.ask(Event.Join, one, proof))[0], null)
      assert.equal(stage.star.server.peers().length, 1)
    })

    it('expires', async () => {
      const stage = await open({ challengeTimeout: 1 })
      const client = await stage.connect(generation)
      const identity = await makeIdentity()
      let reply: unknown[] = []
      await until(async () => {
        reply = await client.join({ identity })
        return reply[0] != null
      })
      assertRefused(generation, reply, 'ERR_CHALLENGE_EXPIRED')
      assert.ok(await stage.refusals('ERR_CHALLENGE_EXPIRED') > 0)
    })

    it('lets a new socket take an address over at once, and the stale one closing later removes nothing', async () => {
      const { stage, client: stale } = await setting()
      const identity = await makeIdentity()
      await stale.join({ identity })
      const fresh = await stage.join(generation, { identity })
      assert.equal(stage.star.server.peers().length, 1)
      assert.equal(await stage.metric('star_replaced_total'), generation === 'star' ? 1 : 0)
      const friend = await stage.join('star')
      await openStream(friend, fresh)
      assert.deepEqual(stale.rings, [])
      const { reply: [error] } = await stale.dial(friend)
      assert.equal(generation === 'star' ? (error as StarError).code : error,
        generation === 'star' ? 'ERR_NOT_JOINED' : 'Not authorized for this address')
      stale.socket.disconnect()
      await until(async () => await stage.metric(generation === 'star' ? 'star_connections' : 'star_connections_original') ===
        (generation === 'star' ? 2 : 1))
      assert.equal(stage.star.server.peers().length, 2)
      await openStream(friend, fresh)
    })

    it('lets a stale socket leave without harm to the new one', async () => {
      const { stage, client: stale } = await setting()
      const identity = await makeIdentity()
      await stale.join({ identity })
      await stage.join(generation, { identity })
      stale.tell(Event.Leave, stale.address)
      await stale.settled()
      assert.equal(stage.star.server.peers().length, 1)
    })
  })
}

describe('takeover', () => {
  const open = stages()

  it('is told to the star client that is replaced, and to nobody else', async () => {
    const stage = await open()
    const identity = await makeIdentity()
    const [stale, witness] = [await stage.join('star', { identity }), await stage.join('star')]
    const fresh = await stage.join('star', { identity })
    assert.deepEqual(await stale.hears(Event.Replaced), [stale.address])
    await witness.settled()
    assert.ok(![...witness.heard, ...fresh.heard].some(({ name }) => name === Event.Replaced))
  })

  it('does not happen before the proof', async () => {
    const stage = await open()
    const identity = await makeIdentity()
    const owner = await stage.join('star', { identity })
    const thief = await stage.connect('star')
    await thief.introduce(identity)
    await thief.ask(Event.Join, thief.spell(identity.id), { signature: 'abcd' })
    await openStream(await stage.join('star'), owner)
    assert.ok(!owner.heard.some(({ name }) => name === Event.Replaced))
  })

  it('crosses generations', async () => {
    const stage = await open()
    const identity = await makeIdentity()
    const stale = await stage.join('star', { identity })
    const fresh = await stage.join('original', { identity })
    await stale.hears(Event.Replaced)
    assert.equal(stage.star.server.peers().length, 1)
    await openStream(await stage.join('star'), fresh)
  })
})

describe('a star with names', () => {
  const open = stages()

  it('takes a proof that was made for one of them, with or without the port', async () => {
    const stage = await open({ names: ['star.example', 'other.example:4000'] })
    for (const origin of ['wss://star.example:443', 'ws://star.example:80', 'wss://star.example:9', 'ws://other.example:4000']) {
      assert.equal((await (await stage.connect('star')).join({ origin }))[0], null, origin)
    }
  })

  it('refuses a proof that was made for another', async () => {
    const stage = await open({ names: ['star.example', 'other.example:4000', 'plain.example:443'] })
    for (const origin of [
      'ws://127.0.0.1:9090', 'wss://evil.example:443', 'wss://other.example:4001', 'ws://plain.example:80', 'nonsense'
    ]) {
      const [error] = await (await stage.connect('star')).join({ origin })
      assert.equal((error as StarError).code, 'ERR_STAR_NAME', origin)
    }
    assert.equal(await stage.refusals('ERR_STAR_NAME'), 5)
    assert.deepEqual(stage.star.server.peers(), [])
  })

  it('tells a client that dials it by an address', async () => {
    const stage = await open({ names: ['star.example'] })
    await assert.rejects(connect(stage.star.address), { name: 'StarError', code: 'ERR_STAR_NAME' })
  })
})

describe("a star that passes another star's challenge on to its own client", () => {
  const open = stages()
  const startEvil = evilStars()

  /** A star that answers each join with what `act` makes of it; returns its address. */
  function relaying (act: (proof: unknown) => Promise<unknown[]>): string {
    return startEvil(socket => {
      socket.on(Event.Join, (_address: string, proof: unknown, ack: (...args: unknown[]) => void) => {
        void act(proof).then(reply => { ack(...reply) })
      })
    })
  }

  for (const [claim, code] of [['the name of that star', 'ERR_SIGNATURE'], ['its own name', 'ERR_STAR_NAME']] as const) {
    it(`gets nothing by it when it claims ${claim}`, async () => {
      const stage = await open({ names: ['star.example'] })
      const accomplice = await stage.connect('star')
      const privateKey = await generateKeyPair('Ed25519')
      const { id } = await makeIdentity(privateKey)
      const replies: unknown[] = []
      const address = relaying(async proof => {
        const asked = { ...proof as object, ...(claim === 'its own name' ? {} : { origin: 'wss://star.example:443' }) }
        const reply = await accomplice.ask(Event.Join, accomplice.spell(id), 'signature' in asked ? proof : asked)
        replies.push(reply[0])
        return reply
      })
      await assert.rejects(connect(address, { privateKey, timeout: 2_000 }), { code })
      assert.equal((replies.at(-1) as StarError).code, code)
      assert.deepEqual(stage.star.server.peers(), [])
    })
  }

  it('gets no signature at all for the challenge of an original client', async () => {
    const stage = await open()
    const accomplice = await stage.connect('original')
    const privateKey = await generateKeyPair('Ed25519')
    const identity = await makeIdentity(privateKey)
    const proofs: unknown[] = []
    const address = relaying(async proof => {
      proofs.push(proof)
      return await accomplice.introduce(identity)
    })
    await assert.rejects(within('the victim to give up', connect(address, { privateKey })), { code: 'ERR_PROTOCOL' })
    assert.ok(proofs.every(proof => !('signature' in (proof as object))))
  })
})
