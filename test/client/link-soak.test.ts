// A gigabyte in one stream while the path is changed a thousand times: every byte arrives once, and the stream never notices.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { assertOneLink, linkStage, room, stamped } from '../support/links.ts'
import { Random } from '../support/random.ts'
import { within } from '../support/waiting.ts'
import type { StreamCloseEvent } from '@libp2p/interface'

const MIB = 1_048_576
const SIZE = 1_024 * MIB
const CHANGES = 1_000
/** Bytes in which the path is changed: after them there is time for changes that came late. */
const CHANGING = 0.95 * SIZE

describe('a link whose path changes all the time', () => {
  const stage = linkStage()

  it(`carries ${SIZE} bytes over ${CHANGES} paths`, async () => {
    const [a, b] = await stage.pair()
    const connection = await stage.link(a, b)
    const { link: id } = a.link(b) ?? {}
    let closes = 0
    const ends = [a, b].map(({ node }) => {
      node.addEventListener('connection:close', () => { closes++ })
      return node
    })
    const seed = Date.now()
    const chance = new Random(seed)
    const incoming = createHash('sha256')
    const outgoing = createHash('sha256')
    const complete = Promise.withResolvers<void>()
    const pauses: number[] = []
    let [received, changes, last, pause] = [0, 0, performance.now(), 0]
    const changeSometimes = (): void => {
      if (changes < CHANGES && received >= (changes + 0.5) * CHANGING / CHANGES) {
        const [one, other] = chance.chance(0.5) ? [a, b] : [b, a]
        if (one.links.drop(other.id)) {
          changes++
          pauses.push(pause)
          pause = 0
        }
      }
    }
    await b.node.handle('/test/soak', stream => {
      stream.addEventListener('message', ({ data }) => {
        const now = performance.now()
        pause = Math.max(pause, now - last)
        last = now
        received += data.byteLength
        incoming.update(data.subarray())
        if (received === SIZE) {
          complete.resolve()
        }
        queueMicrotask(changeSometimes)
      })
      stream.addEventListener('close', event => { complete.reject(broken(event)) })
    })
    const stream = await connection.newStream('/test/soak')
    stream.addEventListener('close', event => { complete.reject(broken(event)) })
    const begin = performance.now()
    const sending = (async () => {
      for (let sent = 0; sent < SIZE; sent += 65_536) {
        const block = stamped(sent)
        outgoing.update(block)
        if (!stream.send(block)) {
          await room(stream)
        }
      }
    })()
    await within('all bytes', Promise.all([sending, complete.promise]), 800_000)
    const seconds = (performance.now() - begin) / 1_000
    assert.equal(incoming.digest('hex'), outgoing.digest('hex'))
    assert.deepEqual([changes, closes, stream.status, connection.status], [CHANGES, 0, 'open', 'open'])
    assert.equal(ends.every(node => node.getConnections().length === 1), true)
    assertOneLink(a, b)
    assert.equal(a.link(b)?.link, id)
    const [, ...sorted] = pauses.toSorted((one, other) => one - other)
    const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1)
    const again = ((a.link(b)?.resent ?? 0) / SIZE * 100).toFixed(0)
    console.log(`      ${seconds.toFixed(0)} s, ${(SIZE / MIB / seconds).toFixed(0)} MiB/s, ${again} % sent again; ` +
      `pause at a change p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1 - 1 / CHANGES)} ms (seed ${seed})`)
  }).timeout(900_000)
})

function broken (event: StreamCloseEvent): Error {
  return event.error ?? new Error('the stream was closed')
}
