// A process of its own that is the internet between the networks of nat.ts: a switch that passes every frame on a while later.
// Frames come and go as VXLAN packets, for which the kernel of each network has a device.
import { createSocket } from 'node:dgram'

/** The port of VXLAN; where in its packets the addresses of the frame are. */
const PORT = 4_789
const TO = 8
const FROM = 14
const TYPE = 20
const BODY = 22
const TCP = 6

const delay = Number(process.argv[2])
const socket = createSocket('udp4')
/** Who is behind which network: by the addresses of the frames that came from there. */
const where = new Map<string, string>()

socket.on('message', (packet, { address }) => {
  if (packet.byteLength < BODY) {
    return
  }
  where.set(packet.toString('hex', FROM, TYPE), address)
  const known = where.get(packet.toString('hex', TO, FROM))
  complete(packet)
  const all = new Set(process.argv.slice(3))
  all.delete(address)
  setTimeout(() => {
    for (const each of known == null ? all : [known]) {
      socket.send(packet, PORT, each)
    }
  }, delay)
})
socket.on('error', () => {}) // a network that is gone
socket.bind(PORT, () => { process.stdout.write('ready\n') })

/** Writes the checksum of TCP: the kernel leaves it to a network card, which there is none of here. */
function complete (packet: Buffer): void {
  const isV6 = packet.readUInt16BE(TYPE) === 0x86dd
  const ip = packet.subarray(BODY)
  if ((isV6 ? ip[6] : ip[9]) !== TCP || (!isV6 && packet.readUInt16BE(TYPE) !== 0x800)) {
    return
  }
  const header = isV6 ? 40 : ((ip[0] ?? 0) & 15) * 4
  const segment = ip.subarray(header, isV6 ? header + ip.readUInt16BE(4) : ip.readUInt16BE(2))
  segment.writeUInt16BE(0, 16)
  let sum = TCP + segment.byteLength
  for (const part of [ip.subarray(isV6 ? 8 : 12, isV6 ? 40 : 20), segment]) {
    for (let at = 0; at < part.byteLength; at += 2) {
      sum += at + 1 < part.byteLength ? part.readUInt16BE(at) : (part[at] ?? 0) << 8
    }
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  segment.writeUInt16BE(~sum & 0xffff, 16)
}
