// A TCP socket as a wire.
import { connect } from 'node:net'
import { CloseCode } from '../../../src/rendezvous/close.ts'
import { unmapped } from '../../../src/ip.ts'
import { StarError } from '../../../src/errors.ts'
import { FAREWELL } from '../wire.ts'
import type { Socket } from 'node:net'
import type { TcpTarget } from '../platform.ts'
import type { Wire, WireOwner } from '../wire.ts'

/** Milliseconds of silence after which the system asks whether the other end is still there. */
const KEEP_ALIVE = 30_000
/** What is shorter than this in all is sent as one piece: a copy of it costs less than a list for the system. */
const SMALL = 4_096

/** A TCP socket. */
export class TcpWire implements Wire {
  readonly #socket: Socket
  #via: string
  #owner: WireOwner | undefined
  #queued = 0
  #corked = false
  #resets = false
  #farewell: NodeJS.Timeout | undefined

  /** `via` is known before the socket is connected, or taken from it. */
  constructor (socket: Socket, owner?: WireOwner, via: string = addressOf(socket.remoteAddress ?? '', socket.remotePort ?? 0)) {
    let cause: Error | undefined
    this.#socket = socket
    this.#owner = owner
    this.#via = via
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
    socket.on('connect', () => { this.#owner?.onOpen() })
    socket.on('data', (bytes: Buffer) => { this.#owner?.onBytes(bytes) })
    socket.on('error', error => { cause = error })
    socket.on('close', () => {
      clearTimeout(this.#farewell)
      const error = cause == null ? undefined : new StarError('ERR_PATH_LOST', { detail: cause.message, cause })
      this.#owner?.onClose(undefined, error)
    })
  }

  /** Connects, from any port. */
  static dial ({ ip, port, family }: TcpTarget, owner: WireOwner): TcpWire {
    return new TcpWire(connect({ host: ip, port, family }), owner, addressOf(ip, port))
  }

  /**
   * A socket that was told to connect there from a port of ours, or couldn't be. Closed at once it is reset, else nothing could
   * be dialled from that port to the same address for a minute.
   */
  static fromPort (socket: Socket, { ip, port }: TcpTarget, owner: WireOwner): TcpWire {
    const wire = new TcpWire(socket, owner, addressOf(ip, port))
    wire.#resets = true
    return wire
  }

  get via (): string {
    return this.#via
  }

  get queued (): number {
    return this.#queued
  }

  own (owner: WireOwner): void {
    this.#owner = owner
  }

  send (parts: readonly Uint8Array[]): void {
    const size = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
    const pieces = size < SMALL ? [Buffer.concat(parts, size)] : parts
    if (this.#queued > 0 || pieces.length > 1) {
      this.#cork() // alone and in one piece it goes out at once
    }
    this.#queued += size
    for (const [index, piece] of pieces.entries()) {
      this.#socket.write(piece, index < pieces.length - 1 ? undefined : error => {
        if (error == null) { // otherwise `close` follows
          this.#queued -= size
          this.#owner?.onTaken()
        }
      })
    }
  }

  pause (): void {
    this.#socket.pause()
  }

  resume (): void {
    this.#socket.resume()
  }

  close (code: number): void {
    const isOpen = !this.#socket.connecting && !this.#socket.pending
    if (code !== CloseCode.normal || !isOpen) {
      if (this.#resets && isOpen) {
        this.#socket.resetAndDestroy()
      } else {
        this.#socket.destroy()
      }
      return
    }
    this.#socket.end().resume() // what is not read would make the system cut the connection, and what was sent with it
    this.#farewell ??= setTimeout(() => {
      if (this.#queued > 0) {
        this.#socket.resetAndDestroy() // it isn't all said, and won't be: the other end should learn of that
      } else {
        this.#socket.destroy() // what the system has taken it goes on sending
      }
    }, FAREWELL)
  }

  /** What is sent in one turn of the event loop goes out in one call of the system. */
  #cork (): void {
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#corked = false
        this.#socket.uncork()
      })
    }
  }
}

function addressOf (ip: string, port: number): string {
  const plain = unmapped(ip)
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}
