// Runs a command's work: signals end it in good order, errors become sentences and exit codes.
import { constants } from 'node:os'
import { Exit, Failure, explain } from './failure.ts'
import { Output } from './output.ts'

/** What the work of a command is given. */
export interface Context {
  /** Aborted when the command is to end, with an {@link Interruption}. */
  readonly signal: AbortSignal
  readonly output: Output
}

/** The reason of a {@link Context}'s signal: somebody wants the command to end. */
export class Interruption extends Failure {
  constructor (signal: NodeJS.Signals) {
    super('ERR_INTERRUPTED', `ended by ${signal}`, { exit: 128 + constants.signals[signal] })
  }
}

/** Milliseconds that the work may take to clean up after a signal. */
const GRACE = 3_000

/**
 * Runs a command. What it throws becomes a message and the exit code; when it was interrupted, that is why, whatever it
 * throws then. A second signal ends the process at once. `results` says where results go, if not to stdout.
 */
export async function run (
  options: { readonly json?: boolean }, work: (context: Context) => Promise<void>, results?: NodeJS.WritableStream
): Promise<void> {
  const output = new Output(options.json === true, results)
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals): void => {
    const interruption = new Interruption(name)
    if (controller.signal.aborted) {
      process.exit(interruption.exit)
    }
    controller.abort(interruption)
    setTimeout(() => { process.exit(interruption.exit) }, GRACE).unref()
  }
  const onPipe = (error: Error): void => {
    if ('code' in error && error.code === 'EPIPE') {
      // whoever reads what we say has seen enough, as with `| head`
      onSignal('SIGPIPE')
    } else {
      throw error
    }
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  signals.forEach(name => process.on(name, onSignal))
  process.stdout.on('error', onPipe)
  process.on('uncaughtException', error => {
    output.fail(explain(error))
    process.exit(Exit.failed)
  })
  try {
    await work({ signal: controller.signal, output })
  } catch (error) {
    const failure = explain(controller.signal.aborted ? controller.signal.reason : error)
    process.exitCode = failure.exit
    output.fail(failure)
  }
}

/** Resolves when the signal is aborted. */
export async function aborted (signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  }
}

/** What the promise gives, or the reason of the signal if that comes first. */
export async function unlessAborted<T> (promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let onAbort = (): void => {}
  const interrupted = new Promise<never>((resolve, reject) => {
    onAbort = () => { reject(explain(signal.reason)) }
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, interrupted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
