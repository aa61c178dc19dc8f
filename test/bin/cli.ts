// The built command line as a child process: what it says can be waited for, and nothing of it outlives a test.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

const SCRIPT = fileURLToPath(new URL('../../bin/libp2p-star.js', import.meta.url))

/** Variables that the command line reads, or that would make it say more. */
const VARIABLES = [
  'STAR', 'PORT', 'HOST', 'KEY', 'CERT', 'PFX', 'PFX_PASSPHRASE', 'DEBUG',
  'DISABLE_CRYPTO_CHALLENGE', 'DISABLE_STRICT_MULTIADDR', 'DISABLE_METRICS'
]

/** A line of `--json`. */
export type JsonEvent = Readonly<Record<string, unknown>> & { readonly event: string }

/** How a process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Stdout, parsed: fails when a line is no JSON object. */
  readonly events: JsonEvent[]
}

/**
 * What the process is connected with. `terminal`: stdin, stdout and stderr are one, and all that it shows counts as stderr.
 * `nothing`: pipes, and no terminal that it was started from.
 */
export type Place = 'pipes' | 'terminal' | 'nothing'

/** For `before`: skips tests at a terminal where there is no `script` as Linux has it. */
export function needsTerminal (this: Mocha.Context): void {
  if (process.platform !== 'linux') {
    this.skip()
  }
}

const alive = new Set<Cli>()

/** One run of the command line. */
export class Cli {
  /** Resolves when it has ended. */
  readonly ended: Promise<Ended>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: string[] = []
  #wake: () => void = () => {}
  #over = false
  #stderr = ''

  /** `input` is all that comes on its stdin; with `null` that is left open. In a terminal `pipe` stands before and after it. */
  constructor (
    args: readonly string[], env: Readonly<Record<string, string>> = {}, input: string | null = '', place: Place = 'pipes',
    pipe: readonly [before: string, after: string] = ['', '']
  ) {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !VARIABLES.includes(name)))
    const line = [process.execPath, SCRIPT, ...args]
    const shell = `${pipe[0]}${line.map(word => `'${word}'`).join(' ')}${pipe[1]}`
    const [file = '', ...rest] = place === 'terminal' ? ['script', '-qefc', shell, '/dev/null'] : line
    this.#child = spawn(file, rest, { env: { ...clean, ...env }, stdio: ['pipe', 'pipe', 'pipe'], detached: place === 'nothing' })
    this.#child.stdin.on('error', () => {}) // it may not read
    if (input != null) {
      this.#child.stdin.end(input)
    }
    alive.add(this)
    if (place !== 'terminal') {
      createInterface({ input: this.#child.stdout }).on('line', line => {
        this.#lines.push(line)
        this.#wake()
      })
    }
    const said = place === 'terminal' ? this.#child.stdout : this.#child.stderr
    said.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text.replaceAll('\r', '')
      this.#wake()
    })
    this.ended = this.#end()
  }

  /** The first line on stdout that matches. */
  async line (pattern: RegExp): Promise<string> {
    return await this.#find(line => pattern.test(line) ? line : undefined, String(pattern))
  }

  /** The first event of that name, with those fields. */
  async event (name: string, fields: Readonly<Record<string, unknown>> = {}): Promise<JsonEvent> {
    return await this.#find(line => {
      const event = JSON.parse(line) as JsonEvent
      return event.event === name && Object.entries(fields).every(([key, value]) => event[key] === value) ? event : undefined
    }, `${name} ${JSON.stringify(fields)}`)
  }

  /** What stderr says, as soon as it matches. */
  async note (pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#stderr)) {
      if (this.#over) {
        throw new Error(`ended without ${String(pattern)}:\n${this.#stderr}`)
      }
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
    return this.#stderr
  }

  /** Types something, or pipes it in. */
  type (text: string): void {
    this.#child.stdin.write(text)
  }

  /** Sends a signal. */
  kill (signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Interrupts it and waits for its end. */
  async interrupt (): Promise<Ended> {
    this.kill('SIGINT')
    return await this.ended
  }

  async #find<T> (test: (line: string) => T | undefined, what: string): Promise<T> {
    for (;;) {
      const found = this.#lines.map(test).find(one => one !== undefined)
      if (found !== undefined) {
        return found
      }
      if (this.#over) {
        throw new Error(`ended without ${what}:\n${this.#lines.join('\n')}\n${this.#stderr}`)
      }
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  async #end (): Promise<Ended> {
    const [code, signal] = await once(this.#child, 'close') as [number | null, NodeJS.Signals | null]
    this.#over = true
    this.#wake()
    alive.delete(this)
    const lines = this.#lines
    return {
      code,
      signal,
      stdout: lines.join('\n'),
      stderr: this.#stderr,
      get events () { return lines.map(line => JSON.parse(line) as JsonEvent) }
    }
  }
}

/** Runs the command line to its end. */
export async function cli (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> {
  return await new Cli(args, env).ended
}

const directories: string[] = []

/** A directory that is gone after the test. */
export async function temporary (): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'libp2p-star-test-'))
  directories.push(path)
  return path
}

/** To be called after each test: ends what still runs and removes the directories. */
export async function cleanUp (): Promise<void> {
  for (const process of alive) {
    process.kill('SIGKILL')
  }
  await Promise.all([...alive].map(async process => await process.ended))
  await Promise.all(directories.splice(0).map(async path => { await rm(path, { recursive: true, force: true }) }))
}
