// Ours without libp2p: raw streams of connect(), like for like with the original clients.
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { connect } from '../../../client/index.ts'
import type { StarStream } from '../../../client/index.ts'
import { startServer } from './star-server.ts'
import type { Channel, Rival } from './types.ts'

function channel (stream: StarStream): Channel {
  const queue: Uint8Array[] = []
  let wake: (() => void) | undefined
  let ended = false
  const gone: Array<() => void> = []

  // What the sink has taken is out of our hands; a write waits until the one before it was taken.
  async function * outgoing (): AsyncGenerator<Uint8Array> {
    while (true) {
      const chunk = queue.shift()
      if (chunk !== undefined) {
        gone.shift()?.()
        yield chunk
      } else if (ended) return
      else await new Promise<void>(resolve => { wake = resolve })
    }
  }
  const close = async (): Promise<void> => {
    ended = true
    wake?.()
  }
  stream.sink(outgoing()).catch(() => {})

  return {
    write: async chunk => {
      queue.push(chunk)
      const taken = new Promise<void>(resolve => gone.push(resolve))
      wake?.()
      await taken
    },
    onData: listener => {
      const read = async (): Promise<void> => {
        for await (const chunk of stream.source) listener(chunk)
      }
      read().then(close, close)
    },
    close
  }
}

export const starRaw: Rival = {
  name: 'star-raw',
  about: "raw streams of our connect(), without libp2p's encryption, with back-pressure",
  like: 'star-raw',
  startServer,

  startEnd: async (server, options) => {
    const identity = options.key === undefined ? {} : { privateKey: privateKeyFromProtobuf(options.key) }
    const client = await connect(server, { ...identity, listed: options.listen !== false })
    const accept = async (): Promise<void> => {
      for await (const stream of client) options.onChannel(channel(stream))
    }
    accept().catch(() => {})
    return {
      address: client.address,
      dial: async peer => {
        let first: StarStream | undefined = await client.dial(peer)
        return {
          open: async () => {
            const stream = first ?? await client.dial(peer)
            first = undefined
            return channel(stream)
          },
          close: async () => {
            if (first !== undefined) await channel(first).close()
          }
        }
      },
      close: async () => await client.close()
    }
  }
}
