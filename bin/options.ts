// The options that several commands have, and how values are read.
import { InvalidArgumentError, Option } from 'commander'
import { parseStarAddress } from '../src/address.ts'
import { EXIT_CODES } from './failure.ts'
import type { Command } from 'commander'

/** Where a star started with `libp2p-star server` listens. */
const DEFAULT_STAR = '/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star'

/** What every command that joins a star can be told. */
export interface ClientOptions {
  /** The star's address, without a peer id. */
  readonly star: string
  readonly identity?: string
  readonly secret?: string
  readonly direct?: 'off' | 'prefer' | 'require'
  readonly directLoopback?: boolean
  readonly directPort?: number
  readonly json?: boolean
}

/** Adds `--star` and `--json`. */
export function withStar (command: Command): Command {
  return command
    .addOption(new Option('-s, --star <address>', 'the star').env('STAR').default(DEFAULT_STAR).argParser(parseStar))
    .addOption(jsonOption())
}

/** Adds `--star`, `--identity`, `--secret`, `--json`, and what says how to get past the star. */
export function withNode (command: Command): Command {
  return withStar(command)
    .option('--identity <file>', 'file for the key of the peer id; made if it does not exist (default: a new peer id each time)')
    .addOption(new Option('--secret <text>', 'the secret of a private star').env('STAR_SECRET'))
    .addOption(new Option('--direct <how>', 'whether connections move past the star').choices(['off', 'prefer', 'require'])
      .default('prefer'))
    .option('--direct-loopback', 'also by addresses that only this device can reach')
    .option('--direct-port <port>', 'the TCP port where others may come; 0 takes any', wholeNumber(0, 65_535), 0)
}

/** `--json`. */
export function jsonOption (): Option {
  return new Option('--json', 'one JSON object a line on stdout, for machines')
}

/** Ends a command's help: examples, a paragraph or two where there is more to say, and the exit codes. */
export function withHelp (command: Command, examples: readonly string[], more?: string): Command {
  const lines = examples.map(example => `  $ ${example}`)
  return command.addHelpText('after', `${more == null ? '' : `\n${more}\n`}\nExamples:\n${lines.join('\n')}\n${EXIT_CODES}`)
}

/** Reads a star address; one with a peer id stands for the star it is on. */
function parseStar (text: string): string {
  const parsed = parseStarAddress(text)
  if (parsed == null) {
    throw new InvalidArgumentError(`Write a star address such as ${DEFAULT_STAR}`)
  }
  return parsed.star
}

/** Reads whole numbers from `least` on. */
export function wholeNumber (least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (!(value >= least && value <= most)) {
      throw new InvalidArgumentError(`Write a whole number ${range}.`)
    }
    return value
  }
}

/** Reads seconds, with a decimal point or without, as milliseconds. */
export function seconds (text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : NaN
  if (!(value <= 86_400_000)) {
    throw new InvalidArgumentError('Write seconds, such as 0.5, and at most a day of them.')
  }
  return value
}

const UNITS: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 }

/** Reads a number of bytes: `1500`, `100MB`, `1.5 GB`, `64KiB`. */
export function parseBytes (text: string): number {
  const [, digits, unit = '', binary] = /^(\d+(?:\.\d+)?) ?(?:([kmgt])(i)?b?|b)?$/i.exec(text) ?? []
  const decimal = UNITS[unit.toLowerCase()] ?? 1
  const value = Math.floor(Number(digits) * (binary == null ? decimal : 1024 ** (Math.log10(decimal) / 3)))
  if (!Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Write bytes, such as 1500, 100MB or 2GiB.')
  }
  return value
}

/** Writes a number of bytes for people. */
export function formatBytes (bytes: number): string {
  const [unit, factor] = bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : bytes >= 1e3 ? ['kB', 1e3] : ['bytes', 1]
  return `${factor === 1 ? bytes : (bytes / factor).toFixed(1)} ${unit}`
}

/** Writes how fast so many bytes went. */
export function speed (bytes: number, seconds: number): string {
  return `${formatBytes(bytes)} in ${seconds.toFixed(1)} s, ${formatBytes(Math.round(bytes / Math.max(seconds, 0.001)))}/s`
}
