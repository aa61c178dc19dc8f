// One TCP connection between one of our handshake machines and an Erlang node: framing, ticks, and the driver's duties.
import { Alarm } from '../../../src/alarm.ts'
import { Acceptor, Dialler } from '../../../src/link/handshake.ts'
import { decodeMessage, encodeMessage } from '../../../src/link/wire.ts'
import { Watched } from '../../support/waiting.ts'
import { HIDDEN_NODE, decodeFrame, encodeFrame } from './frames.ts'
import type { Socket } from 'node:net'
import type { StarError } from '../../../src/errors.ts'
import type { HandshakeEvent, HandshakeOutput, Outcome } from '../../../src/link/handshake.ts'

let attempts = 0n

/** A machine and its socket. */
export class Connection extends Watched {
  /** What the Erlang node has said in the handshake, by the names of our messages; a status by its word. */
  readonly heard: string[] = []
  /** What came of the handshake, once both have proved themselves. */
  outcome: Outcome | undefined
  error: StarError | undefined
  /** The link that stays instead, if that is the reason. */
  stays: bigint | undefined
  closed = false
  /** Ticks of the Erlang node; each is answered, for a node that hears nothing for long hangs up. */
  ticks = 0
  readonly #socket: Socket
  readonly #machine: Acceptor | Dialler
  readonly #alarm: Alarm
  readonly #flags: bigint
  readonly #attempt = ++attempts
  #buffer: Buffer = Buffer.alloc(0)
  #challenged = false

  /** `flags` are those of the distribution protocol. */
  constructor (socket: Socket, machine: Acceptor | Dialler, flags: bigint = HIDDEN_NODE) {
    super()
    this.#socket = socket
    this.#machine = machine
    this.#flags = flags
    this.#alarm = new Alarm(globalThis, machine, () => { this.#tell({ type: 'wake' }) })
    socket.on('data', (chunk: Buffer) => { this.#read(chunk) })
    socket.on('error', () => {}) // an end like any other: `close` follows
    socket.on('close', () => {
      this.closed = true
      machine.drop()
      this.#alarm.clear()
      this.changed()
    })
    this.#tell({ type: 'start' })
  }

  close (): void {
    this.#socket.destroy()
  }

  /** Two bytes of length in the handshake; four behind its last message, and none but a length is a tick. */
  #read (chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    while (!this.#socket.destroyed) {
      const head = this.outcome == null ? 2 : 4
      if (this.#buffer.length < head || this.#buffer.length < head + this.#buffer.readUIntBE(0, head)) {
        break
      }
      const end = head + this.#buffer.readUIntBE(0, head)
      const frame = this.#buffer.subarray(head, end)
      this.#buffer = this.#buffer.subarray(end)
      if (head === 2) {
        this.#hear(frame)
      } else if (frame.length === 0) {
        this.ticks++
        this.#socket.write(Buffer.alloc(4))
      }
    }
    this.changed()
  }

  #hear (frame: Buffer): void {
    try {
      const message = decodeFrame(frame, this.#machine instanceof Dialler ? 'acceptor' : 'dialler', this.#attempt)
      this.heard.push('status' in message.value ? String(message.value.status) : message.type)
      this.#tell({ type: 'message', bytes: encodeMessage(message) })
    } catch {
      this.close()
    }
  }

  #tell (event: HandshakeEvent): void {
    const now = performance.now()
    for (const output of this.#machine.input(event, now)) {
      this.#perform(output)
    }
    this.#alarm.set(now)
    this.changed()
  }

  #perform (output: HandshakeOutput): void {
    switch (output.do) {
      case 'send':
        return this.#send(output.bytes)
      case 'proved':
        if (this.#machine instanceof Acceptor) {
          return this.#tell({ type: 'admit' })
        }
        this.outcome = output.outcome
        return
      case 'up':
        this.outcome = output.outcome
        return
      case 'over':
        this.error = output.error
        this.stays = output.link
        this.#socket.destroySoon()
        return
      case 'sign':
      case 'verify':
        throw new TypeError('Erlang nodes have no identity to prove')
      case 'ready':
    }
  }

  #send (bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (message.type === 'server_status' && this.#challenged) {
      return // Erlang has no word for a refusal that late: the end of the connection says it
    }
    this.#challenged ||= message.type === 'server_challenge'
    const frame = encodeFrame(message, this.#flags)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(frame.length)
    this.#socket.write(Buffer.concat([length, frame]))
  }
}
