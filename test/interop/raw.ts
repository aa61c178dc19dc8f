// Bare socket.io 2 clients as objects: they say what a test tells them to, and nothing else.
import { Driver, type Search } from './driver.ts'
import { OldStream } from './peers.ts'

/** One bare socket. */
export class RawSocket {
  readonly #driver: RawClients
  readonly number: number

  constructor (driver: RawClients, number: number) {
    this.#driver = driver
    this.number = number
  }

  /** Sends an event and gives all arguments of the acknowledgement. */
  ask = async (event: string, ...args: unknown[]): Promise<unknown[]> => await this.#call('ask', { event, args })
  /** Sends an event that nobody acknowledges. */
  tell = async (event: string, ...args: unknown[]): Promise<void> => { await this.#call('tell', { event, args }) }
  disconnect = async (): Promise<void> => { await this.#call('disconnect') }

  /** Makes the two halves of a connection by their names on the wire; either may be left out. */
  async stream (names: { read?: string, write?: string }): Promise<OldStream> {
    return new OldStream(this.#driver, await this.#call('stream', names))
  }

  /** The addresses announced to this socket so far. */
  announced (since = 0): unknown[] {
    return this.#driver.told('ws-peer', { socket: this.number }, since).map(({ value }) => value)
  }

  /** Waits for the announcement of an address. */
  async hears (address: string, search: Search = {}): Promise<void> {
    await this.#driver.next('ws-peer', { socket: this.number, value: address }, search)
  }

  /** Waits for a dial that comes in. */
  async rings (search: Search = {}): Promise<{ dial: string, from: string, surplus: number }> {
    const { dial, from, surplus } = await this.#driver.next('ss-incomming', { socket: this.number }, search)
    return { dial: dial as string, from: from as string, surplus: surplus as number }
  }

  async #call<T> (command: string, args: object = {}): Promise<T> {
    return await this.#driver.call(command, { ...args, socket: this.number })
  }
}

/** A child process full of bare sockets. */
export class RawClients extends Driver {
  constructor () {
    super('raw')
  }

  /** Connects; `answer` is what it says to dials: `accept`, `later` (see {@link ack}), or the text of a refusal. */
  async connect (url: string, answer = 'accept'): Promise<RawSocket> {
    return new RawSocket(this, await this.call('connect', { url, answer }))
  }

  /** Answers a dial that was put off. */
  async ack (dial: string, ...args: unknown[]): Promise<void> {
    await this.call('ack', { dial, args })
  }
}
