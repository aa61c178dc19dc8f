// How a node's port is seen from outside, by each of its stars: asked once for all attempts that want to know at the same time,
// since one port can have but one connection to a place.
import { Reflection } from './reflection.ts'
import { isLoopback, parse } from '../../src/ip.ts'
import { mayDial } from '../../src/rendezvous/ip.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { HeldPort, Platform, TcpDoor } from '../paths/platform.ts'

/** Where a star is asked. */
export interface Observer {
  readonly host: string
  readonly port: number
}

/** What a star sees, as long as somebody wants to know. */
export interface View {
  readonly port: HeldPort
  /** The public addresses of the port. */
  readonly seen: readonly SocketAddress[]
  /** To be called once. */
  release (): void
}

/** What is asked of one star at a time. */
interface Shared {
  readonly reflection: Reflection
  readonly held: Promise<HeldPort | undefined>
  users: number
}

/** Milliseconds for which a star that has not answered isn't asked again: each try would wait for it. */
const SILENCE = 60_000
/** Ports that a star is asked at: those of the system's own services are nobody's contact exchange. */
const FIRST_PORT = 1_024

/** What all stars see of one port. */
export class Outlook {
  readonly #tcp: NonNullable<Platform['tcp']>
  readonly #door: TcpDoor
  readonly #shared = new Map<string, Shared>()
  /** Until when a star isn't asked again. */
  readonly #silent = new Map<string, number>()

  constructor (tcp: NonNullable<Platform['tcp']>, door: TcpDoor) {
    this.#tcp = tcp
    this.#door = door
  }

  /** Opens the port and has the star say what it sees, or nothing. Rejects with what the system says of the port. */
  async see (observer: Observer): Promise<View | undefined> {
    const key = `${observer.host} ${observer.port}`
    if (observer.port < FIRST_PORT || (this.#silent.get(key) ?? -Infinity) > performance.now()) {
      return undefined
    }
    let shared = this.#shared.get(key)
    if (shared == null) {
      const reflection = new Reflection()
      shared = { reflection, held: this.#look(observer, reflection), users: 0 }
      this.#shared.set(key, shared)
    }
    shared.users++
    const { reflection, held } = shared
    const release = (): void => { this.#release(key, shared) }
    try {
      const port = await held
      if (port != null && reflection.seen.length > 0) {
        return { port, seen: reflection.seen, release }
      }
      this.#silent.set(key, performance.now() + SILENCE)
    } catch (error) {
      release()
      throw error
    }
    release()
    return undefined
  }

  async #look ({ host, port }: Observer, reflection: Reflection): Promise<HeldPort | undefined> {
    const held = await this.#door.hold()
    if (held.mode !== 'portable') { // where one dial at a time keeps everybody else from coming in
      await reflection.ask(held, this.#placesOf(host), port)
    }
    return held
  }

  /** Where a star is. What a name stands for is its owner's word: not enough to have us dial what is near. */
  async #placesOf (host: string): Promise<readonly string[]> {
    if (parse(host) != null) {
      return [host]
    }
    const own = this.#tcp.addresses(() => 'unknown')
    const isOwn = (ip: string): boolean => host === 'localhost' && isLoopback(parse(ip) ?? new Uint8Array())
    return (await this.#tcp.lookup(host)).filter(ip => isOwn(ip) || mayDial({ ip, port: FIRST_PORT }, own, false))
  }

  #release (key: string, shared: Shared): void {
    if (--shared.users === 0) {
      this.#shared.delete(key)
      shared.reflection.close()
      void shared.held.then(held => { held?.release() }, () => {})
    }
  }
}
