// A wire that we have dialled while the other peer was dialling us. The two dials may have met on the way, which makes one
// connection that both have dialled: then both say a Hello, and wait for the answer. Who nominates goes on; the other one takes
// its own Hello for unsaid, and answers.
import { MAX_HELLO } from '../../src/rendezvous/accept.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { FrameReader } from '../../src/rendezvous/frame.ts'
import type { StarError } from '../../src/errors.ts'
import type { Wire, WireOwner } from '../paths/wire.ts'

/** What a crossing is told. */
export interface CrossingInit {
  readonly nominator: boolean
  /** Our own path whose Hello that is, if it is one. */
  pathOf (sealed: Uint8Array): number | undefined
  /** It is the other end's dial that counts: the wire is that path of ours, and has brought these bytes. */
  onCrossed (pathId: number, wire: Wire, bytes: readonly Uint8Array[]): void
}

/** A dialled wire, looked at until its first frame is there. */
export class Crossing implements Wire, WireOwner {
  readonly #wire: Wire
  readonly #init: CrossingInit
  readonly #reader = new FrameReader()
  #owner: WireOwner | undefined
  /** What came so far; nothing once it is clear what that is. */
  #bytes: Uint8Array[] | undefined = []
  #crossed = false

  constructor (wire: Wire, init: CrossingInit) {
    this.#wire = wire
    this.#init = init
    wire.own(this)
  }

  get via (): string {
    return this.#wire.via
  }

  get queued (): number {
    return this.#wire.queued
  }

  own (owner: WireOwner): void {
    this.#owner = owner
  }

  send (parts: readonly Uint8Array[]): void {
    if (!this.#crossed) {
      this.#wire.send(parts)
    }
  }

  pause (): void {
    this.#wire.pause()
  }

  resume (): void {
    this.#wire.resume()
  }

  close (code: number): void {
    if (this.#crossed) {
      const owner = this.#owner
      this.#owner = undefined
      queueMicrotask(() => { owner?.onClose(CloseCode.normal, undefined) }) // the wire itself is another path's
    } else {
      this.#bytes = undefined // what still comes is nobody's
      this.#wire.close(code)
    }
  }

  onOpen (): void {
    this.#owner?.onOpen()
  }

  onBytes (bytes: Uint8Array): void {
    if (this.#bytes == null) {
      this.#owner?.onBytes(bytes)
      return
    }
    this.#bytes.push(Uint8Array.from(bytes))
    this.#reader.push(bytes)
    this.#look(this.#bytes)
  }

  onTaken (): void {
    this.#owner?.onTaken()
  }

  onClose (code: number | undefined, error: StarError | undefined): void {
    this.#owner?.onClose(code, error)
  }

  #look (all: readonly Uint8Array[]): void {
    let first: Uint8Array | undefined
    try {
      first = this.#reader.next({ maxFrame: MAX_HELLO, plain: false })?.bytes
    } catch {
      first = new Uint8Array() // no Hello, and whose fault it is will be found out
    }
    if (first == null) {
      return
    }
    this.#bytes = undefined
    const pathId = this.#init.pathOf(first)
    if (pathId == null) {
      all.forEach(each => { this.#owner?.onBytes(each) })
    } else if (this.#init.nominator) {
      const rest = this.#reader.rest()
      if (rest.byteLength > 0) {
        this.#owner?.onBytes(rest)
      }
    } else {
      this.#crossed = true
      this.#init.onCrossed(pathId, this.#wire, all)
    }
  }
}
