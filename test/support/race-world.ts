// Two ends of a race and a network between them that does what a schedule says: connections that come late or never, bytes that
// are cut and held back, connections that break, and closes that overtake nothing.
import assert from 'node:assert/strict'
import { concat } from 'uint8arrays/concat'
import { MAX_FRAME } from '../../src/rendezvous/frame.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { Race } from '../../src/rendezvous/race.ts'
import { NOW, nodeCrypto, times } from './rendezvous.ts'
import type { StarError } from '../../src/errors.ts'
import type { Role } from '../../src/rendezvous/keys.ts'
import type { RaceEvent, RaceOptions, RaceOutput } from '../../src/rendezvous/race.ts'
import type { PathKind } from '../../src/rendezvous/select.ts'

export const COLLECT = 3_000
export const TIMEOUT = 30_000

/** A path that the two may have. */
export interface Way {
  readonly kind: PathKind
  readonly unmetered: boolean
  readonly pathId: number
  /** Which end has made the init that the path is from. */
  readonly rid: 'nominator' | 'other'
}

export function way (pathId: number, rest: Partial<Way> = {}): Way {
  return { pathId, kind: 'tcp', unmetered: false, rid: 'other', ...rest }
}

/** One end of a race and its driver. */
export class Racer {
  readonly machine: Race
  readonly outputs: RaceOutput[] = []
  /** Called for everything that is to be done. */
  perform: (output: RaceOutput) => void = () => {}
  readonly #clock: { now: number }

  constructor (nominator: boolean, clock: { now: number }, options: Partial<RaceOptions> = {}) {
    this.#clock = clock
    this.machine = new Race({
      nominator, maxFrame: MAX_FRAME, plain: false, handshakeTimeout: 10_000, nominateTimeout: 20_000,
      collectTime: COLLECT, raceTimeout: TIMEOUT, ...options
    })
  }

  tell (event: RaceEvent): readonly RaceOutput[] {
    const outputs = this.machine.input(event, this.#clock.now)
    for (const output of outputs) {
      this.outputs.push(output)
      this.perform(output)
    }
    return outputs
  }

  /** All that came out, in order: `send 1`, `close 2 1000`, `over ERR_RENDEZVOUS_FAILED`. */
  get story (): string[] {
    return this.outputs.map(tellOutput)
  }

  get nominated (): { readonly path: number, readonly rph: Uint8Array } | undefined {
    const found = this.outputs.filter(output => output.do === 'nominated')
    assert.ok(found.length <= 1, 'nominated twice')
    return found[0]
  }

  get error (): StarError | undefined {
    return this.outputs.find(output => output.do === 'over')?.error
  }

  get delivered (): Uint8Array {
    return concat(this.outputs.flatMap(output => output.do === 'deliver' ? [output.bytes] : []))
  }
}

/** An output in few words. */
export function tellOutput (output: RaceOutput): string {
  switch (output.do) {
    case 'close': return `close ${output.path} ${output.code}`
    case 'warning': return `warning ${output.path} ${output.error.code}`
    case 'refused': return `refused ${output.error.code}`
    case 'over': return ['over', output.error?.code].filter(Boolean).join(' ')
    case 'send':
    case 'deliver':
    case 'established':
    case 'nominated': return `${output.do} ${output.path}`
  }
}

/** One direction of a connection. */
interface Stream {
  readonly to: Racer
  bytes: Uint8Array
  /** Said by the sender, behind its bytes. */
  closed: { readonly code: number } | undefined
  over: boolean
}

/** A connection between the two. */
interface Connection {
  readonly path: number
  readonly streams: readonly Stream[]
}

/** The two ends and what is between them. Paths have their index as number at both ends. */
export class RaceWorld {
  readonly clock = { now: NOW }
  readonly nominator: Racer
  readonly other: Racer
  readonly ways: readonly Way[]
  /** Paths that may still be connected. */
  readonly dialling = new Set<number>()
  readonly connections = new Map<number, Connection>()
  readonly #rendezvous: Record<Way['rid'], Record<Role, Rendezvous>>

  constructor (ways: readonly Way[], options: Partial<RaceOptions> = {}) {
    this.ways = ways
    this.nominator = new Racer(true, this.clock, options)
    this.other = new Racer(false, this.clock, options)
    const both = (ak: Uint8Array): Record<Role, Rendezvous> =>
      ({ rid: new Rendezvous(nodeCrypto, 'rid', ak), rrd: new Rendezvous(nodeCrypto, 'rrd', ak) })
    this.#rendezvous = { nominator: both(times(1, 32)), other: both(times(2, 32)) }
    for (const racer of this.racers) {
      racer.perform = output => { this.#perform(racer, output) }
      ways.forEach(({ pathId, kind, unmetered, rid }, path) => {
        const role: Role = (rid === 'nominator') === (racer === this.nominator) ? 'rid' : 'rrd'
        racer.tell({ type: 'add', path, entry: { rendezvous: this.#rendezvous[rid][role], pathId, kind, unmetered } })
      })
      racer.tell({ type: 'complete' })
    }
    ways.forEach((_, path) => { this.dialling.add(path) })
  }

  get racers (): readonly Racer[] {
    return [this.nominator, this.other]
  }

  /** There is a connection, at both ends. */
  connect (path: number): void {
    this.dialling.delete(path)
    const streams = [this.nominator, this.other].map(to => ({ to, bytes: new Uint8Array(), closed: undefined, over: false }))
    this.connections.set(path, { path, streams })
    this.racers.forEach(racer => racer.tell({ type: 'open', path }))
  }

  /** There will be no connection: both get to know. */
  fail (path: number): void {
    this.dialling.delete(path)
    this.racers.forEach(racer => racer.tell({ type: 'lost', path }))
  }

  /** The connection breaks: what was on the way is gone. */
  break (path: number): void {
    const connection = this.connections.get(path)
    this.connections.delete(path)
    connection?.streams.filter(({ over }) => !over).forEach(({ to }) => to.tell({ type: 'lost', path }))
  }

  /** Carries some bytes of a direction, or the close behind them; false when there is nothing to carry. */
  carry (path: number, direction: number, most: number = Infinity): boolean {
    const stream = this.connections.get(path)?.streams[direction]
    if (stream == null || stream.over) {
      return false
    }
    const { to, bytes } = stream
    if (bytes.byteLength > 0) {
      stream.bytes = bytes.subarray(most)
      to.tell({ type: 'bytes', path, bytes: bytes.subarray(0, most) })
      return true
    }
    if (stream.closed != null) {
      stream.over = true
      to.tell({ type: 'lost', path, code: stream.closed.code })
      this.#forget(path)
      return true
    }
    return false
  }

  /** Carries everything until nobody has anything more to say. */
  settle (): void {
    for (let busy = true; busy;) {
      busy = [...this.connections.keys()].flatMap(path => [this.carry(path, 0), this.carry(path, 1)]).some(Boolean)
    }
  }

  /** Lets time pass, and wakes who wants to be woken. */
  pass (milliseconds: number): void {
    const until = this.clock.now + milliseconds
    for (;;) {
      const times = this.racers.map(({ machine }) => machine.wakeAt ?? Infinity)
      const next = Math.min(...times)
      if (next > until) {
        this.clock.now = until
        return
      }
      this.clock.now = Math.max(this.clock.now, next)
      this.racers.forEach(racer => racer.tell({ type: 'wake' }))
    }
  }

  #perform (racer: Racer, output: RaceOutput): void {
    if (output.do === 'send' || output.do === 'close') {
      const mine = racer === this.nominator ? 0 : 1
      const streams = this.connections.get(output.path)?.streams
      const [incoming, outgoing] = [streams?.[mine], streams?.[1 - mine]]
      if (incoming == null || outgoing == null) {
        return
      }
      if (output.do === 'send') {
        assert.equal(outgoing.closed, undefined, 'nothing is sent after a close')
        outgoing.bytes = concat([outgoing.bytes, ...output.frame])
      } else {
        incoming.over = true
        outgoing.closed = { code: output.code }
        this.#forget(output.path)
      }
    }
  }

  /** A connection is gone when both directions are over. */
  #forget (path: number): void {
    if (this.connections.get(path)?.streams.every(({ over }) => over) === true) {
      this.connections.delete(path)
    }
  }
}
