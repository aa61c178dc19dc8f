// The key that a peer id is made of, kept in a file.
import { open, readFile } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { Exit, Failure, codeOf } from './failure.ts'
import type { PrivateKey } from '@libp2p/interface'

/** The key in the file, a libp2p protobuf; a file that doesn't exist is made, with a new key that only its owner can read. */
export async function loadIdentity (file: string): Promise<PrivateKey> {
  const bytes = await read(file)
  if (bytes == null) {
    return await create(file)
  }
  try {
    return privateKeyFromProtobuf(bytes)
  } catch (cause) {
    throw new Failure('ERR_IDENTITY', `${file} holds no libp2p private key`, {
      advice: 'name a file that does, or one that does not exist yet: it is made then', exit: Exit.usage, cause
    })
  }
}

async function read (file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return undefined
    }
    throw unusable('read', file, error)
  }
}

async function create (file: string): Promise<PrivateKey> {
  const key = await generateKeyPair('Ed25519')
  try {
    await using handle = await open(file, 'wx', 0o600)
    await handle.writeFile(privateKeyToProtobuf(key))
  } catch (error) {
    throw unusable('write', file, error)
  }
  return key
}

function unusable (what: string, file: string, cause: unknown): Failure {
  return new Failure(codeOf(cause), `cannot ${what} the identity file ${file} (${codeOf(cause)})`, {
    advice: 'give --identity a path where you may read and write', exit: Exit.usage, cause
  })
}
