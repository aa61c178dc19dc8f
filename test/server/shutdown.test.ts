// The end of a star: clients are told when to come back and do, nobody can hold it up, and nothing is left running.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from '../../client/index.ts'
import { Event } from '../../src/star/protocol.ts'
import { nextEvent, until } from '../support/nodes.ts'
import { GENERATIONS, makeIdentity, openStream, stages } from '../support/raw.ts'
import { within } from '../support/waiting.ts'

describe('shutdown', () => {
  const open = stages()

  it('tells star clients when to come back, and original clients nothing that they do not know', async () => {
    const stage = await open({ restartDelay: 1_234 })
    const [star, original] = [await stage.join('star'), await stage.join('original')]
    await stage.star.stop()
    assert.deepEqual(await star.hears(Event.Restarting), [{ reconnectIn: 1_234 }])
    await original.gone()
    assert.deepEqual(original.heard.filter(({ name }) => name !== Event.Peer), [])
  })

  for (const generation of GENERATIONS) {
    it(`closes the sockets of ${generation} clients so that they come back by themselves`, async () => {
      const stage = await open()
      const [joined, idle] = [await stage.join(generation), await stage.connect(generation)]
      await stage.star.stop()
      // after `io server disconnect` socket.io's clients stay away for good
      assert.deepEqual([await joined.gone(), await idle.gone()], ['transport close', 'transport close'])
    })
  }

  it('is survived by clients, who are joined again after the restart and can be dialled', async () => {
    const { star } = await open()
    const clients = await Promise.all([1, 2, 3].map(async () => await connect(star.address, { retryMin: 10 })))
    const down = clients.map(async client => await nextEvent<CustomEvent>(client, 'down', ({ detail }) =>
      (detail as { code: string }).code === 'ERR_STAR_LOST'))
    const back = clients.map(async client => await nextEvent(client, 'joined'))
    await star.restart()
    await Promise.all(down)
    await Promise.all(back)
    assert.equal(star.server.peers().length, 3)
    const [one, two] = clients
    assert.ok(one != null && two != null)
    await one.dial(two.id)
    await Promise.all(clients.map(async client => { await client.close() }))
  })

  it('happens once, however often it is asked for', async () => {
    const { star } = await open()
    await star.server.close()
    await Promise.all([star.server.close(), star.server.close()])
    await star.server.close()
    await assert.rejects(fetch(star.server.url))
  })

  it('ends idle HTTP connections', async () => {
    const { star } = await open()
    assert.equal((await fetch(star.server.url, { headers: { connection: 'keep-alive' } })).status, 200)
    await within('the star to close', star.server.close())
  })

  it('is not held up by a client that sleeps', async () => {
    const stage = await open()
    for (const generation of GENERATIONS) {
      const client = await stage.join(generation)
      client.webSocket.pause()
    }
    await within('the star to close', stage.star.server.close())
  })

  it('is not held up by an original writer that is braked', async () => {
    const stage = await open({ pairBudget: 65_536 })
    const [source, sink] = await openStream(await stage.join('original'), await stage.join('star'))
    sink.granting = false
    await source.send(Array.from({ length: 100 }, () => Buffer.alloc(16_384)))
    await until(async () => await stage.metric('star_bytes_in_flight') >= 32_768)
    await within('the star to close', stage.star.server.close())
  })

  it('comes in between anything without harm', async () => {
    for (let round = 0; round < 5; round++) {
      const stage = await open()
      const [one, other] = [await stage.join('original'), await stage.join('star')]
      const late = await stage.connect('star')
      const identity = await makeIdentity()
      const [, challenge] = await late.introduce(identity)
      const proof = await late.sign(identity, challenge)
      late.tell(Event.Join, late.spell(identity.id), proof, () => undefined)
      one.tell(Event.Dial, one.address, other.address, 'unanswered', () => undefined)
      other.tell(Event.Leave, other.address)
      await stage.star.server.close()
    }
  })

  for (const order of [['clients', 'nodes', 'star'], ['star', 'clients', 'nodes']]) {
    it(`leaves nothing that keeps a process alive when ${order.join(', ')} are closed one after the other`, async () => {
      const script = fileURLToPath(new URL('../support/quitter.js', import.meta.url))
      const child = spawn(process.execPath, ['--enable-source-maps', script, ...order], { stdio: ['ignore', 'pipe', 'pipe'] })
      let output = ''
      for (const pipe of [child.stdout, child.stderr]) {
        pipe.setEncoding('utf8').on('data', text => { output += text })
      }
      try {
        const [code] = await within('the process to end by itself', once(child, 'close'))
        assert.deepEqual([output, code], ['everything is closed\n', 0])
      } catch (error) {
        throw new Error(`it said: ${output}`, { cause: error })
      } finally {
        child.kill('SIGKILL')
      }
    }).timeout(60_000)
  }
})
