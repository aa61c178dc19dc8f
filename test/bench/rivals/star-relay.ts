// Ours: pairs of bare WebSockets through our star's raw relay. Its ends know nothing but `ws`, like those of the bare forwarder.
import { createHash, randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import { startServer } from './star-server.ts'
import type { Channel, Rival } from './types.ts'
import { channelOf } from './web-socket.ts'

/** Enters the path of a listener's stream of that number; each of the two says a word first, so that both know of the other. */
async function meet (server: string, listener: string, number: number): Promise<Channel> {
  const path = createHash('sha256').update(`${listener} ${number}`).digest('hex')
  const socket = new WebSocket(`${relayOf(server)}/${path}`, { perMessageDeflate: false })
  socket.on('open', () => socket.send('ready', { binary: true }))
  return await new Promise((resolve, reject) => {
    // within the event: what comes right behind the word is the channel's
    socket.once('message', () => resolve(channelOf(socket)))
    socket.once('error', reject)
  })
}

/** The raw relay of the star with that multiaddr. */
function relayOf (server: string): string {
  const [, , host, , port] = server.split('/')
  return `ws://${host}:${port}/relay`
}

export const starRelay: Rival = {
  name: 'star-relay',
  about: "our star's raw relay: pairs of bare WebSockets that meet on a path; no encryption",
  like: 'star-relay',
  startServer,

  startEnd: async (server, options) => {
    const address = randomUUID()
    const dialled = new Map<string, number>()
    const serve = async (): Promise<void> => {
      for (let number = 0; ; number++) options.onChannel(await meet(server, address, number))
    }
    if (options.listen !== false) serve().catch(() => {})
    const dial = async (peer: string): Promise<Channel> => {
      const number = dialled.get(peer) ?? 0
      dialled.set(peer, number + 1)
      return await meet(server, peer, number)
    }
    return {
      address,
      dial: async peer => {
        let first: Channel | undefined = await dial(peer)
        return {
          open: async () => {
            const opened = first ?? await dial(peer)
            first = undefined
            return opened
          },
          close: async () => await first?.close()
        }
      },
      close: async () => {}
    }
  }
}
