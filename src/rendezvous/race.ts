// Many paths, one nominated: everything that two devices try to reach each other, and how it ends.
//
//   add ─▸ pending ─▸ open ─▸ established ─▸ nominated      a path at a time, any number of them side by side
//
// The nominator waits a while for others once the first path is established, and nominates the best (select.ts). What becomes
// of the rest differs: who *receives* Nominate closes them at once; the nominator only disregards them, for 15 s at most, and
// so never takes the closing of a path for its failure. A path that comes to nothing before that is worth a warning, unless it
// was the last: the paths that are still pending count. Paths of two rendezvous, one in each direction, may run in one race:
// either end's addresses are enough then.
import { StarError } from '../errors.ts'
import { CloseCode, lostError } from './close.ts'
import { Path } from './path.ts'
import { MIN_GAIN, compare, isDirect, select } from './select.ts'
import type { Machine } from '../machine.ts'
import type { Rendezvous } from './keys.ts'
import type { PathEvent, PathOptions, PathOutput } from './path.ts'
import type { Candidate, PathKind } from './select.ts'

/** What a race knows of a path before there is a connection. */
export interface Entry {
  /** Whose keys the path has, and under which id. */
  readonly rendezvous: Rendezvous
  readonly pathId: number
  readonly kind: PathKind
  /** Whether both ends say that the path costs them nothing. */
  readonly unmetered: boolean
}

/** What a race is told; each path has a number that its driver gives it. */
export type RaceEvent =
  /** There may be a path soon: it is being dialled, or waited for. */
  | { readonly type: 'add', readonly path: number, readonly entry: Entry }
  /** That is all: no more will be added. */
  | { readonly type: 'complete' }
  /** There is a connection. */
  | { readonly type: 'open', readonly path: number }
  /** There will be none, or it is gone; with the code with which it was closed, or the reason for which there is none. */
  | { readonly type: 'lost', readonly path: number, readonly code?: number, readonly error?: StarError }
  | { readonly type: 'written', readonly path: number }
  | { readonly type: 'bytes', readonly path: number, readonly bytes: Uint8Array }
  /** At the nominator: nominate now, this path or the best one. */
  | { readonly type: 'nominate', readonly path?: number }
  /** Send this on the nominated path. */
  | { readonly type: 'send', readonly bytes: Uint8Array | readonly Uint8Array[], readonly plain?: boolean }
  /** Close everything, the nominated path with this code. */
  | { readonly type: 'close', readonly code: number }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type RaceOutput =
  /** Send a frame on a path: its parts, one after the other; one binary message on a WebSocket. */
  | { readonly do: 'send', readonly path: number, readonly frame: readonly Uint8Array[] }
  /** Data that came on the nominated path. */
  | { readonly do: 'deliver', readonly path: number, readonly bytes: Uint8Array, readonly plain: boolean }
  | { readonly do: 'established', readonly path: number, readonly roundTrip: number }
  /** This is the path. */
  | { readonly do: 'nominated', readonly path: number, readonly rph: Uint8Array }
  /**
   * Close the connection, or stop dialling or waiting for it. Nothing more comes of the path; the reason follows where there is
   * one.
   */
  | { readonly do: 'close', readonly path: number, readonly code: number }
  /** The path has come to nothing, and there are others, or may be. */
  | { readonly do: 'warning', readonly path: number, readonly error: StarError }
  /** What we ourselves wanted is not possible; nothing has changed. */
  | { readonly do: 'refused', readonly error: StarError }
  /** The race is over: no path is left, or the nominated one is gone. No error when one of the two ends had closed everything. */
  | { readonly do: 'over', readonly error?: StarError }

/** How a race is set up; times are milliseconds. */
export interface RaceOptions extends PathOptions {
  /** For how long the nominator waits for more paths when the first one is established. */
  readonly collectTime: number
  /** From the first path to the nomination. */
  readonly raceTimeout: number
  /** Whether a path is nominated at once when no other one can be clearly better. */
  readonly eager?: boolean
  /** The path that is taken as long as none is better: it isn't one of the race. */
  current? (): Candidate
}

/** What a race knows of a path. */
interface Runner {
  readonly entry: Entry
  /** `undefined` while it is pending. */
  machine?: Path
  roundTrip?: number
}

/** One end of a race. */
export class Race implements Machine<RaceEvent, RaceOutput> {
  readonly #options: RaceOptions
  readonly #runners = new Map<number, Runner>()
  #complete = false
  #over = false
  #nominated: number | undefined
  #collectUntil: number | undefined
  #deadline: number | undefined
  #lastError: StarError | undefined
  #outputs: RaceOutput[] = []

  constructor (options: RaceOptions) {
    this.#options = options
  }

  get wakeAt (): number | undefined {
    if (this.#over) {
      return undefined
    }
    let least = Math.min(this.#collectUntil ?? Infinity, this.#deadline ?? Infinity)
    for (const { machine } of this.#runners.values()) {
      least = Math.min(least, machine?.wakeAt ?? Infinity)
    }
    return least === Infinity ? undefined : least
  }

  /** The path that is taken, once there is one. */
  get nominated (): number | undefined {
    return this.#nominated
  }

  /** True when nothing follows. */
  get over (): boolean {
    return this.#over
  }

  input (event: RaceEvent, now: number): readonly RaceOutput[] {
    this.#outputs = []
    if (!this.#over) {
      this.#follow(event, now)
      this.#conclude(now)
    } else if (event.type === 'add' || event.type === 'open') {
      this.#outputs.push({ do: 'close', path: event.path, code: CloseCode.normal })
    }
    return this.#outputs
  }

  #follow (event: RaceEvent, now: number): void {
    switch (event.type) {
      case 'add': return this.#add(event.path, event.entry, now)
      case 'complete': {
        this.#complete = true
        return
      }
      case 'open': return this.#open(event.path, now)
      case 'lost': return this.#lost(event, now)
      case 'written': return this.#tell(event.path, { type: 'written' }, now)
      case 'bytes': return this.#tell(event.path, event, now)
      case 'nominate': return this.#nominate(event.path, now)
      case 'send': {
        return this.#nominated == null ? this.#refuse('no path is nominated yet') : this.#tell(this.#nominated, event, now)
      }
      case 'close': {
        this.#end(event.code)
        return
      }
      case 'wake': return this.#wake(now)
    }
  }

  #add (path: number, entry: Entry, now: number): void {
    if (this.#runners.has(path)) {
      return this.#refuse(`there is a path ${path} already`)
    }
    if (this.#nominated != null) {
      this.#outputs.push({ do: 'close', path, code: CloseCode.normal })
      return
    }
    this.#deadline ??= now + this.#options.raceTimeout
    this.#runners.set(path, { entry })
  }

  #open (path: number, now: number): void {
    const runner = this.#runners.get(path)
    if (runner == null) {
      // a connection that came when another path was nominated already
      this.#outputs.push({ do: 'close', path, code: CloseCode.normal })
      return
    }
    if (runner.machine != null) {
      return this.#refuse(`path ${path} is open already`)
    }
    const { rendezvous, pathId } = runner.entry
    const keys = rendezvous.claim(pathId)
    if (keys == null) {
      const error = new StarError('ERR_PATH_STATE', { detail: `path id ${pathId} was used before` })
      return this.#drop(path, error, CloseCode.protocol)
    }
    runner.machine = new Path(keys, this.#options)
    this.#tell(path, { type: 'open' }, now)
  }

  #lost ({ path, code, error }: RaceEvent & { type: 'lost' }, now: number): void {
    const runner = this.#runners.get(path)
    if (runner?.machine == null || error != null) {
      return runner == null ? undefined : this.#drop(path, error ?? lostError(code))
    }
    this.#tell(path, code == null ? { type: 'lost' } : { type: 'lost', code }, now)
  }

  #tell (path: number, event: PathEvent, now: number): void {
    for (const output of this.#runners.get(path)?.machine?.input(event, now) ?? []) {
      this.#perform(path, output, now)
    }
  }

  #perform (path: number, output: PathOutput, now: number): void {
    switch (output.do) {
      case 'send':
      case 'deliver': {
        this.#outputs.push({ ...output, path })
        return
      }
      case 'refused': {
        this.#outputs.push(output)
        return
      }
      case 'established': {
        const runner = this.#runners.get(path) as Runner
        runner.roundTrip = output.roundTrip
        this.#collectUntil ??= this.#options.nominator ? now + this.#options.collectTime : undefined
        this.#outputs.push({ ...output, path })
        return
      }
      case 'nominated': {
        this.#outputs.push({ ...output, path })
        return this.#settle(path, now)
      }
      case 'lost': return this.#drop(path, output.error)
      case 'close': return this.#drop(path, output.error, output.code)
    }
  }

  /**
   * There is a path, and the others go: at once where there was no connection yet, and where it was the other end that
   * nominated.
   */
  #settle (nominated: number, now: number): void {
    this.#nominated = nominated
    this.#collectUntil = undefined
    this.#deadline = undefined
    this.#lastError = undefined
    for (const [path, { machine }] of [...this.#runners]) {
      if (path !== nominated) {
        if (machine != null && this.#options.nominator) {
          this.#tell(path, { type: 'disregard' }, now)
        } else {
          this.#drop(path, undefined, CloseCode.normal)
        }
      }
    }
  }

  /** A path goes; its connection too, if there is a code for that. */
  #drop (path: number, error: StarError | undefined, code?: number): void {
    this.#runners.delete(path)
    if (code != null) {
      this.#outputs.push({ do: 'close', path, code })
    }
    if (error == null || (this.#nominated ?? path) !== path) {
      return
    }
    this.#lastError = error
    if (this.#nominated == null && (this.#runners.size > 0 || !this.#complete)) {
      this.#outputs.push({ do: 'warning', path, error })
    }
  }

  #nominate (path: number | undefined, now: number): void {
    const chosen = path ?? this.#best()?.path
    if (chosen == null || this.#runners.get(chosen)?.roundTrip == null) {
      return this.#refuse('there is no path to be nominated')
    }
    this.#tell(chosen, { type: 'nominate' }, now)
  }

  /** The best of the established paths; of equals, the one that was added first. */
  #best (): (Candidate & { readonly path: number }) | undefined {
    const established = [...this.#runners].filter(([, { roundTrip }]) => roundTrip != null)
    const candidates = established.map(([path, { entry, roundTrip }]) =>
      ({ path, kind: entry.kind, unmetered: entry.unmetered, roundTrip, acknowledged: 1, received: 1 }))
    return candidates.toSorted(compare)[0]
  }

  /** Whether no path that is still pending could be worth waiting for. */
  #isUnbeatable ({ kind, unmetered, roundTrip = Infinity }: Candidate): boolean {
    return isDirect(kind) && roundTrip <= MIN_GAIN &&
      (unmetered || [...this.#runners.values()].every(({ entry, roundTrip: known }) => known != null || !entry.unmetered))
  }

  #wake (now: number): void {
    for (const [path, { machine }] of [...this.#runners]) {
      if ((machine?.wakeAt ?? Infinity) <= now) {
        this.#tell(path, { type: 'wake' }, now)
      }
    }
    if ((this.#deadline ?? Infinity) <= now) {
      this.#lastError = new StarError('ERR_PATH_TIMEOUT', { detail: 'no path was nominated' })
      this.#end(CloseCode.normal, new StarError('ERR_RENDEZVOUS_FAILED', { cause: this.#lastError }))
    }
  }

  /** What follows from where things stand. */
  #conclude (now: number): void {
    if (this.#over) {
      return
    }
    if (this.#nominated != null) {
      if (!this.#runners.has(this.#nominated)) {
        this.#end(CloseCode.normal, this.#lastError)
      }
      return
    }
    if (this.#runners.size === 0) {
      if (this.#complete) {
        this.#end(CloseCode.normal, new StarError('ERR_RENDEZVOUS_FAILED', { cause: this.#lastError }))
      }
      return
    }
    if (this.#collectUntil == null) {
      return
    }
    const best = this.#best()
    const all = this.#complete && [...this.#runners.values()].every(({ roundTrip }) => roundTrip != null)
    if (best == null) {
      this.#collectUntil = undefined // the one that was established is gone; another one starts the clock again
    } else if (all || this.#collectUntil <= now || (this.#options.eager === true && this.#isUnbeatable(best))) {
      this.#decide(best, all, now)
    }
  }

  /** All have had their time: is the best one good enough? */
  #decide (best: Candidate & { readonly path: number }, all: boolean, now: number): void {
    const current = this.#options.current?.()
    if (current == null || select([current, best], current) === best) {
      this.#nominate(best.path, now)
    } else if (all) {
      this.#end(CloseCode.normal)
    } else {
      this.#collectUntil = undefined // a better one may come
    }
  }

  #end (code: number, error?: StarError): void {
    this.#over = true
    for (const path of [...this.#runners.keys()]) {
      this.#drop(path, undefined, path === this.#nominated ? code : CloseCode.normal)
    }
    this.#outputs.push({ do: 'over', ...(error == null ? {} : { error }) })
  }

  #refuse (detail: string): void {
    this.#outputs.push({ do: 'refused', error: new StarError('ERR_PATH_STATE', { detail }) })
  }
}
