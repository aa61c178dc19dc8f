// The side of the link handshake that is dialled: answers the name, challenges, and acknowledges who has proved itself.
import { StarError } from '../errors.ts'
import { isEqual, signedMessage } from './digest.ts'
import { NONE, Role, linkError, wrongName } from './role.ts'
import type { Reason } from '../errors.ts'
import type { Answer, Decide, Decision, HandshakeOptions, HandshakePorts, Outcome } from './handshake.ts'
import type { AuthenticationMessage, NameMessage, ServerStatus } from './wire.ts'

/** The one that is dialled. */
export class Acceptor extends Role {
  readonly #decide: Decide
  readonly #eager: boolean
  #state: 'new' | 'listening' | 'alive' | 'challenging' | 'verifying' | 'proved' | 'signing' = 'new'
  #name: NameMessage | undefined
  #decision: Decision = { status: 'ok' }
  /** Whether the dialler's answer to `alive` is still to come. */
  #asked = false
  #replaces = 0n
  /** The dialler's challenge. */
  #theirs = 0

  /** `eager` sends the challenge with the status, without waiting for the answer to `alive`. */
  constructor (options: HandshakeOptions, ports: HandshakePorts, { decide, eager = true }: { decide: Decide, eager?: boolean }) {
    super(options, ports)
    this.#decide = decide
    this.#eager = eager
  }

  protected override start (): void {
    this.#state = 'listening'
  }

  protected override message (message: AuthenticationMessage, bytes: Uint8Array, now: number): void {
    if (message.type === 'name' && this.#state === 'listening') {
      this.heard.name = bytes
      this.expectNext(now)
      return this.#named(message.value)
    }
    if (message.type === 'client_status' && this.#asked) {
      this.heard.clientStatus = bytes
      this.expectNext(now)
      return this.#answered(message.value.status)
    }
    if (message.type === 'client_challenge' && this.#state === 'challenging' && !this.#asked) {
      this.heard.reply = bytes
      return this.#replied(message)
    }
    this.blame(`${message.type} when ${this.#state}`)
  }

  protected override answer (event: Answer): void {
    if (event.type === 'verified' && this.#state === 'verifying') {
      this.#proved(event.valid)
    } else if (event.type === 'signed' && this.#state === 'signing') {
      this.#acknowledge(event.signature)
    } else if (event.type === 'admit' && this.#state === 'proved') {
      this.#admit()
    } else if (event.type === 'refuse' && this.#state === 'proved') {
      this.#say({ status: 'nok', link: event.link })
      this.fail(new StarError('ERR_LINK_EXISTS'), event.link)
    }
  }

  #named (name: NameMessage): void {
    const { peer, name: own, suite } = this.options
    this.#name = name
    if ((peer != null && name.name !== peer) || name.name === own) {
      return this.#deny('ERR_LINK_NAME', wrongName(name.name, peer))
    }
    const mismatch = this.mismatch(name.flags)
    if (mismatch != null) {
      return this.#deny(mismatch.reason, this.lacking(mismatch.missing), mismatch.missing)
    }
    if (name.connectionId === 0n && suite === 'hmac-sha256') {
      return this.blame('a name without a connection id')
    }
    this.#decision = this.#decide(name)
    const { status, link = 0n } = this.#decision
    this.heard.status = this.#say({ status, link })
    if (status === 'not_allowed' || (status === 'nok' && name.resume === 0n)) {
      return this.fail(new StarError(status === 'nok' ? 'ERR_LINK_EXISTS' : 'ERR_LINK_REFUSED'), link)
    }
    this.#asked = status === 'alive'
    if (this.#asked && !this.#eager) {
      this.#state = 'alive'
    } else {
      this.#challenge()
    }
  }

  #answered (gone: boolean): void {
    const { link = 0n } = this.#decision
    this.#asked = false
    if (this.#resumed() !== 0n) {
      if (gone) {
        return this.blame('a link is to be resumed that the dialler does not hold')
      }
    } else if (gone) {
      this.#replaces = link
    } else {
      return this.fail(new StarError('ERR_LINK_EXISTS'), link)
    }
    if (this.#state === 'alive') {
      this.#challenge()
    }
  }

  #challenge (): void {
    const { flags, options: { name, connectionString, incarnation } } = this
    this.#state = 'challenging'
    this.heard.challenge = this.send({
      type: 'server_challenge',
      value: { name, flags, challenge: this.challenge, connectionString, nonce: this.nonce, incarnation }
    })
  }

  #replied (message: AuthenticationMessage & { type: 'client_challenge' }): void {
    const { digest, publicKey, signature, challenge } = message.value
    const hash = this.hash('dialler', message)
    const { name: peer, flags } = this.#name as NameMessage
    if (this.isUseless(message.value)) {
      return this.blame('a challenge that is none')
    }
    if (!isEqual(digest, this.prove('dialler', this.challenge, hash, this.#resumed()))) {
      return this.#deny(this.#resumed() === 0n ? 'ERR_LINK_SECRET' : 'ERR_LINK_PROOF')
    }
    this.#theirs = challenge
    this.#state = 'verifying'
    if (this.signs(flags)) {
      this.outputs.push({ do: 'verify', peer, publicKey, signature, message: signedMessage('dialler', hash) })
    } else {
      this.#proved(true)
    }
  }

  #proved (valid: boolean): void {
    if (!valid) {
      return this.#deny('ERR_LINK_PROOF')
    }
    this.#state = 'proved'
    this.expectNothing()
    this.outputs.push({ do: 'proved', outcome: this.#outcome() })
  }

  #admit (): void {
    const { flags } = this.#name as NameMessage
    if (this.signs(flags)) {
      this.#state = 'signing'
      this.outputs.push({ do: 'sign', message: signedMessage('acceptor', this.hash('acceptor', this.#ack(NONE, NONE))) })
    } else {
      this.#acknowledge(NONE)
    }
  }

  #ack (digest: Uint8Array, signature: Uint8Array): AuthenticationMessage & { type: 'server_ack' } {
    return { type: 'server_ack', value: { digest, publicKey: this.options.publicKey, signature } }
  }

  #acknowledge (signature: Uint8Array): void {
    const hash = this.hash('acceptor', this.#ack(NONE, NONE))
    this.send(this.#ack(this.prove('acceptor', this.#theirs, hash, this.#resumed()), signature))
    this.done()
    this.outputs.push({ do: 'up', outcome: this.#outcome() })
  }

  /** The link that both hold and that gets this path; 0 for none. */
  #resumed (): bigint {
    const resume = this.#name?.resume ?? 0n
    const { status, link } = this.#decision
    return status === 'alive' && link === resume ? resume : 0n
  }

  #say ({ status, link = 0n, missing = 0, reason = '' }: Partial<ServerStatus> & Pick<ServerStatus, 'status'>): Uint8Array {
    return this.send({ type: 'server_status', value: { status, link, missing, reason } })
  }

  #deny (reason: Reason, detail?: string, missing = 0): void {
    this.#say({ status: 'not_allowed', reason, missing })
    this.fail(linkError(reason, detail))
  }

  #outcome (): Outcome {
    const { name: peer, flags, incarnation, connectionId, resume } = this.#name as NameMessage
    return { connectionId, peer, flags, incarnation, resume, resumed: this.#resumed() !== 0n, replaces: this.#replaces }
  }
}
