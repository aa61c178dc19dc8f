// The list of contenders, each loaded only in the processes that run it.
import type { Rival } from './types.ts'

const LOAD: Record<string, () => Promise<Rival>> = {
  'star': async () => (await import('./star.ts')).star,
  'star-move': async () => (await import('./star.ts')).starMove,
  'star-moving': async () => (await import('./star.ts')).starMoving,
  'star-direct': async () => (await import('./star.ts')).starDirect,
  'star-direct-sealed': async () => (await import('./star.ts')).starDirectSealed,
  'star-relay-ws': async () => (await import('./star.ts')).starRelayWs,
  'star-plain': async () => (await import('./star-plain.ts')).starPlain,
  'star-raw': async () => (await import('./star-raw.ts')).starRaw,
  'star-relay': async () => (await import('./star-relay.ts')).starRelay,
  'circuit-relay': async () => (await import('./circuit-relay.ts')).circuitRelay,
  'dcutr': async () => (await import('./dcutr.ts')).dcutr,
  'dcutr-punch': async () => (await import('./dcutr.ts')).dcutrPunch,
  'tcp': async () => (await import('./tcp.ts')).tcp,
  'original': async () => (await import('./original.ts')).original,
  'original-raw': async () => (await import('./original-raw.ts')).originalRaw,
  'ws': async () => (await import('./ws.ts')).ws,
  'socket.io': async () => (await import('./socket.io.ts')).socketIo
}

/** Finds a contender by its name. */
export async function rival (name: string): Promise<Rival> {
  const load = LOAD[name]
  if (load === undefined) throw new Error(`there is no contender called ${name}; there are ${Object.keys(LOAD).join(', ')}`)
  return await load()
}
