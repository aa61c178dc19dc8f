// Joins: what a server pays for each peer that proves its key and registers.
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Case, Figures } from '../harness.ts'

const AT_ONCE = 8

let keys: Record<'ed' | 'rsa', Uint8Array[]> | undefined

/** The same keys for every contender and round; RSA keys take long to make. */
async function made (): Promise<Record<'ed' | 'rsa', Uint8Array[]>> {
  keys ??= {
    ed: await Promise.all(Array.from({ length: AT_ONCE }, async () => privateKeyToProtobuf(await generateKeyPair('Ed25519')))),
    rsa: await Promise.all(Array.from({ length: AT_ONCE }, async () => privateKeyToProtobuf(await generateKeyPair('RSA', 2048))))
  }
  return keys
}

export const joins: Case = {
  name: 'joins',
  title: 'Joins',
  about: ({ quick }) => `${count(quick)} times connect, prove the key, join, leave; ${AT_ONCE} at once from one ` +
    'process, so that nobody has many to be announced to. Joins per second are bound by the slower side: server CPU says ' +
    'what a server can take.',
  rivals: ['star-raw', 'original', 'original-raw'],
  columns: [
    { key: 'edRate', title: 'Ed25519 joins/s', better: 'more' },
    { key: 'edServer', title: 'server CPU ms', better: 'less' },
    { key: 'edClient', title: 'client CPU ms', better: 'less' },
    { key: 'rsaRate', title: 'RSA-2048 joins/s', better: 'more' },
    { key: 'rsaServer', title: 'server CPU ms', better: 'less' },
    { key: 'rsaClient', title: 'client CPU ms', better: 'less' }
  ],

  run: async (stage, { quick }) => {
    const [client] = await stage.open(['client'])
    const figures: Figures = {}
    for (const [kind, list] of Object.entries(await made())) {
      await client!.call('join', stage.address, AT_ONCE * 2, AT_ONCE, list)
      const [ms, costs] = await stage.cost([stage.server, client!], async () => {
        return await client!.call('join', stage.address, count(quick), AT_ONCE, list)
      })
      figures[`${kind}Rate`] = count(quick) / ms * 1000
      figures[`${kind}Server`] = costs[0]!.cpu / count(quick)
      figures[`${kind}Client`] = costs[1]!.cpu / count(quick)
    }
    return figures
  }
}

function count (quick: boolean): number {
  return quick ? 40 : 400
}
