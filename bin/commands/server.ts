// `libp2p-star server`: the star server, with the original's flags and environment variables and a flag for every other option.
import { Option } from 'commander'
import { CONTACT_PORT } from '../../src/contact/wire.ts'
import { defaults } from '../../server/options.ts'
import { Exit, Failure, codeOf } from '../failure.ts'
import { jsonOption, parseBytes, wholeNumber, withHelp } from '../options.ts'
import { aborted, run } from '../run.ts'
import type { Command } from 'commander'
import type { ServerOptions, StarServer } from '../../server/index.ts'

/** The original's options. */
interface OriginalFlags {
  readonly host: string
  readonly port: number
  readonly key?: string
  readonly cert?: string
  readonly pfx?: string
  readonly passphrase?: string
  readonly disableCryptoChallenge?: boolean
  readonly disableStrictMultiaddr?: boolean
  readonly disableMetrics?: boolean
}

/** Our own options that are numbers; their flags are their names in kebab case. */
type Options = typeof defaults
type Numbers = Exclude<{ [K in keyof Options]: Options[K] extends number ? K : never }[keyof Options], 'port'>

const NUMBERS: Record<Numbers, readonly [value: string, description: string]> = {
  maxPeers: ['<count>', 'joined addresses in all'],
  maxConnections: ['<count>', 'open sockets in all, joined or not'],
  maxAddressesPerSocket: ['<count>', 'addresses that one socket may have joined at once'],
  connectionsPerSecond: ['<count>', 'new connections a second from one network address; ten times as many in a burst'],
  joinsPerSecond: ['<count>', 'joins a second from one network address; ten times as many in a burst'],
  dialsPerSecond: ['<count>', 'dials a second from one network address; ten times as many in a burst'],
  dialsInFlight: ['<count>', 'dials of one socket that may wait for their answer at once'],
  streamsPerSocket: ['<count>', 'streams that one socket may have open at once'],
  streamsPerPair: ['<count>', 'streams that two sockets may have between them at once'],
  pairBudget: ['<bytes>', 'bytes on the way in each direction of a stream'],
  dialTimeout: ['<ms>', 'that a dialled peer may take to answer'],
  challengeTimeout: ['<ms>', 'in which a challenge may be answered'],
  relayWait: ['<ms>', 'for which a relay path waits for its pair'],
  relayPairs: ['<count>', 'pairs at once in the raw relay'],
  relayPairsPerAddress: ['<count>', 'sockets in the raw relay from one network address'],
  relayBudget: ['<bytes>', 'buffered in each direction of a relay pair'],
  relayBytes: ['<bytes>', 'in all that one relay pair may carry; 0 is no limit'],
  contactRoomTime: ['<ms>', 'for which a room of the contact exchange waits for both of its peers'],
  contactIdle: ['<ms>', 'for which a connection to the contact exchange may say nothing'],
  contactConnections: ['<count>', 'connections to the contact exchange at once'],
  contactConnectionsPerAddress: ['<count>', 'connections to the contact exchange from one network address'],
  contactRooms: ['<count>', 'rooms of the contact exchange at once'],
  contactRoomsPerAddress: ['<count>', 'rooms of the contact exchange made from one network address'],
  contactRequestsPerMinute: ['<count>', 'rooms made, and requests refused, in a minute from one network address'],
  stallTimeout: ['<ms>', 'after which a reader that takes nothing loses its stream or socket'],
  refreshPeerListIntervalMS: ['<ms>', 'between two announcements of a peer to original clients, or of a sample in a large star'],
  announceDelay: ['<ms>', 'for which joins and leaves are gathered before star clients hear of them'],
  announceSample: ['<count>', 'peers that each peer is told of, in a star with more of them'],
  restartDelay: ['<ms>', 'after which clients are asked to come back when this star stops'],
  pingInterval: ['<ms>', 'between two heartbeats'],
  pingTimeout: ['<ms>', 'that a heartbeat may stay unanswered']
}

/** What commander makes of our flags. */
type Flags = OriginalFlags & Partial<Record<Numbers, number>> & {
  readonly name?: string[]
  readonly corsOrigin: string
  readonly trustProxy?: boolean
  /** False when there is to be no contact exchange. */
  readonly contactPort: number | false
  readonly relay: boolean
  readonly openRelay?: boolean
  readonly json?: boolean
}

/** Adds the command. */
export function addServer (program: Command): void {
  const command = program.command('server')
    .summary('run a star')
    .description('Runs a star server: signalling, discovery, the relayed path and the contact exchange.')
    .helpOption('--help', 'show this help') // -h is the host, as in the original
    .optionsGroup('Options:')
    .addOption(new Option('-p, --port <port>', 'TCP port; 0 takes any that is free').env('PORT')
      .default(defaults.port).argParser(wholeNumber(0, 65_535)))
    .addOption(new Option('-h, --host <host>', 'address to listen on; 0.0.0.0 for all').env('HOST').default(defaults.host))
    .addOption(new Option('--contact-port <port>', 'TCP port of the contact exchange; 0 takes any that is free')
      .default(CONTACT_PORT).argParser(wholeNumber(0, 65_535)))
    .option('--no-contact-port', 'no contact exchange')
    .addOption(new Option('--key <file>', 'TLS key, PEM; with --cert').env('KEY'))
    .addOption(new Option('--cert <file>', 'TLS certificate chain, PEM; with --key').env('CERT'))
    .addOption(new Option('--pfx <file>', 'TLS key and certificate, PKCS#12, instead of --key and --cert').env('PFX'))
    .addOption(new Option('--passphrase <text>', 'of --key or --pfx').env('PFX_PASSPHRASE'))
    .addOption(new Option('--disableCryptoChallenge', 'let anybody join under anybody\'s address')
      .env('DISABLE_CRYPTO_CHALLENGE'))
    .addOption(new Option('--disableStrictMultiaddr', 'let any multiaddr join, not only star addresses')
      .env('DISABLE_STRICT_MULTIADDR'))
    .addOption(new Option('--disableMetrics', 'no Prometheus metrics at /metrics').env('DISABLE_METRICS'))
    .addOption(jsonOption())
    .optionsGroup('Names and web:')
    .option('--name <name...>', 'name by which clients may dial this star, or NAME:PORT (default: as in the certificate, or any)')
    .option('--cors-origin <origin>', 'origin of web pages that may connect', defaults.corsOrigin)
    .option('--trust-proxy', 'take the client\'s network address from X-Forwarded-For; only behind a proxy that sets it')
    .option('--no-relay', 'no raw relay at /relay/')
    .option('--open-relay', 'serve relay paths that no joined peer has announced, too')
    .optionsGroup('Limits and times:')
  for (const [name, [value, description]] of Object.entries(NUMBERS)) {
    const fallback = defaults[name as Numbers]
    command.addOption(new Option(`${flagOf(name)} ${value}`, value === '<ms>' ? `milliseconds ${description}` : description)
      .default(fallback).argParser(value === '<bytes>' ? parseBytes : wholeNumber(0)))
  }
  withHelp(command, [
    'libp2p-star server',
    'libp2p-star server --host 0.0.0.0 --port 443 --key key.pem --cert cert.pem',
    'PORT=8080 libp2p-star server --host 0.0.0.0 --name star.example --trust-proxy',
    'libp2p-star server --port 0 --json | jq -r .addresses[0]'
  ], 'Ctrl-C stops the star in good order: its clients are told, and come back when it runs again. That is exit code 0.')
  command.action(async () => { await run(command.opts<Flags>(), async context => { await serve(command, context) }) })
}

async function serve (command: Command, { signal, output }: Parameters<Parameters<typeof run>[1]>[0]): Promise<void> {
  const flags = command.opts<Flags>()
  const options = serverOptions(command)
  const { startStar } = await import('../../server/index.ts')
  const isContactPortGiven = command.getOptionValueSource('contactPort') !== 'default'
  const server = await startStar(options).catch(async (error: unknown) => {
    if (isContactPortGiven || codeOf(error) !== 'EADDRINUSE' || portOf(error) !== options.contactPort) {
      throw error
    }
    const { contactPort, ...rest } = options
    output.note(`warning: port ${contactPort} is taken, so there is no contact exchange: choose another with --contact-port`)
    return await startStar(rest)
  }).catch((error: unknown) => { throw cannotStart(error, options) })
  const { url, port, contactPort, addresses } = server
  output.tell('listening', { url, port, contactPort, addresses, page: `${url}/` }, welcome(server, options))
  if (options.cryptoChallenge === false) {
    output.note('warning: without the challenge anybody can take anybody\'s address')
  }
  if (flags.host !== defaults.host && addresses.every(address => address.includes('/ws/'))) {
    output.note('hint: browsers on https pages reach a star by TLS only: --key and --cert, or a proxy with TLS before it')
  }
  await aborted(signal)
  await server.close()
  output.tell('stopped', {}, 'Star stopped')
}

function welcome ({ url, contactPort, addresses }: StarServer, { host }: ServerOptions): string {
  const listen = addresses.map(address => `'${address}'`).join(', ')
  return [
    `Listening on: ${url}`,
    ...addresses.map(address => `Address:      ${address}`),
    `Page:         ${url}/`,
    ...contactPort == null ? [] : [`Contacts:     ${host}, port ${contactPort}`],
    '',
    'In a libp2p node, with `const s = star()` from \'libp2p-star\':',
    `  addresses: { listen: [${listen}] }, transports: [s.transport], peerDiscovery: [s.discovery]`,
    '',
    'Ctrl-C stops it.'
  ].join('\n')
}

/** The server's options as the flags and the environment give them. */
function serverOptions (command: Command): ServerOptions {
  const { host, port, contactPort, key, cert, pfx, passphrase, name, corsOrigin, ...rest } = command.opts<Flags>()
  const disabled = (flag: 'disableCryptoChallenge' | 'disableStrictMultiaddr' | 'disableMetrics'): boolean => {
    const option = command.options.find(one => one.attributeName() === flag)
    // commander takes any value of a variable for yes
    return rest[flag] === true && !(command.getOptionValueSource(flag) === 'env' && isNo(process.env[option?.envVar ?? '']))
  }
  const numbers = Object.keys(NUMBERS).map(number => [number, command.getOptionValue(attributeOf(number)) as number])
  const given = Object.entries({ key, cert, pfx, passphrase, names: name }).filter(([, value]) => value != null)
  return {
    host,
    port,
    ...contactPort === false ? {} : { contactPort },
    corsOrigin,
    trustProxy: rest.trustProxy === true,
    relay: rest.relay,
    openRelay: rest.openRelay === true,
    cryptoChallenge: !disabled('disableCryptoChallenge'),
    strictMultiaddr: !disabled('disableStrictMultiaddr'),
    metrics: !disabled('disableMetrics'),
    ...Object.fromEntries([...numbers, ...given])
  }
}

function isNo (value: string | undefined): boolean {
  return value == null || /^(|0|no|off|false)$/i.test(value)
}

function flagOf (name: string): string {
  return `--${name.replace(/MS$/, '').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

function attributeOf (name: string): string {
  return name.replace(/MS$/, '')
}

/** The port that a system's error is about. */
function portOf (error: unknown): unknown {
  return error instanceof Error && 'port' in error ? error.port : undefined
}

function cannotStart (error: unknown, { host = '', port = 0, contactPort }: ServerOptions): Failure {
  const code = codeOf(error)
  const said = error instanceof Error ? error.message : String(error)
  const [message = said, advice] = portOf(error) === contactPort && contactPort !== port && code === 'EADDRINUSE'
    ? [`port ${contactPort} of ${host} is taken`, 'choose another port for contacts: --contact-port 0 takes any that is free']
    : whyNot(code, host, port)
  return new Failure(code, `cannot start: ${message}`, { exit: Exit.usage, cause: error, advice })
}

/** What the system's codes mean here, and what to do about it. */
function whyNot (code: string, host: string, port: number): [message: string | undefined, advice: string] {
  switch (code) {
    case 'EADDRINUSE':
      return [`port ${port} of ${host} is taken`, 'stop what listens there, or choose another: --port 0 takes any that is free']
    case 'EACCES':
      return [undefined, 'ports below 1024 and other people\'s files need rights: choose another --port, or check the files']
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [`this machine has no address ${host}`, 'choose one that it has with --host; 0.0.0.0 is all of them']
    case 'ENOENT':
      return [undefined, 'check the paths after --key, --cert and --pfx']
    default:
      return [undefined, /^ERR_(OSSL|CRYPTO|TLS)/.test(code)
        ? 'do --key, --cert, --pfx and --passphrase belong together?'
        : 'see libp2p-star server --help']
  }
}
