// Two pairs, the paths between them and a clock that jumps: chunks come late, split and joined, paths die or swallow them.
import { concatBytes } from '@noble/hashes/utils.js'
import { StarError } from '../../src/errors.ts'
import { LinkNode, NODE_DEFAULTS, answerTo } from './link-node.ts'
import type { Effect, NodeSetup, Talk } from './link-node.ts'
import type { Random } from './random.ts'

/** What the network and those who use it are like; times are milliseconds. */
export interface LinkWeather {
  /** The longest that a chunk is on its way, beside what its size costs. */
  readonly latency: number
  /** Bytes a millisecond. */
  readonly rate: number
  /** Bytes that a path takes before it wants to be drained. */
  readonly capacity: number
  /** The longest that a path takes to be opened, and how often that fails. */
  readonly opening: number
  readonly refusal: number
  /** The longest that a signature takes. */
  readonly crypto: number
  /** The longest pause between two writes, and between two reads, and how much they write and read. */
  readonly pause: number
  readonly bite: number
}

/** Who is told that a path is lost: both ends, one of them, or none; `way` swallows one direction only. */
export type Mishap = 'both' | 'one' | 'none' | 'way'

/** What comes to an end of a path: that it is open, or for which link it was made, then bytes, then that nothing follows. */
type Said = Uint8Array | 'open' | 'end' | { readonly link: bigint, readonly direct: boolean }

/** One direction of a path. */
interface Way {
  readonly to: number
  readonly chunks: Said[]
  inFlight: number
  lastAt: number
  swallows: boolean
  blocked: boolean
}

interface WorldPath {
  readonly id: number
  readonly ways: readonly [Way, Way]
}

interface Task {
  readonly at: number
  run (): void
}

/** How long a wake may change nothing and be wanted again at once. */
const MAX_SPIN = 5

/** Two nodes and what lies between them. */
export class LinkWorld {
  now = 0
  steps = 0
  weather: LinkWeather
  readonly nodes: readonly [LinkNode, LinkNode]
  readonly faults: string[] = []
  readonly #random: Random
  readonly #paths = new Map<number, WorldPath>()
  /** The next one is the last one. */
  readonly #tasks: Task[] = []
  readonly #openings: [Task | undefined, Task | undefined] = [undefined, undefined]
  readonly #spins: [number, number] = [0, 0]
  readonly #wokenAt: [number, number] = [0, 0]
  #nextPath = 0

  constructor (random: Random, setups: readonly [NodeSetup, NodeSetup], weather: LinkWeather) {
    this.#random = random
    this.weather = weather
    const node = (index: 0 | 1): LinkNode => new LinkNode(setups[index], {
      budget: path => this.#budget(path, index),
      perform: effect => { this.#perform(effect, index) },
      stir: talk => { this.#stir(index, talk) }
    })
    this.nodes = [node(0), node(1)]
  }

  /** Paths that are open at either end. */
  get paths (): number[] {
    return [...this.#paths.keys()].filter(id => this.nodes.some(({ paths }) => paths.has(id)))
  }

  /** Something happens to a path, or to the one that carries the link. */
  mishap (kind: Mishap, path: number): void {
    const ways = this.#paths.get(path)?.ways ?? []
    const [first, second] = this.#random.chance(0.5) ? [0, 1] as const : [1, 0] as const
    for (const way of kind === 'way' ? ways.slice(first, first + 1) : ways) {
      way.swallows = true
      way.chunks.length = 0
    }
    if (kind === 'both' || kind === 'one') {
      this.#lose(path, first)
    }
    if (kind === 'both') {
      this.after(this.weather.latency, () => { this.#lose(path, second) })
    }
  }

  /** Does something after at most so many milliseconds. */
  after (most: number, run: () => void): Task {
    const task: Task = { at: this.now + this.#random.next() * most, run }
    this.#insert(task)
    return task
  }

  dial (index: 0 | 1): void {
    this.nodes[index].feed({ type: 'dial' }, this.now)
  }

  cancel (index: 0 | 1): void {
    this.nodes[index].feed({ type: 'cancel' }, this.now)
  }

  /** The two make a path beside their link; this one is the first to know. */
  make (index: 0 | 1, direct: boolean): void {
    const link = this.nodes[index].pair.link?.id
    if (link != null) {
      const path = this.#lay()
      this.#send(path, index, { link, direct })
      this.nodes[index].feed({ type: 'adopt', path, link, direct }, this.now)
    }
  }

  /** Lets time pass until then, or until nothing is left to happen. */
  run (until: number): void {
    while (this.step(until)) {
      // goes on
    }
    this.now = Math.max(this.now, until)
  }

  /** The next thing happens; false when nothing is left until then. */
  step (until = Infinity): boolean {
    const wakes = this.nodes.map(({ pair }) => pair.wakeAt ?? Infinity) as [number, number]
    const index = wakes[1] < wakes[0] ? 1 : 0
    const task = this.#tasks.at(-1)
    const at = Math.max(this.now, Math.min(wakes[index], task?.at ?? Infinity))
    if (at > until || at === Infinity) {
      return false
    }
    this.steps++
    this.now = at
    if (task != null && task.at <= wakes[index]) {
      this.#tasks.pop()
      task.run()
    } else {
      this.#wake(index)
    }
    return true
  }

  /** Faults of the world and of both nodes. */
  check (): string[] {
    for (const { talks, setup: { name, options }, faults } of this.nodes) {
      const window = options?.window ?? NODE_DEFAULTS.window
      for (const { over, received, read, link: { session } } of talks) {
        const { kept } = session.figures
        if (!over && (kept > window || received - read > window)) {
          faults.push(`${name} keeps ${kept} bytes, and ${received - read} for its reader, with a window of ${window}`)
        }
      }
    }
    return [...this.faults, ...this.nodes.flatMap(({ faults }) => faults)]
  }

  #insert (task: Task): void {
    let index = this.#tasks.length
    while (index > 0 && (this.#tasks[index - 1]?.at ?? Infinity) <= task.at) {
      index--
    }
    this.#tasks.splice(index, 0, task)
  }

  #wake (index: 0 | 1): void {
    this.#spins[index] = this.#wokenAt[index] === this.now ? this.#spins[index] + 1 : 0
    this.#wokenAt[index] = this.now
    if (this.#spins[index] > MAX_SPIN) {
      throw new Error(`${this.nodes[index].setup.name} wants to be woken at ${this.now} for ever`)
    }
    this.nodes[index].feed({ type: 'wake' }, this.now)
  }

  #perform (effect: Effect, index: 0 | 1): void {
    switch (effect.do) {
      case 'open':
        this.#openings[index] = this.after(this.weather.opening, () => { this.#open(index) })
        break
      case 'abandon':
        this.#tasks.splice(this.#tasks.findIndex(task => task === this.#openings[index]), this.#openings[index] == null ? 0 : 1)
        this.#openings[index] = undefined
        break
      case 'send':
        this.#send(effect.path, index, effect.bytes)
        break
      case 'close':
        this.#send(effect.path, index, 'end')
        break
      case 'sign':
      case 'verify':
        this.after(this.weather.crypto, () => {
          if (this.nodes[index].paths.has(effect.path)) {
            this.nodes[index].feed(answerTo(effect, this.nodes[index].setup), this.now)
          }
        })
        break
      case 'note':
        break
    }
  }

  #open (index: 0 | 1): void {
    this.#openings[index] = undefined
    if (this.#random.chance(this.weather.refusal)) {
      return this.nodes[index].feed({ type: 'unopened', error: new StarError('ERR_PEER_NOT_FOUND') }, this.now)
    }
    const id = this.#lay()
    this.#send(id, index, 'open')
    this.nodes[index].feed({ type: 'opened', path: id }, this.now)
  }

  #lay (): number {
    const id = this.#nextPath++
    const way = (to: number): Way => ({ to, chunks: [], inFlight: 0, lastAt: 0, swallows: false, blocked: false })
    this.#paths.set(id, { id, ways: [way(0), way(1)] })
    return id
  }

  #lose (id: number, index: 0 | 1): void {
    const node = this.nodes[index]
    if (node.paths.has(id)) {
      node.feed({ type: 'lost', path: id, error: new StarError('ERR_STAR_LOST') }, this.now)
    }
  }

  #way (id: number, from: 0 | 1): Way | undefined {
    return this.#paths.get(id)?.ways[from === 0 ? 1 : 0]
  }

  #budget (id: number, from: 0 | 1): number {
    const way = this.#way(id, from)
    if (way == null) {
      return 0
    }
    const budget = this.weather.capacity - way.inFlight
    way.blocked = budget < 64
    return budget
  }

  #send (id: number, from: 0 | 1, said: Said): void {
    const way = this.#way(id, from)
    if (way == null) {
      return
    }
    const size = sizeOf(said)
    way.inFlight += size
    if (!way.swallows) {
      way.lastAt = Math.max(way.lastAt, this.now + this.#random.next() * this.weather.latency) + size / this.weather.rate
      way.chunks.push(said)
      this.#insert({ at: way.lastAt, run: () => { this.#arrive(id, way) } })
    }
  }

  #arrive (id: number, way: Way): void {
    const to = way.to === 0 ? 0 : 1
    const node = this.nodes[to]
    const said = way.chunks.shift()
    if (said === 'open') {
      return node.feed({ type: 'incoming', path: id }, this.now)
    }
    if (typeof said === 'object' && 'link' in said) {
      return node.feed({ type: 'adopt', path: id, ...said }, this.now)
    }
    if (said == null || !node.paths.has(id)) {
      return // lost with its path, or joined with the one before
    }
    if (said === 'end') {
      return node.feed({ type: 'lost', path: id, error: new StarError('ERR_STREAM_CLOSED') }, this.now)
    }
    way.inFlight -= said.byteLength
    for (const chunk of this.#cut(said, way)) {
      if (node.paths.has(id)) {
        node.feed({ type: 'bytes', path: id, chunk }, this.now)
      }
    }
    if (way.blocked) {
      way.blocked = false
      this.nodes[to === 0 ? 1 : 0].drained(id, this.now)
    }
  }

  /** What comes may come in pieces, or together with what comes behind it. */
  #cut (bytes: Uint8Array, way: Way): Uint8Array[] {
    if (this.#random.chance(0.2)) {
      const [behind] = way.chunks
      if (behind instanceof Uint8Array) {
        way.chunks.shift()
        way.inFlight -= behind.byteLength
        return [concatBytes(bytes, behind)]
      }
    }
    if (this.#random.chance(0.3)) {
      const at = this.#random.between(0, bytes.byteLength)
      return [bytes.subarray(0, at), bytes.subarray(at)]
    }
    return [bytes]
  }

  /** Whoever can write or read will do so in a while. */
  #stir (index: 0 | 1, talk: Talk): void {
    const { pause, bite } = this.weather
    const node = this.nodes[index]
    if (!talk.writing && (talk.writable > 0 || talk.canEnd)) {
      talk.writing = true
      this.after(pause, () => {
        talk.writing = false
        if (!talk.over) {
          node.write(talk, this.#random.between(1, bite), this.now)
          this.#stir(index, talk)
        }
      })
    }
    if (!talk.reading && talk.received > talk.read) {
      talk.reading = true
      this.after(pause, () => {
        talk.reading = false
        if (!talk.over) {
          node.read(talk, this.#random.between(1, bite), this.now)
          this.#stir(index, talk)
        }
      })
    }
  }
}

function sizeOf (said: Said): number {
  return said instanceof Uint8Array ? said.byteLength : 0
}
