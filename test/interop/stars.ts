// What the suites need of a star, whoever wrote it; and the original one, on which they show that they are right.
import { Driver } from './driver.ts'

/** The options that both servers have, by our server's defaults. */
interface Settings {
  readonly host?: string
  readonly port?: number
  readonly cryptoChallenge?: boolean
  readonly strictMultiaddr?: boolean
  readonly refreshPeerListIntervalMS?: number
}

/** A running star. */
export interface Star {
  readonly url: string
  readonly port: number
  /** Its address, to which `/ipfs/ID` is added. */
  readonly address: string
  peers (): Promise<string[]>
  close (): Promise<void>
}

/** Starts stars of one kind. */
export interface Stars {
  readonly name: string
  /** Whether it is the original; where it differs for good, a test says so. */
  readonly original: boolean
  start (settings?: Settings): Promise<Star>
  /** Ends what the stars have in common. */
  end (): Promise<void>
}

/** Original stars, in a child process. */
export function originalStars (): Stars {
  let driver: Driver | undefined
  return {
    name: 'the original star',
    original: true,
    async start (settings = {}) {
      driver ??= new Driver('server')
      const running = driver
      const options = { strictMultiaddr: true, ...settings }
      const { server, uri, port } = await running.call<{ server: number, uri: string, port: number }>('start', { options })
      return {
        url: uri,
        port,
        address: `/${settings.host === '::1' ? 'ip6/::1' : 'ip4/127.0.0.1'}/tcp/${port}/ws/p2p-websocket-star`,
        peers: async () => await running.call('peers', { server }),
        close: async () => { await running.call('stop', { server }) }
      }
    },
    async end () {
      await driver?.close()
      driver = undefined
    }
  }
}
