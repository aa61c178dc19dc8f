// The smallest handshake that tells the peer from everybody else: it binds roles, and nonces of both, to a key that both have.
// Who repeats what it hears is nobody, and who begins says which connection it shall be.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'

/** Which end of a punch; the initiator nominates. */
export type Role = 'initiator' | 'responder'

const ROLES: readonly Role[] = ['initiator', 'responder']
const HELLO = 17
const PROOF = 32
const NOMINATE = 78
const DONE = 79
const ROOM = HELLO + PROOF + 1
const PROTOCOL = 4000

/** One handshake, on one wire. */
export class PlainHello implements WireOwner {
  readonly wire: Wire
  readonly #role: Role
  readonly #key: Buffer
  readonly #mine: Buffer
  /** Whether this connection shall be taken: asked once it is verified, at the initiator alone. */
  readonly #take: () => boolean
  /** Both know that it is this one. */
  readonly #onDone: () => void
  #come: Buffer = Buffer.alloc(0)
  #proved = false
  verified = false

  constructor (wire: Wire, role: Role, key: Buffer, take: () => boolean, onDone: () => void) {
    this.wire = wire
    this.#role = role
    this.#key = key
    this.#take = take
    this.#onDone = onDone
    this.#mine = Buffer.concat([Buffer.of(ROLES.indexOf(role)), randomBytes(HELLO - 1)])
    wire.own(this)
    wire.send([this.#mine])
  }

  onOpen (): void {}

  onTaken (): void {}

  onClose (): void {}

  onBytes (bytes: Uint8Array): void {
    this.#come = Buffer.concat([this.#come, bytes])
    if (this.#come.byteLength > ROOM) {
      return this.wire.close(PROTOCOL)
    }
    const theirs = this.#come.subarray(0, HELLO)
    if (theirs.byteLength < HELLO) {
      return
    }
    if (theirs[0] !== ROLES.indexOf(this.#other)) {
      return this.wire.close(PROTOCOL)
    }
    if (!this.#proved) {
      this.#proved = true
      this.wire.send([this.#proof(this.#role, theirs)])
    }
    const proof = this.#come.subarray(HELLO, HELLO + PROOF)
    if (proof.byteLength < PROOF) {
      return
    }
    if (!this.verified) {
      if (!timingSafeEqual(proof, this.#proof(this.#other, theirs))) {
        return this.wire.close(PROTOCOL)
      }
      this.verified = true
      if (this.#role === 'initiator' && this.#take()) {
        this.wire.send([Buffer.of(NOMINATE)])
      }
    }
    if (this.#come[HELLO + PROOF] === (this.#role === 'initiator' ? DONE : NOMINATE)) {
      if (this.#role === 'responder') {
        this.wire.send([Buffer.of(DONE)])
      }
      this.#onDone()
    }
  }

  get #other (): Role {
    return this.#role === 'initiator' ? 'responder' : 'initiator'
  }

  #proof (of: Role, theirs: Buffer): Buffer {
    const order = this.#role === 'initiator' ? [this.#mine, theirs] : [theirs, this.#mine]
    return createHmac('sha256', this.#key).update(of).update(Buffer.concat(order)).digest()
  }
}
