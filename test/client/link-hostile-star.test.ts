// What a star that means harm can do to the links that go through it: nothing but not carry them.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { encodeFrame } from '../../src/link/frame.ts'
import { decodeMessage, encodeMessage } from '../../src/link/wire.ts'
import { evilRelays } from '../support/evil-relay.ts'
import { Impostor } from '../support/link-raw.ts'
import { Transfer, assertOneLink, linkStage, works } from '../support/links.ts'
import { until } from '../support/nodes.ts'
import type { AuthenticationMessage } from '../../src/link/wire.ts'
import type { EvilStar, Tamper } from '../support/evil-relay.ts'

const MIB = 1_048_576

describe('a star that means harm', () => {
  const stage = linkStage()
  const start = evilRelays()

  it('gets no link when it answers in the place of who is dialled', async () => {
    const evil = await start()
    const a = await stage.node({ listen: [evil.address] })
    const victim = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
    const impostor = new Impostor(victim, await generateKeyPair('Ed25519'))
    let outcomes = 0
    evil.answer = speaker => {
      void impostor.shake(speaker, { decide: () => ({ status: 'ok' }) }).then(() => { outcomes++ })
    }
    await assert.rejects(a.node.dial(multiaddr(`${evil.address}/p2p/${victim}`)), { code: 'ERR_LINK_PROOF' })
    assert.deepEqual([a.links.status(), a.node.getConnections(), a.brief], [[], [], ['attempt ERR_LINK_PROOF']])
    assert.equal(outcomes, 1)
  })

  it('gets no link when it answers with its own name', async () => {
    const evil = await start()
    const a = await stage.node({ listen: [evil.address] })
    const victim = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
    const privateKey = await generateKeyPair('Ed25519')
    const impostor = new Impostor(peerIdFromPrivateKey(privateKey).toString(), privateKey)
    evil.answer = speaker => { void impostor.shake(speaker, { decide: () => ({ status: 'ok' }) }) }
    await assert.rejects(a.node.dial(multiaddr(`${evil.address}/p2p/${victim}`)), { code: 'ERR_LINK_NAME' })
    assert.deepEqual(a.links.status(), [])
  })

  it('in the place of the one where a link was made can neither take it over nor end it', async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    const transfer = await Transfer.start(connection, 20 * MIB)
    await transfer.reaches(5 * MIB)
    const link = BigInt(`0x${a.link(b)?.link ?? ''}`)
    await stage.star.stop()
    const evil = await start(stage.star.server.port)
    const impostor = new Impostor(b.id, await generateKeyPair('Ed25519'))
    const answers = [
      { status: 'alive', link }, { status: 'nok', link: 0n }, { status: 'ok' }, { status: 'nok', link: 9n },
      { status: 'not_allowed' }
    ] as const
    let asked = 0
    evil.answer = speaker => {
      const answer = answers[asked++ % answers.length]
      void impostor.shake(speaker, { decide: () => answer ?? { status: 'ok' } })
    }
    await evil.when('every answer to be given', () => asked >= answers.length)
    assert.deepEqual([a.link(b)?.state, b.link(a)?.state], ['suspended', 'suspended'])
    await evil.close()
    await stage.star.start()
    await transfer.done
    assertOneLink(a, b)
    const told = new Set([...a.brief, ...b.brief].filter(what => what.startsWith('attempt')))
    assert.ok(told.has('attempt ERR_LINK_PROOF'), [...told].join())
  }).timeout(60_000)

  const changes: Record<string, Tamper> = {
    'the window that a name speaks of': said('name', value => ({ ...value, flags: { ...value.flags, window: 1 } })),
    'the capabilities of a name, so that nothing needs to be proved': said('name', value =>
      ({ ...value, flags: { ...value.flags, capabilities: 1, required: 1 } })),
    'the capabilities of a challenge': said('server_challenge', value =>
      ({ ...value, flags: { ...value.flags, capabilities: 1, required: 1 } })),
    'the suite to a weak one': said('name', value => ({ ...value, flags: { ...value.flags, suite: 'md5' } })),
    'the id of the link': said('name', value => ({ ...value, connectionId: value.connectionId ^ 1n })),
    'who was started when': said('server_challenge', value => ({ ...value, incarnation: 3n })),
    'the status': said('server_status', value => ({ ...value, status: 'ok_simultaneous' })),
    'the challenge': said('server_challenge', value => ({ ...value, nonce: new Uint8Array(32) })),
    'the proof of the dialler': said('client_challenge', value => ({ ...value, digest: new Uint8Array(32) })),
    'the signature of the dialler': said('client_challenge', value =>
      ({ ...value, signature: value.signature.map(byte => byte ^ 1) })),
    'the proof of who was dialled': said('server_ack', value => ({ ...value, digest: new Uint8Array(32) })),
    'the key of who was dialled': said('server_ack', value => ({ ...value, publicKey: new Uint8Array() }))
  }
  for (const [what, tamper] of Object.entries(changes)) {
    it(`is found out when it changes ${what}`, async () => {
      const evil = await start()
      const [a, b] = await stage.pair({ listen: [evil.address], handshakeTimeout: 2_000 })
      evil.tamper = tamper
      await assert.rejects(stage.dial(a, b, {}, evil.address), ({ code }: { code: string }) => /^ERR_/.test(code))
      await until(() => [...a.links.status(), ...b.links.status()].length === 0)
      assert.deepEqual([a.connections(b), b.connections(a)], [[], []])
      evil.tamper = bytes => bytes
      await works(await stage.link(a, b, evil.address))
    })
  }

  it('ends a link, and no more, when it changes what is sent over it', async () => {
    const evil = await start()
    const [a, b] = await stage.pair({ listen: [evil.address] })
    const connection = await stage.link(a, b, evil.address)
    let changed = 0
    evil.tamper = bytes => {
      if (bytes.byteLength < 1_000) {
        return bytes
      }
      changed++
      const other = Uint8Array.from(bytes)
      other[500] = (other[500] ?? 0) ^ 1
      return other
    }
    const transfer = await Transfer.start(connection, MIB)
    await assert.rejects(transfer.done)
    assert.ok(changed > 0)
    await Promise.all([a.told('over'), b.told('over')])
  })

  it('cannot use what it has heard again: neither the dial nor the answer', async () => {
    const evil = await start()
    const [a, b] = await stage.pair({ listen: [evil.address], handshakeTimeout: 2_000 })
    const heard: Record<'dialler' | 'dialled', Uint8Array[]> = { dialler: [], dialled: [] }
    evil.tamper = (bytes, dialler) => {
      heard[dialler ? 'dialler' : 'dialled'].push(bytes)
      return bytes
    }
    const connection = await stage.link(a, b, evil.address)
    await connection.close()
    await until(() => a.links.status().length === 0 && b.links.status().length === 0)
    const answers = heard.dialled.splice(0)
    evil.answer = speaker => { answers.forEach(bytes => { speaker.path.send([bytes]) }) }
    await assert.rejects(stage.dial(a, b, {}, evil.address))
    assert.deepEqual(a.links.status(), [])
    await replay(evil, b.id, a.id, heard.dialler)
    await b.told({ what: 'attempt', peer: a.id })
    assert.deepEqual([b.links.status(), b.connections(a)], [[], []])
  })

  /** Dials a peer in the name of another, with what that one once said. */
  async function replay (evil: EvilStar, to: string, from: string, chunks: readonly Uint8Array[]): Promise<void> {
    const socket = evil.peers.get(to)
    assert.ok(socket)
    await new Promise<void>(resolve => {
      socket.emit('ss-incomming', 'again', `${evil.address}/p2p/${from}`, { protocol: 'link/1' }, () => { resolve() })
    })
    for (const chunk of chunks) {
      socket.emit('socket.io-pull-stream.queue.again.dialer', chunk)
    }
  }
})

/** What a message of a type says. */
type Said<Type extends AuthenticationMessage['type']> = (AuthenticationMessage & { type: Type })['value']

function spelled (message: AuthenticationMessage): Uint8Array {
  return encodeFrame({ type: 'handshake', bytes: encodeMessage(message) })
}

/** Changes one message of the handshake, and leaves everything else. */
function said<Type extends AuthenticationMessage['type']> (type: Type, change: (value: Said<Type>) => Said<Type>): Tamper {
  return bytes => {
    let changed = new Uint8Array()
    for (let position = 0; position < bytes.byteLength;) {
      const size = (bytes[position + 1] ?? 0) << 16 | (bytes[position + 2] ?? 0) << 8 | (bytes[position + 3] ?? 0)
      const frame = bytes.subarray(position, position + 4 + size)
      const message = frame[0] === 1 ? decodeMessage(frame.subarray(4)) : undefined
      const other = message?.type === type ? { type, value: change(message.value as Said<Type>) } : undefined
      const passed = other == null ? frame : spelled(other as AuthenticationMessage)
      changed = Uint8Array.from([...changed, ...passed])
      position += frame.byteLength
    }
    return changed
  }
}
