// Drives hole punching over a port: dials what the machine says, and hands out one wire after the other, until one of them is
// found to be the peer's or the time is up.
import { PUNCH_TIME, PunchMachine } from '../src/contact/punch.ts'
import { CloseCode } from '../src/rendezvous/close.ts'
import { Drive } from './drive.ts'
import type { Candidate, CandidateOptions, Endpoint } from '../src/contact/candidates.ts'
import type { PunchEvent, PunchOutput } from '../src/contact/punch.ts'
import type { StarError } from '../src/errors.ts'
import type { PunchPort } from './paths/platform.ts'
import type { Wire, WireOwner } from './paths/wire.ts'

/** What a punch needs. */
export interface PunchInit extends Omit<CandidateOptions, 'mode'> {
  readonly port: PunchPort
  /** Milliseconds for all of it; {@link PUNCH_TIME} by default. */
  readonly time?: number | undefined
  /**
   * A connection, to a stranger as far as is known: to be owned at once, and verified. Closed by itself when that takes too long,
   * but never again once {@link Punch.verified} was called for one. `target` is what was dialled, absent for one that came in.
   */
  readonly onWire: (wire: Wire, target: Endpoint | undefined) => void
  /** No wire follows; with the reason when it came to nothing by itself. */
  readonly onOver: (error: StarError | undefined) => void
}

/** A wire that is told of in both directions. */
class Passage implements Wire, WireOwner {
  readonly number: number
  readonly target: Candidate | undefined
  wire: Wire | undefined
  #owner: WireOwner | undefined
  readonly #onOpen: () => void
  readonly #onEnd: (error: StarError | undefined) => void

  constructor (number: number, target: Candidate | undefined, onOpen: () => void, onEnd: (error: StarError | undefined) => void) {
    this.number = number
    this.target = target
    this.#onOpen = onOpen
    this.#onEnd = onEnd
  }

  get via (): string {
    return this.wire?.via ?? ''
  }

  get queued (): number {
    return this.wire?.queued ?? 0
  }

  own (owner: WireOwner): void {
    this.#owner = owner
  }

  send (parts: readonly Uint8Array[]): void {
    this.wire?.send(parts)
  }

  pause (): void {
    this.wire?.pause()
  }

  resume (): void {
    this.wire?.resume()
  }

  close (code: number): void {
    this.wire?.close(code)
  }

  onOpen (): void {
    this.#onOpen()
  }

  onBytes (bytes: Uint8Array): void {
    this.#owner?.onBytes(bytes)
  }

  onTaken (): void {
    this.#owner?.onTaken()
  }

  onClose (code: number | undefined, error: StarError | undefined): void {
    this.#owner?.onClose(code, error)
    this.#onEnd(error)
  }
}

/** One punch. */
export class Punch {
  readonly #init: PunchInit
  readonly #drive: Drive<PunchEvent, PunchOutput>
  /** Dials by their candidates, until they are connected. */
  readonly #dials = new Map<number, Passage>()
  /** Connections that aren't verified. */
  readonly #open = new Map<number, Passage>()
  #next = 0

  /** Begins, right after it returns. */
  constructor (init: PunchInit) {
    this.#init = init
    const machine = new PunchMachine({ ...init, mode: init.port.mode, time: init.time ?? PUNCH_TIME, random: Math.random })
    this.#drive = new Drive(machine, output => { this.#perform(output) })
    queueMicrotask(() => { this.#drive.tell({ type: 'start' }) })
  }

  /** This came in at the port, with these bytes, and may be the peer. */
  accept (wire: Wire, bytes: readonly Uint8Array[]): void {
    const connection = this.#next++
    const passage = this.#passage(connection, undefined)
    passage.wire = wire
    wire.own(passage)
    this.#open.set(connection, passage)
    this.#drive.tell({ type: 'accepted', connection })
    bytes.forEach(each => { passage.onBytes(each) })
  }

  /** This wire, one that was handed out, is the peer's: no other one is looked for. All that were handed out stay as they are. */
  verified (wire: Wire): void {
    if (wire instanceof Passage) {
      this.#drive.tell({ type: 'verified', connection: wire.number })
    }
  }

  /** Ends it, and all that was handed out and not verified. */
  stop (): void {
    this.#drive.tell({ type: 'stop' })
  }

  #passage (number: number, dialled: { candidate: number, target: Candidate } | undefined): Passage {
    const passage = new Passage(number, dialled?.target, () => {
      if (dialled != null && this.#dials.get(dialled.candidate) === passage) {
        this.#dials.delete(dialled.candidate)
        this.#open.set(number, passage)
        this.#drive.tell({ type: 'connected', candidate: dialled.candidate, connection: number })
      }
    }, error => {
      const code = codeOf(error)
      if (this.#open.delete(number)) {
        this.#drive.tell({ type: 'closed', connection: number, code })
      } else if (dialled != null && this.#dials.get(dialled.candidate) === passage) {
        this.#dials.delete(dialled.candidate)
        this.#drive.tell({ type: 'failed', candidate: dialled.candidate, code })
      }
    })
    return passage
  }

  #perform (output: PunchOutput): void {
    switch (output.do) {
      case 'dial': {
        const passage = this.#passage(this.#next++, output)
        this.#dials.set(output.candidate, passage)
        passage.wire = this.#init.port.dial(output.target, passage)
        return
      }
      case 'abort': {
        const passage = this.#dials.get(output.candidate)
        this.#dials.delete(output.candidate)
        passage?.close(CloseCode.normal)
        return
      }
      case 'offer': {
        const passage = this.#open.get(output.connection)
        return passage == null ? undefined : this.#init.onWire(passage, passage.target)
      }
      case 'close': {
        const passage = this.#open.get(output.connection)
        this.#open.delete(output.connection)
        passage?.close(CloseCode.protocol)
        return
      }
      case 'over': {
        this.#open.clear()
        return this.#init.onOver(output.error)
      }
    }
  }
}

/** What the system said. */
function codeOf (error: StarError | undefined): string | undefined {
  const { cause } = error ?? {}
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
}
