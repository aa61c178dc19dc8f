// The receiver of a file: takes or refuses the offer, writes what comes no faster than the disk takes it, verifies it.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Failure } from '../failure.ts'
import { Guard, seeOff } from './guard.ts'
import { PartFile, exists, isFileName } from './place.ts'
import { StreamReader, endedEarly, write } from './stream.ts'
import { REFUSALS, encode, isChecksum, isOffer } from './wire.ts'
import type { Stream } from '@libp2p/interface'
import type { Offer, Refusal } from './wire.ts'

/** Which files are taken, and where they go. */
export interface Policy {
  readonly dir: string
  /** False for a peer from which nothing is taken. */
  readonly welcome: boolean
  /** Replace a file of the same name. */
  readonly force: boolean
  /** Bytes. */
  readonly maxSize: number
  /** Takes the offer up, or says why not; asked last. */
  readonly claim: (offer: Offer) => Refusal | undefined
  readonly signal: AbortSignal
  /** How many bytes are written. */
  readonly onProgress: (bytes: number) => void
}

/** A file that arrived whole. */
export interface Received {
  readonly name: string
  readonly path: string
  readonly size: number
  readonly sha256: string
}

/** An offer that was not taken, or a file that was not kept. */
export class Refused extends Failure {
  /** The name that was offered; whatever the sender liked to write. */
  readonly offered: string | undefined

  constructor (code: Refusal, offered: string | undefined, cause?: unknown) {
    super(code, REFUSALS[code], { cause })
    this.offered = offered
  }
}

const CHUNK = 256 * 1024

/** Takes what a peer wants to send. Rejects with {@link Refused} when it was refused, and then the peer knows why. */
export async function receiveFile (stream: Stream, policy: Policy): Promise<Received> {
  using guard = new Guard(stream, policy.signal)
  const reader = new StreamReader(stream)
  try {
    return await take(stream, reader, guard, policy)
  } catch (error) {
    if (error instanceof Refused) {
      await write(stream, encode({ error: error.code })).catch(() => {})
      await seeOff(stream, reader)
    }
    stream.abort(error instanceof Error ? error : endedEarly())
    throw error
  }
}

async function take (stream: Stream, reader: StreamReader, guard: Guard, policy: Policy): Promise<Received> {
  const offer = await reader.message()
  if (!isOffer(offer)) {
    throw new Refused('ERR_PROTOCOL', undefined)
  }
  const { name, size } = offer
  const refusal = await examine(offer, policy) ?? policy.claim(offer)
  if (refusal != null) {
    throw new Refused(refusal, name)
  }
  await using part = await writing(name, PartFile.create(policy.dir, name))
  await write(stream, encode({ ok: true }))
  const hash = createHash('sha256')
  for (let received = 0; received < size;) {
    const bytes = (await reader.read(Math.min(CHUNK, size - received)))?.subarray()
    if (bytes == null) {
      throw endedEarly()
    }
    hash.update(bytes)
    await writing(name, part.write(bytes))
    guard.moved()
    received += bytes.byteLength
    policy.onProgress(received)
  }
  const sha256 = hash.digest('hex')
  const checksum = await reader.message()
  if (!isChecksum(checksum)) {
    throw new Refused('ERR_PROTOCOL', name)
  }
  if (checksum.sha256 !== sha256) {
    throw new Refused('ERR_CHECKSUM', name)
  }
  if (!await writing(name, part.keep(policy.force))) {
    throw new Refused('ERR_FILE_EXISTS', name)
  }
  // it is ours now, whether or not the sender hears of it
  await write(stream, encode({ ok: true, sha256 })).catch(() => {})
  await seeOff(stream, reader)
  return { name, path: part.path, size, sha256 }
}

async function examine ({ name, size }: Offer, { dir, welcome, force, maxSize }: Policy): Promise<Refusal | undefined> {
  if (!welcome) {
    return 'ERR_SENDER'
  }
  if (!isFileName(name)) {
    return 'ERR_FILE_NAME'
  }
  if (size > maxSize) {
    return 'ERR_FILE_SIZE'
  }
  return !force && await writing(name, exists(join(dir, name))) ? 'ERR_FILE_EXISTS' : undefined
}

/** What the disk says is not for the sender to know in detail. */
async function writing<T> (name: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new Refused('ERR_WRITE', name, cause)
  }
}
