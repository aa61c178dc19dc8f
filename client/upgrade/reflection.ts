// What a star's contact exchange says of the port that it is asked from, in each family. The connections stay open as long as
// what it has said is to hold, since routers forget a port that nothing runs through.
import { FrameReader, VERSION, decodeReply, encodeRequest } from '../../src/contact/wire.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { familyOf } from '../../src/rendezvous/plan.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { PunchPort, TcpTarget } from '../paths/platform.ts'
import type { Wire } from '../paths/wire.ts'

/** Milliseconds for all of it: whoever wants to know can't go on before. */
const TIME = 1_000

/** What a star has seen of a port. */
export class Reflection {
  readonly #wires = new Map<Wire, SocketAddress | undefined>()

  /** The public addresses of the port, one of each family at most. */
  get seen (): SocketAddress[] {
    return [...this.#wires.values()].filter(one => one != null)
  }

  /** Asks at the first of these addresses in each family; resolves when all have answered, or have had their time. */
  async ask (from: PunchPort, places: Promise<readonly string[]>, port: number): Promise<void> {
    let isLate = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(() => {
        isLate = true
        resolve()
      }, TIME)
    })
    const asking = places.then(async ips => {
      const targets = ([4, 6] as const).flatMap(family => {
        const ip = isLate ? undefined : ips.find(one => familyOf(one) === family)
        return ip == null ? [] : [{ ip, port, family }]
      })
      await Promise.all(targets.map(async target => { await this.#ask(from, target) }))
    }, () => {}) // a name that stands for nothing
    await Promise.race([asking, late])
    clearTimeout(timer)
    this.#close([...this.#wires].filter(([, seen]) => seen == null).map(([wire]) => wire))
  }

  /** What was said holds no longer. */
  close (): void {
    this.#close([...this.#wires.keys()])
  }

  #close (wires: readonly Wire[]): void {
    for (const wire of wires) {
      this.#wires.delete(wire)
      wire.close(CloseCode.protocol) // cut, or the port could not be used for that for a minute
    }
  }

  async #ask (from: PunchPort, target: TcpTarget): Promise<void> {
    await new Promise<void>(resolve => {
      const reader = new FrameReader([VERSION])
      let isAnswered = false
      const wire = from.dial(target, {
        onOpen: () => { wire.send([encodeRequest(VERSION, { type: 'ReflectAddr' })]) },
        onBytes: bytes => {
          const seen = isAnswered ? undefined : read(reader, bytes)
          if (seen != null && this.#wires.has(wire)) {
            isAnswered = true
            this.#wires.set(wire, seen.find(({ ip }) => familyOf(ip) === target.family))
            resolve()
          }
        },
        onTaken: () => {},
        onClose: () => {
          this.#wires.delete(wire)
          resolve()
        }
      })
      this.#wires.set(wire, undefined)
    })
  }
}

/** What a star says; nothing as long as it isn't all there, and no address when it makes no sense. */
function read (reader: FrameReader, bytes: Uint8Array): SocketAddress[] | undefined {
  reader.push(bytes)
  try {
    const frame = reader.next()
    const reply = frame && decodeReply(frame)
    return reply == null ? undefined : 'seen' in reply ? [reply.seen.v4, reply.seen.v6].filter(one => one != null) : []
  } catch {
    return []
  }
}
