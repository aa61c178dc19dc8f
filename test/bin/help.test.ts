// What the command line says about itself, and to those who use it wrongly.
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { defaults } from '../../server/index.ts'
import { cleanUp, cli } from './cli.ts'

describe('help', function () {
  this.timeout(60_000)
  afterEach(cleanUp)

  for (const command of ['server', 'peers', 'listen', 'ping', 'send', 'receive', 'rendezvous offer', 'rendezvous join', 'demo']) {
    it(`of ${command} shows examples and exit codes`, async () => {
      const { code, stdout, stderr } = await cli([...command.split(' '), '--help'])
      equal(code, 0)
      equal(stderr, '')
      match(stdout, new RegExp(`Usage: libp2p-star ${command} `))
      match(stdout, new RegExp(`Examples:\n  \\$ .*libp2p-star ${command}`))
      match(stdout, /Exit codes:\n {2}0 /)
      match(stdout, /--json/)
    })
  }

  it('lists the commands and shows how to begin', async () => {
    const { code, stdout } = await cli(['--help'])
    equal(code, 0)
    match(stdout, /server .*peers .*listen .*ping .*send .*receive .*rendezvous .*demo/s)
    match(stdout, /Examples:\n {2}\$ libp2p-star server/)
    ok(!stdout.includes('demo-node'))
  })

  it('of server names the flags and variables of the original server', async () => {
    const stdout = (await cli(['server', '--help'])).stdout.replace(/\s+/g, ' ')
    const flags = [
      ['-p, --port', 'PORT'], ['-h, --host', 'HOST'], ['--key', 'KEY'], ['--cert', 'CERT'], ['--pfx', 'PFX'],
      ['--passphrase', 'PFX_PASSPHRASE'], ['--disableCryptoChallenge', 'DISABLE_CRYPTO_CHALLENGE'],
      ['--disableStrictMultiaddr', 'DISABLE_STRICT_MULTIADDR'], ['--disableMetrics', 'DISABLE_METRICS']
    ]
    for (const [flag, variable] of flags) {
      match(stdout, new RegExp(` ${flag} [^(]*\\([^(]*env: ${variable}\\)`))
    }
    match(stdout, / -p, --port <port> [^(]*\(default: 9090, /)
  })

  it('of server has a flag for every option, with its default', async () => {
    const stdout = (await cli(['server', '--help'])).stdout.replace(/\s+/g, ' ')
    const { cryptoChallenge, strictMultiaddr, metrics, relay, trustProxy, openRelay, ...valued } = defaults
    deepEqual([cryptoChallenge, strictMultiaddr, metrics, relay, trustProxy, openRelay], [true, true, true, true, false, false])
    for (const [name, value] of Object.entries(valued)) {
      const flag = `--${name.replace(/MS$/, '').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
      match(stdout, new RegExp(` ${flag} <[a-z]+> [^<]*\\(default: "?${String(value).replace(/[.*]/g, '\\$&')}"?[,)]`), flag)
    }
    match(stdout, / --contact-port <port> [^<]*\(default: 2311\) --no-contact-port /)
    match(stdout, / --trust-proxy .* --no-relay .* --open-relay .* --max-peers/)
    match(stdout, / --name <name\.\.\.> /)
  })

  it('tells the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
    equal((await cli(['--version'])).stdout, version)
  })
})

describe('wrong usage', function () {
  this.timeout(60_000)
  afterEach(cleanUp)

  it('without a command shows the help', async () => {
    const { code, stdout, stderr } = await cli([])
    deepEqual([code, stdout], [2, ''])
    match(stderr, /Usage: libp2p-star/)
  })

  const wrong: Array<readonly [what: string, args: string[], message: RegExp]> = [
    ['an unknown command', ['pign'], /unknown command 'pign'\n\(Did you mean ping\?\)/],
    ['an unknown option', ['peers', '--onse'], /unknown option '--onse'\n\(Did you mean --once\?\)/],
    ['a missing argument', ['send', 'file'], /missing required argument 'peer'\n\(add --help for help\)/],
    ['a star that is none', ['peers', '--star', 'ws://localhost'], /Write a star address such as \/ip4/],
    ['a peer that is none', ['ping', 'somebody'], /somebody is no peer.*\n {2}write a peer id/],
    ['a port that is none', ['server', '--port', '70000'], /Write a whole number from 0 to 65535/],
    ['an invitation that is none', ['rendezvous', 'join', 'libp2p-star:'], /\[ERR_RENDEZVOUS_INIT\]\n {2}copy the whole URL/],
    ['a size that is none', ['receive', '--max-size', 'much'], /Write bytes, such as 1500, 100MB/]
  ]
  for (const [what, args, message] of wrong) {
    it(`refuses ${what} with exit code 2 and says what to do`, async () => {
      const { code, stdout, stderr } = await cli(args)
      deepEqual([code, stdout], [2, ''])
      match(stderr, message)
      ok(!stderr.includes('    at '), 'no stack')
    })
  }

  it('is told in JSON to machines', async () => {
    const { code, stderr, events } = await cli(['ping', '--json'])
    deepEqual([code, stderr], [2, ''])
    deepEqual(events, [
      { event: 'error', code: 'ERR_USAGE', message: "missing required argument 'peer'", advice: 'add --help for help', exit: 2 }
    ])
  })

  it('shows stacks when DEBUG is set', async () => {
    match((await cli(['ping', 'somebody'], { DEBUG: 'nothing' })).stderr, /\n {4}at /)
  })
})
