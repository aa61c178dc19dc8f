// Raw socket.io clients of both generations, which say what a test tells them to and nothing else, on stars that are
// closed after each test.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { io } from 'socket.io-client'
import { createTestStar } from '../../server/testing.ts'
import { parseStarAddress } from '../../src/address.ts'
import { parseEventName } from '../../src/pull-stream/protocol.ts'
import { challengeMessage } from '../../src/star/challenge.ts'
import { Event, PROTOCOL } from '../../src/star/protocol.ts'
import { RawStream } from './raw-stream.ts'
import { Watched, within } from './waiting.ts'
import type { PrivateKey } from '@libp2p/interface'
import type { Socket } from 'socket.io-client'
import type { ServerOptions } from '../../server/index.ts'
import type { TestStar } from '../../server/testing.ts'
import type { Reason } from '../../src/errors.ts'
import type { ChallengeOffer, Generation } from '../../src/star/protocol.ts'

/** Both generations of clients. */
export const GENERATIONS: readonly Generation[] = ['original', 'star']

/** A key and the peer id that goes with it. */
export interface Identity {
  readonly id: string
  readonly privateKey: PrivateKey
  /** The libp2p protobuf public key, hex. */
  readonly key: string
}

/** Makes an identity. */
export async function makeIdentity (privateKey?: PrivateKey): Promise<Identity> {
  const own = privateKey ?? await generateKeyPair('Ed25519')
  const key = Buffer.from(publicKeyToProtobuf(own.publicKey)).toString('hex')
  return { id: own.publicKey.toString(), privateKey: own, key }
}

/** How a client connects. */
export interface RawInit {
  /** Where it connects instead of at its star. */
  readonly url?: string
  /** The network address that it claims to come from, for a star that trusts its proxy. */
  readonly from?: string
  readonly ca?: string
}

/** What a client joins as, where that isn't what it is. */
export interface JoinInit {
  readonly identity?: Identity
  readonly address?: string
  readonly origin?: string
  readonly listed?: boolean
}

/** A dial that came in, answered or not. */
export interface Ring {
  readonly id: string
  readonly from: string
  readonly stream: RawStream
  readonly ack: (...args: unknown[]) => void
}

/** One bare socket. */
export class RawClient extends Watched {
  readonly generation: Generation
  readonly socket: Socket
  /** The star's multiaddr. */
  readonly star: string
  /** The address that it has joined. */
  address = ''
  identity: Identity | undefined
  /** Every event but those of streams that it knows. */
  readonly heard: Array<{ readonly name: unknown, readonly args: readonly unknown[] }> = []
  /** Dials that came in. */
  readonly rings: Ring[] = []
  /** Why the socket closed. */
  closed: string | undefined
  readonly #streams = new Map<string, RawStream>()
  #answered = 0

  private constructor (star: string, generation: Generation, socket: Socket) {
    super()
    this.star = star
    this.generation = generation
    this.socket = socket
    socket.onAny((name: unknown, ...args: unknown[]) => { this.#receive(name, args) })
    socket.on('disconnect', reason => {
      this.closed = reason
      this.changed()
    })
  }

  /** Connects; rejects with socket.io's error, which may have `data`. */
  static async connect (star: string, generation: Generation, init: RawInit = {}): Promise<RawClient> {
    const socket = io(init.url ?? parseStarAddress(star)?.url ?? '', {
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      ...(generation === 'star' ? { auth: { protocol: PROTOCOL } } : {}),
      ...(init.from == null ? {} : { extraHeaders: { 'x-forwarded-for': init.from } }),
      ...(init.ca == null ? {} : { ca: init.ca })
    })
    const client = new RawClient(star, generation, socket)
    try {
      await within('the socket to connect', new Promise<void>((resolve, reject) => {
        socket.on('connect', resolve)
        socket.on('connect_error', reject)
      }))
    } catch (error) {
      socket.disconnect()
      throw error
    }
    return client
  }

  /** The address of a peer on this star, as this generation spells it. */
  spell (id: string): string {
    return `${this.star}/${this.generation === 'original' ? 'ipfs' : 'p2p'}/${id}`
  }

  /** Sends an event and gives all arguments of the acknowledgement. */
  async ask (name: string, ...args: unknown[]): Promise<unknown[]> {
    return await within(`the answer to ${name}`, new Promise<unknown[]>(resolve => {
      this.socket.emit(name, ...args, (...reply: unknown[]) => { resolve(reply) })
    }))
  }

  /** Sends an event that nobody acknowledges. */
  tell (name: string, ...args: unknown[]): void {
    this.socket.emit(name, ...args)
  }

  /** The first step of a join, and what the star said to it: with good luck `null` and a challenge. */
  async introduce (identity: Identity, init: JoinInit = {}): Promise<unknown[]> {
    const { address = this.spell(identity.id), origin = this.#origin, listed = true } = init
    const { key } = identity
    return await this.ask(Event.Join, address, this.generation === 'original' ? key : { key, origin, listed })
  }

  /** What answers a challenge, ready for the second step. */
  async sign (identity: Identity, challenge: unknown, init: JoinInit = {}): Promise<unknown> {
    const { address = this.spell(identity.id), origin = this.#origin } = init
    const message = this.generation === 'original'
      ? Buffer.from(challenge as string)
      : challengeMessage({ origin, socket: this.socket.id ?? '', address }, challenge as ChallengeOffer)
    const signature = Buffer.from(await identity.privateKey.sign(message)).toString('hex')
    return this.generation === 'original' ? signature : { signature }
  }

  /** Joins in both steps, or in one where the star asks for no proof, and gives what the star said at last. */
  async join (init: JoinInit = {}): Promise<unknown[]> {
    const identity = init.identity ?? this.identity ?? await makeIdentity()
    const address = init.address ?? this.spell(identity.id)
    let reply = await this.introduce(identity, init)
    if (reply[0] == null && reply[1] != null) {
      reply = await this.ask(Event.Join, address, await this.sign(identity, reply[1], init))
    }
    if (reply[0] == null) {
      this.address = address
      this.identity = identity
    }
    return reply
  }

  /** Our end of a stream; what comes for it from now on goes there. */
  stream (id: string, side: 'dialer' | 'listener'): RawStream {
    const stream = new RawStream(this, id, side)
    this.#streams.set(id, stream)
    return stream
  }

  /** Dials and gives the acknowledgement's arguments with our end. */
  async dial (to: string | RawClient, id: string = randomUUID()): Promise<{ reply: unknown[], stream: RawStream }> {
    const stream = this.stream(id, 'dialer')
    const reply = await this.ask(Event.Dial, this.address, typeof to === 'string' ? to : to.address, id)
    return { reply, stream }
  }

  /** Waits for the next dial that comes in, and leaves the answer to the test. */
  async ring (): Promise<Ring> {
    const number = this.#answered++
    await this.when('a dial to come in', () => this.rings.length > number)
    const ring = this.rings[number]
    assert.ok(ring)
    return ring
  }

  /** Waits for the dial with that id, whichever came before. */
  async ringOf (dial: string): Promise<Ring> {
    const find = (): Ring | undefined => this.rings.findLast(({ id }) => id === dial)
    await this.when(`the dial ${dial} to come in`, () => find() != null)
    const ring = find()
    assert.ok(ring)
    return ring
  }

  /** Waits for an event that fits, or takes one that came before; `since` is how many events don't count. */
  async hears (
    name: string, fits: (...args: readonly unknown[]) => boolean = () => true, since: number = 0
  ): Promise<readonly unknown[]> {
    const find = (): readonly unknown[] | undefined =>
      this.heard.slice(since).find(event => event.name === name && fits(...event.args))?.args
    await this.when(`${name} to come`, () => find() != null)
    return find() ?? []
  }

  /** Waits until the socket is closed and gives the reason. */
  async gone (ms?: number): Promise<string> {
    await this.when('the socket to close', () => this.closed != null, ms)
    return this.closed ?? ''
  }

  /** Waits until the star has dealt with everything that this client sent before. */
  async settled (): Promise<void> {
    await this.ask(Event.Join, 'no address', '')
  }

  /** The WebSocket underneath, to stop it and to write on it. */
  get webSocket (): { pause (): void, resume (): void, send (data: string | Uint8Array): void, terminate (): void } {
    return (this.socket.io.engine.transport as unknown as { ws: RawClient['webSocket'] }).ws
  }

  get #origin (): string {
    return parseStarAddress(this.star)?.url ?? ''
  }

  #receive (name: unknown, args: unknown[]): void {
    const event = typeof name === 'string' ? parseEventName(name) : undefined
    const stream = this.#streams.get(event?.id ?? '')
    if (event != null && stream != null) {
      stream.receive(event.kind, args[0])
      return
    }
    this.heard.push({ name, args })
    if (name === Event.Incoming) {
      const [id, from, ack] = args as [string, string, Ring['ack']]
      this.rings.push({ id, from, ack, stream: this.stream(id, 'listener') })
    }
    this.changed()
  }
}

/** A star and its clients. */
export class Stage {
  readonly star: TestStar
  readonly #clients: RawClient[] = []

  constructor (star: TestStar) {
    this.star = star
  }

  async connect (generation: Generation, init?: RawInit): Promise<RawClient> {
    const client = await RawClient.connect(this.star.address, generation, init)
    this.#clients.push(client)
    return client
  }

  /** Connects and joins. */
  async join (generation: Generation, init: RawInit & JoinInit = {}): Promise<RawClient> {
    const client = await this.connect(generation, init)
    const [error] = await client.join(init)
    assert.equal(error, null, `the join of a client: ${JSON.stringify(error)}`)
    return client
  }

  /** A figure of /metrics, by everything that stands before its value; 0 for a label that wasn't counted yet. */
  async metric (name: string): Promise<number> {
    const lines = (await this.star.server.metrics()).split('\n')
    const [family = ''] = name.split('{')
    assert.ok(lines.some(line => line.startsWith(`# TYPE ${family} `)), `there is no metric ${family}`)
    return Number(lines.find(line => line.startsWith(`${name} `))?.slice(name.length) ?? 0)
  }

  /** How many refusals with that code were counted. */
  async refusals (code: Reason): Promise<number> {
    return await this.metric(`star_refusals_total{code="${code}"}`)
  }

  async close (): Promise<void> {
    this.#clients.forEach(({ socket }) => { socket.disconnect() })
    await within('the star to close', this.star.close())
  }
}

/** Gives a function that starts stars, which are closed after each test; to be called in a suite. */
export function stages (): (options?: ServerOptions) => Promise<Stage> {
  const open: Stage[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map(async stage => { await stage.close() }))
  })
  return async options => {
    const stage = new Stage(await createTestStar(options))
    open.push(stage)
    return stage
  }
}

/** Opens a stream between two who have joined; both ends ask for the other's bytes. */
export async function openStream (
  dialler: RawClient, listener: RawClient, { window }: { window?: number } = {}
): Promise<[RawStream, RawStream]> {
  const dialled = dialler.dial(listener).then(({ reply, stream }) => {
    assert.deepEqual(reply, [], 'the dial was refused')
    return stream
  })
  const accepted = listener.ring().then(ring => {
    ring.ack()
    return ring.stream
  })
  const ends = await Promise.all([dialled, accepted])
  ends.forEach(end => { end.open(...(window == null ? [] : [window])) })
  return ends
}

/** Two who want nothing but to go on talking, whatever others do: one of each generation. */
export class Bystanders {
  readonly #pair: readonly [RawClient, RawClient]

  private constructor (pair: readonly [RawClient, RawClient]) {
    this.#pair = pair
  }

  static async join (stage: Stage): Promise<Bystanders> {
    return new Bystanders([await stage.join('original', { from: '192.0.2.1' }), await stage.join('star', { from: '192.0.2.2' })])
  }

  /** Each dials the other, and hears back what it says. */
  async echo (): Promise<void> {
    const [one, other] = this.#pair
    for (const [dialler, listener] of [[one, other], [other, one]] as const) {
      const [stream, echo] = await openStream(dialler, listener)
      stream.write('hello')
      await echo.reads(5)
      echo.write(echo.text)
      await stream.reads(5)
      assert.equal(stream.text, 'hello')
      stream.end()
      echo.end()
      assert.deepEqual([await stream.ended(), await echo.ended()], [true, true])
    }
  }
}
