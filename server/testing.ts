/**
 * @packageDocumentation
 *
 * A star server for tests: on loopback, on any free port, generous with its limits, and it can be stopped and started
 * again in place.
 *
 * ```ts
 * import { createTestStar } from 'libp2p-star/testing'
 *
 * const star = await createTestStar()
 * // star.address is where nodes listen
 * await star.restart()
 * await star.close()
 * ```
 */
import { startStar } from './index.ts'
import type { ServerOptions, StarServer } from './index.ts'

/** A star server whose clients can be made to lose it. */
export interface TestStar {
  /** The multiaddr to listen on or to dial through; the same after a restart. */
  readonly address: string
  /** The server that runs now. */
  readonly server: StarServer
  /** Stops the server; its port is kept for {@link TestStar.start}. */
  stop (): Promise<void>
  /** Starts the server again where it was. */
  start (): Promise<void>
  /** Stops and starts. */
  restart (): Promise<void>
  close (): Promise<void>
}

/** What a star in a test is unless told otherwise: no test should have to wait, or meet a limit that it isn't about. */
const RELAXED: ServerOptions = {
  port: 0,
  connectionsPerSecond: 1_000,
  joinsPerSecond: 1_000,
  dialsPerSecond: 10_000,
  announceDelay: 10,
  restartDelay: 50
}

/** Starts a star server for a test. */
export async function createTestStar (options: ServerOptions = {}): Promise<TestStar> {
  const settings = { ...RELAXED, ...options }
  let server = await startStar(settings)
  const { port } = server
  const [address = ''] = server.addresses
  const star: TestStar = {
    address,
    get server () {
      return server
    },
    stop: () => server.close(),
    start: async () => {
      server = await startStar({ ...settings, port })
    },
    restart: async () => {
      await star.stop()
      await star.start()
    },
    close: () => server.close()
  }
  return star
}
