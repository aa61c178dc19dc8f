// A link's byte stream: ordered, reliable, half-closable, over one path at a time. What was not acknowledged on a path that is
// gone is sent again on the next one. A machine without I/O; it neither knows what a path is nor who is at the other end.
import { concat } from 'uint8arrays/concat'
import { Uint8ArrayList } from 'uint8arraylist'
import { StarError } from '../errors.ts'
import { DATA_HEADER, encodeFrame, withDataHeader } from './frame.ts'
import { orNone, solid } from './parts.ts'
import { Pulse } from './pulse.ts'
import type { Frame } from './frame.ts'
import type { Attachment, SessionOptions, SessionOutput } from './session-contract.ts'

export type { Attachment, SessionOptions, SessionOutput } from './session-contract.ts'

/** A reader tells of what it took when it is this part of its window, or after {@link ACK_DELAY}. */
const ACK_FRACTION = 3
/** Milliseconds after which anything received is acknowledged. */
const ACK_DELAY = 100
/**
 * The most bytes in one `data` frame: a path may deliver it as a whole, so that nothing is acknowledged before its last byte. A
 * path begins with small ones; they are doubled, so that {@link Pulse} learns how slow it is before a large one takes too long.
 */
const MIN_FRAME = 16_384
const MAX_FRAME = 262_144
const ACK_SIZE = 20
/** A writer that waits goes on when this part of the window is free: a little at a time costs more than it brings. */
const RELIEF = 4
/** Answers to probes that wait for a path that takes nothing; a peer that probes on is broken. */
const MAX_CONTROL = 16

const NOTHING: readonly SessionOutput[] = []
const NO_BYTES = new Uint8Array()

/** One end of a link's byte stream. */
export class Session {
  readonly #options: SessionOptions
  #state: 'open' | 'suspended' | 'closed' = 'suspended'
  // what we write: offsets of the first byte that is not acknowledged, not sent on this path, never sent
  #acked = 0
  #sent = 0
  #framed = 0
  /** The bytes from {@link #acked} to {@link #framed}. */
  readonly #kept = new Uint8ArrayList()
  /** The bytes from {@link #framed} on. Both are the writer's own, as long as they aren't many small parts. */
  readonly #queue = new Uint8ArrayList()
  #limit: number
  #fin: 'open' | 'asked' | 'sent' | 'acked' = 'open'
  #finSent = false
  #wanting = false
  /** False on a path on which the other end has not said yet what it has. */
  #synced = true
  /** False on a path on which the other end has said nothing since it carries us. */
  #met = true
  // what we read
  #received = 0
  #consumed = 0
  #ended = false
  #toldReceived = 0
  #toldLimit: number
  /** Bytes that each direction may have on the way on the path that there is. */
  #window: number
  // what is to be sent beside data
  readonly #control: Uint8Array[] = []
  #ackDue = false
  #resetting = false
  // times
  #ackAt: number | undefined
  #suspendedAt = 0
  readonly #pulse: Pulse
  #token = 0
  #frameBytes = MIN_FRAME
  #resentBytes = 0
  #error: StarError | undefined

  constructor (options: SessionOptions) {
    this.#options = options
    this.#pulse = new Pulse(options)
    this.#limit = options.initialLimit
    this.#toldLimit = options.window
    this.#window = options.window
  }

  /** `open`: has a path. `suspended`: has none, for now. */
  get state (): 'open' | 'suspended' | 'closed' {
    return this.#state
  }

  /** Why it is over, if it is over by an error. */
  get error (): StarError | undefined {
    return this.#error
  }

  /** True when the path was found to be dead. */
  get dead (): boolean {
    return this.#pulse.dead
  }

  /** Bytes that may be written now. */
  get room (): number {
    if (this.#fin !== 'open' || this.#state === 'closed') {
      return 0
    }
    const { byteLength } = this.#queue
    const onTheWay = Math.min(this.#limit, this.#acked + this.#window) - this.#framed
    return Math.max(0, Math.min(onTheWay, this.#options.window) - byteLength) // what waits here makes others wait, too
  }

  /** True while the half that we write is open. */
  get writable (): boolean {
    return this.#fin === 'open' && this.#state !== 'closed'
  }

  /** True when one of the halves has ended, or is about to. */
  get closing (): boolean {
    return this.#fin !== 'open' || this.#ended || this.#state === 'closed'
  }

  /** True when everything that was written has been acknowledged, and the other end is on the same path. */
  get drained (): boolean {
    return this.#queue.byteLength === 0 && !this.#waiting
  }

  /** True when the other end has ended its half, and has all of ours but perhaps the word that it ended. */
  get complete (): boolean {
    return this.#ended && this.#fin !== 'open' && this.#queue.byteLength === 0 && this.#acked >= this.#framed
  }

  /** Bytes written and not acknowledged. */
  get kept (): number {
    return this.#kept.byteLength + this.#queue.byteLength
  }

  /** Bytes written, of these not acknowledged, received, and sent more than once; the last round trip in milliseconds. */
  get figures (): { written: number, kept: number, received: number, resent: number, roundTrip: number | undefined } {
    const written = this.#framed + this.#queue.byteLength
    return {
      written,
      kept: this.kept,
      received: this.#received - (this.#ended ? 1 : 0),
      resent: this.#resentBytes,
      roundTrip: this.#pulse.roundTrip
    }
  }

  /** The next moment at which {@link wake} has something to do. */
  get wakeAt (): number | undefined {
    if (this.#state === 'closed') {
      return undefined
    }
    if (this.#state === 'suspended') {
      return this.#suspendedAt + this.#options.resumeTimeout
    }
    const least = Math.min(this.#ackAt ?? Infinity, this.#pulse.wakeAt(this.#waiting))
    return least === Infinity ? undefined : least
  }

  /** There is a path now: the first one, or another one. */
  attach (now: number, attachment: Attachment = {}): readonly SessionOutput[] {
    const { first = false, synced = first, direct = false, roundTrip = 0 } = attachment
    if (this.#state === 'closed') {
      return NOTHING
    }
    this.#state = 'open'
    this.#window = direct ? this.#options.directWindow ?? this.#options.window : this.#options.window
    this.#pulse.start(now, direct, roundTrip)
    this.#control.length = 0
    this.#frameBytes = MIN_FRAME
    this.#sent = this.#acked
    this.#synced = synced
    this.#met = first
    this.#ackDue = !first
    if (this.#fin === 'sent') {
      this.#fin = 'asked'
    }
    return [{ do: 'flush' }]
  }

  /** What is said first on a path that this session may be moved to; nothing else changes. */
  greeting (): Uint8Array {
    return encodeFrame({ type: 'ack', received: this.#received, limit: this.#toldLimit })
  }

  /** Counts from now on how long nothing is heard: for a path that could not yet be expected to bring anything. */
  start (now: number): void {
    this.#pulse.start(now)
  }

  /** The path is gone. */
  detach (now: number): void {
    if (this.#state === 'open') {
      this.#state = 'suspended'
      this.#suspendedAt = now
      this.#ackAt = undefined
    }
  }

  /** Takes bytes to send; no more than {@link room} of them. They must not be changed afterwards. */
  write (bytes: Uint8Array | Uint8ArrayList): readonly SessionOutput[] {
    if (!this.writable) {
      throw new StarError('ERR_STREAM_CLOSED')
    }
    if (bytes.byteLength > this.room) {
      throw new StarError('ERR_BUDGET')
    }
    if (bytes.byteLength === 0) {
      return NOTHING
    }
    this.#queue.append(bytes)
    return [{ do: 'flush' }]
  }

  /** Says that a writer waits for room; `writable` comes when there is some, or {@link relieved} says so. */
  want (): void {
    this.#wanting = true
  }

  /** Whether there is room again for a writer that waits; to be asked after {@link flush}, and said once. */
  relieved (): boolean {
    const { room } = this
    const isRelieved = this.#wanting && room > 0 && (room >= this.#options.window / RELIEF || this.drained)
    this.#wanting &&= !isRelieved
    return isRelieved
  }

  /** Ends the half that we write, behind all that was written. */
  end (): readonly SessionOutput[] {
    if (!this.writable) {
      return NOTHING
    }
    this.#fin = 'asked'
    return [{ do: 'flush' }]
  }

  /** Breaks both halves off and tells the other end, if there is a path. */
  reset (error: StarError): readonly SessionOutput[] {
    if (this.#state === 'closed') {
      return NOTHING
    }
    this.#control.push(encodeFrame({ type: 'reset', error }))
    return this.lose(error)
  }

  /** Ends here, with nobody told; without an error when both halves have ended. */
  lose (error?: StarError): readonly SessionOutput[] {
    if (this.#state === 'closed') {
      return NOTHING
    }
    this.#resetting = true
    this.#state = 'closed'
    this.#error = error
    this.#queue.consume(this.#queue.byteLength)
    this.#kept.consume(this.#kept.byteLength)
    return [{ do: 'flush' }, { do: 'closed', ...(error == null ? {} : { error }) }]
  }

  /** The reader has taken so many bytes that were delivered to it. */
  consumed (bytes: number): readonly SessionOutput[] {
    this.#consumed += bytes
    return this.#tellSoon()
  }

  /** Whether bytes of a `data` frame follow what was there, and are no more than may come. */
  fits ({ offset, bytes }: Frame & { readonly type: 'data' }): boolean {
    const end = offset + bytes.byteLength
    return end <= this.#received || (offset <= this.#received && !this.#ended && end <= this.#toldLimit)
  }

  /**
   * A frame came. What makes no sense in it ends the stream. `beside`: it came on another path than the one that carries us,
   * and says nothing of that: two ends, each of which has moved where the other one was, would hear each other for ever.
   */
  receive (frame: Exclude<Frame, { type: 'handshake' }>, now: number, beside: boolean = false): readonly SessionOutput[] {
    if (this.#state === 'closed') {
      return NOTHING
    }
    if (beside) {
      this.#pulse.doubt(now, this.#waiting) // the other end may be back where we came from
    } else {
      this.#met = true
      this.#pulse.heard(now)
    }
    switch (frame.type) {
      case 'data':
        return this.#onData(frame.offset, frame.bytes, now)
      case 'ack':
        return this.#onAck(frame.received, frame.limit, now, beside)
      case 'fin':
        return this.#onFin(frame.offset)
      case 'reset':
        return this.lose(frame.error)
      case 'ping':
        this.#control.push(encodeFrame({ type: 'pong', token: frame.token }))
        return this.#control.length > MAX_CONTROL ? this.#fault('pings that nothing is sent for') : [{ do: 'flush' }]
      case 'pong':
        if (frame.token === this.#token && !beside) {
          this.#pulse.echoed(now, this.#waiting)
        }
        return NOTHING
    }
  }

  /** Does what is due. An early call changes nothing. */
  wake (now: number): readonly SessionOutput[] {
    if (this.#state === 'closed' || now < (this.wakeAt ?? Infinity)) {
      return NOTHING
    }
    if (this.#state === 'suspended') {
      return this.lose(this.complete ? undefined : new StarError('ERR_LINK_LOST'))
    }
    const outputs: SessionOutput[] = []
    if (this.#ackAt != null && this.#ackAt <= now) {
      this.#ackAt = undefined
      this.#ackDue = true
      outputs.push({ do: 'flush' })
    }
    const due = this.#pulse.wake(now, this.#waiting)
    if (due === 'probe') {
      this.#control.push(encodeFrame({ type: 'ping', token: ++this.#token }))
      outputs.push({ do: 'flush' })
    } else if (due === 'dead') {
      outputs.push({ do: 'dead' })
    }
    return outputs
  }

  /**
   * What is to be sent now, at most `budget` bytes in all; to be called again while it returns something and the path takes more.
   * The first part holds whole frames, the last of which may be the header of a `data` frame whose bytes are all other parts.
   */
  flush (budget: number, now: number): readonly Uint8Array[] | undefined {
    if (this.#state === 'suspended' || budget <= 0) {
      return undefined
    }
    const control = this.#takeControl(budget)
    const left = budget - control.byteLength
    if (this.#resetting || !this.#synced) {
      return orNone(control)
    }
    const room = Math.min(this.#frameBytes, left - DATA_HEADER)
    const again = Math.min(this.#framed - this.#sent, room)
    const fresh = Math.min(this.#queue.byteLength, room)
    if (again > 0 || fresh > 0) {
      this.#frameBytes = Math.max(again, fresh) < this.#frameBytes ? this.#frameBytes : Math.min(MAX_FRAME, 2 * this.#frameBytes)
      return again > 0 ? this.#again(control, again) : this.#fresh(control, fresh, now)
    }
    if (this.#fin === 'asked' && this.#queue.byteLength === 0 && this.#sent === this.#framed && left >= DATA_HEADER) {
      return [concat([control, this.#finish(now)])]
    }
    return orNone(control)
  }

  #takeControl (budget: number): Uint8Array {
    const frames: Uint8Array[] = []
    let size = 0
    if (this.#ackDue && this.#state === 'open') {
      if (budget < ACK_SIZE) {
        return NO_BYTES
      }
      this.#control.unshift(this.#ack()) // the first word on a new path, whatever else there is to say
    }
    for (let next = this.#control[0]; next != null && size + next.byteLength <= budget; next = this.#control[0]) {
      frames.push(next)
      size += next.byteLength
      this.#control.shift()
    }
    return frames.length > 1 ? concat(frames, size) : frames[0] ?? NO_BYTES
  }

  /** Bytes of the queue, behind the control frames and the header; they are kept as they are. */
  #fresh (control: Uint8Array, size: number, now: number): readonly Uint8Array[] {
    const head = withDataHeader(control, this.#sent, size)
    const parts = solid([...this.#queue.sublist(0, size)], size)
    this.#queue.consume(size)
    this.#starts(now)
    this.#kept.appendAll(parts)
    this.#framed += size
    this.#sent = this.#framed
    return [head, ...parts]
  }

  /** Bytes that were sent on a former path. */
  #again (control: Uint8Array, size: number): readonly Uint8Array[] {
    const from = this.#sent - this.#acked
    const head = withDataHeader(control, this.#sent, size)
    this.#sent += size
    this.#resentBytes += size
    return [head, ...this.#kept.sublist(from, from + size)]
  }

  #finish (now: number): Uint8Array {
    this.#starts(now)
    this.#fin = 'sent'
    this.#finSent = true
    return encodeFrame({ type: 'fin', offset: this.#framed })
  }

  /** Something is sent: if nothing was on the way, it is from now on that something waits. */
  #starts (now: number): void {
    if (!this.#waiting) {
      this.#pulse.waits(now)
    }
  }

  #onData (offset: number, bytes: Uint8Array, now: number): readonly SessionOutput[] {
    const end = offset + bytes.byteLength
    if (end <= this.#received) {
      return NOTHING // came on a former path already
    }
    if (offset > this.#received || this.#ended) {
      return this.#fault('data that does not follow what was there')
    }
    if (end > this.#toldLimit) {
      return this.reset(new StarError('ERR_BUDGET'))
    }
    const fresh = bytes.subarray(this.#received - offset)
    this.#received = end
    this.#ackAt ??= now + ACK_DELAY
    return [{ do: 'deliver', bytes: fresh }, ...this.#tellSoon()]
  }

  #onFin (offset: number): readonly SessionOutput[] {
    if (!this.#ended && offset !== this.#received) {
      return this.#fault('an end that does not follow what was there')
    }
    this.#ackDue = true
    if (this.#ended) {
      return [{ do: 'flush' }]
    }
    this.#received++
    this.#ended = true
    return [{ do: 'flush' }, { do: 'ended' }, ...this.#closedIfOver()]
  }

  #onAck (received: number, limit: number, now: number, beside: boolean): readonly SessionOutput[] {
    if (received > this.#framed + (this.#finSent ? 1 : 0)) {
      return this.#fault('an acknowledgement of what was never sent')
    }
    if (received > this.#acked) {
      if (!beside) {
        this.#pulse.answered(now, { waiting: this.#waiting, through: true })
      }
      this.#kept.consume(Math.min(received, this.#framed) - this.#acked)
      this.#acked = Math.min(received, this.#framed)
      this.#sent = Math.max(this.#sent, this.#acked)
      if (received > this.#framed) {
        this.#fin = 'acked'
      }
    }
    const outputs: SessionOutput[] = []
    this.#limit = Math.max(this.#limit, limit)
    if (!this.#synced) {
      this.#pulse.answered(now, { waiting: true, through: false })
      this.#synced = true
      outputs.push({ do: 'flush' })
    }
    if (this.relieved()) {
      outputs.push({ do: 'writable' })
    }
    return [...outputs, ...this.#closedIfOver()]
  }

  #closedIfOver (): readonly SessionOutput[] {
    if (!this.#ended || this.#fin !== 'acked') {
      return NOTHING
    }
    if (this.#ackDue) {
      this.#control.push(this.#ack()) // of the other end's last word, which waits for it
    }
    return this.lose()
  }

  #ack (): Uint8Array {
    this.#ackDue = false
    this.#ackAt = undefined
    this.#toldReceived = this.#received
    this.#toldLimit = Math.max(this.#toldLimit, this.#consumed + this.#window)
    return encodeFrame({ type: 'ack', received: this.#toldReceived, limit: this.#toldLimit })
  }

  #tellSoon (): readonly SessionOutput[] {
    const step = this.#window / ACK_FRACTION
    const limit = this.#consumed + this.#window
    if (!this.#ackDue && (limit - this.#toldLimit >= step || this.#received - this.#toldReceived >= step)) {
      this.#ackDue = true
      return [{ do: 'flush' }]
    }
    return NOTHING
  }

  /** True while something was sent that is not acknowledged, or the other end has not said what it has, or is not here yet. */
  get #waiting (): boolean {
    return this.#acked < this.#framed || this.#fin === 'sent' || !this.#synced || !this.#met
  }

  #fault (detail: string): readonly SessionOutput[] {
    return this.reset(new StarError('ERR_PROTOCOL', { detail }))
  }
}
