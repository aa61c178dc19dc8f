// `libp2p-star server`: what it prints, how it is told, how it ends.
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { io } from 'socket.io-client'
import { exchangeContacts } from '../../client/contact.ts'
import { connect } from '../../client/index.ts'
import { CONTACT_PORT } from '../../src/contact/wire.ts'
import { Cli, cleanUp, cli } from './cli.ts'
import type { AddressInfo } from 'node:net'
import type { JsonEvent } from './cli.ts'

interface Listening extends JsonEvent {
  readonly url: string
  readonly port: number
  readonly addresses: readonly [string]
}

describe('libp2p-star server', function () {
  this.timeout(60_000)
  afterEach(cleanUp)

  /** A star beside which others may run on this machine. */
  function serve (args: readonly string[], env?: Record<string, string>): Cli {
    return new Cli(['server', '--contact-port', '0', ...args], env)
  }

  async function start (args: readonly string[], env?: Record<string, string>): Promise<{ server: Cli, told: Listening }> {
    const server = serve(['--json', ...args], env)
    return { server, told: await server.event('listening') as Listening }
  }

  it('prints first where it listens, then its address, its page and what to write into a libp2p node', async () => {
    const server = serve(['--port', '0'])
    await server.line(/Ctrl-C/)
    const { code, stdout, stderr } = await server.interrupt()
    deepEqual([code, stderr], [0, ''])
    const [first = '', ...rest] = stdout.split('\n')
    const port = /^Listening on: http:\/\/127\.0\.0\.1:(\d+)$/.exec(first)?.[1]
    ok(port != null && port !== '0', first)
    const address = `/ip4/127.0.0.1/tcp/${port}/ws/p2p-websocket-star`
    ok(rest.includes(`Address:      ${address}`))
    ok(rest.includes(`Page:         http://127.0.0.1:${port}/`))
    ok(rest.some(line => /^Contacts: {5}127\.0\.0\.1, port [1-9]\d*$/.test(line)), stdout)
    ok(rest.includes(`  addresses: { listen: ['${address}'] }, transports: [s.transport], peerDiscovery: [s.discovery]`))
    equal(rest.at(-1), 'Star stopped')
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`ends with exit code 0 at ${signal}, with a peer on it`, async () => {
      const { server, told } = await start(['--port', '0'])
      const client = await connect(told.addresses[0], { retryMin: 60_000, retryMax: 60_000 })
      const down = once(client, 'down')
      server.kill(signal)
      const { code, events } = await server.ended
      equal(code, 0)
      deepEqual(events.map(({ event }) => event), ['listening', 'stopped'])
      await down
      await client.close()
    })
  }

  it('takes the original\'s short flags', async () => {
    const { told: { url, port } } = await start(['-p', '0', '-h', '127.0.0.1'])
    equal(url, `http://127.0.0.1:${port}`)
    equal((await fetch(`${url}/metrics`)).status, 200)
  })

  it('takes the original\'s variables, and a flag over a variable', async () => {
    const variables = { PORT: '0', HOST: 'nowhere.invalid', DISABLE_METRICS: 'true' }
    const { told: { url } } = await start(['--host', '127.0.0.1'], variables)
    match(url, /^http:\/\/127\.0\.0\.1:/)
    equal((await fetch(`${url}/metrics`)).status, 404)
  })

  it('takes a variable that says no, or nothing, for no', async () => {
    const { told: { url } } = await start(['--port', '0'], { DISABLE_METRICS: '0', HOST: '', DISABLE_CRYPTO_CHALLENGE: 'false' })
    equal((await fetch(`${url}/metrics`)).status, 200)
  })

  for (const [how, args, env] of [
    ['flags', ['--disableCryptoChallenge', '--disableStrictMultiaddr'], {}],
    ['variables', [], { DISABLE_CRYPTO_CHALLENGE: '1', DISABLE_STRICT_MULTIADDR: '1' }]
  ] as const) {
    it(`lets anybody join under any address when ${how} say so, and warns`, async () => {
      const server = serve(['--port', '0', ...args], env)
      const url = (await server.line(/^Listening on: /)).slice('Listening on: '.length)
      const socket = io(url, { transports: ['websocket'] })
      try {
        const [error] = await socket.timeout(20_000).emitWithAck('ss-join', '/ip4/127.0.0.1', '').then(
          (answer: unknown) => [answer], (problem: unknown) => [problem])
        equal(error, null)
      } finally {
        socket.disconnect()
      }
      match((await server.interrupt()).stderr, /warning: without the challenge/)
    })
  }

  it('keeps the limits that it is given', async () => {
    const { told } = await start(['--port', '0', '--max-peers', '1', '--name', 'star.example', '--name', '127.0.0.1'])
    const client = await connect(told.addresses[0])
    await rejects(connect(told.addresses[0]), { code: 'ERR_TOO_MANY_PEERS' })
    await client.close()
  })

  it('refuses peers that dialled another name than its own', async () => {
    const { told } = await start(['--port', '0', '--name', 'star.example'])
    await rejects(connect(told.addresses[0]), { code: 'ERR_STAR_NAME' })
  })

  it('tells the port of its contact exchange, and has none when it is told so', async () => {
    const { told } = await start(['--port', '0'])
    const peers = { server: `127.0.0.1:${told['contactPort'] as number}`, tls: false, room: 'r' }
    await rejects(exchangeContacts({ ...peers, creator: false }), { code: 'ERR_NO_ROOM' })
    const { told: without } = await start(['--port', '0', '--no-contact-port'])
    equal(without['contactPort'], undefined)
  })

  describe('whose contact port is taken', () => {
    it('says so and runs without when it was not asked for that port', async () => {
      // it may be taken already: so much the better
      const other = createServer().on('error', () => {}).listen(CONTACT_PORT, '127.0.0.1')
      const server = new Cli(['server', '--port', '0'])
      try {
        const url = (await server.line(/^Listening on: /)).slice('Listening on: '.length)
        equal((await fetch(url)).status, 200)
        const { code, stdout, stderr } = await server.interrupt()
        equal(code, 0)
        equal(stderr, 'warning: port 2311 is taken, so there is no contact exchange: choose another with --contact-port\n')
        ok(!stdout.includes('Contacts:'))
      } finally {
        other.close()
      }
    })

    it('does not start when it was asked for that port', async () => {
      const other = createServer().listen(0, '127.0.0.1')
      try {
        await once(other, 'listening')
        const { port } = other.address() as AddressInfo
        const { code, stdout, stderr } = await cli(['server', '--port', '0', '--contact-port', String(port)])
        deepEqual([code, stdout], [2, ''])
        equal(stderr, `error: cannot start: port ${port} of 127.0.0.1 is taken [EADDRINUSE]\n` +
          '  choose another port for contacts: --contact-port 0 takes any that is free\n')
      } finally {
        other.close()
      }
    })
  })

  describe('that cannot start', () => {
    it('says so when the port is taken, with advice and exit code 2', async () => {
      const other = createServer().listen(0, '127.0.0.1')
      try {
        await once(other, 'listening')
        const { port } = other.address() as AddressInfo
        const { code, stdout, stderr } = await serve(['--port', String(port)]).ended
        deepEqual([code, stdout], [2, ''])
        equal(stderr, `error: cannot start: port ${port} of 127.0.0.1 is taken [EADDRINUSE]\n` +
          '  stop what listens there, or choose another: --port 0 takes any that is free\n')
      } finally {
        other.close()
      }
    })

    const wrong: Array<readonly [what: string, args: string[], code: string, advice: RegExp]> = [
      ['the machine has no such address', ['--host', '192.0.2.1'], 'EADDRNOTAVAIL', /--host; 0\.0\.0\.0/],
      ['the TLS files are missing', ['--key', 'no.pem', '--cert', 'no.pem'], 'ENOENT', /paths after --key/],
      ['there is a key without a certificate', ['--key', 'key.pem'], 'ERR_OPTIONS', /--help/],
      ['a limit makes no sense', ['--pair-budget', '1'], 'ERR_OPTIONS', /--help/]
    ]
    for (const [what, args, expected, advice] of wrong) {
      it(`says so when ${what}`, async () => {
        const { code, stderr, events } = await serve(['--json', '--port', '0', ...args]).ended
        deepEqual([code, stderr, events.length], [2, '', 1])
        deepEqual([events[0]?.['code'], events[0]?.['exit']], [expected, 2])
        match(String(events[0]?.['advice']), advice)
      })
    }
  })
})
