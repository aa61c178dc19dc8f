// The secret of a link, exchanged inside its own encrypted connection: who dialled the link sends its id and a half, the other
// one answers with the other half. What carries the link, a star or a relay, never sees it, and so can't take the link over.
//
//   dialler → acceptor   link id:u64 | 32 random bytes
//   acceptor → dialler   32 random bytes
import { byteStream } from '@libp2p/utils'
import { StarError } from '../src/errors.ts'
import { linkSecret } from '../src/link/digest.ts'
import type { Connection, Stream } from '@libp2p/interface'

/** The libp2p protocol of the exchange. */
export const SECRET_PROTOCOL = '/libp2p-star/link-secret/1.0.0'

const HALF = 32
const ID = 8
/** Milliseconds. */
const TIMEOUT = 10_000

/** The part of who dialled the link; resolves with the secret. */
export async function offerSecret (connection: Connection, link: bigint): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(TIMEOUT)
  const stream = await connection.newStream(SECRET_PROTOCOL, { signal, runOnLimitedConnection: true })
  try {
    const bytes = byteStream(stream)
    const offer = crypto.getRandomValues(new Uint8Array(ID + HALF))
    new DataView(offer.buffer).setBigUint64(0, link)
    await bytes.write(offer, { signal })
    const answer = await bytes.read({ bytes: HALF, signal })
    await stream.close({ signal })
    return linkSecret(offer.subarray(ID), answer.subarray())
  } catch (error) {
    stream.abort(error instanceof Error ? error : new StarError('ERR_STREAM_RESET', { cause: error }))
    throw error
  }
}

/** The part of who was dialled; `share` says whether the link is that of the connection, and takes the secret. */
export async function answerSecret (stream: Stream, share: (link: bigint, secret: Uint8Array) => boolean): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT)
  try {
    const bytes = byteStream(stream)
    const offer = (await bytes.read({ bytes: ID + HALF, signal })).subarray()
    const half = crypto.getRandomValues(new Uint8Array(HALF))
    const link = new DataView(offer.buffer, offer.byteOffset).getBigUint64(0)
    if (!share(link, linkSecret(offer.subarray(ID), half))) {
      throw new StarError('ERR_LINK_UNKNOWN')
    }
    await bytes.write(half, { signal })
    await stream.close({ signal })
  } catch (error) {
    stream.abort(error instanceof Error ? error : new StarError('ERR_STREAM_RESET', { cause: error }))
  }
}
