// Starts the original software in a child process and steers it, with a limit on every wait.
import { fork, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const HOME = new URL('./test/interop/original/', import.meta.resolve('libp2p-star/package.json'))
const MISSING = 'the original libp2p-websocket-star is not installed: npm ci --prefix test/interop/original'
const PATIENCE = 20_000

/** Registers a suite that needs the original software: without it a local run skips the suite, and CI fails. */
export function describeOriginal (title: string, body: () => void): void {
  if (existsSync(new URL('./node_modules/libp2p-websocket-star/package.json', HOME))) {
    describe(title, function () {
      this.timeout(60_000).slow(5000)
      body()
    })
  } else if (process.env['CI'] === undefined || process.env['CI'] === '') {
    describe(title, () => { it.skip(MISSING) })
  } else {
    describe(title, () => { it('has the original software', () => { throw new Error(MISSING) }) })
  }
}

/** What a driver script tells unasked; which fields are there depends on the event. */
export interface DriverEvent {
  readonly event: string
  readonly peer?: number
  readonly socket?: number
  readonly stream?: number
  readonly address?: string
  readonly addresses?: readonly string[]
  readonly from?: string
  readonly peerId?: string
  readonly dial?: string
  readonly surplus?: number
  readonly message?: string
  readonly value?: unknown
}

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly message: string, readonly code?: string }
}

/** What events to look for: at least `times` of them (1), told after `since` (the beginning), before `within` milliseconds. */
export interface Search {
  readonly since?: number
  readonly times?: number
  readonly within?: number
}

/** Gives up on a promise after some milliseconds, saying what did not happen. */
export async function within<T> (ms: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new Error(`after ${ms} ms still waiting: ${typeof what === 'string' ? what : what()}`))
  }, ms)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks again and again until the answer is yes; for things that no event tells. */
export async function eventually (what: string, check: () => boolean | Promise<boolean>, ms: number = PATIENCE): Promise<void> {
  const deadline = Date.now() + ms
  while (!await check()) {
    if (Date.now() > deadline) throw new Error(`after ${ms} ms still not so: ${what}`)
    await new Promise((resolve) => { setTimeout(resolve, 10) })
  }
}

/** A child process with one of the scripts in test/interop/original. */
export class Driver {
  readonly #script: string
  readonly #child: ChildProcess
  readonly #events: DriverEvent[] = []
  readonly #waiting = new Set<() => void>()
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #exit = Promise.withResolvers<void>()
  #calls = 0
  #complaints = ''
  #dead: Error | undefined

  constructor (script: 'client' | 'raw' | 'server') {
    this.#script = script
    this.#child = fork(fileURLToPath(new URL(`./${script}.js`, HOME)), {
      execArgv: ['--no-deprecation'], stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    })
    this.#child.stderr?.on('data', (data: Buffer) => { this.#complaints = (this.#complaints + data.toString()).slice(-2000) })
    this.#child.on('message', (message) => { this.#hear(message as Reply | DriverEvent) })
    this.#child.on('error', (err) => { this.#die(err) })
    // Not 'close': that never comes after a disconnect from this side.
    this.#child.on('exit', (code, signal) => {
      this.#die(new Error(`the original ${script} ended (${signal ?? code}): ${this.#complaints.trim()}`))
    })
  }

  /** How many events have been told so far; a place to start a search from. */
  get now (): number {
    return this.#events.length
  }

  /** Calls a command of the script; an error there is thrown here, with its message and code. */
  async call<T> (command: string, args: object = {}, patience: number = PATIENCE): Promise<T> {
    if (this.#dead !== undefined) throw this.#dead
    const id = this.#calls++
    const answer = Promise.withResolvers<unknown>()
    this.#pending.set(id, answer)
    this.#child.send({ ...args, id, do: command })
    return await within(patience, `${this.#script} to ${command} ${JSON.stringify(args)}`, answer.promise) as T
  }

  /** The events told so far that have this name and these fields. */
  told (event: string, fields: Partial<DriverEvent> = {}, since = 0): DriverEvent[] {
    return this.#events.slice(since).filter((told) => matches(told, event, fields))
  }

  /** Waits for an event with this name and these fields, which may have been told already. */
  async next (event: string, fields: Partial<DriverEvent> = {}, search: Search = {}): Promise<DriverEvent> {
    const { since = 0, times = 1, within: ms = PATIENCE } = search
    const found = Promise.withResolvers<DriverEvent>()
    const look = (): number => {
      const told = this.told(event, fields, since)
      if (told[times - 1] !== undefined) found.resolve(told[times - 1] as DriverEvent)
      return told.length
    }
    look()
    this.#waiting.add(look)
    try {
      const what = (): string => `${event} ${JSON.stringify(fields)}, told ${look()} of ${times} times`
      return await within(ms, what, Promise.race([found.promise, this.#failed()]))
    } finally {
      this.#waiting.delete(look)
    }
  }

  /** Stops the process dead, as a laptop that is closed; its sockets stay open. */
  freeze (): void {
    this.#child.kill('SIGSTOP')
  }

  /** Lets a frozen process go on. */
  thaw (): void {
    this.#child.kill('SIGCONT')
  }

  /** Ends the process; resolves when it is gone. */
  async close (): Promise<void> {
    this.thaw()
    if (this.#child.connected) this.#child.disconnect()
    try {
      await within(5000, `${this.#script} to exit`, this.#exit.promise)
    } catch {
      this.#child.kill('SIGKILL')
      await this.#exit.promise
    }
  }

  async #failed (): Promise<never> {
    await this.#exit.promise
    throw this.#dead as Error
  }

  #hear (message: Reply | DriverEvent): void {
    if ('event' in message) {
      this.#events.push(message)
      for (const look of this.#waiting) look()
      return
    }
    const answer = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.error === undefined) answer?.resolve(message.result)
    else answer?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }))
  }

  #die (reason: Error): void {
    this.#dead ??= reason
    for (const answer of this.#pending.values()) answer.reject(this.#dead)
    this.#pending.clear()
    this.#exit.resolve()
  }
}

function matches (told: DriverEvent, event: string, fields: Partial<DriverEvent>): boolean {
  return told.event === event &&
    Object.entries(fields).every(([name, value]) => told[name as keyof DriverEvent] === value)
}
