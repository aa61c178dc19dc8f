// A bare WebSocket as a channel, with back-pressure for its writer; for all contenders whose ends are one.
import type { WebSocket } from 'ws'
import type { Channel } from './types.ts'

const HIGH = 2 * 1024 * 1024

/** Makes a channel; what comes before `onData` is kept. */
export function channelOf (socket: WebSocket): Channel {
  let early: Buffer[] | undefined = []
  let deliver = (data: Buffer): void => { early?.push(data) }
  socket.on('message', (data: Buffer) => deliver(data))
  return {
    write: chunk => {
      if (socket.bufferedAmount + chunk.length <= HIGH) {
        socket.send(chunk)
        return undefined
      }
      return new Promise((resolve, reject) => {
        socket.send(chunk, error => { if (error instanceof Error) reject(error); else resolve() })
      })
    },
    onData: listener => {
      deliver = listener
      early?.forEach(listener)
      early = undefined
    },
    close: async () => socket.close()
  }
}
