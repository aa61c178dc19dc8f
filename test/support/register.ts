// A register with real peer ids, make-believe signatures and a clock that is set by hand.
import { generateKeyPairFromSeed, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toString } from 'uint8arrays/to-string'
import { canonicalAddress } from '../../src/address.ts'
import { isChallengeOffer } from '../../src/star/protocol.ts'
import { challengeMessage } from '../../src/star/challenge.ts'
import { Registry } from '../../src/star/registry.ts'
import type { RegistryEvent, RegistryOptions, RegistryOutput, RegistryPorts } from '../../src/star/contract.ts'
import type { Generation } from '../../src/star/protocol.ts'

/** Somebody with a key. */
export interface Identity {
  readonly id: string
  /** The same id as a CID. */
  readonly cid: string
  /** The libp2p protobuf public key, hex. */
  readonly key: string
  /** The address at {@link STAR}, canonical. */
  readonly address: string
  /** The address at {@link STAR} as original clients write it. */
  readonly old: string
}

/** Where the star of the tests is. */
export const STAR = '/dns4/star.example/tcp/443/wss/p2p-websocket-star'
/** The star's URL, as clients dial it. */
export const ORIGIN = 'wss://star.example:443'

async function makeIdentity (number: number): Promise<Identity> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(number))
  const peerId = peerIdFromPrivateKey(privateKey)
  const id = peerId.toString()
  const key = toString(publicKeyToProtobuf(privateKey.publicKey), 'base16')
  return { id, cid: peerId.toCID().toString(), key, address: `${STAR}/p2p/${id}`, old: `${STAR}/ipfs/${id}` }
}

/** Eight people, always the same. */
const people: readonly Identity[] = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(makeIdentity))

/** One of the eight. */
export function person (number: number): Identity {
  const found = people[number]
  if (found == null) {
    throw new RangeError(`there is no person ${number}`)
  }
  return found
}

/** What stands for a signature: short hex that follows from key and message. */
export function sign (key: string, message: Uint8Array): string {
  let hash = 0x811c9dc5
  for (const byte of [...Array.from(key, digit => digit.charCodeAt(0)), ...message]) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return hash.toString(16).padStart(8, '0')
}

/** The options of the tests' registers: small numbers. */
export const options: RegistryOptions = {
  cryptoChallenge: true,
  strictMultiaddr: true,
  maxPeers: 100,
  maxAddressesPerSocket: 4,
  dialsInFlight: 4,
  pairBudget: 1_000_000,
  dialTimeout: 5_000,
  challengeTimeout: 20_000,
  refreshPeerListIntervalMS: 10_000,
  announceDelay: 200,
  announceSample: 50
}

/** What an acknowledgement said. */
export type Ack = RegistryOutput & { do: 'ack' }

/** A register and the questions that tests ask it. */
export class Register {
  readonly registry: Registry
  now = 1_000
  readonly #options: RegistryOptions
  #calls = 0
  #nonces = 0

  constructor (changed: Partial<RegistryOptions> = {}, ports: Partial<RegistryPorts> = {}) {
    this.#options = { ...options, ...changed }
    this.registry = new Registry(this.#options, {
      random: bytes => (this.#nonces++).toString(16).padStart(2 * bytes, '0'),
      peerIdOf: key => {
        const owner = people.find(one => one.key === key.toLowerCase())
        if (owner == null) {
          throw new Error('not a key')
        }
        return owner.id
      },
      isOwnName: origin => origin === ORIGIN,
      wallClock: () => 1_700_000_000_000 + Math.floor(this.now),
      ...ports
    })
  }

  /** Puts an event in. */
  tell (event: RegistryEvent): readonly RegistryOutput[] {
    return this.registry.input(event, this.now)
  }

  connect (socket: string, generation: Generation): void {
    this.tell({ type: 'connect', socket, generation })
  }

  disconnect (socket: string): readonly RegistryOutput[] {
    return this.tell({ type: 'disconnect', socket })
  }

  /** One `ss-join`. */
  join (socket: string, address: unknown, proof: unknown): readonly RegistryOutput[] {
    return this.tell({ type: 'join', socket, call: ++this.#calls, address, proof })
  }

  leave (socket: string, address: unknown): readonly RegistryOutput[] {
    return this.tell({ type: 'leave', socket, address })
  }

  /** One `ss-dial`. */
  dial (socket: string, from: unknown, to: unknown, id: unknown, terms?: unknown): readonly RegistryOutput[] {
    return this.tell({ type: 'dial', socket, call: ++this.#calls, from, to, id, terms })
  }

  answer (socket: string, id: string, error?: unknown): readonly RegistryOutput[] {
    return this.tell({ type: 'answer', socket, id, error })
  }

  wake (): readonly RegistryOutput[] {
    return this.tell({ type: 'wake' })
  }

  /** Lets time pass, with every wake that is due in it. */
  pass (milliseconds: number): RegistryOutput[] {
    const end = this.now + milliseconds
    const outputs: RegistryOutput[] = []
    for (let at = this.registry.wakeAt; at != null && at <= end; at = this.registry.wakeAt) {
      this.now = Math.max(this.now, at)
      outputs.push(...this.wake())
    }
    this.now = end
    return outputs
  }

  /** Answers a `verify` truthfully. */
  verify (outputs: readonly RegistryOutput[]): readonly RegistryOutput[] {
    const [asked] = outputs
    if (asked?.do !== 'verify') {
      throw new TypeError(`expected a question, got ${JSON.stringify(outputs)}`)
    }
    return this.tell({ type: 'verified', call: asked.call, valid: asked.signature === sign(asked.key, asked.message) })
  }

  /** The whole join of an original client: public key, nonce, signature. */
  joinOriginal (socket: string, who: Identity, address: string = who.old): readonly RegistryOutput[] {
    const nonce = ackOf(this.join(socket, address, who.key)).args[1]
    const message = Uint8Array.from(String(nonce), digit => digit.charCodeAt(0))
    return this.verify(this.join(socket, address, sign(who.key, message)))
  }

  /** The whole join of a star client: introduction, challenge, answer. */
  joinStar (
    socket: string, who: Identity, listed: boolean = true, address: string = who.address, speaks?: readonly string[]
  ): readonly RegistryOutput[] {
    return this.verify(this.prove(socket, who, listed, address, speaks))
  }

  /** A star client's join up to the question whether its signature is good. */
  prove (
    socket: string, who: Identity, listed: boolean = true, address: string = who.address, speaks?: readonly string[]
  ): readonly RegistryOutput[] {
    const introduction = { key: who.key, origin: ORIGIN, listed, ...speaks == null ? {} : { speaks } }
    const { args: [, offer] } = ackOf(this.join(socket, address, introduction))
    if (!isChallengeOffer(offer)) {
      throw new TypeError('expected a challenge')
    }
    const message = challengeMessage({ origin: ORIGIN, socket, address: canonicalAddress(address) ?? '' }, offer)
    return this.join(socket, address, { signature: sign(who.key, message) })
  }

  /** Connects and joins; the socket is named after the person. */
  add (number: number, generation: Generation, listed: boolean = true): string {
    const socket = `socket-${number}`
    this.connect(socket, generation)
    if (generation === 'star') {
      this.joinStar(socket, person(number), listed)
    } else {
      this.joinOriginal(socket, person(number))
    }
    return socket
  }
}

/** The one acknowledgement among the outputs. */
export function ackOf (outputs: readonly RegistryOutput[]): Ack {
  const acks = outputs.filter(output => output.do === 'ack')
  const [ack] = acks
  if (ack == null || acks.length > 1) {
    throw new TypeError(`expected one acknowledgement, got ${JSON.stringify(outputs)}`)
  }
  return ack
}

/** The code of a refusal; `undefined` when it was none. */
export function refusalOf (outputs: readonly RegistryOutput[]): string | undefined {
  return ackOf(outputs).refused
}
