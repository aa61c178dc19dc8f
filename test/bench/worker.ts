// The process that a bench forks: it plays the server or some ends of one contender, and does what it is told over IPC.
import type { Answer, Call } from './process.ts'
import { rival } from './rivals/index.ts'
import type { EndOptions, ServerOptions } from './rivals/types.ts'
import { startProfile, stopProfile } from './profile.ts'
import { Ends } from './traffic.ts'
import { usage } from './usage.ts'

const contender = await rival(process.argv[2] ?? '')
const ends = new Ends(contender)

const commands = {
  /** Starts the server and gives its address. */
  serve: async (options: ServerOptions): Promise<string> => (await contender.startServer(options)).address,
  /** Starts some ends and gives their addresses. */
  start: async (server: string, count: number, options: Omit<EndOptions, 'onChannel'>): Promise<string[]> =>
    await ends.start(server, count, options),
  /** Connects the ends, in order, to these peers. */
  link: async (peers: string[]): Promise<void> => await ends.link(peers),
  /** Sends so many bytes over each link at once and gives the milliseconds; with `ping`, also the round trips meanwhile. */
  flood: async (bytes: number, ping: boolean): Promise<{ ms: number, rtts: number[] }> => await ends.flood(bytes, ping),
  /** Round trips of 32 bytes on an idle link, one after another. */
  ping: async (count: number): Promise<number[]> => await ends.ping(count),
  /** Connects and disconnects; milliseconds until connected and until the first byte came back. */
  dial: async (peer: string, count: number, echo: boolean): Promise<Array<{ dial: number, byte: number }>> =>
    await ends.dial(peer, count, echo),
  /** The same with a new end each time; starting the end is part of the time. */
  cold: async (server: string, peer: string, count: number, echo: boolean): Promise<Array<{ dial: number, byte: number }>> =>
    await ends.cold(server, peer, count, echo),
  /** Milliseconds from the dial of a new end to the first byte, and until it is connected directly: infinite if not in time. */
  direct: async (server: string, peer: string, patience: number): Promise<{ byte: number, direct: number }> =>
    await ends.direct(server, peer, patience),
  /** Gives up the path to that peer so many times; milliseconds until something got through again. */
  cut: async (peer: string, count: number): Promise<number[]> => await ends.cut(peer, count),
  /** Moves the connection so many times, while so many bytes are sent or none; the longest round trip meanwhile of each time. */
  move: async (count: number, bytes: number): Promise<number[]> => await ends.move(count, bytes),
  /** Moves the connection past the server, for good. */
  leave: async (): Promise<void> => await ends.leave(),
  /** Dials and closes so many times, several at once. */
  churn: async (peer: string, count: number, atOnce: number): Promise<number> => await ends.churn(peer, count, atOnce),
  /** Joins and leaves so many times, several at once, and gives the milliseconds. */
  join: async (server: string, count: number, atOnce: number, keys: Uint8Array[]): Promise<number> =>
    await ends.join(server, count, atOnce, keys),
  /** Opens the channel for `offer` while the peer still reads, and sends some bytes, so that windows have grown. */
  prepare: async (bytes: number): Promise<void> => await ends.prepare(bytes),
  /** Offers bytes to a peer that doesn't read; gives how many were taken before nothing moved for `patience` milliseconds. */
  offer: async (bytes: number, patience: number): Promise<number> => await ends.offer(bytes, patience),
  /** Starts a CPU profile, or ends it and writes it to a file. */
  profile: async (file: string | undefined): Promise<void> => file === undefined ? await startProfile() : await stopProfile(file),
  /** What this process has used so far. */
  usage: (collect: boolean): ReturnType<typeof usage> => usage(collect)
}

/** The commands, for the type of the calls. */
export type Commands = typeof commands

process.on('disconnect', () => process.exit())
process.on('SIGINT', () => process.exit())
// Contenders lose connections at the end of a round; only what a command is waiting for may fail a bench.
process.on('unhandledRejection', error => console.error(error))

process.on('message', (message: Call) => {
  const run = commands[message.name] as (...args: unknown[]) => unknown
  Promise.resolve().then(() => run(...message.args)).then(
    result => answer({ id: message.id, result }),
    (error: unknown) => answer({ id: message.id, error: String(error) })
  )
})

function answer (message: Answer): void {
  if (process.connected) process.send?.(message)
}
