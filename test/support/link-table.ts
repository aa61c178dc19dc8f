// Any number of peers at one table: paths between them are laid, held up, cut and listened to by hand.
import { StarError } from '../../src/errors.ts'
import { LinkNode, answerTo } from './link-node.ts'
import type { PairEvent } from '../../src/link/pair.ts'
import type { Effect, NodeSetup } from './link-node.ts'

/** A peer at the table. */
export interface Seat {
  readonly node: LinkNode
  /** True when it wants a path. */
  opening: boolean
  /** What it has said on each path, and what it hasn't heard yet. */
  readonly said: Map<number, Uint8Array[]>
  readonly unheard: PairEvent[]
  /** Questions to its crypto that wait, when {@link LinkTable.slow} is set. */
  readonly questions: PairEvent[]
}

/** Peers and the paths between them; everything comes at once unless a path is held up. */
export class LinkTable {
  now = 0
  /** Signatures wait for {@link answer}. */
  slow = false
  /** Paths whose messages wait. */
  readonly held = new Set<number>()
  readonly #ends = new Map<number, readonly [Seat, Seat]>()
  #nextPath = 1

  seat (setup: NodeSetup): Seat {
    const said = new Map<number, Uint8Array[]>()
    const node = new LinkNode(setup, { budget: () => Infinity, perform: effect => { this.#perform(seat, effect) } })
    const seat: Seat = { node, opening: false, said, unheard: [], questions: [] }
    return seat
  }

  /** Lays the path that the one wants, to the other; returns its number. */
  lay (from: Seat, to: Seat): number {
    const path = this.#nextPath++
    from.opening = false
    this.#ends.set(path, [from, to])
    to.unheard.push({ type: 'incoming', path })
    from.node.feed({ type: 'opened', path }, this.now)
    return path
  }

  /** Makes a path beside the link of two peers, of which the one hears first; returns its number. */
  make (from: Seat, to: Seat, direct: boolean = true): number {
    const path = this.#nextPath++
    const adopt: PairEvent = { type: 'adopt', path, link: from.node.pair.link?.id ?? 0n, direct }
    this.#ends.set(path, [from, to])
    to.unheard.push(adopt)
    from.node.feed(adopt, this.now)
    return path
  }

  /** The path that a peer wants can't be opened. */
  refuse (seat: Seat, error: StarError): void {
    seat.opening = false
    this.feed(seat, { type: 'unopened', error })
  }

  /** Has a peer dial, lays its path and lets everything happen. */
  dial (from: Seat, to: Seat): number {
    this.feed(from, { type: 'dial' })
    const path = this.lay(from, to)
    this.settle()
    return path
  }

  feed (seat: Seat, event: PairEvent): void {
    seat.node.feed(event, this.now)
  }

  /** Delivers what was said, until all is said or held up; so many messages at most. */
  settle (most: number = Infinity): number {
    let count = 0
    const seats = new Set([...this.#ends.values()].flat())
    for (let moved = true; moved && count < most;) {
      moved = false
      for (const seat of seats) {
        const index = seat.unheard.findIndex(event => !('path' in event && this.held.has(event.path)))
        const [event] = index < 0 || count >= most ? [] : seat.unheard.splice(index, 1)
        const opens = event?.type === 'incoming' || event?.type === 'adopt'
        if (event != null && (opens || ('path' in event && seat.node.paths.has(event.path)))) {
          moved = true
          count++
          seat.node.feed(event, this.now)
        } else if (event != null) {
          moved = true
        }
      }
    }
    return count
  }

  /** Answers what waits for an answer, and goes on. */
  answer (seat: Seat): void {
    for (const event of seat.questions.splice(0)) {
      seat.node.feed(event, this.now)
    }
    this.settle()
  }

  /** Lets time pass, and everything happen in it. */
  pass (milliseconds: number): void {
    const until = this.now + milliseconds
    const seats = new Set([...this.#ends.values()].flat())
    for (let times = 0; times < 10_000; times++) {
      this.settle()
      const at = Math.min(...[...seats].map(({ node }) => node.pair.wakeAt ?? Infinity))
      if (at > until) {
        this.now = until
        return
      }
      this.now = Math.max(this.now, at)
      seats.forEach(({ node }) => { node.feed({ type: 'wake' }, this.now) })
    }
    throw new Error('somebody wants to be woken for ever')
  }

  /** A path is lost, and these hear of it. */
  cut (path: number, ...seats: readonly Seat[]): void {
    for (const seat of this.#ends.get(path) ?? []) {
      seat.unheard.splice(0, seat.unheard.length, ...seat.unheard.filter(event => !('path' in event) || event.path !== path))
    }
    this.held.add(path)
    for (const seat of seats) {
      this.feed(seat, { type: 'lost', path, error: new StarError('ERR_STAR_LOST') })
    }
  }

  #perform (seat: Seat, effect: Effect): void {
    const other = 'path' in effect && effect.path != null ? this.#ends.get(effect.path)?.find(end => end !== seat) : undefined
    switch (effect.do) {
      case 'open':
      case 'abandon':
        seat.opening = effect.do === 'open'
        break
      case 'send':
        seat.said.set(effect.path, [...seat.said.get(effect.path) ?? [], effect.bytes])
        other?.unheard.push({ type: 'bytes', path: effect.path, chunk: effect.bytes })
        break
      case 'close':
        other?.unheard.push({ type: 'lost', path: effect.path, error: new StarError('ERR_STREAM_CLOSED') })
        break
      case 'sign':
      case 'verify':
        if (this.slow) {
          seat.questions.push(answerTo(effect, seat.node.setup))
        } else {
          seat.node.feed(answerTo(effect, seat.node.setup), this.now)
        }
        break
      case 'note':
        break
    }
  }
}
