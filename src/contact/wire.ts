// The contact exchange's messages: framing, codec, and what is refused, in the three versions that are spoken.
//
//   version:u8 | length:u16-be | JSON of that length
//
//   peer → server   CreateRoom          I make this room
//   server → peer   RoomCreated
//   peer → server   RecordPublicAddr    on each of its connections: see where I come from
//   server → peer   ReceivedAddr
//   peer → server   ReadyToShare        on one of them: these are my local addresses, give me the other's
//   server → peer   ClientContact       at once: what the other one will be told of you
//   server → peer   PeerContact         as soon as the other one is ready, too
//
//   peer → server   ReflectAddr         ours, versions 2 and 3: where do I come from? No room is needed for that
//   server → peer   ReflectedAddr
//
// Versions 2 and 3 are the same but for the first byte: `{"type":"CreateRoom","room_code":"…"}`, at most 1,024 bytes. Version 1
// is `{"CreateRoom":{"room_code":[…]}}`, and `"RoomCreated"` where there are no fields, with the SHA-256 of the room's code
// as 32 numbers. docs/CONTACT.md has all of it.
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { StarError } from '../errors.ts'
import { formatSocketAddress, parseSocketAddress } from './address.ts'
import type { Family, SocketAddress } from './address.ts'

/** A version of the protocol. */
export type Version = 1 | 2 | 3

/** The version that we speak by ourselves. */
export const VERSION = 3

/** The TCP port of contact servers. */
export const CONTACT_PORT = 2_311

/** A peer's addresses, at most one of each family. */
export type Contact = Readonly<Record<Family, SocketAddress | undefined>>

/** What one peer is told of the other. */
export interface FullContact {
  /** Where it says that it is, in its own network. Any address at all may stand here: it is another peer's word. */
  readonly local: Contact
  /** Where the server saw it come from. */
  readonly public: Contact
}

/** A room's code: a text, or its SHA-256, which is all that version 1 has. */
export type RoomCode = string | Uint8Array

/** What peers say of a room. */
export type RoomRequest =
  | { readonly type: 'CreateRoom', readonly room: RoomCode }
  | { readonly type: 'RecordPublicAddr', readonly room: RoomCode, readonly isCreator: boolean }
  | { readonly type: 'ReadyToShare', readonly room: RoomCode, readonly isCreator: boolean, readonly local: Contact }

/** What peers say. */
export type Request = RoomRequest | { readonly type: 'ReflectAddr' }

/** Replies that are a word and no more. `ErrorInternal` is in version 1 alone, whose server never sends it. */
const WORDS = [
  'RoomCreated', 'ReceivedAddr', 'ErrorRoomTaken', 'ErrorPeerTimedOut', 'ErrorNoSuchRoomCode', 'ErrorUnexpectedMsg',
  'ErrorTooManyRequests', 'ErrorSyntax', 'ErrorInternal'
] as const

/** What servers say. */
export type Reply =
  | { readonly type: typeof WORDS[number] }
  | { readonly type: 'ClientContact' | 'PeerContact', readonly contact: FullContact }
  | { readonly type: 'ReflectedAddr', readonly seen: Contact }

/** A message in its frame. */
export interface Frame {
  readonly version: Version
  readonly body: Uint8Array
}

const HEADER = 3
/** The longest body of each version, in bytes. */
const LONGEST: Readonly<Record<number, number>> = { 1: 65_535, 2: 1_024, 3: 1_024 }
/** Bytes of the longest frame of all. */
const MOST = 65_538
const DIGEST = 32
const NONE = new Uint8Array()

/** A code's SHA-256 in hex: so peers of different versions meet in one room. */
export function roomKey (room: RoomCode): string {
  return bytesToHex(digestOf(room))
}

/** Spells a request with its frame; throws {@link StarError} `ERR_ARGUMENTS` when the room's code makes it too long. */
export function encodeRequest (version: Version, request: Request): Uint8Array {
  if (request.type === 'ReflectAddr') {
    return encode(version, request.type)
  }
  const roomCode = version === 1 ? [...digestOf(request.room)] : request.room
  switch (request.type) {
    case 'CreateRoom':
      return encode(version, request.type, { room_code: roomCode })
    case 'RecordPublicAddr':
      return encode(version, request.type, { room_code: roomCode, is_creator: request.isCreator })
    case 'ReadyToShare': {
      const contact = { local_contact: rawContact(request.local) }
      return encode(version, request.type, { ...contact, room_code: roomCode, is_creator: request.isCreator })
    }
  }
}

/** Reads a request; throws {@link StarError} `ERR_PROTOCOL` for anything else. */
export function decodeRequest (frame: Frame): Request {
  const [type, fields] = decode(frame)
  switch (type) {
    case 'CreateRoom':
      return { type, room: readRoom(frame.version, fields) }
    case 'RecordPublicAddr':
      return { type, room: readRoom(frame.version, fields), isCreator: readBoolean(fields, 'is_creator') }
    case 'ReadyToShare': {
      const local = readContact(fields?.['local_contact'])
      return { type, room: readRoom(frame.version, fields), isCreator: readBoolean(fields, 'is_creator'), local }
    }
    case 'ReflectAddr':
      return frame.version === 1 ? refuse('a request that is not of version 1') : { type }
    default:
      return refuse('a request that is none')
  }
}

/** Spells a reply with its frame. */
export function encodeReply (version: Version, reply: Reply): Uint8Array {
  if ('seen' in reply) {
    return encode(version, reply.type, { public: rawContact(reply.seen) })
  }
  if (!('contact' in reply)) {
    return encode(version, reply.type)
  }
  const { local, public: seen } = reply.contact
  return encode(version, reply.type, { local: rawContact(local), public: rawContact(seen) })
}

/** Reads a reply; throws {@link StarError} `ERR_PROTOCOL` for anything else. */
export function decodeReply (frame: Frame): Reply {
  const [type, fields] = decode(frame)
  if (type === 'ClientContact' || type === 'PeerContact') {
    return { type, contact: { local: readContact(fields?.['local']), public: readContact(fields?.['public']) } }
  }
  if (type === 'ReflectedAddr' && frame.version !== 1) {
    return { type, seen: readContact(fields?.['public']) }
  }
  const word = WORDS.find(one => one === type && (one !== 'ErrorInternal' || frame.version === 1))
  // a word of version 1 has no fields; in the others what stands beside the type is for somebody newer
  return word == null || (frame.version === 1 && fields != null) ? refuse('a reply that is none') : { type: word }
}

/**
 * Takes a connection's bytes apart, cut anywhere. It keeps no more than it is given, and refuses a frame as soon as its three
 * bytes of header are there.
 */
export class FrameReader {
  readonly #versions: readonly number[]
  #bytes: Uint8Array = NONE
  #start = 0
  #end = 0
  #version: Version = VERSION

  /** Takes frames of these versions. */
  constructor (versions: readonly Version[]) {
    this.#versions = versions
  }

  /** Bytes that are kept, which no frame has been made of yet. */
  get size (): number {
    return this.#end - this.#start
  }

  /** The version of the latest frame whose version is one that is taken, whatever became of it; our own before there was any. */
  get version (): Version {
    return this.#version
  }

  /** Puts in what came. */
  push (chunk: Uint8Array): void {
    const needed = this.size + chunk.byteLength
    if (this.#end + chunk.byteLength > this.#bytes.byteLength) {
      const grown = new Uint8Array(this.size === 0 ? needed : Math.max(needed, Math.min(2 * needed, MOST)))
      grown.set(this.#bytes.subarray(this.#start, this.#end))
      this.#bytes = grown
      this.#start = 0
    }
    this.#bytes.set(chunk, needed - chunk.byteLength + this.#start)
    this.#end = this.#start + needed
  }

  /** The next frame, if it is whole; throws {@link StarError} `ERR_PROTOCOL`, and then must not be used any more. */
  next (): Frame | undefined {
    if (this.size < HEADER) {
      return undefined
    }
    const [version = 0, high = 0, low = 0] = this.#bytes.subarray(this.#start)
    if (!this.#versions.includes(version)) {
      refuse(`version ${version} of the contact exchange, which is not spoken here`)
    }
    this.#version = version as Version
    const length = high << 8 | low
    if (length > (LONGEST[version] ?? 0)) {
      refuse(`a message of ${length} bytes`)
    }
    if (this.size < HEADER + length) {
      return undefined
    }
    const body = this.#bytes.subarray(this.#start + HEADER, this.#start + HEADER + length)
    this.#start += HEADER + length
    if (this.size === 0) {
      this.#bytes = NONE
    }
    return { version: this.#version, body }
  }
}

type Fields = Readonly<Record<string, unknown>>

function digestOf (room: RoomCode): Uint8Array {
  return typeof room === 'string' ? sha256(fromString(room)) : room
}

function encode (version: Version, type: string, fields?: Fields): Uint8Array {
  const message = version === 1 ? (fields == null ? type : { [type]: fields }) : { type, ...fields }
  const body = fromString(JSON.stringify(message))
  if (body.byteLength > (LONGEST[version] ?? 0)) {
    throw new StarError('ERR_ARGUMENTS', { detail: `a message of ${body.byteLength} bytes, which a long room code makes` })
  }
  return concatBytes(Uint8Array.of(version, body.byteLength >> 8, body.byteLength), body)
}

/** The type of a message, and its fields if it has any. */
function decode ({ version, body }: Frame): readonly [type: unknown, fields: Fields | undefined] {
  const message = parse(body)
  if (version !== 1) {
    const fields = isRecord(message) ? message : refuse('a message that is no object')
    return [fields['type'], fields]
  }
  if (typeof message === 'string') {
    return [message, undefined]
  }
  const [entry, ...more] = isRecord(message) ? Object.entries(message) : []
  if (entry == null || more.length > 0) {
    return refuse('a message that is not of one type')
  }
  return [entry[0], isRecord(entry[1]) ? entry[1] : refuse('a message without fields')]
}

function parse (body: Uint8Array): unknown {
  const text = toString(body)
  if (!equals(fromString(text), body)) {
    refuse('a message that is no UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new StarError('ERR_PROTOCOL', { detail: 'a message that is no JSON', cause })
  }
}

function isRecord (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readRoom (version: Version, fields: Fields | undefined): RoomCode {
  const code = fields?.['room_code']
  if (version === 1) {
    const isDigest = Array.isArray(code) && code.length === DIGEST &&
      code.every(one => Number.isInteger(one) && Number(one) >= 0 && Number(one) <= 255)
    return isDigest ? Uint8Array.from(code as number[]) : refuse('a room code that is not 32 bytes')
  }
  // half a character can be escaped in JSON, and is no text
  return typeof code === 'string' && !/\p{Surrogate}/u.test(code) ? code : refuse('a room code that is no text')
}

function readBoolean (fields: Fields | undefined, name: string): boolean {
  const value = fields?.[name]
  return typeof value === 'boolean' ? value : refuse(`${name} that is neither true nor false`)
}

function readContact (value: unknown): Contact {
  const fields = isRecord(value) ? value : refuse('a contact that is none')
  const read = (family: Family): SocketAddress | undefined => {
    const text = fields[family] ?? undefined
    const address = typeof text === 'string' ? parseSocketAddress(family, text) : undefined
    return address == null && text !== undefined ? refuse(`an address that is none of ${family}`) : address
  }
  return { v4: read('v4'), v6: read('v6') }
}

function rawContact ({ v4, v6 }: Contact): Fields {
  return { v4: v4 == null ? null : formatSocketAddress(v4), v6: v6 == null ? null : formatSocketAddress(v6) }
}

function refuse (detail: string): never {
  throw new StarError('ERR_PROTOCOL', { detail })
}
