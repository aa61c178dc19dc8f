// A process of its own that has a port, connections and a punch that leads nowhere, closes them, and must then end by itself.
import { Punch } from '../../client/punch.ts'
import { Port } from '../../client/paths/node/port.ts'
import { TcpWire } from '../../client/paths/node/tcp.ts'
import type { PunchMode } from '../../src/contact/candidates.ts'
import type { Wire } from '../../client/paths/wire.ts'

const mode = process.argv[2] as PunchMode
const wires: Wire[] = []
const ports = await Promise.all([0, 0].map(async port => await Port.open({
  port,
  mode,
  onSocket: socket => { wires.push(new TcpWire(socket)) }
})))
const [here, there] = ports as [Port, Port]
const local = (port: number): { readonly local: Array<{ ip: string, port: number }> } => ({ local: [{ ip: '127.0.0.1', port }] })
const connected = Promise.withResolvers<void>()
const punches = [there.port, 9_999].map(port => new Punch({
  port: here,
  own: local(here.port),
  peer: local(port),
  loopback: true,
  allow: () => true,
  onWire: wire => {
    wire.own({ onOpen () {}, onBytes () {}, onTaken () {}, onClose () {} })
    connected.resolve()
  },
  onOver () {}
}))
await connected.promise
punches.forEach(punch => { punch.stop() })
ports.forEach(port => { port.close() })
wires.forEach(wire => { wire.close(4000) })
process.stdout.write('everything is closed\n')
