// What went wrong, for people and for machines: a code, a sentence, what to do about it, and the exit code.
import { StarError } from '../src/errors.ts'
import type { Reason } from '../src/errors.ts'

/** The exit codes. A command that a signal ended has 128 and the signal's number: 130 after Ctrl-C. */
export const Exit = { ok: 0, failed: 1, usage: 2, unreachable: 3 } as const

/** The exit codes, as each command's help tells them. */
export const EXIT_CODES = `
Exit codes:
  0    done
  1    failed
  2    wrong usage, or cannot start
  3    the peer was not found, or the star cannot be reached
  130  ended by Ctrl-C before it was done`

/** What a {@link Failure} has beside its code and sentence. */
export interface FailureOptions extends ErrorOptions {
  /** What the user can do. */
  readonly advice?: string | undefined
  /** 1 when there is none. */
  readonly exit?: number
}

/** An error that the user is told of. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: string
  readonly advice: string | undefined
  readonly exit: number

  constructor (code: string, message: string, { advice, exit = Exit.failed, ...options }: FailureOptions = {}) {
    super(message, options)
    this.code = code
    this.advice = advice
    this.exit = exit
  }
}

/** Codes that mean: nothing was begun, since star or peer wasn't there. */
const UNREACHABLE: ReadonlySet<Reason> = new Set<Reason>([
  'ERR_STAR_UNREACHABLE', 'ERR_STAR_TIMEOUT', 'ERR_STAR_TOO_OLD', 'ERR_PEER_NOT_FOUND', 'ERR_DIAL_REFUSED', 'ERR_DIAL_TIMEOUT',
  'ERR_RENDEZVOUS_FAILED'
])

const ADVICE: Partial<Record<Reason, string>> = {
  ERR_STAR_UNREACHABLE: 'start one with `libp2p-star server`, or name another with --star ADDRESS',
  ERR_STAR_TIMEOUT: 'is there a star at that address? name another with --star ADDRESS',
  ERR_PEER_NOT_FOUND: 'see who is there with `libp2p-star peers`; the peer must run `listen` or `receive` on the same star',
  ERR_DIAL_TIMEOUT: 'the peer may be gone without the star knowing yet: try again in half a minute',
  ERR_REPLACED: 'give each process an --identity of its own',
  ERR_RENDEZVOUS_INIT: 'copy the whole URL that `libp2p-star rendezvous offer` prints',
  ERR_RENDEZVOUS_FAILED: 'does the other device still wait, and can this one reach it? each invitation is good for one try',
  ERR_PEER_GONE: 'try again when the peer is back'
}

/** What the system says, and what to do about it. */
const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'check the spelling of the path',
  EACCES: 'check who may read and write there',
  EPERM: 'check who may read and write there',
  EISDIR: 'name a file, not a directory',
  ENOTDIR: 'name a directory, not a file',
  ENOSPC: 'make room on the disk',
  EDQUOT: 'make room on the disk',
  EROFS: 'choose another directory'
}

/** What libp2p says, by the names of its errors. */
const LIBP2P: Readonly<Record<string, readonly [message: string, advice?: string]>> = {
  StreamResetError: ['the other end broke off', 'does it still run? then it said there why'],
  StreamClosedError: ['the other end hung up', 'does it still run?'],
  StreamStateError: ['the other end hung up', 'does it still run?'],
  ConnectionClosedError: ['the connection was lost', 'do star and peer still run?'],
  UnsupportedProtocolError: ['the peer does not speak this protocol'],
  EncryptionFailedError: ['no end-to-end encryption with the peer', 'is it the peer that the address names, with Noise?']
}

/** Finds out what to tell the user about any error. */
export function explain (error: unknown): Failure {
  const known = chain(error).find(one => one instanceof Failure || one instanceof StarError)
  if (known instanceof Failure) {
    return known
  }
  if (known instanceof StarError) {
    return explainStar(known)
  }
  const first = chain(error).at(-1)
  const message = first instanceof Error ? first.message : String(error)
  const code = codeOf(first)
  const [sentence = message, advice = SYSTEM[code]] = first instanceof Error ? LIBP2P[first.name] ?? [] : []
  return new Failure(code, sentence, { cause: error, advice })
}

/** The code of a system's error, or one made of the error's name. */
export function codeOf (error: unknown): string {
  if (error instanceof Error) {
    const code: unknown = 'code' in error ? error.code : undefined
    const words = error.name.replace(/Error$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, '_')
    return typeof code === 'string' ? code : `ERR_${words.toUpperCase()}`
  }
  return 'ERR_UNKNOWN'
}

function explainStar (error: StarError): Failure {
  const usage = error.code === 'ERR_OPTIONS' || error.code === 'ERR_ADDRESS' || error.code === 'ERR_RENDEZVOUS_INIT'
  const exit = usage ? Exit.usage : UNREACHABLE.has(error.code) ? Exit.unreachable : Exit.failed
  const wait = error.retryAfter == null ? undefined : `try again in ${Math.ceil(error.retryAfter / 1000)} s`
  return new Failure(error.code, error.message, { exit, cause: error, advice: ADVICE[error.code] ?? wait })
}

/** An error and what it was made of, outermost first; libp2p wraps what several addresses said into one error. */
function chain (error: unknown): unknown[] {
  const inner: unknown[] = error instanceof AggregateError ? error.errors : []
  const cause = error instanceof Error && error.cause != null ? [error.cause] : []
  return [error, ...[...inner, ...cause].flatMap(chain)]
}
