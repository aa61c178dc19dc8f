// The side of the link handshake that dials: says its name, answers the challenge, and checks the acknowledgement.
import { StarError } from '../errors.ts'
import { isEqual, signedMessage } from './digest.ts'
import { NONE, Role, linkError, wrongName } from './role.ts'
import type { Reason } from '../errors.ts'
import type { Answer, HandshakeOptions, HandshakePorts, Holds, Outcome } from './handshake.ts'
import type { AuthenticationMessage, Challenge, ChallengeReply, ServerStatus } from './wire.ts'

/** What an acceptor may give as its reason; any other word says no more than that it refused. */
const REFUSALS: readonly Reason[] =
  ['ERR_LINK_NAME', 'ERR_LINK_CAPABILITY', 'ERR_LINK_SUITE', 'ERR_LINK_SECRET', 'ERR_LINK_PROOF', 'ERR_LINK_REFUSED']

/** The one that dials. */
export class Dialler extends Role {
  readonly connectionId: bigint
  readonly #resume: bigint
  readonly #holds: Holds
  #state: 'new' | 'named' | 'accepted' | 'signing' | 'replied' | 'verifying' = 'new'
  #resumed = false
  #replaces = 0n
  #theirs: Challenge | undefined

  /** `resume` is the link that is to get a new path, 0 for a new link; with that the link's secret is proved as well. */
  constructor (
    options: HandshakeOptions, ports: HandshakePorts,
    { connectionId, resume, holds }: { readonly connectionId: bigint, readonly resume: bigint, readonly holds: Holds }
  ) {
    super(options, ports)
    this.connectionId = connectionId
    this.#resume = resume
    this.#holds = holds
  }

  protected override start (): void {
    const { flags, options: { name, connectionString, incarnation } } = this
    this.#state = 'named'
    this.heard.name = this.send({
      type: 'name',
      value: { name, flags, connectionString, connectionId: this.connectionId, incarnation, resume: this.#resume }
    })
  }

  protected override message (message: AuthenticationMessage, bytes: Uint8Array, now: number): void {
    if (message.type === 'server_status' && this.#state === 'named') {
      this.heard.status = bytes
      this.expectNext(now)
      return this.#status(message.value)
    }
    if (message.type === 'server_status' && this.#state === 'replied') {
      // said late: the acceptor has found out something since
      return this.#refused(message.value)
    }
    if (message.type === 'server_challenge' && this.#state === 'accepted') {
      this.heard.challenge = bytes
      this.expectNext(now)
      return this.#challenged(message.value)
    }
    if (message.type === 'server_ack' && this.#state === 'replied') {
      return this.#acknowledged(message)
    }
    this.blame(`${message.type} when ${this.#state}`)
  }

  protected override answer (event: Answer): void {
    if (event.type === 'signed' && this.#state === 'signing') {
      this.#reply(event.signature)
    } else if (event.type === 'verified' && this.#state === 'verifying') {
      this.#proved(event.valid)
    }
  }

  #status (value: ServerStatus): void {
    const { status, link } = value
    if (status === 'ok' || status === 'ok_simultaneous') {
      this.#state = 'accepted'
    } else if (status === 'alive' && (this.#resume === 0n || link === this.#resume)) {
      this.#alive(link)
    } else if (status === 'nok' && this.#resume !== 0n) {
      // the link is gone there, they say: a link is given up only for one who has proved to be the peer
      this.#state = 'accepted'
    } else {
      this.#refused(value)
    }
  }

  #alive (link: bigint): void {
    this.#resumed = this.#resume !== 0n
    const held = this.#resumed || this.#holds(link)
    this.heard.clientStatus = this.send({ type: 'client_status', value: { status: !held } })
    if (held && !this.#resumed) {
      return this.fail(new StarError('ERR_LINK_EXISTS'), link)
    }
    this.#replaces = held ? 0n : link
    this.#state = 'accepted'
  }

  #refused ({ status, link, missing, reason }: ServerStatus): void {
    if (status === 'nok') {
      return this.fail(new StarError('ERR_LINK_EXISTS'), link)
    }
    if (status !== 'not_allowed') {
      return this.blame(`${status} when ${this.#state}`)
    }
    const known = REFUSALS.find(one => one === reason) ?? 'ERR_LINK_REFUSED'
    this.fail(linkError(known, this.lacking(missing)))
  }

  #challenged (value: Challenge): void {
    const { peer, name } = this.options
    if ((peer != null && value.name !== peer) || value.name === name) {
      return this.fail(linkError('ERR_LINK_NAME', wrongName(value.name, peer)))
    }
    const mismatch = this.mismatch(value.flags)
    if (mismatch != null) {
      return this.fail(linkError(mismatch.reason, this.lacking(mismatch.missing)))
    }
    if (this.isUseless(value)) {
      return this.blame('a challenge that is none')
    }
    this.#theirs = value
    if (this.signs(value.flags)) {
      this.#state = 'signing'
      this.outputs.push({ do: 'sign', message: signedMessage('dialler', this.#replyHash()) })
      return
    }
    this.#reply(NONE)
  }

  #unsignedReply (): ChallengeReply {
    const { challenge, nonce, options: { publicKey } } = this
    return { challenge, nonce, publicKey, digest: NONE, signature: NONE }
  }

  #replyHash (): Uint8Array {
    return this.hash('dialler', { type: 'client_challenge', value: this.#unsignedReply() })
  }

  #reply (signature: Uint8Array): void {
    const { challenge } = this.#theirs as Challenge
    const digest = this.prove('dialler', challenge, this.#replyHash(), this.#resumed ? this.#resume : 0n)
    this.heard.reply = this.send({ type: 'client_challenge', value: { ...this.#unsignedReply(), digest, signature } })
    this.#state = 'replied'
    this.expectNothing()
    this.outputs.push({ do: 'ready', outcome: this.#outcome() })
  }

  #acknowledged (message: AuthenticationMessage & { type: 'server_ack' }): void {
    const hash = this.hash('acceptor', message)
    const expected = this.prove('acceptor', this.challenge, hash, this.#resumed ? this.#resume : 0n)
    if (!isEqual(message.value.digest, expected)) {
      return this.fail(new StarError(this.#resumed ? 'ERR_LINK_PROOF' : 'ERR_LINK_SECRET'))
    }
    const { name: peer, flags } = this.#theirs as Challenge
    if (!this.signs(flags)) {
      return this.#proved(true)
    }
    this.#state = 'verifying'
    const { publicKey, signature } = message.value
    this.outputs.push({ do: 'verify', peer, publicKey, signature, message: signedMessage('acceptor', hash) })
  }

  #proved (valid: boolean): void {
    if (!valid) {
      return this.fail(new StarError('ERR_LINK_PROOF'))
    }
    this.done()
    this.outputs.push({ do: 'proved', outcome: this.#outcome() })
  }

  #outcome (): Outcome {
    const { name, flags, incarnation } = this.#theirs as Challenge
    return {
      connectionId: this.connectionId,
      peer: name,
      flags,
      incarnation,
      resume: this.#resume,
      resumed: this.#resumed,
      replaces: this.#replaces
    }
  }
}
