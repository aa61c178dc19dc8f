// Worker processes of a bench: forked, called over IPC, and gone when the bench ends, however it ends.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { V8_FLAGS } from '../../bin/tune.ts'
import type { Commands } from './worker.ts'

const WORKER = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url))

const alive = new Set<ChildProcess>()

/** Ends every worker at once; also those that are stopped. */
function killAll (): void {
  for (const child of alive) child.kill('SIGKILL')
}

process.on('exit', killAll)
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.once(signal, () => process.exit(code))
}

/** What the bench sends to a worker. */
export interface Call { id: number, name: keyof Commands, args: unknown[] }

/** What the worker answers. */
export interface Answer { id: number, result?: unknown, error?: string }

interface Waiting { resolve: (result: unknown) => void, reject: (error: Error) => void, timer: NodeJS.Timeout }

/** One worker process, which plays a server or some ends of one contender. */
export class Worker {
  readonly role: string
  readonly #child: ChildProcess
  readonly #label: string
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #output = ''

  /** Forks it; `node` are flags for Node. */
  constructor (rival: string, role: string, node: string[] = []) {
    // what `libp2p-star server` tells V8 about itself, in bin/tune.ts
    const own = role === 'server' && rival.startsWith('star') ? V8_FLAGS : []
    const flags = ['--expose-gc', '--no-warnings', ...own, ...node]
    this.role = role
    this.#label = `${rival} ${role}`
    this.#child = fork(WORKER, [rival], { execArgv: flags, serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    alive.add(this.#child)
    const keep = (text: Buffer): void => { this.#output = (this.#output + text.toString()).slice(-2000) }
    this.#child.stdout?.on('data', keep)
    this.#child.stderr?.on('data', keep)
    this.#child.on('message', answer => this.#answered(answer as Answer))
    this.#child.on('exit', (code, signal) => {
      alive.delete(this.#child)
      this.#fail(`ended with ${signal ?? String(code)}`)
    })
    this.#child.on('error', error => this.#fail(error.message))
  }

  /** Runs a command in the worker. */
  call<K extends keyof Commands> (name: K, ...args: Parameters<Commands[K]>): Promise<Awaited<ReturnType<Commands[K]>>> {
    const id = this.#calls++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`${this.#label}: ${name} took more than three minutes`))
      }, 180_000)
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject, timer })
      const call: Call = { id, name, args }
      this.#child.send(call, error => { if (error !== null) this.#fail(error.message) })
    })
  }

  /** Stops the process from running, as a machine that sleeps, or lets it go on. */
  freeze (frozen: boolean): void {
    this.#child.kill(frozen ? 'SIGSTOP' : 'SIGCONT')
  }

  /** Ends the process. */
  async stop (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise(resolve => this.#child.once('exit', resolve))
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    this.freeze(false)
    if (this.#child.connected) this.#child.disconnect()
    await gone
    clearTimeout(timer)
  }

  #answered (answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    this.#waiting.delete(answer.id)
    clearTimeout(waiting.timer)
    if (answer.error === undefined) waiting.resolve(answer.result)
    else waiting.reject(new Error(`${this.#label}: ${answer.error}`))
  }

  #fail (reason: string): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(new Error(`${this.#label}: ${reason}\n${this.#output}`.trim()))
    }
    this.#waiting.clear()
  }
}
