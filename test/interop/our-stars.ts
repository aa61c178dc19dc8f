// Our server as the suites want it, in the process of the tests.
import { startStar } from '../../server/index.ts'
import type { Stars } from './stars.ts'

/** Stars of ours, in this process. */
export function ourStars (): Stars {
  return {
    name: 'our star',
    original: false,
    async start (settings = {}) {
      const server = await startStar({ port: 0, ...settings })
      return {
        url: server.url,
        port: server.port,
        address: server.addresses[0] as string,
        peers: async () => server.peers(),
        close: async () => { await server.close() }
      }
    },
    async end () {}
  }
}
