// A star that means harm to links: it lets everybody join, answers dials itself, or passes them on and changes what is said.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { peerOfAddress } from '../../src/address.ts'
import { eventName, parseEventName } from '../../src/pull-stream/protocol.ts'
import { Event } from '../../src/star/protocol.ts'
import { Speaker } from './link-raw.ts'
import { Watched } from './waiting.ts'
import type { AddressInfo } from 'node:net'
import type { Socket } from 'socket.io'

/** What it does to what it carries; `dialler` says who wrote it. */
export type Tamper = (bytes: Uint8Array, dialler: boolean) => Uint8Array

type Streams = Map<string, Speaker | Socket>

type Ack = (...args: unknown[]) => void

const WINDOW = 1_048_576

/** Such a star. */
export class EvilStar extends Watched {
  readonly address: string
  /** Who has joined. */
  readonly peers = new Map<string, Socket>()
  /** Answers dials in the place of who is dialled. */
  answer: ((speaker: Speaker, peer: string) => void) | undefined
  tamper: Tamper = bytes => bytes
  /** Dials that were made. */
  dials = 0
  readonly #server: Server

  private constructor (server: Server, port: number) {
    super()
    this.#server = server
    this.address = `/ip4/127.0.0.1/tcp/${port}/ws/p2p-websocket-star`
    server.on('connection', socket => { this.#take(socket) })
  }

  /** Starts one, on a port that may have been another star's. */
  static async start (port: number = 0): Promise<EvilStar> {
    const http = createServer()
    http.listen(port, '127.0.0.1')
    await once(http, 'listening')
    return new EvilStar(new Server(http, { transports: ['websocket'] }), (http.address() as AddressInfo).port)
  }

  async close (): Promise<void> {
    await this.#server.close()
  }

  #take (socket: Socket): void {
    const streams: Streams = new Map()
    socket.data = streams
    // `on` would be a turn too late: what is sent behind a dial comes before it
    socket.onAny((name: string, ...args: unknown[]) => {
      const ack = args.at(-1) as Ack
      if (name === Event.Join) {
        return this.#join(socket, args[0] as string, ack)
      }
      if (name === Event.Ping) {
        return ack()
      }
      if (name === Event.Dial) {
        return this.#dial(socket, args as [string, string, string, unknown, Ack])
      }
      const [payload] = args
      const event = parseEventName(name)
      const stream = event == null ? undefined : streams.get(event.id)
      if (event == null || stream == null) {
        return
      }
      if (stream instanceof Speaker) {
        stream.path.receive(event.kind, event.side, payload)
      } else {
        const changed = event.kind === 'queue' ? this.tamper(payload as Uint8Array, event.side === 'dialer') : payload
        stream.emit(name, ...changed == null ? [] : [changed])
      }
    })
  }

  #join (socket: Socket, address: string, ack: Ack): void {
    this.peers.set(peerOfAddress(address) ?? '', socket)
    ack(null, null, { peers: [...this.peers.keys()], window: WINDOW })
    this.changed()
  }

  #dial (socket: Socket, [from, to, id, terms, ack]: [string, string, string, unknown, Ack]): void {
    const peer = peerOfAddress(to) ?? ''
    const other = this.peers.get(peer)
    this.dials++
    this.changed()
    if (this.answer != null) {
      ack()
      const speaker = new Speaker({
        id,
        side: 'listener',
        window: WINDOW,
        onClose () {},
        send: ({ kind, side, payload }) => { socket.emit(eventName(kind, id, side), payload) }
      })
      streamsOf(socket).set(id, speaker)
      speaker.path.open()
      this.answer(speaker, peer)
    } else if (other == null) {
      ack({ code: 'ERR_PEER_NOT_FOUND' })
    } else {
      streamsOf(socket).set(id, other)
      streamsOf(other).set(id, socket)
      other.emit(Event.Incoming, id, from, terms, (...reply: unknown[]) => { ack(...reply) })
    }
  }
}

function streamsOf (socket: Socket): Streams {
  return socket.data as Streams
}

/** Gives a function that starts such stars; they are closed after each test. To be called in a suite. */
export function evilRelays (): (port?: number) => Promise<EvilStar> {
  const open: EvilStar[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map(async star => { await star.close() }))
  })
  return async port => {
    const star = await EvilStar.start(port)
    open.push(star)
    return star
  }
}
