// What both roles of the link handshake have in common: timers, transcript, proofs, and why two nodes can't talk.
import { StarError } from '../errors.ts'
import { SUITES, transcript, unproved } from './digest.ts'
import { Capability, capabilityNames, decodeMessage, encodeMessage } from './wire.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { Prover } from './digest.ts'
import type { Answer, HandshakeEvent, HandshakeOptions, HandshakeOutput, HandshakePorts } from './handshake.ts'
import type { AuthenticationMessage, NodeFlags } from './wire.ts'

/** No bytes: what wasn't said, or isn't proved. */
export const NONE: Uint8Array = new Uint8Array()

/** What both have said, in the order in which proofs count it. */
type Heard = Record<'name' | 'status' | 'clientStatus' | 'challenge' | 'reply', Uint8Array>

/** One end of a handshake. */
export abstract class Role implements Machine<HandshakeEvent, HandshakeOutput> {
  readonly options: HandshakeOptions
  readonly ports: HandshakePorts
  /** What we say of ourselves. */
  protected readonly flags: NodeFlags
  protected readonly nonce: Uint8Array
  protected readonly challenge: number
  protected heard: Heard = { name: NONE, status: NONE, clientStatus: NONE, challenge: NONE, reply: NONE }
  protected outputs: HandshakeOutput[] = []
  #deadline: number | undefined
  #total: number | undefined
  #over = false

  constructor (options: HandshakeOptions, ports: HandshakePorts) {
    const { flags, suite } = options
    this.options = options
    this.ports = ports
    // an identity that is proved only if the other one says that it can would be taken from whoever leaves that out
    const wanted = suite === 'hmac-sha256' ? flags.capabilities & Capability.identity : 0
    this.flags = { ...flags, suite, required: (flags.required | wanted) >>> 0 }
    this.nonce = ports.random(32)
    const random = ports.random(4)
    this.challenge = new DataView(random.buffer, random.byteOffset, 4).getUint32(0)
    ports.outstanding.add(this.challenge)
  }

  get wakeAt (): number | undefined {
    return this.#over ? undefined : least(this.#deadline, this.#total)
  }

  /** True when nothing follows. */
  get over (): boolean {
    return this.#over
  }

  input (event: HandshakeEvent, now: number): readonly HandshakeOutput[] {
    this.outputs = []
    if (this.#over) {
      return this.outputs
    }
    if (event.type === 'start') {
      if (this.#total == null) {
        this.#total = now + this.options.totalTimeout
        this.expectNext(now)
        this.start()
      }
    } else if (event.type === 'wake') {
      if ((this.wakeAt ?? Infinity) <= now) {
        this.fail(new StarError('ERR_LINK_TIMEOUT'))
      }
    } else if (event.type === 'message') {
      this.#message(event.bytes, now)
    } else {
      this.answer(event)
    }
    return this.outputs
  }

  /** To be called when the path is gone: nothing follows. */
  drop (): void {
    this.done()
  }

  protected abstract start (): void
  protected abstract message (message: AuthenticationMessage, bytes: Uint8Array, now: number): void
  protected abstract answer (event: Answer): void

  protected send (message: AuthenticationMessage): Uint8Array {
    const bytes = encodeMessage(message)
    this.outputs.push({ do: 'send', bytes })
    return bytes
  }

  /** The other end has its full time again for its next answer. */
  protected expectNext (now: number): void {
    this.#deadline = now + this.options.stepTimeout
  }

  /** Only the time for all of it counts from now on. */
  protected expectNothing (): void {
    this.#deadline = undefined
  }

  protected fail (error: StarError, link?: bigint): void {
    this.done()
    this.outputs.push({ do: 'over', error, ...(link == null ? {} : { link }) })
  }

  protected done (): void {
    this.#over = true
    this.ports.outstanding.delete(this.challenge)
    // the messages may be views of large chunks, and a handshake is kept as long as its path
    this.heard = { name: NONE, status: NONE, clientStatus: NONE, challenge: NONE, reply: NONE }
  }

  /** The other end broke the protocol. */
  protected blame (detail: string): void {
    this.fail(new StarError('ERR_PROTOCOL', { detail }))
  }

  /** What is to be proved by `prover`, over all that came before and what the proving message says beside its proof. */
  protected hash (prover: Prover, message: AuthenticationMessage & { type: 'client_challenge' | 'server_ack' }): Uint8Array {
    const { name, status, clientStatus, challenge, reply } = this.heard
    const before = [name, status, clientStatus, challenge]
    return transcript(prover === 'dialler' ? [...before, unproved(message)] : [...before, reply, unproved(message)])
  }

  protected prove (prover: Prover, challenge: number, hash: Uint8Array, resumed: bigint): Uint8Array {
    return SUITES[this.options.suite].prove({ prover, challenge, transcript: hash, secret: this.ports.secret(resumed) })
  }

  /** True when both prove their peer ids by signatures. */
  protected signs (theirs: NodeFlags): boolean {
    return (this.flags.capabilities & theirs.capabilities & Capability.identity) !== 0
  }

  /** Why the two can't talk, if they can't: the capabilities that are missing, or the suite. */
  protected mismatch (theirs: NodeFlags): { missing: number, reason: Reason } | undefined {
    const mine = this.flags
    const missing = ((mine.required & ~theirs.capabilities) | (theirs.required & ~mine.capabilities)) >>> 0
    if (missing !== 0) {
      return { missing, reason: (missing & Capability.secret) === 0 ? 'ERR_LINK_CAPABILITY' : 'ERR_LINK_SECRET' }
    }
    return theirs.suite === mine.suite ? undefined : { missing, reason: 'ERR_LINK_SUITE' }
  }

  /** Who lacks which of the capabilities that one of the two wants. */
  protected lacking (missing: number): string | undefined {
    const { capabilities } = this.flags
    const ours = capabilityNames(missing & ~capabilities).map(name => `we lack ${name}`)
    const theirs = capabilityNames(missing & capabilities).map(name => `the peer lacks ${name}`)
    return [...ours, ...theirs].join(', ') || undefined
  }

  /** True when a challenge is none for our suite: of the wrong length, or our own handed back. */
  protected isUseless ({ nonce, challenge }: { readonly nonce: Uint8Array, readonly challenge: number }): boolean {
    return this.options.suite === 'hmac-sha256' ? nonce.byteLength !== 32 : this.ports.outstanding.has(challenge)
  }

  #message (bytes: Uint8Array, now: number): void {
    let message: AuthenticationMessage
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      return this.fail(error instanceof StarError ? error : new StarError('ERR_PROTOCOL', { cause: error }))
    }
    this.message(message, bytes, now)
  }
}

/** An error with or without particulars. */
export function linkError (reason: Reason, detail: string | undefined): StarError {
  return new StarError(reason, detail == null ? {} : { detail })
}

/** What one end says of a name that isn't the right one; quoted, for it may hold anything. */
export function wrongName (name: string, expected: string | undefined): string {
  return `${JSON.stringify(name.slice(0, 128))} instead of ${expected ?? 'another one'}`
}

function least (one: number | undefined, other: number | undefined): number | undefined {
  return one == null ? other : other == null ? one : Math.min(one, other)
}
