// A process of its own with a star, its contact server and peers in some state, which closes all and must then end by itself.
import { connect } from 'node:net'
import { once } from 'node:events'
import { exchangeContacts } from '../../client/contact.ts'
import { startStar } from '../../server/index.ts'

const [state] = process.argv.slice(2)
const star = await startStar({ port: 0, contactPort: 0 })
const common = { server: `127.0.0.1:${star.contactPort}`, tls: false, room: 'r' }
if (state === 'met' || state === 'held') {
  let tell = (): void => {}
  const created = new Promise<void>(resolve => { tell = resolve })
  const both = await Promise.all([
    exchangeContacts({ ...common, creator: true, onRoom: tell, hold: state === 'held' }),
    created.then(async () => await exchangeContacts({ ...common, creator: false, hold: state === 'held' }))
  ])
  await Promise.all(both.map(async one => { await one.close() }))
} else if (state === 'waiting') {
  const controller = new AbortController()
  await exchangeContacts({
    ...common, creator: true, signal: controller.signal, onRoom: () => { controller.abort(new Error('enough')) }
  }).catch(() => {})
} else {
  await once(connect(star.contactPort ?? 0, '127.0.0.1'), 'connect') // says nothing
}
await star.close()
process.stdout.write('everything is closed\n')
