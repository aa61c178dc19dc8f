// `libp2p-star peers` and `libp2p-star listen`: who is seen, by whom, and when.
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect } from '../../client/index.ts'
import { startStar } from '../../server/index.ts'
import { until } from '../support/nodes.ts'
import { quickly } from '../support/waiting.ts'
import { Cli, cleanUp, cli, temporary } from './cli.ts'
import type { AddressInfo } from 'node:net'
import type { StarServer } from '../../server/index.ts'
import type { JsonEvent } from './cli.ts'

const NOWHERE = '/ip4/127.0.0.1/tcp/1/ws/p2p-websocket-star'

describe('on a star', function () {
  this.timeout(60_000)
  let star: StarServer
  let address: string

  beforeEach(async () => {
    star = await startStar({ port: 0, announceDelay: 10, restartDelay: 10 })
    address = star.addresses[0] ?? ''
  })

  afterEach(async () => {
    await cleanUp()
    await star.close()
  })

  describe('libp2p-star peers', () => {
    it('lists who is there, then who comes and goes, until it is interrupted', async () => {
      const first = await connect(address)
      const peers = new Cli(['peers', '--star', address])
      await peers.line(new RegExp(`^\\+ ${first.id.toString()}$`))
      const second = await connect(address)
      await peers.line(new RegExp(`^\\+ ${second.id.toString()}$`))
      await first.close()
      await peers.line(new RegExp(`^- ${first.id.toString()}$`))
      const { code, stdout, stderr } = await peers.interrupt()
      deepEqual([code, stderr], [0, ''])
      equal(stdout.split('\n')[0], `1 peer on ${address}`)
      await second.close()
    })

    it('gives machines one object a line, and takes the star from the environment', async () => {
      const peers = new Cli(['peers', '--json'], { STAR: address })
      deepEqual(await peers.event('peers'), { event: 'peers', star: address, peers: [] })
      const client = await connect(address)
      const peer = client.id.toString()
      deepEqual(await peers.event('joined'), { event: 'joined', peer })
      await client.close()
      deepEqual(await peers.event('left'), { event: 'left', peer })
      const { code, events, stderr } = await peers.interrupt()
      deepEqual([code, events.length, stderr], [0, 3, ''])
    })

    it('is not seen, and ends at once when asked to', async () => {
      const client = await connect(address)
      let seen = 0
      client.addEventListener('peer', () => { seen++ })
      const { code, events } = await cli(['peers', '--once', '--json', '--star', `${address}/p2p/${client.id.toString()}`])
      equal(code, 0)
      deepEqual(events, [{ event: 'peers', star: address, peers: [client.id.toString()] }])
      equal(seen, 0)
      await client.close()
    })

    it('comes back with the star, and knows then who has gone', async () => {
      const client = await connect(address)
      const peers = new Cli(['peers', '--json', '--star', address])
      await peers.event('peers')
      const { port } = star
      await star.close()
      await peers.event('down')
      await client.close()
      star = await startStar({ port, announceDelay: 10 })
      await peers.event('back')
      await peers.event('left', { peer: client.id.toString() })
      equal((await peers.interrupt()).code, 0)
    })

    it('says what to do when there is no star, with exit code 3', async () => {
      const { code, stdout, stderr } = await cli(['peers', '--star', NOWHERE])
      deepEqual([code, stdout], [3, ''])
      match(stderr, /^error: the star cannot be reached.*\[ERR_STAR_UNREACHABLE\]\n {2}start one with `libp2p-star server`/)
    })
  })

  describe('libp2p-star listen', () => {
    it('joins as a libp2p node, discovers others, and leaves when it is interrupted', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const told = await listen.event('listening')
      deepEqual(star.peers(), [told['address']])
      const client = await connect(address)
      await listen.event('discovered', { peer: client.id.toString() })
      equal((await listen.interrupt()).code, 0)
      await until(() => star.peers().length < 2)
      deepEqual(star.peers(), [client.address])
      await client.close()
    })

    it('keeps its peer id in a file that only its owner can read', async () => {
      const identity = join(await temporary(), 'me.key')
      const addresses = []
      for (let turn = 0; turn < 2; turn++) {
        const listen = new Cli(['listen', '--star', address, '--identity', identity])
        addresses.push((await listen.line(/^Listening as /)).slice('Listening as '.length))
        equal((await listen.interrupt()).code, 0)
      }
      ok(addresses[0]?.startsWith(`${address}/p2p/12D3KooW`))
      equal(addresses[0], addresses[1])
      equal((await stat(identity)).mode & 0o777, 0o600)
      equal((await readFile(identity)).byteLength, 68)
    })

    it('refuses an identity file with something else in it, and leaves it alone', async () => {
      const identity = join(await temporary(), 'notes.txt')
      await writeFile(identity, 'something else')
      const { code, stderr } = await cli(['listen', '--star', address, '--identity', identity])
      equal(code, 2)
      match(stderr, /notes\.txt holds no libp2p private key \[ERR_IDENTITY\]\n {2}name a file that does/)
      equal(await readFile(identity, 'utf8'), 'something else')
    })

    it('says what to do when there is no star, with exit code 3', async () => {
      const { code, stderr, events } = await cli(['listen', '--json', '--star', NOWHERE])
      deepEqual([code, stderr], [3, ''])
      deepEqual(events.map(event => event['code']), ['ERR_STAR_UNREACHABLE'])
    })
  })

  describe('that does not answer', () => {
    for (const args of [['peers'], ['listen'], ['receive'], ['ping', '12D3KooWFzJbaMjBMJ2QjPZcrfNNGErJQuvka3CsWQeoZ5t1pn3H']]) {
      it(`${args.join(' ')} ends at once when it is interrupted`, async () => {
        const silent = createServer().listen(0, '127.0.0.1')
        try {
          await once(silent, 'listening')
          const { port } = silent.address() as AddressInfo
          await quickly('the end, which is to come before it is ended by force,', 2_500, async () => {
            const command = new Cli([...args, '--json', '--star', `/ip4/127.0.0.1/tcp/${port}/ws/p2p-websocket-star`])
            await once(silent, 'connection')
            const start = performance.now()
            const { code, events } = await command.interrupt()
            deepEqual([code, events.map(event => event['code'])], [130, ['ERR_INTERRUPTED']])
            return performance.now() - start
          })
        } finally {
          silent.close()
        }
      })
    }
  })

  describe('libp2p-star ping', () => {
    it('tells times and a summary', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { peer } = await listen.event('listening')
      const { code, stdout, stderr } = await cli(['ping', '-c', '3', '-i', '0', '--star', address, String(peer)])
      deepEqual([code, stderr], [0, ''])
      const lines = stdout.split('\n').filter(line => !line.startsWith('path ')) // it may have moved
      equal(lines[0], `PING ${String(peer)} through ${address}`)
      deepEqual(lines.slice(1, 4).map(line => /: seq=(\d) time=\d+\.\d\d ms$/.exec(line)?.[1]), ['1', '2', '3'])
      equal(lines.at(-2), '3 sent, 3 received, 0% loss')
      match(lines.at(-1) ?? '', /^rtt min\/avg\/max\/mdev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms$/)
      await listen.event('connected')
      await listen.event('disconnected')
    })

    it('gives machines numbers, and takes a full address', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { address: peer } = await listen.event('listening')
      const { code, events } = await cli(['ping', '--json', '-c', '2', '-i', '0', '--star', NOWHERE, String(peer)])
      equal(code, 0)
      const names = events.map(({ event }) => event).filter(name => name !== 'path') // it may have moved
      deepEqual(names, ['connected', 'pong', 'pong', 'summary'])
      const { sent, received, min, avg, max } = events.at(-1) as JsonEvent & Record<string, number>
      deepEqual([sent, received], [2, 2])
      ok(min != null && avg != null && max != null && min > 0 && min <= avg && avg <= max)
    })

    it('ends with 130 and a summary when it is interrupted, and with 0 when it was to go on for ever', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { peer } = await listen.event('listening')
      for (const [count, expected] of [['100', 130], ['0', 0]] as const) {
        const ping = new Cli(['ping', '--json', '-c', count, '-i', '60', '--star', address, String(peer)])
        await ping.event('pong')
        const { code, events } = await ping.interrupt()
        equal(code, expected)
        equal(events.find(({ event }) => event === 'summary')?.['received'], 1)
      }
    })

    it('counts what is not answered any more', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { peer } = await listen.event('listening')
      const ping = new Cli(['ping', '--json', '-c', '0', '-i', '0.1', '--direct', 'off', '--star', address, String(peer)])
      await ping.event('pong')
      await listen.interrupt()
      await ping.event('lost', { code: 'ERR_PEER_NOT_FOUND' })
      await ping.event('path', { from: 'relay', to: 'none' })
      equal((await ping.interrupt()).code, 0)
    })

    it('goes on over a star that was away', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { peer } = await listen.event('listening')
      const ping = new Cli(['ping', '--json', '-c', '0', '-i', '0.1', '--star', address, String(peer)])
      await ping.event('pong')
      const { port } = star
      await star.close()
      star = await startStar({ port, announceDelay: 10 })
      await listen.event('back')
      await ping.event('pong', { seq: 20 })
      const { code, events } = await ping.interrupt()
      deepEqual([code, events.filter(({ event }) => event === 'lost')], [0, []])
    })

    it('tells of each change of the path as it happens', async () => {
      const listen = new Cli(['listen', '--json', '--star', address])
      const { peer } = await listen.event('listening')
      const args = ['ping', '-c', '0', '-i', '0.1', '--direct', 'off', '--star', address, String(peer)]
      const [ping, machine] = [new Cli(args), new Cli([...args, '--json'])]
      await Promise.all([ping.line(/: seq=1 /), machine.event('pong')])
      const { port } = star
      await star.close()
      await Promise.all([
        ping.line(/^path relay → none \(the connection to the star was lost.*\)$/),
        machine.event('path', { from: 'relay', to: 'none', code: 'ERR_STAR_LOST' })
      ])
      star = await startStar({ port, announceDelay: 10 })
      const via = `ws://127.0.0.1:${port}`
      await Promise.all([
        ping.line(new RegExp(`^path none → relay via ${via}$`)),
        machine.event('path', { from: 'none', to: 'relay', via })
      ])
      const [{ code, stdout }, { events }] = await Promise.all([ping.interrupt(), machine.interrupt()])
      deepEqual([code, stdout.split('\n').filter(line => line.startsWith('path ')).length], [0, 2])
      deepEqual(events[0]?.['path'], { kind: 'relay', via })
    })

    it('shows how the connection moves past the star', async () => {
      const listen = new Cli(['listen', '--json', '--direct-loopback', '--star', address])
      const { peer } = await listen.event('listening')
      const ping = new Cli(['ping', '-c', '0', '-i', '0.1', '--direct-loopback', '--star', address, String(peer)])
      await ping.line(/^path relay(-ws)? → tcp via [\d.:[\]a-f]+:\d+$/)
      equal((await ping.interrupt()).code, 0)
    })

    it('reaches a peer on a private star with the secret alone', async () => {
      const secret = 'a secret of some length'
      const listen = new Cli(['listen', '--json', '--star', address], { STAR_SECRET: secret })
      const { peer } = await listen.event('listening')
      const right = await cli(['ping', '--json', '-c', '1', '--star', address, '--secret', secret, String(peer)])
      deepEqual([right.code, right.events.at(-1)?.['received']], [0, 1])
      for (const wrong of [[], ['--secret', 'another of some length']]) {
        const { code, events } = await cli(['ping', '--json', '-c', '1', '--star', address, ...wrong, String(peer)])
        deepEqual([code, events.at(-1)?.['code']], [1, 'ERR_LINK_SECRET'])
      }
    })

    it('refuses to ping itself', async () => {
      const identity = join(await temporary(), 'key')
      const listen = new Cli(['listen', '--json', '--star', address, '--identity', identity])
      const { peer } = await listen.event('listening')
      const { code, events } = await cli(['ping', '--json', '--star', address, '--identity', identity, String(peer)])
      deepEqual([code, events.at(-1)?.['code']], [2, 'ERR_DIAL_SELF'])
    })

    it('says who is missing, with exit code 3', async () => {
      const { code, stderr } = await cli(['ping', '--star', address, '12D3KooWFzJbaMjBMJ2QjPZcrfNNGErJQuvka3CsWQeoZ5t1pn3H'])
      equal(code, 3)
      match(stderr, /^error: the peer is not on this star \[ERR_PEER_NOT_FOUND\]\n {2}see who is there with `libp2p-star peers`/)
    })
  })
})
