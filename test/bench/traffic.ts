// What the ends of a bench do to each other, the same for every contender: echo, flood, ping, dial, join, offer.
import { randomFillSync } from 'node:crypto'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { Channel, End, EndOptions, Link, Rival } from './rivals/types.ts'

const BLOCK = 64 * 1024
const ECHO = 0
const SINK = 1
/** Start of a block: whether another one follows. */
const MORE = 0
const LAST = 1

const more = randomFillSync(new Uint8Array(BLOCK))
more[0] = MORE
const last = more.slice()
last[0] = LAST

/** Serves a channel: its first byte says whether it is an echo or a sink, which acknowledges the last block with a byte. */
function serve (channel: Channel): void {
  let kind: number | undefined
  let at = 0
  let final = false
  channel.onData(chunk => {
    if (kind === undefined) {
      kind = chunk[0]
      chunk = chunk.subarray(1)
      if (chunk.length === 0) return
    }
    if (kind === ECHO) {
      void channel.write(chunk)
      return
    }
    for (let i = (BLOCK - at % BLOCK) % BLOCK; i < chunk.length; i += BLOCK) final ||= chunk[i] === LAST
    at += chunk.length
    if (final && at % BLOCK === 0) void channel.write(Uint8Array.of(SINK))
  })
}

/** A channel to an echo, used for one round trip after another. */
class Pinger {
  readonly #channel: Channel
  readonly #message: Uint8Array
  #missing = 0
  #back: (() => void) | undefined

  constructor (channel: Channel, size: number) {
    this.#channel = channel
    this.#message = new Uint8Array(size)
    channel.onData(chunk => {
      this.#missing -= chunk.length
      if (this.#missing === 0) this.#back?.()
    })
    void channel.write(Uint8Array.of(ECHO))
  }

  async ping (): Promise<number> {
    const begin = performance.now()
    this.#missing = this.#message.length
    const back = new Promise<void>(resolve => { this.#back = resolve })
    void this.#channel.write(this.#message)
    await back
    return performance.now() - begin
  }

  async close (): Promise<void> {
    await this.#channel.close()
  }
}

/** The ends that one worker process plays. */
export class Ends {
  readonly #rival: Rival
  readonly #ends: End[] = []
  readonly #links: Link[] = []
  #prepared: Channel | undefined

  constructor (rival: Rival) {
    this.#rival = rival
  }

  async start (server: string, count: number, options: Omit<EndOptions, 'onChannel'>): Promise<string[]> {
    const begin = this.#ends.length
    await atOnce(count, 16, async () => {
      this.#ends.push(await this.#rival.startEnd(server, { ...options, onChannel: serve }))
    })
    return this.#ends.slice(begin).map(end => end.address)
  }

  async link (peers: string[]): Promise<void> {
    await atOnce(peers.length, 16, async i => {
      this.#links[i] = await this.#ends[i]!.dial(peers[i]!)
    })
  }

  async flood (bytes: number, ping: boolean): Promise<{ ms: number, rtts: number[] }> {
    const blocks = Math.max(1, Math.round(bytes / BLOCK))
    const flooded = await Promise.all(this.#links.map(async link => await link.open()))
    const acknowledged = flooded.map(async channel => await new Promise<void>(resolve => channel.onData(() => resolve())))
    const pinger = ping ? new Pinger(await this.#links[0]!.open(), 32) : undefined
    for (const channel of flooded) void channel.write(Uint8Array.of(SINK))
    await pinger?.ping()

    const begin = performance.now()
    let over = false
    const rtts: number[] = []
    const pinging = async (): Promise<void> => {
      while (pinger !== undefined && !over) {
        rtts.push(await pinger.ping())
        await sleep(2)
      }
    }
    const pouring = flooded.map(async channel => await pour(channel, blocks))
    const pings = pinging()
    await Promise.all([...pouring, ...acknowledged])
    const ms = performance.now() - begin
    over = true
    await pings
    await Promise.all([...flooded.map(async channel => await channel.close()), pinger?.close()])
    return { ms, rtts }
  }

  async ping (count: number): Promise<number[]> {
    const pinger = new Pinger(await this.#links[0]!.open(), 32)
    await pinger.ping()
    const rtts: number[] = []
    for (let i = 0; i < count; i++) rtts.push(await pinger.ping())
    await pinger.close()
    return rtts
  }

  /** Milliseconds from the loss of a path until a round trip begun then is over. */
  /** Moves the connection so many times while a flood runs, or while it doesn't; the longest round trip of each time. */
  async move (count: number, bytes: number): Promise<number[]> {
    const link = this.#links[0]!
    const longest: number[] = []
    for (let i = 0; i < count; i++) {
      const moved = bytes === 0 ? this.#pingsUntil(link.move!()) : this.flood(bytes, true).then(({ rtts }) => rtts)
      if (bytes > 0) {
        await sleep(50)
        await link.move!()
      }
      longest.push(Math.max(...await moved))
      link.cut!()
      await this.ping(5)
    }
    return longest
  }

  /** Moves the connection, for good. */
  async leave (): Promise<void> {
    await this.#links[0]!.move!()
  }

  async #pingsUntil (done: Promise<void>): Promise<number[]> {
    const pinger = new Pinger(await this.#links[0]!.open(), 32)
    const rtts: number[] = []
    let over = false
    const end = done.finally(() => { over = true })
    for (let after = 0; after < 3; after += over ? 1 : 0) rtts.push(await pinger.ping())
    await end
    await pinger.close()
    return rtts
  }

  async cut (peer: string, count: number): Promise<number[]> {
    let link = this.#links[0]!
    let pinger = new Pinger(await link.open(), 32)
    await pinger.ping()
    const stalls: number[] = []
    for (let i = 0; i < count; i++) {
      const begin = performance.now()
      if (link.cut !== undefined) link.cut()
      else {
        await link.close()
        link = await this.#ends[0]!.dial(peer)
        pinger = new Pinger(await link.open(), 32)
      }
      await pinger.ping()
      stalls.push(performance.now() - begin)
    }
    this.#links[0] = link
    await pinger.close()
    return stalls
  }

  async dial (peer: string, count: number, echo: boolean): Promise<Array<{ dial: number, byte: number }>> {
    const times: Array<{ dial: number, byte: number }> = []
    for (let i = 0; i < count; i++) times.push(await firstByte(async () => this.#ends[0]!, peer, echo))
    return times
  }

  async cold (server: string, peer: string, count: number, echo: boolean): Promise<Array<{ dial: number, byte: number }>> {
    const times: Array<{ dial: number, byte: number }> = []
    for (let i = 0; i < count; i++) {
      let made: End | undefined
      times.push(await firstByte(async () => {
        made = await this.#rival.startEnd(server, { onChannel: serve, listen: false })
        return made
      }, peer, echo))
      await made?.close()
    }
    return times
  }

  /**
   * Milliseconds from the dial of a new end, connected to the server, to the first byte back, and until the bytes go directly;
   * infinite when that was not so in time.
   */
  async direct (server: string, peer: string, patience: number): Promise<{ byte: number, direct: number }> {
    const end = await this.#rival.startEnd(server, { onChannel: serve, listen: false })
    if (end.direct === undefined) throw new Error(`${this.#rival.name} has no direct connections`)
    const begin = performance.now()
    const elapsed = (): number => performance.now() - begin
    const signal = AbortSignal.timeout(patience)
    const direct = end.direct(peer, signal).then(elapsed, () => Number.POSITIVE_INFINITY)
    const link = await end.dial(peer)
    const pinger = new Pinger(await link.open(), 1)
    // the connection may be replaced by the direct one while the byte is on its way
    const byte = Promise.race([pinger.ping().then(elapsed), sleep(patience, Number.POSITIVE_INFINITY)])
    const times = { byte: await byte, direct: await direct }
    await end.close()
    return times
  }

  async churn (peer: string, count: number, width: number): Promise<number> {
    const begin = performance.now()
    await atOnce(count, width, async () => {
      const link = await this.#ends[0]!.dial(peer)
      const channel = await link.open()
      channel.onData(() => {})
      await channel.close()
      await link.close()
    })
    return performance.now() - begin
  }

  async join (server: string, count: number, width: number, keys: Uint8Array[]): Promise<number> {
    const free = [...keys]
    const begin = performance.now()
    await atOnce(count, width, async () => {
      const key = free.pop()!
      const end = await this.#rival.startEnd(server, { onChannel: serve, key })
      await end.close()
      free.push(key)
    })
    return performance.now() - begin
  }

  async prepare (bytes: number): Promise<void> {
    const channel = await this.#links[0]!.open()
    const acknowledged = new Promise<void>(resolve => channel.onData(() => resolve()))
    void channel.write(Uint8Array.of(SINK))
    await pour(channel, bytes / BLOCK)
    await acknowledged
    this.#prepared = channel
  }

  async offer (bytes: number, patience: number): Promise<number> {
    const channel = this.#prepared!
    let taken = 0
    while (taken < bytes) {
      const wait = channel.write(more)
      // A write that has to wait is refused when nothing moves; a contender may also end the stream.
      if (wait !== undefined && !await Promise.race([wait.then(() => true, () => false), sleep(patience, false)])) break
      taken += BLOCK
      if (taken % (16 * BLOCK) === 0) await turn()
    }
    return taken
  }
}

/** Sends so many blocks as fast as the channel lets; a turn of the event loop now and then, for those that never ask to wait. */
async function pour (channel: Channel, blocks: number): Promise<void> {
  for (let i = 1; i <= blocks; i++) {
    const wait = channel.write(i === blocks ? last : more)
    if (wait !== undefined) await wait
    else if (i % 16 === 0) await turn()
  }
}

async function firstByte (end: () => Promise<End>, peer: string, echo: boolean): Promise<{ dial: number, byte: number }> {
  const begin = performance.now()
  const link = await (await end()).dial(peer)
  const dial = performance.now() - begin
  let byte = Number.NaN
  const channel = await link.open()
  const pinger = new Pinger(channel, 1)
  if (echo) {
    await pinger.ping()
    byte = performance.now() - begin
  }
  await pinger.close()
  await link.close()
  return { dial, byte }
}

/** Runs a task so many times, at most `width` of them at once. */
async function atOnce (count: number, width: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: Math.min(width, count) }, async () => {
    while (next < count) await task(next++)
  }))
}
