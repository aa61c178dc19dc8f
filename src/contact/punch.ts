// Hole punching: when which address of the peer is dialled, and how many connections are looked at. Both ends run it at the same
// time, each from the very port that the other one dials; so connections come of dials, of both dials at once, or of the listener
// at that port, and it doesn't matter which. Whether the one at the other end is the peer is found out above: until then
// a connection is a stranger's.
//
//   waiting ─▸ dialling ─▸ open ─▸ verified: no more is dialled, what is open stays with its owner
//      ▴───────────┴─────────┘       the time is up: everything is closed
import { StarError } from '../errors.ts'
import { candidates } from './candidates.ts'
import type { Machine } from '../machine.ts'
import type { Candidate, CandidateOptions } from './candidates.ts'

/** What is told; connections have numbers that the driver gives them, candidates that of the output. */
export type PunchEvent =
  /** Begin. */
  | { readonly type: 'start' }
  /** A dial has come to a connection. */
  | { readonly type: 'connected', readonly candidate: number, readonly connection: number }
  /** It hasn't; with the code that the system gave. */
  | { readonly type: 'failed', readonly candidate: number, readonly code?: string | undefined }
  /** Somebody has connected to the punch port. */
  | { readonly type: 'accepted', readonly connection: number }
  /** A connection is gone; with the code that the system gave, if it didn't just end. */
  | { readonly type: 'closed', readonly connection: number, readonly code?: string | undefined }
  /** This is the peer. */
  | { readonly type: 'verified', readonly connection: number }
  /** Nobody wants it any more. */
  | { readonly type: 'stop' }
  | { readonly type: 'wake' }

/** What the driver is to do. */
export type PunchOutput =
  /** Dial this from the punch port. */
  | { readonly do: 'dial', readonly candidate: number, readonly target: Candidate }
  /** Give that dial up; nothing more is to be told of it. */
  | { readonly do: 'abort', readonly candidate: number }
  /** Find out whether this is the peer. */
  | { readonly do: 'offer', readonly connection: number }
  | { readonly do: 'close', readonly connection: number }
  /** Nothing follows; with the reason when it came to nothing by itself. */
  | { readonly do: 'over', readonly error?: StarError }

/** How a punch is set up. */
export interface PunchOptions extends CandidateOptions {
  /** Milliseconds for all of it. */
  readonly time: number
  /** A number from 0 up to 1. */
  readonly random: () => number
}

/** Milliseconds for all of it, unless it is said otherwise: the latest success that was measured came after 3.2 s. */
export const PUNCH_TIME = 4_000
/** Milliseconds that a connection has to be verified, … */
export const VERIFY_TIME = 2_000
/** … and how many may be unverified at a time. */
export const MAX_UNVERIFIED = 8
/**
 * Milliseconds after which an address that has refused is dialled again, with up to so many more by chance: a router that refuses
 * strangers takes a connection only while both SYNs are on the way, so the two ends have to hit the same few milliseconds.
 */
export const REFUSED_REDIAL = 10
export const REFUSED_JITTER = 5
/** So often, and then each so many milliseconds, by chance more: two ends at the same pace might never meet. */
export const MAX_QUICK = 40
export const SLOW_REDIAL = 100
export const SLOW_JITTER = 150
/**
 * Milliseconds after the first, the second and each later failure of another kind. What is unreachable says so at once. And where
 * there is a connection between the same two addresses already (EADDRNOTAVAIL) the peer has come in by itself; but it may be one
 * that is only half there, and comes to nothing without anybody hearing of it: so it isn't waited for alone.
 */
export const OTHER_REDIALS = [250, 500, 1_000] as const
/** Milliseconds for which a dial may keep another one from its turn, where there is one at a time. */
export const TURN = 1_000

/** This is the punch port itself. */
const SELF: string = 'ERR_DIAL_SELF'
const REFUSED = new Set(['ECONNREFUSED', 'ECONNRESET'])

/** A candidate and where it stands; `done`: it is dialled no more. */
interface Target {
  readonly candidate: Candidate
  state: 'waiting' | 'dialling' | 'open' | 'done'
  /** When it is dialled next, or was dialled last. */
  at: number
  dials: number
  refusals: number
  failures: number
}

/** A connection that isn't verified. */
interface Stranger {
  /** Absent when it was accepted. */
  readonly target: Target | undefined
  readonly deadline: number
}

/** One end of a punch. */
export class PunchMachine implements Machine<PunchEvent, PunchOutput> {
  readonly #options: PunchOptions
  readonly #targets: readonly Target[]
  /** In the order in which they came. */
  readonly #strangers = new Map<number, Stranger>()
  #deadline: number | undefined
  #over = false

  constructor (options: PunchOptions) {
    this.#options = options
    this.#targets = candidates(options).map(candidate =>
      ({ candidate, state: 'waiting', at: 0, dials: 0, refusals: 0, failures: 0 }))
  }

  get wakeAt (): number | undefined {
    if (this.#deadline == null || this.#over) {
      return undefined
    }
    const deadlines = [...this.#strangers.values()].map(({ deadline }) => deadline)
    return Math.min(this.#deadline, ...deadlines, this.#nextDial() ?? Infinity)
  }

  /** True when nothing follows. */
  get over (): boolean {
    return this.#over
  }

  input (event: PunchEvent, now: number): readonly PunchOutput[] {
    if (this.#over) {
      const isLate = event.type === 'connected' || event.type === 'accepted'
      return isLate ? [{ do: 'close', connection: event.connection }] : []
    }
    if (this.#deadline == null) {
      return event.type === 'start' ? this.#start(now) : event.type === 'stop' ? this.#end(event, []) : []
    }
    if (now >= this.#deadline || event.type === 'stop') {
      const late = event.type === 'connected' || event.type === 'accepted' ? [event.connection] : []
      const error = event.type === 'stop' ? undefined : new StarError('ERR_PATH_TIMEOUT', { detail: 'the peer did not come' })
      return this.#end(event, [...this.#strangers.keys(), ...late], error)
    }
    const outputs = this.#follow(event, now)
    return this.#over ? outputs : [...outputs, ...this.#dials(now)]
  }

  #start (now: number): PunchOutput[] {
    this.#deadline = now + this.#options.time
    if (this.#targets.length === 0) {
      return this.#end(undefined, [], new StarError('ERR_PATH_LOST', { detail: 'the peer has no address that could be reached' }))
    }
    for (const target of this.#targets) {
      target.at = now
      target.state = target.candidate.dials > 0 ? 'waiting' : 'done'
    }
    return this.#dials(now)
  }

  #follow (event: PunchEvent, now: number): PunchOutput[] {
    switch (event.type) {
      case 'connected': {
        const target = this.#targets[event.candidate]
        if (target?.state !== 'dialling') {
          return [{ do: 'close', connection: event.connection }]
        }
        target.state = 'open'
        return this.#look(event.connection, target, now)
      }
      case 'accepted': return this.#look(event.connection, undefined, now)
      case 'failed': {
        const target = this.#targets[event.candidate]
        if (target?.state === 'dialling') {
          this.#again(target, event.code, now)
        }
        return []
      }
      case 'closed': {
        const stranger = this.#strangers.get(event.connection)
        this.#strangers.delete(event.connection)
        if (stranger?.target != null) {
          this.#again(stranger.target, event.code, now)
        }
        return []
      }
      case 'verified': return this.#strangers.has(event.connection) ? this.#end(event, []) : []
      case 'wake': {
        const late = [...this.#strangers].filter(([, { deadline }]) => deadline <= now)
        return late.flatMap(([connection]) => this.#drop(connection, now))
      }
      case 'start':
      case 'stop': return []
    }
  }

  /** One more connection to look at; when there are too many, the oldest that was accepted goes: it has had its time. */
  #look (connection: number, target: Target | undefined, now: number): PunchOutput[] {
    const [oldest] = [...this.#strangers].find(one => one[1].target == null) ?? []
    const outputs = this.#strangers.size >= MAX_UNVERIFIED && oldest != null ? this.#drop(oldest, now) : []
    this.#strangers.set(connection, { target, deadline: now + VERIFY_TIME })
    return [...outputs, { do: 'offer', connection }]
  }

  #drop (connection: number, now: number): PunchOutput[] {
    return [{ do: 'close', connection }, ...this.#follow({ type: 'closed', connection }, now)]
  }

  /** It came to nothing: says when it is dialled again. */
  #again (target: Target, code: string | undefined, now: number): void {
    if (code === SELF || target.dials >= target.candidate.dials) {
      target.state = 'done'
    } else if (REFUSED.has(code ?? '')) {
      target.refusals++
      const isQuick = target.refusals <= MAX_QUICK
      target.state = 'waiting'
      const [pause, jitter] = isQuick ? [REFUSED_REDIAL, REFUSED_JITTER] : [SLOW_REDIAL, SLOW_JITTER]
      target.at = now + pause + jitter * this.#options.random()
    } else {
      const [last] = OTHER_REDIALS.slice(-1)
      target.state = 'waiting'
      target.at = now + (OTHER_REDIALS[target.failures++] ?? last ?? 0)
    }
  }

  /** Dials whatever is due. */
  #dials (now: number): PunchOutput[] {
    const outputs: PunchOutput[] = []
    for (let next = this.#next(); next != null && this.#dueAt(next) <= now; next = this.#next()) {
      if (this.#options.mode === 'portable') {
        outputs.push(...this.#takeTurn(now))
      }
      next.state = 'dialling'
      next.at = now
      next.dials++
      outputs.push({ do: 'dial', candidate: this.#targets.indexOf(next), target: next.candidate })
    }
    return outputs
  }

  /** Where there is one dial at a time, the one that is there goes back to the others. */
  #takeTurn (now: number): PunchOutput[] {
    const busy = this.#busy()
    if (busy == null) {
      return []
    }
    busy.state = busy.dials < busy.candidate.dials ? 'waiting' : 'done'
    busy.at = now
    return [{ do: 'abort', candidate: this.#targets.indexOf(busy) }]
  }

  #nextDial (): number | undefined {
    const next = this.#next()
    const at = next == null ? undefined : this.#dueAt(next)
    return at === Infinity ? undefined : at
  }

  /** The one that has waited longest. */
  #next (): Target | undefined {
    return this.#targets.filter(({ state }) => state === 'waiting').toSorted((one, other) => one.at - other.at)[0]
  }

  /** When it may be dialled: a dial that is there already has its turn, and a connection is looked at first. */
  #dueAt (target: Target): number {
    const busy = this.#options.mode === 'portable' ? this.#busy() : undefined
    return busy == null ? target.at : busy.state === 'open' ? Infinity : Math.max(target.at, busy.at + TURN)
  }

  #busy (): Target | undefined {
    return this.#targets.find(({ state }) => state === 'dialling' || state === 'open')
  }

  #end (event: PunchEvent | undefined, connections: readonly number[], error?: StarError): PunchOutput[] {
    this.#over = true
    const told = event != null && 'candidate' in event ? event.candidate : undefined
    const closed = event?.type === 'closed' ? event.connection : undefined
    this.#strangers.clear()
    return [
      ...this.#targets.flatMap(({ state }, candidate): PunchOutput[] =>
        state === 'dialling' && candidate !== told ? [{ do: 'abort', candidate }] : []),
      ...connections.filter(each => each !== closed).map((connection): PunchOutput => ({ do: 'close', connection })),
      { do: 'over', ...(error == null ? {} : { error }) }
    ]
  }
}
