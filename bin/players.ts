// The demo's other processes: started, listened to, and ended with the demo however it ends.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Failure } from './failure.ts'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

/** A line of a process that was started with `--json`. */
export type PlayerEvent = Readonly<Record<string, unknown>> & { readonly event: string }

/** A process of this program with a role in the demo. */
export class Player implements AsyncDisposable {
  readonly role: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #events: PlayerEvent[] = []
  readonly #waiting = new Set<() => void>()
  readonly #exited: Promise<void>
  #error: Failure | undefined

  /** Starts it; `onEvent` hears of all that it says. */
  constructor (role: string, args: readonly string[], onEvent: (event: PlayerEvent) => void) {
    this.role = role
    const script = fileURLToPath(new URL('./libp2p-star.js', import.meta.url))
    this.#child = spawn(process.execPath, [script, 'demo-node', role, '--json', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {}) // it is gone, and that is told elsewhere
    const lines = createInterface({ input: this.#child.stdout })
    lines.on('line', line => {
      const event = JSON.parse(line) as PlayerEvent
      if (event.event === 'error') {
        this.#error = new Failure(String(event['code']), `the ${role} says: ${String(event['message'])}`)
      }
      this.#events.push(event)
      onEvent(event)
      this.#wake()
    })
    this.#exited = new Promise(resolve => {
      this.#child.on('error', error => {
        this.#error = new Failure('ERR_SPAWN', `cannot start the ${role}: ${error.message}`, { cause: error })
        resolve()
      })
      this.#child.on('close', (code, signal) => {
        this.#error ??= new Failure('ERR_EXIT', `the ${role} has ended with ${signal ?? code}`)
        resolve()
      })
    })
    void this.#exited.then(() => { this.#wake() })
  }

  get pid (): number | undefined {
    return this.#child.pid
  }

  /** Waits until it has said that; rejects when it ends without having done so, or when the signal is aborted. */
  async until (event: string, signal: AbortSignal): Promise<PlayerEvent> {
    signal.addEventListener('abort', this.#wake)
    try {
      for (;;) {
        const said = this.#events.find(one => one.event === event)
        if (said != null) {
          return said
        }
        signal.throwIfAborted()
        if (this.#error != null) {
          throw this.#error
        }
        await new Promise<void>(resolve => { this.#waiting.add(resolve) })
      }
    } finally {
      signal.removeEventListener('abort', this.#wake)
    }
  }

  /** Lets it take its next step. */
  go (): void {
    this.#child.stdin.write('go\n')
  }

  /** Ends it, in good order if it can. */
  async [Symbol.asyncDispose] (): Promise<void> {
    this.#child.stdin.end()
    const timer = setTimeout(() => { this.#child.kill('SIGKILL') }, 2_000)
    await this.#exited
    clearTimeout(timer)
  }

  readonly #wake = (): void => {
    for (const resolve of this.#waiting) {
      resolve()
    }
    this.#waiting.clear()
  }
}
