// One end of a pair of peers: does a driver's duties without I/O, and talks over each link as an encrypted connection would.
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { StarError } from '../../src/errors.ts'
import { linkSecret } from '../../src/link/digest.ts'
import { Pair } from '../../src/link/pair.ts'
import { Capability } from '../../src/link/wire.ts'
import { Random } from './random.ts'
import type { Link, Note, PairEvent, PairOptions, PairOutput } from '../../src/link/pair.ts'
import type { SessionOutput } from '../../src/link/session.ts'

/** What all that is said is made of; each byte tells its place. */
const PATTERN = Uint8Array.from({ length: 1_100_000 }, (_, index) => index % 251)

/** The first messages of an encrypted handshake, each way. */
const HELLO = 3
/** Bytes after which an end has the other one's half of the link's secret. */
const SECRET_AT = 10

/** How much an end says over each link, and how. */
export interface TalkPlan {
  /** Bytes; at least {@link SECRET_AT}. */
  readonly bytes: number
  /** Whether it ends its half behind them. */
  readonly end: boolean
  /** Whether it writes and reads by itself whenever it can. */
  readonly auto: boolean
}

/** What an end says and hears over one link. */
export class Talk {
  readonly link: Link
  readonly plan: TalkPlan
  sent = 0
  secretKnown = false
  /** Bytes that were delivered, and of these the ones that were read. */
  received = 0
  read = 0
  saidEnd = false
  heardEnd = false
  over = false
  error: StarError | undefined
  /** True when the next read task or write task is already set. */
  reading = false
  writing = false

  constructor (link: Link, plan: TalkPlan) {
    this.link = link
    this.plan = plan
  }

  /** True when the encrypted handshake is through here. */
  get established (): boolean {
    return this.received >= (this.link.dialled ? HELLO : 2 * HELLO)
  }

  /** Bytes that may be said by now: each message of the encrypted handshake waits for the one before. */
  get #sayable (): number {
    if (this.established) {
      return this.plan.bytes
    }
    return this.link.dialled || this.received >= HELLO ? HELLO : 0
  }

  /** Bytes that can be written now. */
  get writable (): number {
    return this.over || this.saidEnd ? 0 : Math.min(this.#sayable - this.sent, this.link.session.room)
  }

  get canEnd (): boolean {
    return this.plan.end && !this.over && !this.saidEnd && this.sent === this.plan.bytes
  }

  /** Everything was said and heard, and it ended in good order. */
  get complete (): boolean {
    return this.over && this.error == null && this.saidEnd && this.heardEnd
  }

  next (size: number): Uint8Array {
    const start = this.#shift(this.link.dialled) + this.sent
    this.sent += size
    return PATTERN.subarray(start, start + size)
  }

  /** Takes what was delivered; false when it isn't what was said. */
  take (bytes: Uint8Array): boolean {
    const start = this.#shift(!this.link.dialled) + this.received
    this.received += bytes.byteLength
    return Buffer.compare(bytes, PATTERN.subarray(start, start + bytes.byteLength)) === 0
  }

  /** Links and directions differ, so that bytes that stray are seen. */
  #shift (dialled: boolean): number {
    return Number(this.link.id % 113n) + (dialled ? 0 : 127)
  }
}

/** A call of `dial`, and what came of it. */
export interface Dial {
  state: 'waiting' | 'dialled' | 'failed' | 'cancelled'
  link?: bigint
  error?: StarError
}

/** What a node wants of the world around it. */
export type Effect = PairOutput & { readonly do: 'open' | 'abandon' | 'send' | 'close' | 'sign' | 'verify' | 'note' }

/** The world around a node. */
export interface NodePorts {
  /** Bytes that a path takes now. */
  budget (path: number): number
  perform (effect: Effect): void
  /** Something can be written or read over a link, by who doesn't do so by itself. */
  stir? (talk: Talk): void
}

/** How a node is set up. */
export interface NodeSetup {
  readonly name: string
  readonly peer: string
  readonly incarnation: number
  readonly plan: TalkPlan
  readonly options?: Partial<PairOptions>
  /** Proves the peer id by signatures; without it nothing is signed. */
  readonly identity?: boolean
  /** What it signs with; its name is the right one. */
  readonly key?: string
  /** The secret of a private star. */
  readonly secret?: Uint8Array
}

/** Times and bounds of a node that is set up with nothing else. */
export const NODE_DEFAULTS = {
  window: 65_536, resumeTimeout: 30_000, keepAlive: 15_000, probeAfter: 1_000, probeTimeout: 2_000, stepTimeout: 5_000,
  totalTimeout: 15_000, grace: 500, retry: 250
} as const

function pairOptions ({ name, peer, incarnation, options = {}, identity = false, secret }: NodeSetup): PairOptions {
  const window = options.window ?? NODE_DEFAULTS.window
  const capabilities = Capability.session | (identity ? Capability.identity : 0) | (secret == null ? 0 : Capability.secret)
  return {
    ...NODE_DEFAULTS,
    initialLimit: window,
    name,
    peer,
    greater: name > peer,
    incarnation: BigInt(incarnation),
    suite: 'hmac-sha256',
    connectionString: '',
    publicKey: utf8ToBytes(name),
    flags: { version: 1, capabilities, required: secret == null ? 0 : Capability.secret, suite: 'hmac-sha256', window },
    ...options
  }
}

/** What only the holder of `key` can make. */
function fakeSignature (key: string, message: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes(key), message.subarray(-32))
}

/** A question of a node to its crypto. */
export type Question = PairOutput & { readonly do: 'sign' | 'verify' }

export function isQuestion (effect: Effect): effect is Question {
  return effect.do === 'sign' || effect.do === 'verify'
}

/** What the crypto answers to a node that is set up so. */
export function answerTo (question: Question, { name, key = name }: NodeSetup): PairEvent {
  const { path, message } = question
  if (question.do === 'sign') {
    return { type: 'signed', path, signature: fakeSignature(key, message) }
  }
  const { peer, publicKey, signature } = question
  const isKey = Buffer.compare(publicKey, utf8ToBytes(peer)) === 0
  return { type: 'verified', path, valid: isKey && Buffer.compare(signature, fakeSignature(peer, message)) === 0 }
}

/** A pair, its driver and what it talks. */
export class LinkNode {
  readonly setup: NodeSetup
  readonly pair: Pair
  readonly talks: Talk[] = []
  readonly dials: Dial[] = []
  readonly notes: Array<{ what: Note, link: bigint, code: string | undefined }> = []
  readonly faults: string[] = []
  /** Paths that are open here. */
  readonly paths = new Set<number>()
  readonly #ports: NodePorts
  readonly #queue: PairEvent[] = []
  readonly #dirty = new Set<Talk>()
  #now = 0
  #busy = false

  constructor (setup: NodeSetup, ports: NodePorts) {
    this.setup = setup
    this.#ports = ports
    const random = new Random(setup.incarnation * 7_919 + (setup.name.codePointAt(0) ?? 0))
    this.pair = new Pair(pairOptions(setup), {
      random: length => random.bytes(length),
      outstanding: new Set(),
      secret: setup.secret ?? new Uint8Array()
    })
  }

  /** What is said over the link that counts. */
  get talk (): Talk | undefined {
    return this.talkOf(this.pair.link)
  }

  get waiting (): Dial[] {
    return this.dials.filter(({ state }) => state === 'waiting')
  }

  talkOf (link: Link | undefined): Talk | undefined {
    return link == null ? undefined : this.talks.find(talk => talk.link === link)
  }

  /** Everything that happens goes in here. */
  feed (event: PairEvent, now: number): void {
    this.#now = now
    if (event.type === 'dial') {
      this.dials.push({ state: 'waiting' })
    } else if (event.type === 'cancel') {
      this.waiting.forEach(dial => { dial.state = 'cancelled' })
    } else if (event.type === 'opened' || event.type === 'incoming' || event.type === 'adopt') {
      this.paths.add(event.path)
    } else if (event.type === 'lost') {
      this.paths.delete(event.path)
    }
    this.#queue.push(event)
    this.#run()
  }

  /** A path takes more. */
  drained (path: number, now: number): void {
    this.#now = now
    for (const talk of this.talks) {
      if (talk.link.path === path) {
        this.#dirty.add(talk)
      }
    }
    this.#run()
  }

  write (talk: Talk, most: number, now: number): void {
    this.#now = now
    const size = Math.min(most, talk.writable)
    if (size > 0) {
      this.#session(talk, talk.link.session.write(talk.next(size)))
    } else if (talk.canEnd) {
      talk.saidEnd = true
      this.#session(talk, talk.link.session.end())
    }
    if (talk.writable <= 0) {
      talk.link.session.want()
    }
    this.#run()
  }

  read (talk: Talk, most: number, now: number): void {
    this.#now = now
    const size = Math.min(most, talk.received - talk.read)
    talk.read += size
    this.#session(talk, talk.link.session.consumed(size))
    this.#run()
  }

  end (talk: Talk, now: number): void {
    this.#now = now
    talk.saidEnd = true
    this.#session(talk, talk.link.session.end())
    this.#run()
  }

  reset (talk: Talk, now: number): void {
    this.#now = now
    this.#session(talk, talk.link.session.reset(new StarError('ERR_STREAM_RESET')))
    this.#run()
  }

  #run (): void {
    if (this.#busy) {
      return
    }
    this.#busy = true
    for (;;) {
      const event = this.#queue.shift()
      if (event != null) {
        for (const output of this.pair.input(event, this.#now)) {
          this.#perform(output)
        }
      } else if (this.#dirty.size === 0) {
        break
      }
      for (const talk of this.#dirty) {
        this.#dirty.delete(talk)
        this.#flush(talk, false)
      }
    }
    this.#busy = false
  }

  #perform (output: PairOutput): void {
    switch (output.do) {
      case 'link':
        this.talks.push(new Talk(output.link, this.setup.plan))
        this.#goOn(this.talkOf(output.link))
        break
      case 'session': {
        const talk = this.talkOf(output.link)
        if (talk == null) {
          this.faults.push('a session of a link that was never handed out')
        } else {
          this.#session(talk, output.outputs)
        }
        break
      }
      case 'dialled':
      case 'failed':
        this.#answerDials(output)
        break
      case 'send':
        if (!this.paths.has(output.path)) {
          this.faults.push(`sends on path ${output.path}, which is not open`)
        }
        this.#ports.perform(output)
        break
      case 'close':
        if (this.paths.delete(output.path)) {
          this.#ports.perform(output)
        } else {
          this.faults.push(`closes path ${output.path}, which is not open`)
        }
        break
      case 'note':
        this.notes.push({ what: output.what, link: output.link, code: output.error?.code })
        this.#ports.perform(output)
        break
      case 'open':
      case 'abandon':
      case 'sign':
      case 'verify':
        this.#ports.perform(output)
        break
    }
  }

  #answerDials (output: PairOutput & { do: 'dialled' | 'failed' }): void {
    const { waiting } = this
    if (waiting.length === 0) {
      this.faults.push(`${output.do} although nobody has dialled`)
    }
    for (const dial of waiting) {
      dial.state = output.do
      if (output.do === 'dialled') {
        dial.link = output.link.id
      } else {
        dial.error = output.error
      }
    }
  }

  #session (talk: Talk, outputs: readonly SessionOutput[]): void {
    for (const output of outputs) {
      if (talk.over && output.do !== 'flush') {
        this.faults.push(`${output.do} after the session was over`)
      }
      switch (output.do) {
        case 'flush':
          this.#dirty.add(talk)
          break
        case 'deliver':
          this.#deliver(talk, output.bytes)
          break
        case 'writable':
          this.#goOn(talk)
          break
        case 'ended':
          talk.heardEnd = true
          break
        case 'dead':
          this.#queue.push({ type: 'dead', link: talk.link })
          break
        case 'closed':
          talk.over = true
          talk.error = output.error
          this.#flush(talk, true)
          this.#queue.push({ type: 'closed', link: talk.link })
          break
      }
    }
  }

  #deliver (talk: Talk, bytes: Uint8Array): void {
    const before = talk.received
    if (talk.heardEnd || !talk.take(bytes)) {
      this.faults.push(`other bytes than were said, at ${before} of link ${talk.link.id}`)
    }
    if (before < SECRET_AT && talk.received >= SECRET_AT) {
      talk.secretKnown = true
      const half = utf8ToBytes(String(talk.link.id))
      this.#queue.push({ type: 'secret', link: talk.link.id, secret: linkSecret(half, half) })
    }
    if (talk.plan.auto) {
      talk.read += bytes.byteLength
      this.#session(talk, talk.link.session.consumed(bytes.byteLength))
    }
    this.#goOn(talk)
  }

  #goOn (talk: Talk | undefined): void {
    if (talk?.plan.auto === false) {
      this.#ports.stir?.(talk)
    } else if (talk != null) {
      for (let size = talk.writable; size > 0; size = talk.writable) {
        this.#session(talk, talk.link.session.write(talk.next(size)))
      }
      if (talk.canEnd) {
        talk.saidEnd = true
        this.#session(talk, talk.link.session.end())
      }
      if (!talk.saidEnd) {
        talk.link.session.want()
      }
    }
  }

  /** Sends what there is to send; the last of a session goes out whatever the path takes. */
  #flush ({ link: { session, path } }: Talk, last: boolean): void {
    while (path != null && this.paths.has(path)) {
      const parts = session.flush(last ? Infinity : this.#ports.budget(path), this.#now)
      if (parts == null) {
        return
      }
      this.#ports.perform({ do: 'send', path, bytes: concatBytes(...parts) })
    }
  }
}
