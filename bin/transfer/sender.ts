// The sender of a file: offers it, sends its bytes as fast as the receiver takes them, and hears that they arrived whole.
import { createHash } from 'node:crypto'
import { Failure } from '../failure.ts'
import { harmless } from '../output.ts'
import { Guard, seeOff } from './guard.ts'
import { StreamReader, write } from './stream.ts'
import { REFUSALS, encode, isAnswer, isRefusal } from './wire.ts'
import type { FileHandle } from 'node:fs/promises'
import type { Stream } from '@libp2p/interface'

/** A file to send. */
export interface Outgoing {
  readonly file: FileHandle
  /** The name that the receiver sees. */
  readonly name: string
  readonly size: number
  readonly signal: AbortSignal
  /** The receiver takes the file. */
  readonly onAccepted: () => void
  /** How many bytes are on their way. */
  readonly onProgress: (bytes: number) => void
}

const CHUNK = 256 * 1024

/** Sends a file; resolves with the SHA-256 that the receiver verified. Rejects with a {@link Failure} when it refuses. */
export async function sendFile (stream: Stream, { file, name, size, signal, onAccepted, onProgress }: Outgoing): Promise<string> {
  using guard = new Guard(stream, signal)
  const reader = new StreamReader(stream)
  let refusal: unknown
  try {
    await write(stream, encode({ name, size }))
    await answer(reader)
    guard.moved()
    onAccepted()
    const verdict = answer(reader)
    verdict.catch((error: Error) => {
      refusal = error
      stream.abort(error) // what is being written fails then
    })
    const hash = createHash('sha256')
    let sent = 0
    for await (const chunk of bytesOf(file, size)) {
      hash.update(chunk)
      await write(stream, chunk)
      guard.moved()
      sent += chunk.byteLength
      onProgress(sent)
    }
    if (sent !== size) {
      throw new Failure('ERR_FILE_CHANGED', 'the file became shorter while it was sent', {
        advice: 'send it again when nobody writes to it'
      })
    }
    const sha256 = hash.digest('hex')
    await write(stream, encode({ sha256 }))
    if (await verdict !== sha256) {
      throw refused('ERR_CHECKSUM')
    }
    await seeOff(stream, reader)
    return sha256
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Failure('ERR_ENDED', 'ended'))
    throw refusal ?? error
  }
}

async function answer (reader: StreamReader): Promise<string | undefined> {
  const message = await reader.message()
  if (!isAnswer(message)) {
    throw refused('ERR_PROTOCOL')
  }
  if ('error' in message) {
    throw refused(message.error)
  }
  return message.sha256
}

function refused (code: string): Failure {
  return isRefusal(code)
    ? new Failure(code, REFUSALS[code])
    : new Failure('ERR_REFUSED', `the receiver refused: ${harmless(code.slice(0, 80))}`)
}

async function * bytesOf (file: FileHandle, size: number): AsyncGenerator<Buffer> {
  if (size > 0) {
    yield * file.createReadStream({ start: 0, end: size - 1, highWaterMark: CHUNK, autoClose: false }) as AsyncIterable<Buffer>
  }
}
