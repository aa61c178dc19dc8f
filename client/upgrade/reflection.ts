// How others see the port that we dial from: a connection from it to the star's contact exchange in each family, which stays open
// as long as what it has told is to hold, since routers forget a port that nothing runs through.
import { FrameReader, VERSION, decodeReply, encodeRequest } from '../../src/contact/wire.ts'
import { CloseCode } from '../../src/rendezvous/close.ts'
import { familyOf } from '../../src/rendezvous/plan.ts'
import type { SocketAddress } from '../../src/contact/address.ts'
import type { PunchPort, TcpTarget } from '../paths/platform.ts'
import type { Wire } from '../paths/wire.ts'

/** Milliseconds for all of it: a star that doesn't answer holds up what else can be tried. */
const TIME = 1_000

/** What a star has seen of a port. */
export class Reflection {
  /** The public addresses of the port, one of each family at most. */
  readonly seen: SocketAddress[] = []
  readonly #wires: Wire[] = []

  /** Asks at the first of these addresses in each family; resolves when all have answered, or have had their time. */
  async ask (from: PunchPort, ips: readonly string[], port: number): Promise<void> {
    const targets = ([4, 6] as const).flatMap(family => {
      const ip = ips.find(one => familyOf(one) === family)
      return ip == null ? [] : [{ ip, port, family }]
    })
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>(resolve => { timer = setTimeout(resolve, TIME) })
    await Promise.race([Promise.all(targets.map(async target => { await this.#ask(from, target) })), late])
    clearTimeout(timer)
  }

  /** What was told holds no longer. */
  close (): void {
    this.#wires.splice(0).forEach(wire => { wire.close(CloseCode.protocol) }) // cut, or the port would be taken for a minute
  }

  async #ask (from: PunchPort, target: TcpTarget): Promise<void> {
    await new Promise<void>(resolve => {
      const reader = new FrameReader([VERSION])
      let isAnswered = false
      const wire = from.dial(target, {
        onOpen: () => { wire.send([encodeRequest(VERSION, { type: 'ReflectAddr' })]) },
        onBytes: bytes => {
          const seen = isAnswered ? undefined : read(reader, bytes)
          if (seen != null) {
            isAnswered = true
            this.seen.push(...seen.filter(({ ip }) => familyOf(ip) === target.family))
            resolve()
          }
        },
        onTaken: () => {},
        onClose: () => { resolve() }
      })
      this.#wires.push(wire)
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
