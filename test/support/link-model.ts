// Every order in which things can happen between a few nodes, on the real machines. Paths are FIFO, so a node's state follows
// from what it was told, in that order: two situations are the same when every node has the same past and the network has done
// the same. A past is played once; situations are sets of pasts, so there may be many more of them.
import { concatBytes } from '@noble/hashes/utils.js'
import { StarError } from '../../src/errors.ts'
import { LinkNode, answerTo, isQuestion } from './link-node.ts'
import { sinceThen, viewOf } from './link-view.ts'
import type { PairEvent } from '../../src/link/pair.ts'
import type { Effect, NodeSetup } from './link-node.ts'
import type { View } from './link-view.ts'
import type { Random } from './random.ts'

/** What a node is told, or made to do by its users. */
export type Act = PairEvent | { readonly type: 'end' } | { readonly type: 'reset' }

/** A node's past: one act longer than its parent. */
interface Past {
  readonly id: number
  readonly node: number
  readonly setup: NodeSetup
  readonly parent: Past | undefined
  readonly act: Act | undefined
  readonly now: number
  readonly next: Map<string, Past>
  /** What was sent, and how much was received, by path. */
  readonly sent: ReadonlyMap<number, readonly Act[]>
  readonly received: ReadonlyMap<number, number>
  /** Paths that this node has closed, or has heard to be lost. */
  readonly gone: ReadonlySet<number>
  readonly opening: boolean
  readonly openings: number
  /** Answers that are still to come. */
  readonly answers: readonly Act[]
  /** Acts of users. */
  readonly used: number
  readonly view: View
}

/** What there is to know of a past beside when it was. */
type Account = Omit<Past, 'act' | 'now' | 'parent' | 'id' | 'next' | 'view'>

/** A situation: what each node has lived through, and what the network has done. */
export interface Situation {
  readonly pasts: readonly Past[]
  /** How many messages a node gets of a path, by `path:node`; all when it isn't here. */
  readonly holes: ReadonlyMap<string, number>
  /** Ends that are still to hear that their path is lost, as `path:node`. */
  readonly rumours: ReadonlySet<string>
  /** Mishaps so far. */
  readonly lost: ReadonlySet<number>
  readonly dug: ReadonlySet<number>
  readonly unopened: number
  /** Paths made beside the link so far. */
  readonly made: number
}

/** What may happen. */
export interface Weather {
  /** What each node is told by its users, in that order, at any time. */
  readonly users: ReadonlyArray<ReadonlyArray<'dial' | 'cancel' | 'end' | 'reset'>>
  /** Paths that may be lost at any time, and who hears of it. */
  readonly losses?: number
  readonly told?: 'both' | 'one'
  /** Paths that may begin to swallow everything at any time, in both directions or in one. */
  readonly holes?: number
  readonly ways?: 'both' | 'one'
  /** Paths that may not come to be opened. */
  readonly unopened?: number
  /** Paths that may be made beside a link at any time; who has dialled it is the first to know. */
  readonly moves?: number
}

interface Move {
  readonly name: string
  /** Something that happens sooner or later, not a mishap. */
  readonly must: boolean
  readonly go: () => Situation
}

/** How an exploration ended. */
export interface Explored {
  readonly situations: number
  readonly pasts: number
  readonly ends: number
}

const NOT_FOUND = new StarError('ERR_PEER_NOT_FOUND')
const LOST = new StarError('ERR_STAR_LOST')
const CLOSED = new StarError('ERR_STREAM_CLOSED')
const HORIZON = 300_000
/** So much is told of what led to a fault. */
const MAX_TRAIL = 200
/** Nodes that are kept as they are after a past; others are played again. */
const LIVE = 2_000

/** The pasts of a few nodes, as far as they were played. */
export class LinkModel {
  readonly #setups: readonly NodeSetup[]
  readonly #slow: boolean
  readonly #split: boolean
  readonly #live = new Map<Past, LinkNode>()
  #effects: Effect[] = []
  #pasts = 0

  /** `slow`: signatures take their time. `split`: what one event makes a node send does not come together. */
  constructor (setups: readonly NodeSetup[], { slow = false, split = false }: { slow?: boolean, split?: boolean } = {}) {
    this.#setups = setups
    this.#slow = slow
    this.#split = split
  }

  /** Where nothing has happened yet. */
  get start (): Situation {
    const pasts = this.#setups.map((setup, node) => this.#root(setup, node))
    return { pasts, holes: new Map(), rumours: new Set(), lost: new Set(), dug: new Set(), unopened: 0, made: 0 }
  }

  /** Goes through every situation there can be; `check` gets the views of those in which nothing is left to happen. */
  explore (weather: Weather, check: (views: readonly View[]) => void, start: Situation = this.start): Explored {
    const before = this.#pasts
    const seen = new Set<string>()
    const trail: string[] = []
    let ends = 0
    const visit = (situation: Situation): void => {
      const key = keyOf(situation)
      if (seen.has(key)) {
        return
      }
      seen.add(key)
      const moves = this.#moves(situation, weather, start)
      if (!moves.some(({ must }) => must)) {
        const timers = this.#timers(situation)
        moves.push(...timers)
        if (timers.length === 0) {
          ends++
          check(situation.pasts.map(({ view }, node) => sinceThen(view, start.pasts[node]?.view)))
        }
      }
      for (const { name, go } of moves) {
        trail.push(name)
        visit(go())
        trail.pop()
      }
    }
    try {
      visit(start)
    } catch (cause) {
      throw blame(cause, trail)
    }
    return { situations: seen.size, pasts: this.#pasts - before, ends }
  }

  /** Goes one way at random, for where there are too many to go them all. */
  wander (weather: Weather, random: Random, start: Situation = this.start): readonly View[] {
    const trail: string[] = []
    let situation = start
    try {
      for (;;) {
        const moves = this.#moves(situation, weather, start)
        const timers = moves.some(({ must }) => must) ? [] : this.#timers(situation)
        const certain = [...moves.filter(({ must }) => must), ...timers]
        if (certain.length === 0) {
          return situation.pasts.map(({ view }, node) => sinceThen(view, start.pasts[node]?.view))
        }
        const move = random.pick(random.chance(0.2) ? [...moves, ...timers] : certain)
        trail.push(move.name)
        situation = move.go()
      }
    } catch (cause) {
      throw blame(cause, trail)
    }
  }

  /** Lets everything happen, in some order, without mishaps. */
  settle (users: Weather['users'], start: Situation = this.start): Situation {
    let situation = start
    for (;;) {
      const move = this.#moves(situation, { users }, start).find(({ must }) => must) ?? this.#timers(situation)[0]
      if (move == null) {
        return situation
      }
      situation = move.go()
    }
  }

  /** A node ends, with another one in its place. The others hear that its paths are lost, or don't. */
  restart (situation: Situation, node: number, setup: NodeSetup, told: boolean): Situation {
    const paths = situation.pasts[node]?.view.paths ?? []
    const pasts = situation.pasts.map((past, index) => index === node ? this.#root(setup, node) : past)
    const cut = this.cut({ ...situation, pasts: situation.pasts }, paths, told ? situation.pasts.map(({ node }) => node) : [])
    const rumours = new Set([...cut.rumours].filter(end => !end.endsWith(`:${node}`)))
    const known = situation.pasts.flatMap(({ sent, received }) => [...sent.keys(), ...received.keys()])
    const holes = new Map([...cut.holes, ...known.map((path): [string, number] => [`${path}:${node}`, 0])])
    return { ...cut, pasts, rumours, holes }
  }

  /** Paths carry nothing any more; the nodes that are told so will hear it. */
  cut (situation: Situation, paths: readonly number[], told: readonly number[]): Situation {
    const ends = paths.flatMap(path => endsOf(situation, path))
    const rumours = paths.flatMap(path => told.map(node => `${path}:${node}`))
    return { ...situation, holes: new Map([...situation.holes, ...ends]), rumours: new Set([...situation.rumours, ...rumours]) }
  }

  #moves (situation: Situation, weather: Weather, start: Situation): Move[] {
    const { losses = 0, told = 'both', unopened = 0, moves: most = 0 } = weather
    const moves: Move[] = []
    for (const [node, past] of situation.pasts.entries()) {
      const { name } = past.setup
      const move = (what: string, act: Act, must = true, more: Partial<Situation> = {}): void => {
        moves.push({ name: `${name} ${what}`, must, go: () => this.#tell({ ...situation, ...more }, node, act) })
      }
      const type = weather.users[node]?.[past.used - (start.pasts[node]?.used ?? 0)]
      if (type != null) {
        move(type, { type })
      }
      if (past.opening) {
        const path = node * 1_000 + past.setup.incarnation * 100 + past.openings
        move(`opened ${path}`, { type: 'opened', path })
        if (situation.unopened < unopened) {
          move('unopened', { type: 'unopened', error: NOT_FOUND }, false, { unopened: situation.unopened + 1 })
        }
      }
      const { link, dialled } = past.view
      if (link != null && dialled && situation.made < most) {
        const path = node * 1_000 + past.setup.incarnation * 100 + 50 + situation.made
        move(`adopts ${path}`, { type: 'adopt', path, link, direct: true }, false, { made: situation.made + 1 })
      }
      for (const answer of past.answers) {
        move(answer.type, answer)
      }
      for (const [path, message] of this.#arriving(situation, past)) {
        move(`${message.type} ${path}`, message)
      }
      for (const path of past.view.paths) {
        const lost: Act = { type: 'lost', path, error: LOST }
        if (situation.rumours.has(`${path}:${node}`)) {
          const rumours = new Set(situation.rumours)
          rumours.delete(`${path}:${node}`)
          move(`hears ${path} is lost`, lost, true, { rumours })
        } else if (situation.lost.size < losses && !situation.lost.has(path)) {
          const hearing = told === 'one' ? [] : situation.pasts.filter(other => other !== past)
          const others = hearing.map(other => `${path}:${other.node}`)
          const rumours = new Set([...situation.rumours, ...others])
          move(`loses ${path}`, lost, false, { rumours, lost: new Set([...situation.lost, path]) })
        }
      }
    }
    return [...moves, ...this.#holes(situation, weather)]
  }

  #holes (situation: Situation, { holes = 0, ways = 'both' }: Weather): Move[] {
    const { pasts, dug } = situation
    const paths = new Set(dug.size < holes ? pasts.flatMap(({ view }) => view.paths) : [])
    return [...paths].filter(path => !dug.has(path)).flatMap(path => {
      const ends = endsOf(situation, path)
      return (ways === 'both' ? [ends] : ends.map(end => [end])).map(swallowing => ({
        name: `${swallowing.map(([end]) => end).join(' and ')} get no more`,
        must: false,
        go: () => ({ ...situation, dug: new Set([...dug, path]), holes: new Map([...situation.holes, ...swallowing]) })
      }))
    })
  }

  /** The next message for a node on each path. */
  * #arriving ({ pasts, holes }: Situation, past: Past): Generator<readonly [number, Act]> {
    for (const other of pasts) {
      for (const [path, messages] of other === past ? [] : other.sent) {
        const count = past.received.get(path) ?? 0
        const message = messages[count]
        const most = holes.get(`${path}:${past.node}`) ?? Infinity
        if (message != null && count < most && !past.gone.has(path) && this.#ends(path).includes(past.node)) {
          yield [path, message]
        }
      }
    }
  }

  /** The two nodes that a path joins. */
  #ends (path: number): readonly number[] {
    const opener = Math.floor(path / 1_000)
    return [opener, this.#setups.findIndex(({ name }) => name === this.#setups[opener]?.peer)]
  }

  /** Time passes only when nothing else can happen, and somebody isn't content. */
  #timers (situation: Situation): Move[] {
    const { pasts } = situation
    const times = pasts.map(({ view }) => view.wakeAt ?? Infinity)
    const at = Math.max(...pasts.map(({ now }) => now), Math.min(...times))
    if (at === Infinity || isContent(situation)) {
      return []
    }
    if (at > HORIZON) {
      throw new Error(`never comes to rest: ${JSON.stringify(pasts.map(({ view }) => view), spell)}`)
    }
    return pasts.filter(({ node }) => (times[node] ?? Infinity) <= at).map(({ node, setup }) => ({
      name: `${setup.name} at ${at} ms`,
      must: true,
      go: () => this.#tell(situation, node, { type: 'wake' }, at)
    }))
  }

  #tell (situation: Situation, node: number, act: Act, now = Math.max(...situation.pasts.map(past => past.now))): Situation {
    return { ...situation, pasts: situation.pasts.map(past => past.node === node ? this.#extend(past, act, now) : past) }
  }

  #root (setup: NodeSetup, node: number): Past {
    const machine = this.#machine(setup)
    return {
      id: this.#pasts++,
      node,
      setup,
      parent: undefined,
      act: undefined,
      now: 0,
      next: new Map(),
      sent: new Map(),
      received: new Map(),
      gone: new Set(),
      opening: false,
      openings: 0,
      answers: [],
      used: 0,
      view: viewOf(machine, 0)
    }
  }

  #machine (setup: NodeSetup): LinkNode {
    return new LinkNode(setup, { budget: () => Infinity, perform: effect => { this.#effects.push(effect) } })
  }

  #extend (past: Past, act: Act, now: number): Past {
    const key = keyOfAct(act, now)
    const known = past.next.get(key)
    if (known != null) {
      return known
    }
    const machine = this.#live.get(past) ?? this.#replay(past)
    this.#live.delete(past)
    const effects = this.#perform(machine, act, now)
    if (machine.faults.length > 0) {
      throw new Error(`${past.setup.name} ${machine.faults.join(', ')}`)
    }
    const account = this.#follow(past, act, effects, machine)
    const view = viewOf(machine, account.openings)
    const next: Past = { ...account, act, now, view, parent: past, id: this.#pasts++, next: new Map() }
    past.next.set(key, next)
    this.#live.set(next, machine)
    for (const [oldest] of this.#live.size > LIVE ? this.#live : []) {
      this.#live.delete(oldest)
      break
    }
    return next
  }

  #replay (past: Past): LinkNode {
    const machine = this.#machine(past.setup)
    for (const { act, now } of line(past)) {
      if (act != null) {
        this.#perform(machine, act, now)
      }
    }
    return machine
  }

  #perform (machine: LinkNode, act: Act, now: number): Effect[] {
    this.#effects = []
    const { talk } = machine
    if (act.type === 'end' || act.type === 'reset') {
      if (talk != null) {
        machine[act.type](talk, now)
      }
    } else {
      machine.feed(act, now)
    }
    for (let index = 0; !this.#slow && index < this.#effects.length; index++) {
      const effect = this.#effects[index]
      if (effect != null && isQuestion(effect)) {
        machine.feed(answerTo(effect, machine.setup), now)
      }
    }
    return this.#effects
  }

  /** What becomes of a past's accounts by one more act. */
  #follow (past: Past, act: Act, effects: readonly Effect[], machine: LinkNode): Account {
    const received = new Map(past.received)
    const sent = new Map(past.sent)
    const gone = new Set(past.gone)
    let { opening, openings, used } = past
    const post = (path: number, message: Act): void => { sent.set(path, [...sent.get(path) ?? [], message]) }
    const made = act.type === 'adopt' && Math.floor(act.path / 1_000) === past.node
    if (made) {
      post(act.path, act)
    } else if (act.type === 'bytes' || act.type === 'incoming' || act.type === 'lost' || act.type === 'adopt') {
      received.set(act.path, (received.get(act.path) ?? 0) + 1)
    }
    if (act.type === 'lost') {
      gone.add(act.path)
    } else if (act.type === 'opened') {
      openings++
      post(act.path, { type: 'incoming', path: act.path })
    } else if (act.type === 'dial' || act.type === 'cancel' || act.type === 'reset' || act.type === 'end') {
      used++
    }
    opening &&= act.type !== 'opened' && act.type !== 'unopened'
    for (const effect of effects) {
      if (effect.do === 'open' || effect.do === 'abandon') {
        opening = effect.do === 'open'
      } else if (effect.do === 'send') {
        const last = sent.get(effect.path)?.at(-1)
        if (!this.#split && last?.type === 'bytes' && !past.sent.get(effect.path)?.includes(last)) {
          sent.set(effect.path, sent.get(effect.path)?.slice(0, -1) ?? [])
          post(effect.path, { ...last, chunk: concatBytes(last.chunk, effect.bytes) }) // one write for what one act sends
        } else {
          post(effect.path, { type: 'bytes', path: effect.path, chunk: effect.bytes })
        }
      } else if (effect.do === 'close') {
        gone.add(effect.path)
        post(effect.path, { type: 'lost', path: effect.path, error: CLOSED })
      }
    }
    const questions = this.#slow ? effects.filter(isQuestion).map(effect => answerTo(effect, machine.setup)) : []
    const answers = [...past.answers.filter(answer => answer !== act), ...questions]
    return { node: past.node, setup: past.setup, sent, received, gone, opening, openings, answers, used }
  }
}

/** A past from its beginning on. */
function line (past: Past): Past[] {
  const pasts: Past[] = []
  for (let each: Past | undefined = past; each != null; each = each.parent) {
    pasts.unshift(each)
  }
  return pasts
}

/** Nothing happens any more but that the link is found to be alive. */
function isContent ({ pasts, holes }: Situation): boolean {
  const linked = pasts.filter(({ view }) => !view.idle)
  const [first] = linked
  return first?.view.path != null && linked.length === 2 && linked.every(({ node, opening, setup, view }) => {
    const { link, path, paths, dials, talks } = view
    const calm = !opening && !dials.includes('waiting') && paths.length === 1 && !holes.has(`${path}:${node}`)
    return calm && link === first.view.link && path === first.view.path &&
      talks.every(({ id, over, received }) => over || (id === link && received === setup.plan.bytes))
  })
}

/** How much each node has received of a path. */
function endsOf ({ pasts }: Situation, path: number): Array<[string, number]> {
  return pasts.map(({ node, received }) => [`${path}:${node}`, received.get(path) ?? 0])
}

function keyOf ({ pasts, holes, rumours, lost, dug, unopened, made }: Situation): string {
  const network = [holes, rumours, lost, dug].map(part => [...part].map(String).toSorted().join(' '))
  return [...pasts.map(({ id }) => id), ...network, unopened, made].join('/')
}

function keyOfAct (act: Act, now: number): string {
  const path = 'path' in act ? act.path : ''
  const rest = act.type === 'bytes' ? Buffer.from(act.chunk).toString('latin1') : act.type === 'lost' ? act.error.code : ''
  return `${act.type} ${path} ${now} ${rest}`
}

/** A fault with what led to it. */
function blame (cause: unknown, trail: readonly string[]): Error {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new Error(`${message}\n  after: ${trail.slice(0, MAX_TRAIL).join(' · ')}`, { cause })
}

function spell (_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
