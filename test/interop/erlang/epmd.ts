// A small client of the Erlang port mapper: it knows under which port which node of a machine listens.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

const HOST = '127.0.0.1'
const ALIVE2_REQ = 120
const ALIVE2_RESP = 121
const ALIVE2_X_RESP = 118
const PORT_PLEASE2_REQ = 122
const PORT2_RESP = 119
const HIDDEN = 72

/** Registers a hidden node, for as long as the socket that is returned stays open. */
export async function register (epmd: number, name: string, port: number): Promise<Socket> {
  const socket = await open(epmd)
  const body = Buffer.alloc(13 + name.length)
  body.writeUInt8(ALIVE2_REQ, 0)
  body.writeUInt16BE(port, 1)
  body.writeUInt8(HIDDEN, 3)
  body.writeUInt16BE(6, 5) // the highest version of the distribution protocol, and the lowest
  body.writeUInt16BE(5, 7)
  body.writeUInt16BE(name.length, 9)
  body.write(name, 11, 'latin1')
  ask(socket, body)
  const [reply] = await once(socket, 'data') as [Buffer]
  const [type, result] = reply
  if ((type !== ALIVE2_RESP && type !== ALIVE2_X_RESP) || result !== 0) {
    socket.destroy()
    throw new Error(`the port mapper refused ${name}: ${reply.toString('hex')}`)
  }
  return socket
}

/** The port of a node, by its name without the host. */
export async function lookUp (epmd: number, name: string): Promise<number> {
  const socket = await open(epmd)
  ask(socket, Buffer.concat([Buffer.of(PORT_PLEASE2_REQ), Buffer.from(name, 'latin1')]))
  const chunks = await socket.toArray() as Buffer[]
  const reply = Buffer.concat(chunks)
  if (reply[0] !== PORT2_RESP || reply[1] !== 0) {
    throw new Error(`the port mapper doesn't know ${name}: ${reply.toString('hex')}`)
  }
  return reply.readUInt16BE(2)
}

async function open (epmd: number): Promise<Socket> {
  const socket = connect(epmd, HOST)
  await once(socket, 'connect')
  return socket
}

function ask (socket: Socket, body: Buffer): void {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  socket.write(Buffer.concat([length, body]))
}
