// What the tests of the contact exchange share: frames by their text, a server's machine as a table of what it says to whom, and
// a raw client on a socket.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { toSocketAddress } from '../../src/contact/address.ts'
import { Rooms } from '../../src/contact/rooms.ts'
import { FrameReader, decodeReply, encodeRequest } from '../../src/contact/wire.ts'
import { Watched } from './waiting.ts'
import type { Socket } from 'node:net'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { RoomsEvent, RoomsOptions } from '../../src/contact/rooms.ts'
import type { Contact, Frame, FullContact, Reply, Request, RoomRequest, Version } from '../../src/contact/wire.ts'

/** Every version. */
export const VERSIONS = [1, 2, 3] as const

/** No address at all. */
export const NOWHERE: Contact = { v4: undefined, v6: undefined }

/** A frame around a text, or around bytes. */
export function frame (version: number, body: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(body)
  return Buffer.concat([Uint8Array.of(version, bytes.byteLength >> 8, bytes.byteLength), bytes])
}

/** All frames of some chunks. */
export function readAll (chunks: readonly Uint8Array[], versions: readonly Version[] = VERSIONS): Frame[] {
  const reader = new FrameReader(versions)
  const frames: Frame[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let next = reader.next(); next != null; next = reader.next()) {
      frames.push(next)
    }
  }
  return frames
}

/** Cuts bytes into pieces of the lengths that are listed, over and over. */
export function cut (bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let position = 0, index = 0; position < bytes.byteLength; index++) {
    const length = lengths[index % lengths.length] ?? 1
    chunks.push(bytes.subarray(position, position + length))
    position += length
  }
  return chunks
}

/** An address from its parts. */
export function at (ip: string, port: number): SocketAddress {
  const address = toSocketAddress(ip, port)
  assert.ok(address != null, ip)
  return address
}

/** `CreateRoom`. */
export function create (room: string = 'r'): RoomRequest {
  return { type: 'CreateRoom', room }
}

/** `RecordPublicAddr`. */
export function record (isCreator: boolean, room: string = 'r'): RoomRequest {
  return { type: 'RecordPublicAddr', room, isCreator }
}

/** `ReadyToShare`. */
export function ready (isCreator: boolean, local: Contact = NOWHERE, room: string = 'r'): RoomRequest {
  return { type: 'ReadyToShare', room, isCreator, local }
}

/** Limits that no test meets by accident. */
export const WIDE: RoomsOptions = {
  contactRoomTime: 600_000,
  contactIdle: 60_000,
  contactConnections: 1_000,
  contactConnectionsPerAddress: 1_000,
  contactRooms: 1_000,
  contactRoomsPerAddress: 1_000,
  contactRequestsPerMinute: 1_000
}

/** The rooms of a server, and what they say: a line for each output. */
export class Table {
  readonly rooms: Rooms
  now = 1_000
  /** What was told since it was last looked at: connection, and the type of a reply, or what the driver is to do. */
  readonly #said: string[] = []
  readonly contacts = new Map<string, FullContact>()
  /** Where connections were told that they come from. */
  readonly seen = new Map<number, Contact>()

  constructor (options: Partial<RoomsOptions> = {}) {
    this.rooms = new Rooms({ ...WIDE, ...options })
  }

  /** All that was said since the last time. */
  get said (): string[] {
    return this.#said.splice(0)
  }

  /** Opens connections: their numbers and IP addresses, from the port 1000 and the number. */
  open (...connections: ReadonlyArray<readonly [connection: number, ip: string, key?: string]>): this {
    for (const [connection, ip, key = ip] of connections) {
      this.tell({ type: 'open', connection, address: at(ip, 1_000 + connection % 60_000), key })
    }
    return this
  }

  /** What comes of requests on a connection. */
  ask (connection: number, requests: Request | readonly Request[], version: Version = 3): string[] {
    const frames = [requests].flat().map(request => encodeRequest(version, request))
    return this.bytes(connection, Buffer.concat(frames))
  }

  /** What comes of bytes on a connection. */
  bytes (connection: number, bytes: Uint8Array): string[] {
    return this.tell({ type: 'bytes', connection, bytes })
  }

  /** What comes of milliseconds that pass, in which nobody wakes it before the end. */
  pass (milliseconds: number): string[] {
    this.now += milliseconds
    return this.tell({ type: 'wake' })
  }

  tell (event: RoomsEvent): string[] {
    for (const output of this.rooms.input(event, this.now)) {
      const { connection } = output
      if (output.do === 'send') {
        const { version, reply } = output
        this.#said.push(`${connection} ${reply.type}${version === 3 ? '' : ` (${version})`}`)
        if ('contact' in reply) {
          this.contacts.set(`${connection} ${reply.type}`, reply.contact)
        } else if ('seen' in reply) {
          this.seen.set(connection, reply.seen)
        }
      } else {
        this.#said.push(`${connection} ${output.do}`)
      }
    }
    return this.said
  }
}

/** A client that says what it is told to, on a socket. */
export class RawContact extends Watched {
  readonly socket: Socket
  /** What came, in the version that it came in. */
  readonly heard: Array<readonly [version: Version, reply: Reply]> = []
  ended = false
  closed = false
  readonly #reader = new FrameReader(VERSIONS)

  private constructor (socket: Socket) {
    super()
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#reader.push(bytes)
      for (let next = this.#reader.next(); next != null; next = this.#reader.next()) {
        this.heard.push([next.version, decodeReply(next)])
      }
      this.changed()
    })
    socket.on('error', () => {})
    socket.on('end', () => {
      this.ended = true
      this.changed()
    })
    socket.on('close', () => {
      this.closed = true
      this.changed()
    })
  }

  /** Connects, with TLS where there is a certificate to trust. */
  static async open (port: number, host: string = '127.0.0.1', ca?: Buffer): Promise<RawContact> {
    const target = { port, host, allowHalfOpen: true }
    const socket = ca == null ? connect(target) : connectTls({ ...target, ca })
    const client = new RawContact(socket)
    await once(socket, ca == null ? 'connect' : 'secureConnect')
    return client
  }

  /** The types of what came. */
  get types (): string[] {
    return this.heard.map(([, { type }]) => type)
  }

  say (request: Request, version: Version = 3): void {
    this.socket.write(encodeRequest(version, request))
  }

  /** Says something, and gives the next thing that comes. */
  async ask (request: Request, version: Version = 3): Promise<Reply> {
    const before = this.heard.length
    this.say(request, version)
    await this.hears(before + 1)
    const [, reply] = this.heard[before] ?? []
    assert.ok(reply != null)
    return reply
  }

  /** Waits until so many replies are there. */
  async hears (count: number): Promise<void> {
    await this.when(`${count} replies`, () => this.heard.length >= count)
  }

  /** Waits until the server has said its last word. */
  async gone (): Promise<void> {
    await this.when('the end', () => this.ended || this.closed)
  }
}
