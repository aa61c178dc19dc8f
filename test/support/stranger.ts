// Somebody who speaks of links by hand: leads a handshake with whatever secret and key, says again what others said, or nonsense.
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { DATA_HEADER, FrameReader, encodeFrame, writeDataHeader } from '../../src/link/frame.ts'
import { Dialler } from '../../src/link/handshake.ts'
import { Capability, NO_FLAGS } from '../../src/link/wire.ts'
import { answerTo } from './link-node.ts'
import { Random } from './random.ts'
import type { HandshakeEvent } from '../../src/link/handshake.ts'
import type { LinkTable, Seat } from './link-table.ts'

/** What a stranger claims. */
export interface Claim {
  readonly name: string
  readonly peer: string
  /** The link that it says it wants a new path for. */
  readonly resume?: bigint
  /** What it proves that it knows, and what it signs with. */
  readonly secret?: Uint8Array
  readonly key?: string
}

/** A path that somebody has opened who isn't at the table. */
export class Stranger {
  readonly path: number
  /** Why its attempt came to nothing. */
  failure: string | undefined
  proved = false
  readonly #table: LinkTable
  readonly #seat: Seat
  readonly #claim: Claim
  readonly #dialler: Dialler
  readonly #reader = new FrameReader()
  #heard = 0

  constructor (table: LinkTable, seat: Seat, path: number, claim: Claim) {
    const { name, peer, resume = 0n, secret = new Uint8Array() } = claim
    const random = new Random(path)
    this.path = path
    this.#table = table
    this.#seat = seat
    this.#claim = claim
    this.#dialler = new Dialler({
      name,
      peer,
      flags: { ...NO_FLAGS, capabilities: Capability.session | Capability.identity, suite: 'hmac-sha256', window: 65_536 },
      suite: 'hmac-sha256',
      connectionString: '',
      publicKey: utf8ToBytes(name),
      incarnation: 99n,
      stepTimeout: 1e6,
      totalTimeout: 1e6
    }, {
      random: length => random.bytes(length), outstanding: new Set(), secret: () => secret
    }, { connectionId: BigInt(path), resume, holds: () => false })
    table.feed(seat, { type: 'incoming', path })
  }

  /** True while its path is not closed. */
  get open (): boolean {
    return this.#seat.node.paths.has(this.path)
  }

  /** Says its name, and no more before it is asked to. */
  begin (): this {
    this.#put({ type: 'start' })
    return this
  }

  /** Hears what was said to it, and answers. */
  goOn (): this {
    for (let said = this.#next(); said != null; said = this.#next()) {
      for (const frame of this.#reader.read(said)) {
        if (frame.type === 'handshake') {
          this.#put({ type: 'message', bytes: frame.bytes })
        }
      }
    }
    return this
  }

  /** Says any bytes. */
  say (chunk: Uint8Array): void {
    this.#table.feed(this.#seat, { type: 'bytes', path: this.path, chunk })
  }

  /** Says so much of a stream. */
  stream (offset: number, size: number): void {
    const chunk = new Uint8Array(DATA_HEADER + size)
    writeDataHeader(chunk, 0, offset, size)
    this.say(chunk)
  }

  #next (): Uint8Array | undefined {
    const said = this.#seat.said.get(this.path)?.[this.#heard]
    this.#heard += said == null ? 0 : 1
    return said
  }

  #put (event: HandshakeEvent): void {
    const { name, peer, key = name } = this.#claim
    const setup = { name, peer, key, incarnation: 99, plan: { bytes: 10, end: false, auto: true } }
    for (const output of this.#dialler.input(event, this.#table.now)) {
      if (output.do === 'send') {
        this.say(encodeFrame({ type: 'handshake', bytes: output.bytes }))
      } else if (output.do === 'sign' || output.do === 'verify') {
        this.#put(answerTo({ ...output, path: this.path }, setup) as HandshakeEvent)
      } else if (output.do === 'over') {
        this.failure = output.error.code
      } else if (output.do === 'proved') {
        this.proved = true
      }
    }
  }
}
