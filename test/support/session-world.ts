// Two sessions and one path after another between them: written to, read, cut, moved and woken at random, on a clock that jumps.
import { concatBytes } from '@noble/hashes/utils.js'
import { FrameReader } from '../../src/link/frame.ts'
import { Session } from '../../src/link/session.ts'
import type { Frame } from '../../src/link/frame.ts'
import type { SessionOutput } from '../../src/link/session.ts'
import type { Random } from './random.ts'

/** What is said is made of this; each byte tells its place. */
const PATTERN = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251)

/** What one end has to say, and how it is set up. */
export interface EndPlan {
  readonly bytes: number
  /** The largest piece that it writes or reads. */
  readonly bite: number
  readonly window: number
}

/** A path between the two: what is on its way to each. */
interface Carrier {
  readonly ways: readonly [Uint8Array[], Uint8Array[]]
  readonly readers: readonly [FrameReader, FrameReader]
  /** Bytes that it takes in each direction. */
  readonly capacity: number
  swallows: boolean
}

/** One end and its user. */
class End {
  readonly plan: EndPlan
  readonly session: Session
  readonly shift: number
  carrier: Carrier | undefined
  sent = 0
  received = 0
  read = 0
  saidEnd = false
  heardEnd = false
  over = false
  outputs = 0

  constructor (plan: EndPlan, session: Session, shift: number) {
    this.plan = plan
    this.session = session
    this.shift = shift
  }
}

const TIMES = { resumeTimeout: 1e9, keepAlive: 15_000, probeAfter: 1_000, probeTimeout: 2_000 }
/** How many milliseconds pass at most when some do. */
const TICK = 120

/** The two ends of a session. */
export class SessionWorld {
  now = 0
  readonly ends: readonly [End, End]
  readonly faults: string[] = []
  moves = 0
  readonly #random: Random
  readonly #mishaps: number
  /** The newest path. */
  #carrier: Carrier

  /** `mishaps`: how many paths die, of whatever cause. */
  constructor (random: Random, plans: readonly [EndPlan, EndPlan], mishaps: number) {
    this.#random = random
    this.#mishaps = mishaps
    const [one, other] = plans
    this.ends = [
      new End(one, new Session({ ...TIMES, window: one.window, initialLimit: other.window }), 0),
      new End(other, new Session({ ...TIMES, window: other.window, initialLimit: one.window }), 113)
    ]
    this.#carrier = this.#newCarrier()
    for (const index of [0, 1] as const) {
      this.ends[index].carrier = this.#carrier
      this.#obey(index, this.ends[index].session.attach(0, { first: true }))
    }
  }

  /** True when both have said and heard everything. The last word that it was heard may be lost with its path, for good. */
  get done (): boolean {
    return this.ends.some(({ over }) => over) && this.ends.every(({ over, saidEnd, heardEnd, session }) =>
      over || (saidEnd && heardEnd && (session.complete || this.moves > 0)))
  }

  /** Something happens at random. */
  step (): void {
    const random = this.#random
    const index = random.chance(0.5) ? 0 : 1
    const choice = random.next()
    if (choice < 0.45) {
      this.#deliver(index)
    } else if (choice < 0.6) {
      this.#write(index)
    } else if (choice < 0.8) {
      this.#read(index)
    } else if (choice < 0.97) {
      this.#pass(random.between(0, TICK))
    } else if (this.moves < this.#mishaps) {
      this.#mishap(index)
    }
    if (this.ends.some(({ carrier, over }) => carrier !== this.#carrier && !over) && random.chance(0.1)) {
      this.#move(index)
    }
    this.#check(index)
  }

  #newCarrier (): Carrier {
    const capacity = this.#random.pick([300, 2_000, 50_000])
    return { ways: [[], []], readers: [new FrameReader(), new FrameReader()], capacity, swallows: false }
  }

  #other (index: 0 | 1): End {
    return this.ends[index === 0 ? 1 : 0]
  }

  #write (index: 0 | 1): void {
    const end = this.ends[index]
    const { plan: { bytes, bite }, session } = end
    const size = Math.min(this.#random.between(0, bite), session.room, bytes - end.sent)
    if (end.over || end.saidEnd) {
      return
    }
    if (end.sent === bytes) {
      end.saidEnd = true
      this.#obey(index, session.end())
    } else {
      const start = end.sent + end.shift
      end.sent += size
      this.#obey(index, session.write(PATTERN.subarray(start, start + size)))
    }
  }

  #read (index: 0 | 1): void {
    const end = this.ends[index]
    const size = Math.min(this.#random.between(1, end.plan.bite), end.received - end.read)
    if (size > 0 && !end.over) {
      end.read += size
      this.#obey(index, end.session.consumed(size))
    }
  }

  /** What came last on a path comes to its end, cut or joined anyhow. */
  #deliver (index: 0 | 1): void {
    const { carrier } = this.ends[index]
    const way = carrier?.ways[index]
    if (carrier == null || way == null || way.length === 0) {
      return
    }
    const chunks = way.splice(0, this.#random.chance(0.3) ? this.#random.between(1, way.length) : 1)
    const all = chunks.length === 1 && chunks[0] != null ? chunks[0] : concatBytes(...chunks)
    const size = this.#random.chance(0.5) ? all.byteLength : this.#random.between(0, all.byteLength)
    if (size < all.byteLength) {
      way.unshift(all.subarray(size))
    }
    for (const frame of carrier.readers[index].read(all.subarray(0, size))) {
      this.#receive(index, frame)
    }
    this.#flush(index === 0 ? 1 : 0) // the path takes more
  }

  #receive (index: 0 | 1, frame: Frame): void {
    if (frame.type !== 'handshake') {
      this.#obey(index, this.ends[index].session.receive(frame, this.now))
    }
  }

  #pass (milliseconds: number): void {
    this.now += milliseconds
    for (const index of [0, 1] as const) {
      const { session } = this.ends[index]
      for (let wakes = 0; (session.wakeAt ?? Infinity) <= this.now; wakes++) {
        this.#obey(index, session.wake(this.now))
        if (wakes > 3) {
          throw new Error(`a session wants to be woken at ${this.now} for ever`)
        }
      }
    }
  }

  /** The path is lost, swallows what is sent from now on, or is replaced by a better one. */
  #mishap (index: 0 | 1): void {
    this.moves++
    const kind = this.#random.pick(['lost', 'one', 'swallows', 'move'])
    if (kind === 'swallows') {
      this.#carrier.swallows = true
      this.#carrier.ways.forEach(way => { way.length = 0 })
      return
    }
    if (kind !== 'move') {
      this.#carrier.ways.forEach(way => { way.splice(this.#random.between(0, way.length)) })
      this.#carrier.swallows = true
      this.#detach(index)
    }
    if (kind === 'lost') {
      this.#detach(index === 0 ? 1 : 0)
    }
    this.#carrier = this.#newCarrier()
  }

  #detach (index: 0 | 1): void {
    this.ends[index].carrier = undefined
    this.ends[index].session.detach(this.now)
  }

  /** An end gets the newest path. */
  #move (index: 0 | 1): void {
    const end = this.ends[index]
    if (end.carrier !== this.#carrier && !end.over) {
      end.carrier = this.#carrier
      this.#obey(index, end.session.attach(this.now))
    }
  }

  #obey (index: 0 | 1, outputs: readonly SessionOutput[]): void {
    const end = this.ends[index]
    end.outputs += outputs.length
    for (const output of outputs) {
      switch (output.do) {
        case 'flush':
          this.#flush(index)
          break
        case 'deliver':
          this.#take(end, this.#other(index), output.bytes)
          break
        case 'ended':
          end.heardEnd = true
          break
        case 'dead':
          if (end.carrier === this.#carrier) {
            this.#carrier = this.#newCarrier()
          }
          this.#detach(index)
          break
        case 'closed':
          end.over = true
          if (output.error != null) {
            this.faults.push(`end ${index} closed with ${output.error.message}`)
          }
          this.#flush(index, true)
          break
        case 'writable':
          break
      }
    }
  }

  #take (end: End, writer: End, bytes: Uint8Array): void {
    const start = end.received + writer.shift
    const expected = PATTERN.subarray(start, start + bytes.byteLength)
    end.received += bytes.byteLength
    if (end.heardEnd || end.received > writer.sent || Buffer.compare(bytes, expected) !== 0) {
      this.faults.push(`other bytes than were said at ${end.received - bytes.byteLength}`)
    }
  }

  #flush (index: 0 | 1, last = false): void {
    const { carrier, session } = this.ends[index]
    const way = carrier?.ways[index === 0 ? 1 : 0]
    if (carrier == null || way == null) {
      return
    }
    let inFlight = way.reduce((sum, { byteLength }) => sum + byteLength, 0)
    for (;;) {
      const parts = session.flush(last ? Infinity : carrier.capacity - inFlight, this.now)
      if (parts == null) {
        return
      }
      const chunk = concatBytes(...parts)
      inFlight += chunk.byteLength
      if (!carrier.swallows) {
        way.push(chunk)
      }
    }
  }

  #check (index: 0 | 1): void {
    const { session, plan: { window }, received, read, over } = this.ends[index]
    const { kept } = session.figures
    if (!over && (kept > window || received - read > window)) {
      this.faults.push(`${kept} bytes are kept, ${received - read} unread, in a window of ${window}`)
    }
  }
}
