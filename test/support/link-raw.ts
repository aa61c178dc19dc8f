// Somebody who speaks of links by hand: claims any name, says any message in any order, and proves what it can or can't.
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { resolve } from '../../client/options.ts'
import { LINK_PROTOCOL } from '../../client/peer.ts'
import { RelayPath } from '../../client/paths/relay.ts'
import { Member } from '../../client/star.ts'
import { requireStarAddress } from '../../src/address.ts'
import { FrameReader, encodeFrame } from '../../src/link/frame.ts'
import { Acceptor, Dialler } from '../../src/link/handshake.ts'
import { Capability, decodeMessage, encodeMessage } from '../../src/link/wire.ts'
import { Watched } from './waiting.ts'
import type { PrivateKey } from '@libp2p/interface'
import type { StreamSlot } from '../../client/star.ts'
import type { StarError } from '../../src/errors.ts'
import type { Frame } from '../../src/link/frame.ts'
import type { Decide, HandshakeOptions, HandshakeOutput, HandshakePorts } from '../../src/link/handshake.ts'
import type { AuthenticationMessage } from '../../src/link/wire.ts'

type MessageOf<Type extends AuthenticationMessage['type']> = AuthenticationMessage & { readonly type: Type }

/** One end of a stream on which links are spoken of. */
export class Speaker extends Watched {
  readonly path: RelayPath
  /** Everything that came. */
  readonly frames: Frame[] = []
  /** Why the stream is over. */
  gone: StarError | undefined
  readonly #reader = new FrameReader()
  #heard = 0

  constructor (slot: StreamSlot) {
    super()
    this.path = new RelayPath(slot, 'by hand')
    this.path.own({
      onBytes: chunk => {
        this.frames.push(...this.#reader.read(chunk))
        this.changed()
      },
      onRoom: () => { this.changed() },
      onGone: error => {
        this.gone = error
        this.changed()
      }
    })
    this.path.release()
  }

  /** Says a message of the handshake. */
  say (message: AuthenticationMessage): void {
    this.frame({ type: 'handshake', bytes: encodeMessage(message) })
  }

  frame (frame: Exclude<Frame, { type: 'data' }>): void {
    this.path.send([encodeFrame(frame)])
  }

  /** Sends any bytes, as there is room for them; stops when the stream is over. */
  async pour (bytes: Uint8Array, ms?: number): Promise<void> {
    for (let position = 0; position < bytes.byteLength && this.gone == null;) {
      await this.when('room', () => this.gone != null || this.path.budget > 0, ms)
      const size = Math.min(bytes.byteLength - position, this.path.budget)
      if (this.gone == null) {
        this.path.send([bytes.subarray(position, position + size)])
      }
      position += size
    }
  }

  /** Waits for the next message of the handshake, which must be of this type. */
  async hears<Type extends AuthenticationMessage['type']> (type: Type): Promise<MessageOf<Type>['value']> {
    const find = (): Frame | undefined => this.frames.filter(frame => frame.type === 'handshake')[this.#heard]
    await this.when(`a ${type}`, () => find() != null || this.gone != null)
    const frame = find()
    const message = frame?.type === 'handshake' ? decodeMessage(frame.bytes) : undefined
    this.#heard++
    if (message?.type !== type) {
      const said = message?.type ?? this.gone?.code ?? 'nothing'
      throw new Error(`${said} instead of ${type}: ${JSON.stringify(message?.value, plain)}`)
    }
    return message.value as MessageOf<Type>['value']
  }

  /** Waits until the stream is over. */
  async ended (ms?: number): Promise<StarError | undefined> {
    await this.when('the stream to be over', () => this.gone != null, ms)
    return this.gone
  }
}

/** Who somebody is, says it is, and can prove. */
export interface StrangerInit {
  /** The peer id that it goes by, whose key it may have or not. */
  readonly name?: string
  readonly privateKey?: PrivateKey
  /** False to dial only: where the star asks for no proof, whose name it is stays reachable. */
  readonly listed?: boolean
  /** Takes the dials of others. */
  readonly onDial?: (speaker: Speaker) => void
}

/** Somebody with a name, and a key that may go with it or not. */
export class Impostor {
  readonly name: string
  readonly privateKey: PrivateKey

  constructor (name: string, privateKey: PrivateKey) {
    this.name = name
    this.privateKey = privateKey
  }

  /** How it would set a handshake up. */
  options (changed: Partial<HandshakeOptions> = {}): HandshakeOptions {
    const capabilities = Capability.session | Capability.identity
    return {
      name: this.name,
      flags: { version: 1, capabilities, required: capabilities, suite: 'hmac-sha256', window: 1_048_576 },
      suite: 'hmac-sha256',
      connectionString: '',
      publicKey: publicKeyToProtobuf(this.privateKey.publicKey),
      incarnation: 1n,
      stepTimeout: 5_000,
      totalTimeout: 5_000,
      ...changed
    }
  }

  /** The first thing that a dialler says. */
  claim (connectionId: bigint, resume: bigint = 0n): AuthenticationMessage {
    const { name, flags, connectionString, incarnation } = this.options()
    return { type: 'name', value: { name, flags, connectionString, incarnation, connectionId, resume } }
  }

  /** Goes through the handshake as well as it can, and gives what came of it. */
  async shake (speaker: Speaker, { options, secret = new Uint8Array(), resume = 0n, decide, holds = false }: {
    options?: Partial<HandshakeOptions>, secret?: Uint8Array, resume?: bigint, decide?: Decide, holds?: boolean
  } = {}): Promise<HandshakeOutput & { do: 'proved' | 'up' | 'over' } | undefined> {
    const setup = this.options(options)
    const random = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size))
    const ports: HandshakePorts = { random, outstanding: new Set(), secret: () => secret }
    const machine = decide == null
      ? new Dialler(setup, ports, { connectionId: random64(), resume, holds: () => holds })
      : new Acceptor(setup, ports, { decide })
    const events: Array<Parameters<typeof machine.input>[0]> = [{ type: 'start' }]
    let taken = 0
    for (;;) {
      const event = events.shift()
      if (event == null) {
        const next = (): Frame | undefined => speaker.frames.filter(({ type }) => type === 'handshake')[taken]
        await speaker.when('the next message', () => next() != null || speaker.gone != null)
        const frame = next()
        if (frame?.type !== 'handshake') {
          return undefined
        }
        taken++
        events.push({ type: 'message', bytes: frame.bytes })
        continue
      }
      for (const output of machine.input(event, performance.now())) {
        switch (output.do) {
          case 'send':
            speaker.frame({ type: 'handshake', bytes: output.bytes })
            break
          case 'sign':
            events.push({ type: 'signed', signature: await this.privateKey.sign(output.message) })
            break
          case 'verify':
            events.push({ type: 'verified', valid: true })
            break
          case 'proved':
            if (machine instanceof Dialler) {
              return output
            }
            events.push({ type: 'admit' })
            break
          case 'up':
          case 'over':
            return output
          case 'ready':
            break
        }
      }
    }
  }
}

/** One that is on a star. */
export class Stranger extends Impostor {
  readonly member: Member

  private constructor (member: Member, name: string, privateKey: PrivateKey) {
    super(name, privateKey)
    this.member = member
  }

  static async join (star: string, { name, privateKey, listed = true, onDial }: StrangerInit = {}): Promise<Stranger> {
    const key = privateKey ?? await generateKeyPair('Ed25519')
    const self = name ?? peerIdFromPrivateKey(key).toString()
    const member = new Member({
      star: requireStarAddress(star),
      privateKey: key,
      self,
      options: resolve({ retryMin: 10 }),
      speaks: [LINK_PROTOCOL],
      answer: slot => {
        const speaker = new Speaker(slot)
        queueMicrotask(() => { onDial?.(speaker) })
        return speaker.path
      }
    })
    member.list(listed)
    await member.whenJoined()
    return new Stranger(member, self, key)
  }

  /** Opens a stream to a peer, to speak of links. */
  dial (peer: string): Speaker {
    let speaker: Speaker | undefined
    const { accepted } = this.member.dial(`${this.member.star.star}/p2p/${peer}`, slot => {
      speaker = new Speaker(slot)
      return speaker.path
    }, LINK_PROTOCOL)
    accepted.catch(() => undefined) // the path is told
    return speaker as Speaker
  }
}

/** Gives a function that lets strangers join stars; they leave after each test. To be called in a suite. */
export function strangers (): (star: string, init?: StrangerInit) => Promise<Stranger> {
  const there: Stranger[] = []
  afterEach(() => {
    there.splice(0).forEach(({ member }) => { member.stop() })
  })
  return async (star, init) => {
    const stranger = await Stranger.join(star, init)
    there.push(stranger)
    return stranger
  }
}

export function random64 (): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 1n
}

function plain (_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
