// What the tests of direct paths need: a peer that exchanges whatever a test wants, somebody who knocks at the door, a trap that
// counts who comes, and a man in the middle of every path.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { lpStream } from '@libp2p/utils'
import { concat } from 'uint8arrays/concat'
import { decodeOffer, encodeOffer, RENDEZVOUS_PROTOCOL } from '../../client/upgrade/exchange.ts'
import { platform } from '../../client/paths/node/platform.ts'
import { Rendezvous } from '../../src/rendezvous/keys.ts'
import { Path } from '../../src/rendezvous/path.ts'
import { HANDSHAKE, NOMINATE, nodeCrypto, times } from './rendezvous.ts'
import { Watched } from './waiting.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Connection, Stream } from '@libp2p/interface'
import type { Offer } from '../../client/upgrade/exchange.ts'
import type { Platform } from '../../client/paths/platform.ts'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'
import type { RendezvousInit } from '../../src/rendezvous/wire.ts'
import type { PathEvent, PathOutput } from '../../src/rendezvous/path.ts'
import type { Linked } from './links.ts'

/** More than anybody has to take. */
const MOST = 1_048_576
const PLAIN = 0x8000_0000
const FRAME_HEADER = 4

/** What an offer of a test says beside its link and its init. */
export const PLAIN_OFFER = { sealed: false, dials: true, seen: [] } as const

/** An init with these addresses. */
export function initOf (port: number, ips: readonly string[], rest: Partial<RendezvousInit> = {}): RendezvousInit {
  const ipAddresses = ips.map((ip, index) => ({ pathId: index + 1, networkCost: 'unknown' as const, ip }))
  return { ak: times(9, 32), relayedWebSocket: undefined, directTcpServer: { port, ipAddresses }, ...rest }
}

/** The id of the link between two, as a number. */
export function linkId (one: Linked, other: Linked): bigint {
  const link = one.link(other)
  assert.ok(link)
  return BigInt(`0x${link.link}`)
}

/** How a foe answers an offer: with bytes, or as it likes. */
export type Answer = (offer: Offer, stream: Stream) => Uint8Array | undefined

/** A peer with true links that takes and makes offers as a test wants it. Its node must not do so itself: `direct: false`. */
export class Foe extends Watched {
  readonly linked: Linked
  /** What it was offered. */
  readonly offers: Offer[] = []

  private constructor (linked: Linked) {
    super()
    this.linked = linked
  }

  /** One whose answers are these bytes; `undefined` is silence. */
  static async start (linked: Linked, answer: Answer = () => undefined): Promise<Foe> {
    const foe = new Foe(linked)
    await linked.node.handle(RENDEZVOUS_PROTOCOL, async (stream: Stream) => {
      const messages = lpStream(stream, { maxDataLength: MOST })
      const offer = decodeOffer((await messages.read()).subarray())
      const bytes = answer(offer, stream)
      if (bytes != null) {
        await messages.write(bytes).catch(() => undefined) // the other end may have had enough
      }
      foe.offers.push(offer)
      foe.changed()
    }, { runOnLimitedConnection: true, maxInboundStreams: 1_000 })
    return foe
  }

  /** Resolves when it was offered something so often. */
  async asked (count: number, ms: number = 15_000): Promise<void> {
    await this.when(`offer ${count}`, () => this.offers.length >= count, ms)
  }

  /** Offers these bytes; resolves with the answer, or with nothing when there is none. */
  async ask (connection: Connection, bytes: Uint8Array): Promise<Offer | undefined> {
    try {
      const stream = await this.open(connection)
      const messages = lpStream(stream, { maxDataLength: MOST })
      await messages.write(bytes)
      const answer = decodeOffer((await messages.read()).subarray())
      await stream.close()
      return answer
    } catch {
      return undefined
    }
  }

  /** Opens a stream on which an offer is expected. */
  async open (connection: Connection): Promise<Stream> {
    return await connection.newStream(RENDEZVOUS_PROTOCOL, { runOnLimitedConnection: true, maxOutboundStreams: 1_000 })
  }

  /** Offers an init about the link to that peer. */
  async offer (connection: Connection, peer: Linked, init: RendezvousInit = initOf(0, [])): Promise<Offer | undefined> {
    return await this.ask(connection, encodeOffer({ link: linkId(this.linked, peer), init, ...PLAIN_OFFER }))
  }
}

/** A port at which nobody should come. */
export class Trap extends Watched {
  readonly port: number
  readonly sockets: Socket[] = []
  readonly #server: Server

  private constructor (server: Server) {
    super()
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', socket => {
      this.sockets.push(socket.on('error', () => {}))
      this.changed()
    })
  }

  /** Sets one, at all addresses of this device. */
  static async set (): Promise<Trap> {
    const server = createServer()
    server.listen(0)
    await once(server, 'listening')
    return new Trap(server)
  }

  /** Resolves when so many have come. */
  async caught (count: number): Promise<void> {
    await this.when(`caller ${count}`, () => this.sockets.length >= count)
  }

  close (): void {
    this.#server.close()
    this.sockets.forEach(socket => socket.destroy())
  }
}

/** Somebody at a door: on a TCP connection, with the keys of a path or with none. */
export class Knock extends Watched {
  readonly socket: Socket
  readonly outputs: PathOutput[] = []
  /** What it has sent. */
  sent: Uint8Array = new Uint8Array()
  closed = false
  readonly #machine: Path | undefined

  private constructor (port: number, machine: Path | undefined) {
    super()
    this.#machine = machine
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.socket.on('data', bytes => { this.tell({ type: 'bytes', bytes }) })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
      this.changed()
    })
  }

  /** Connects and says nothing. */
  static async silent (port: number): Promise<Knock> {
    const knock = new Knock(port, undefined)
    await once(knock.socket, 'connect')
    return knock
  }

  /** Connects and shakes hands on a path of an init. */
  static async path (init: RendezvousInit, nominator: boolean, pathId: number = 1, eager: boolean = false): Promise<Knock> {
    const keys = new Rendezvous(nodeCrypto, 'rrd', init.ak).claim(pathId)
    assert.ok(keys != null && init.directTcpServer != null)
    const limits = { handshakeTimeout: HANDSHAKE, nominateTimeout: NOMINATE }
    const machine = new Path(keys, { nominator, maxFrame: MOST, plain: true, ...limits })
    const knock = new Knock(init.directTcpServer.port, machine)
    knock.#eager = eager
    await once(knock.socket, 'connect')
    knock.tell({ type: 'open' })
    return knock
  }

  /** Whether it nominates in the same breath in which it proves itself. */
  #eager = false

  tell (event: PathEvent): void {
    const outputs = [...this.#machine?.input(event, performance.now()) ?? []]
    if (this.#eager && outputs.some(output => output.do === 'established')) {
      outputs.push(...this.#machine?.input({ type: 'nominate' }, performance.now()) ?? [])
    }
    this.outputs.push(...outputs)
    const bytes = concat(outputs.flatMap(output => output.do === 'send' ? [...output.frame] : []))
    if (bytes.byteLength > 0) {
      this.say(bytes)
    }
    this.changed()
  }

  say (bytes: Uint8Array): void {
    this.sent = concat([this.sent, bytes])
    this.socket.write(bytes)
  }

  async established (): Promise<void> {
    await this.when('the other end to prove itself', () => this.outputs.some(output => output.do === 'established'))
  }

  async ended (ms?: number): Promise<void> {
    await this.when('the connection to be closed', () => this.closed, ms)
  }
}

/** A frame on its way. */
export interface Passing {
  readonly kind: 'tcp' | 'relay-ws'
  /** Which connection it is, counted from 0, and which frame in its direction. */
  readonly connection: number
  readonly index: number
  /** Whether it goes to the one who dialled the connection. */
  readonly back: boolean
  readonly plain: boolean
  /** With its header. */
  readonly frame: Uint8Array
}

/** What a man in the middle makes of a frame: frames. */
export type Meddle = (passing: Passing) => readonly Uint8Array[]

/** A man in the middle of all paths of this process, while it is there. */
export class Meddler extends Watched {
  /** What passed, before it was meddled with. */
  readonly passed: Array<Omit<Passing, 'frame'> & { readonly type: number | undefined }> = []
  meddle: Meddle = ({ frame }) => [frame]
  #connections = 0
  #leave = (): void => {}

  enter (): void {
    const before = { ...platform }
    const { tcp } = before
    assert.ok(tcp)
    Object.assign(platform, {
      dialWebSocket: (...[url, ca, owner]: Parameters<Platform['dialWebSocket']>) =>
        this.#stand('relay-ws', owner, mine => before.dialWebSocket(url, ca, mine)),
      tcp: {
        ...tcp,
        dial: (...[target, owner]: Parameters<typeof tcp.dial>) => this.#stand('tcp', owner, mine => tcp.dial(target, mine))
      }
    })
    this.#leave = () => { Object.assign(platform, before) }
  }

  leave (): void {
    this.#leave()
  }

  /** How many plain frames have passed. */
  get plain (): number {
    return this.passed.filter(({ plain }) => plain).length
  }

  #stand (kind: Passing['kind'], owner: WireOwner, open: (owner: WireOwner) => Wire): Wire {
    const connection = this.#connections++
    const there = new Cutter()
    const back = new Cutter()
    const pass = (cutter: Cutter, bytes: Uint8Array, isBack: boolean): Uint8Array[] => cutter.push(bytes).flatMap(cut => {
      const { index, frame } = cut
      const plain = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true) >= PLAIN
      const passing = { kind, connection, index, back: isBack, plain }
      this.passed.push({ ...passing, type: frame[4] })
      const instead = this.meddle({ ...passing, frame })
      this.changed()
      return [...instead]
    })
    const wire = open({
      onOpen: () => { owner.onOpen() },
      onBytes: bytes => { pass(back, bytes, true).forEach(each => { owner.onBytes(each) }) },
      onTaken: () => { owner.onTaken() },
      onClose: (code, error) => { owner.onClose(code, error) }
    })
    return {
      get via () { return wire.via },
      get queued () { return wire.queued },
      own: next => { wire.own(next) },
      send: parts => {
        const frames = pass(there, concat([...parts]), false)
        if (frames.length > 0) {
          wire.send(frames)
        }
      },
      pause: () => { wire.pause() },
      resume: () => { wire.resume() },
      close: code => { wire.close(code) }
    }
  }
}

/** Gives a man in the middle who comes before each test of a suite and goes after it. */
export function meddlers (): () => Meddler {
  let meddler = new Meddler()
  beforeEach(() => {
    meddler = new Meddler()
    meddler.enter()
  })
  afterEach(() => { meddler.leave() })
  return () => meddler
}

/** Cuts a direction into frames. */
class Cutter {
  #bytes: Uint8Array = new Uint8Array()
  #index = 0

  push (bytes: Uint8Array): Array<{ index: number, frame: Uint8Array }> {
    this.#bytes = concat([this.#bytes, bytes])
    const frames = []
    for (;;) {
      if (this.#bytes.byteLength < FRAME_HEADER) {
        return frames
      }
      const word = new DataView(this.#bytes.buffer, this.#bytes.byteOffset).getUint32(0, true)
      const size = FRAME_HEADER + word % PLAIN
      if (this.#bytes.byteLength < size) {
        return frames
      }
      frames.push({ index: this.#index++, frame: this.#bytes.subarray(0, size) })
      this.#bytes = this.#bytes.subarray(size)
    }
  }
}
