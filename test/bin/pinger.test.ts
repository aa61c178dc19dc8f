// Which changes of a link's path are told of, whatever kinds of path there are.
import { deepEqual } from 'node:assert/strict'
import { Journal } from '../../client/journal.ts'
import { PathWatch, formatChange } from '../../bin/pinger.ts'
import { StarError } from '../../src/errors.ts'
import type { LinkEvent, PathStatus } from '../../client/index.ts'

const PEER = 'the peer'
const [RELAY, TCP] = [path('relay', 'wss://star.example'), path('tcp', '192.0.2.1:4001')]

function path (kind: string, via: string): PathStatus {
  return { kind: kind as PathStatus['kind'], via }
}

describe('The path that a ping takes', () => {
  let journal: Journal
  let watch: PathWatch
  let lines: string[]

  beforeEach(() => {
    journal = new Journal()
    lines = []
    watch = new PathWatch(journal, PEER, change => { lines.push(formatChange(change)) })
  })

  function happens (what: LinkEvent['what'], rest: Partial<LinkEvent> = {}): void {
    journal.add({ at: 0, peer: PEER, link: 'a', what, ...rest })
  }

  it('is told of when it changes, with both kinds, and where it leads to', () => {
    happens('path', { path: RELAY })
    deepEqual([lines, watch.path], [[], RELAY])
    happens('path', { path: TCP })
    happens('path', { path: RELAY })
    happens('path', { path: path('relay', 'wss://another.example') })
    deepEqual(lines, [
      'path relay → tcp via 192.0.2.1:4001',
      'path tcp → relay via wss://star.example',
      'path relay → relay via wss://another.example'
    ])
  })

  it('is told of when it is lost and when there is another one', () => {
    happens('path', { path: TCP })
    happens('suspended', { error: new StarError('ERR_PATH_DEAD') })
    happens('path', { path: RELAY })
    happens('over')
    happens('path', { path: RELAY, link: 'b' })
    deepEqual(lines, [
      'path tcp → none (the path was open but carried nothing any more)',
      'path none → relay via wss://star.example',
      'path relay → none (the connection was closed)',
      'path none → relay via wss://star.example'
    ])
  })

  it('is not told of when it stays, nor that of another peer, nor after all', () => {
    happens('attempt', { link: '', error: new StarError('ERR_DIAL_TIMEOUT') })
    happens('over', { link: 'before' })
    happens('tried', { path: TCP, roundTrip: 1 })
    happens('path', { path: RELAY })
    happens('path', { path: RELAY })
    happens('attempt', { error: new StarError('ERR_DIAL_TIMEOUT') })
    happens('suspended', { peer: 'another one', error: new StarError('ERR_PATH_DEAD') })
    happens('path', { path: RELAY, link: 'b' }) // a link takes the place of another one
    happens('over', { error: new StarError('ERR_PEER_RESTARTED') })
    deepEqual([lines, watch.path], [[], RELAY])
    watch[Symbol.dispose]()
    happens('over', { link: 'b' })
    deepEqual(lines, [])
  })
})
