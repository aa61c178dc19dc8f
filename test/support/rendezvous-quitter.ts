// A process of its own with a stand-alone rendezvous in some state, which closes it and must then end by itself.
import { connect } from 'node:net'
import { once } from 'node:events'
import { joinRendezvous, offerRendezvous } from '../../client/rendezvous.ts'

const [state] = process.argv.slice(2)
const offer = await offerRendezvous({ loopback: true })
if (state === 'waiting') {
  const port = offer.init.directTcpServer?.port ?? 0
  await once(connect(port, '127.0.0.1'), 'connect') // says nothing
  await offer.close()
} else {
  const joined = await joinRendezvous(offer.url)
  const offered = await offer.connected
  if (state === 'ended') {
    const drain = async (source: AsyncIterable<Uint8Array>): Promise<void> => { for await (const chunk of source) void chunk }
    await Promise.all([joined, offered].flatMap(one => [one.sink([new Uint8Array(100_000)]), drain(one.source)]))
  } else {
    void joined.sink([new Uint8Array(10_000_000)]).catch(() => {}) // never read
    await joined.close()
  }
}
process.stdout.write('everything is closed\n')
