// One of our nodes as Erlang sees it: hidden, with a cookie, dialling and dialled through our handshake machines.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { randomBytes } from 'node:crypto'
import { fromString } from 'uint8arrays/from-string'
import { Acceptor, Dialler } from '../../../src/link/handshake.ts'
import { Connection } from './connection.ts'
import { lookUp, register } from './epmd.ts'
import { ERLANG_FLAGS } from './frames.ts'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Decide, HandshakeOptions, HandshakePorts } from '../../../src/link/handshake.ts'
import type { ErlangNode } from './node.ts'

const HOST = '127.0.0.1'

let attempts = 0n

/** What a dial may have that isn't as usual. */
export interface ErlangDial {
  /** Whether we still hold the link that the node holds, if it does. */
  readonly holds?: boolean
  /** The name that the node is dialled by. */
  readonly peer?: string
  /** What we say that we can, by the flags of the distribution protocol. */
  readonly flags?: bigint
}

/** A name, a cookie, and all the connections that were made with them. */
export class Peer {
  readonly name: string
  readonly #erlang: ErlangNode
  readonly #cookie: string
  readonly #outstanding = new Set<number>()
  readonly #sockets: Socket[] = []
  #server: Server | undefined

  constructor (erlang: ErlangNode, name: string, cookie: string) {
    this.#erlang = erlang
    this.#cookie = cookie
    this.name = name
  }

  async dial ({ holds = false, peer = this.#erlang.name, flags }: ErlangDial = {}): Promise<Connection> {
    const socket = connect(await lookUp(this.#erlang.epmd, alive(this.#erlang.name)), HOST)
    this.#sockets.push(socket)
    await once(socket, 'connect')
    const attempt = { connectionId: ++attempts, resume: 0n, holds: () => holds }
    return new Connection(socket, new Dialler(this.#options(peer), this.#ports(), attempt), flags)
  }

  /** Lets the Erlang node dial; returns what waits for it to do so. It hears nothing before the socket is taken. */
  async listen (): Promise<() => Promise<Socket>> {
    const server = createServer({ pauseOnConnect: true }).listen(0, HOST)
    this.#server = server
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    this.#sockets.push(await register(this.#erlang.epmd, alive(this.name), port))
    return async () => {
      const [socket] = await once(server, 'connection') as [Socket]
      this.#sockets.push(socket)
      return socket
    }
  }

  /** Gives a dial of the Erlang node to a machine that answers its name as `decide` says. */
  take (socket: Socket, decide: Decide): Connection {
    const acceptor = new Acceptor(this.#options(this.#erlang.name), this.#ports(), { decide, eager: false })
    const connection = new Connection(socket, acceptor)
    socket.resume()
    return connection
  }

  close (): void {
    this.#sockets.forEach(socket => { socket.destroy() })
    this.#server?.close()
  }

  #options (peer: string): HandshakeOptions {
    return {
      name: this.name,
      peer,
      flags: ERLANG_FLAGS,
      suite: 'md5',
      connectionString: '',
      publicKey: new Uint8Array(),
      incarnation: 4_711n,
      stepTimeout: 7_000,
      totalTimeout: 20_000
    }
  }

  #ports (): HandshakePorts {
    const secret = fromString(this.#cookie)
    return { random: bytes => Uint8Array.from(randomBytes(bytes)), secret: () => secret, outstanding: this.#outstanding }
  }
}

/** A node's name without its host: what the port mapper knows it by. */
function alive (name: string): string {
  return name.slice(0, name.indexOf('@'))
}
