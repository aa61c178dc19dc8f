// Rounds of a bench: contenders take turns (A B C A B C …), each round in new processes; medians are what counts.
import { join } from 'node:path'
import { rival } from './rivals/index.ts'
import type { ServerOptions } from './rivals/types.ts'
import type { Usage } from './usage.ts'
import { Worker } from './process.ts'

/** What was asked for on the command line. */
export interface Settings {
  rounds: number
  /** Smaller numbers everywhere: to see that it works, not to quote from. */
  quick: boolean
  /** Folder for CPU profiles of the processes while their cost is measured. */
  profile?: string
  /** Flags for the Node of every process, of every contender alike. */
  node?: string[]
  /** Only these contenders. */
  only?: string[]
}

/** One measured figure; its place in the table. */
export interface Column {
  key: string
  title: string
  better: 'more' | 'less'
}

/** The figures of one round of one contender, by column; a missing one is shown as a dash, an infinite one as `never`. */
export type Figures = Record<string, number>

/** One bench. */
export interface Case {
  readonly name: string
  readonly title: string
  /** What is done, in a sentence or two, for the reader of the table. */
  readonly about: (settings: Settings) => string
  readonly rivals: readonly string[]
  readonly columns: readonly Column[]
  /** How many rounds make sense at most; for those that take minutes. */
  readonly maxRounds?: number
  /** One round of one contender. */
  readonly run: (stage: Stage, settings: Settings) => Promise<Figures>
}

/** All that one bench found. */
export interface Result {
  bench: Case
  settings: Settings
  rounds: Map<string, Figures[]>
  /** What each contender was compared with. */
  like: Map<string, string>
  about: Map<string, string>
  /** Contenders that were left out or failed, and why. */
  notes: string[]
  failures: number
}

/** A difference of two snapshots. */
export interface Cost extends Usage {}

/** The processes of one round: a server, and workers that play its ends. */
export class Stage {
  readonly rival: string
  readonly maxFlood: number
  readonly #bench: string
  readonly #profile: string | undefined
  readonly #node: string[]
  readonly #workers: Worker[] = []
  #profiles = 0
  server!: Worker
  address = ''

  constructor (bench: string, rival: string, maxFlood: number, settings: Settings) {
    this.#bench = bench
    this.rival = rival
    this.maxFlood = maxFlood
    this.#profile = settings.profile
    this.#node = settings.node ?? []
  }

  /** Starts the server, and a worker for each of the roles. */
  async open (roles: string[], options: ServerOptions = {}): Promise<Worker[]> {
    const [server, ...ends] = ['server', ...roles].map(role => new Worker(this.rival, role, this.#node))
    this.#workers.push(server!, ...ends)
    this.server = server!
    this.address = await server!.call('serve', options)
    return ends
  }

  /** What a piece of work cost each of the processes. */
  async cost<T> (workers: Worker[], work: () => Promise<T>): Promise<[T, Cost[]]> {
    if (this.#profile !== undefined) return await this.#profiled(workers, work)
    return await this.#measured(workers, work)
  }

  /** The same with a CPU profile of each process, for this piece of work alone; the figures suffer. */
  async #profiled<T> (workers: Worker[], work: () => Promise<T>): Promise<[T, Cost[]]> {
    const times = ++this.#profiles
    await Promise.all(workers.map(async worker => await worker.call('profile', undefined)))
    const result = await this.#measured(workers, work)
    await Promise.all(workers.map(async worker => {
      await worker.call('profile', join(this.#profile ?? '', `${this.#bench}-${times}-${this.rival}-${worker.role}.cpuprofile`))
    }))
    return result
  }

  async #measured<T> (workers: Worker[], work: () => Promise<T>): Promise<[T, Cost[]]> {
    const before = await Promise.all(workers.map(async worker => await worker.call('usage', false)))
    const result = await work()
    const after = await Promise.all(workers.map(async worker => await worker.call('usage', false)))
    return [result, after.map((usage, i) => difference(usage, before[i]!))]
  }

  /** Ends all processes. */
  async close (): Promise<void> {
    await Promise.all(this.#workers.map(async worker => await worker.stop()))
  }
}

/** What was used between two snapshots. */
export function difference (after: Usage, before: Usage): Cost {
  return {
    cpu: after.cpu - before.cpu,
    rss: after.rss - before.rss,
    heap: after.heap - before.heap,
    sent: after.sent - before.sent
  }
}

/** Runs all rounds of a bench. */
export async function run (bench: Case, settings: Settings, say: (line: string) => void): Promise<Result> {
  const result: Result = { bench, settings, rounds: new Map(), like: new Map(), about: new Map(), notes: [], failures: 0 }
  const names = bench.rivals.filter(name => settings.only?.includes(name) ?? true)
  const floods = new Map<string, number>()
  for (const name of names) {
    const contender = await rival(name)
    const missing = contender.missing?.()
    if (missing !== undefined) result.notes.push(`${name}: ${missing}`)
    else {
      result.rounds.set(name, [])
      result.like.set(name, contender.like)
      result.about.set(name, contender.about)
      floods.set(name, contender.maxFlood ?? Number.POSITIVE_INFINITY)
    }
  }
  const rounds = Math.min(settings.rounds, bench.maxRounds ?? settings.rounds)
  for (let round = 1; round <= rounds; round++) {
    for (const [name, found] of result.rounds) {
      say(`${bench.name}: round ${round} of ${rounds}, ${name}`)
      const stage = new Stage(bench.name, name, floods.get(name)!, settings)
      try {
        found.push(await bench.run(stage, settings))
      } catch (error) {
        result.failures++
        found.push({})
        result.notes.push(`${name}, round ${round}: ${error instanceof Error ? error.message : String(error)}`)
      } finally {
        await stage.close()
      }
    }
  }
  return result
}

/** The value that so great a part of the values doesn't exceed; NaN when there are none. */
export function quantile (values: number[], part: number): number {
  const sorted = values.filter(value => !Number.isNaN(value)).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)]!
  const high = sorted[Math.ceil(at)]!
  return low === high ? low : low + (high - low) * (at - Math.floor(at)) // also of infinite ones
}

/** The middle one. */
export function median (values: number[]): number {
  return quantile(values, 0.5)
}
