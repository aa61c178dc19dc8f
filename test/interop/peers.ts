// Original clients as objects: what a test says to them goes to the child process where they live.
import { Driver, type Search } from './driver.ts'

export const KEY_TYPES = ['RSA', 'Ed25519', 'secp256k1'] as const
export type KeyType = typeof KEY_TYPES[number]

/** Milliseconds that a transfer may take. */
const TRANSFER = 40_000

/** A key pair in the child process. */
export interface OldKey { readonly key: number, readonly id: string }

/** What came in on a stream so far; `text` only when it is short. */
export interface Received {
  readonly bytes: number
  readonly sha256: string
  readonly text?: string
  readonly chunks: readonly number[]
  readonly ended: boolean
  readonly error: unknown
}

/** How to make a client; without `key` it has no identity of its own. */
export interface OldOptions {
  /** The identity that the client proves when it joins. */
  readonly key?: OldKey | undefined
  /** The key that signs in its place. */
  readonly signAs?: OldKey
  /** The id at the end of its address (the key's). */
  readonly id?: string
  /** Joins a star that asks for no proof. */
  readonly flag?: boolean
  /** What happens to connections that come in (echo). */
  readonly handler?: 'echo' | 'collect' | 'ignore'
  /** Gives the identity after construction, by `lazySetId`. */
  readonly lazy?: boolean
}

/** A connection, steered from here. */
export class OldStream {
  readonly #driver: Driver
  readonly number: number

  constructor (driver: Driver, number: number) {
    this.#driver = driver
    this.number = number
  }

  /** Writes random bytes and tells their SHA-256. */
  fill = async (size: number): Promise<string> => await this.#ask('fill', { size })
  write = async (text: string): Promise<void> => { await this.#ask('write', { text }) }
  /** Ends the writing side, in good order or for a reason. */
  end = async (reason: unknown = true): Promise<void> => { await this.#ask('end', { reason }) }
  /** What has come in when there are so many bytes, or at the end. */
  until = async (bytes?: number): Promise<Received> => await this.#ask('until', { bytes })
  observed = async (): Promise<string[]> => await this.#ask('observed')
  setPeerInfo = async (info: string): Promise<void> => { await this.#ask('setPeerInfo', { info }) }
  getPeerInfo = async (): Promise<string> => await this.#ask('getPeerInfo')

  async #ask<T> (command: string, args: object = {}): Promise<T> {
    return await this.#driver.call(command, { ...args, stream: this.number }, TRANSFER)
  }
}

/** One original transport with one listener. */
export class OldPeer {
  readonly #clients: OldClients
  readonly number: number
  readonly id: string
  readonly address: string

  constructor (clients: OldClients, number: number, id: string, address: string) {
    this.#clients = clients
    this.number = number
    this.id = id
    this.address = address
  }

  listen = async (): Promise<string[]> => await this.#ask('listen', { address: this.address })
  close = async (): Promise<void> => { await this.#ask('close') }
  reopen = async (): Promise<void> => { await this.#ask('reopen', { address: this.address }) }
  drop = async (): Promise<void> => { await this.#ask('drop') }
  leave = async (address: string = this.address): Promise<void> => { await this.#ask('leave', { address }) }

  async dial (to: string | OldPeer): Promise<OldStream> {
    return new OldStream(this.#clients, await this.#ask('dial', { address: typeof to === 'string' ? to : to.address }))
  }

  /** Dials, sends `size` random bytes, ends, and reads to the end; `sent` is the checksum of what went out. */
  async echo (to: string | OldPeer, size: number, chunk = 65_536): Promise<Received & { sent: string }> {
    return await this.#ask('echo', { address: typeof to === 'string' ? to : to.address, size, chunk })
  }

  /** Waits until the star has announced that peer to this one. */
  async hears (of: string | { readonly address: string }, search: Search = {}): Promise<void> {
    await this.#clients.next('peer', { peer: this.number, address: typeof of === 'string' ? of : of.address }, search)
  }

  /** Waits for the next connection that comes in (handler `collect`). */
  async accept (search: Search = {}): Promise<OldStream & { from: string }> {
    const { stream, from } = await this.#clients.next('connection', { peer: this.number }, search)
    return Object.assign(new OldStream(this.#clients, stream as number), { from: from as string })
  }

  async #ask<T> (command: string, args: object = {}): Promise<T> {
    return await this.#clients.call(command, { ...args, peer: this.number }, TRANSFER)
  }
}

/** A child process full of original clients. */
export class OldClients extends Driver {
  constructor () {
    super('client')
  }

  async makeKey (type: KeyType = 'Ed25519'): Promise<OldKey> {
    return await this.call('id', { type })
  }

  /** The private key as libp2p's protobuf. */
  async exportKey ({ key }: OldKey): Promise<Uint8Array> {
    return Buffer.from(await this.call<string>('exportKey', { key }), 'base64')
  }

  /** Makes a client for a star, by default with a fresh key; it does not listen yet. */
  async make (star: string, { key, signAs, id, ...rest }: OldOptions = {}): Promise<OldPeer> {
    const own = id ?? key?.id
    if (own === undefined) return await this.make(star, { ...rest, key: await this.makeKey() })
    const number = await this.call<number>('create', { ...rest, key: key?.key, signAs: signAs?.key })
    return new OldPeer(this, number, own, `${star}/ipfs/${own}`)
  }

  /** Makes a client that has joined. */
  async join (star: string, options: OldOptions = {}): Promise<OldPeer> {
    const peer = await this.make(star, options)
    await peer.listen()
    return peer
  }
}
