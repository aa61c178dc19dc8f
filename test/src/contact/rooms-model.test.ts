// The rooms of a contact server under any order of events, beside a model that is too simple to be wrong: lists that are searched
// from the beginning to the end, and no deadlines but the times at which things began.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Table, create, ready, record } from '../../support/contact.ts'
import type { Request } from '../../../src/contact/wire.ts'

const ROOM_TIME = 5_000
const IDLE = 3_000
const REQUESTS = 4
const ROOMS = 3

type Step =
  | { readonly step: 'open', readonly ip: string }
  | { readonly step: 'ask', readonly which: number, readonly request: Request }
  | { readonly step: 'end' | 'close', readonly which: number }
  | { readonly step: 'pass', readonly milliseconds: number }

const room = fc.constantFrom('r', 's', 't', 'u')
const ip = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1')
const request = fc.oneof(
  { weight: 1, arbitrary: room.map(code => create(code)) },
  { weight: 2, arbitrary: fc.tuple(fc.boolean(), room).map(([isCreator, code]) => record(isCreator, code)) },
  { weight: 2, arbitrary: fc.tuple(fc.boolean(), room).map(([isCreator, code]) => ready(isCreator, undefined, code)) },
  { weight: 1, arbitrary: fc.constant<Request>({ type: 'ReflectAddr' }) }
)
const which = fc.nat(30)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ step: fc.constant('open' as const), ip }) },
  { weight: 10, arbitrary: fc.record({ step: fc.constant('ask' as const), which, request }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constantFrom('end' as const, 'close' as const), which }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant('pass' as const), milliseconds: fc.nat(4_000) }) }
)

interface Peer {
  readonly id: number
  readonly ip: string
  readonly asked: Request[]
  quiet: number
  ended: boolean
  /** Whether it is being closed. */
  over: boolean
}

interface Place {
  readonly code: string
  readonly by: string
  readonly since: number
  /** Who has recorded what: role, family, peer; the last one counts. */
  readonly records: Array<readonly [isCreator: boolean, isV6: boolean, peer: Peer]>
  readonly waiters: Map<boolean, Peer>
}

class Model {
  now = 1_000
  peers: Peer[] = []
  places: Place[] = []
  readonly said: string[] = []
  /** Who has asked how often in the minute. */
  #asked: string[] = []
  #minute = -Infinity

  waits (peer: Peer): boolean {
    return this.places.some(place => [...place.waiters.values()].includes(peer))
  }

  /** Whose address of a role and a family counts, in each room. */
  owners (place: Place): Peer[] {
    const last = (isCreator: boolean, isV6: boolean): Peer[] =>
      place.records.filter(one => one[0] === isCreator && one[1] === isV6).slice(-1).map(one => one[2])
    return [true, false].flatMap(isCreator => [true, false].flatMap(isV6 => last(isCreator, isV6)))
  }

  /** A room ends: the silence of who was in it begins. */
  end (place: Place): void {
    this.places = this.places.filter(one => one !== place);
    [...this.owners(place), ...place.waiters.values()].forEach(peer => { peer.quiet = this.now })
  }

  isThere (peer: Peer): boolean {
    return this.peers.includes(peer) && !peer.over
  }

  close (peer: Peer): void {
    peer.over = true
    this.said.push(`${peer.id} close`)
  }

  /** What the passing of time brings. */
  expire (): void {
    for (const place of this.places.filter(one => this.now - one.since >= ROOM_TIME)) {
      this.end(place)
      this.said.push(...[...place.waiters.values()].map(peer => `${peer.id} ErrorPeerTimedOut`))
    }
    const quiet = this.peers.filter(peer => !peer.over && !this.waits(peer) &&
      !this.places.some(place => this.owners(place).includes(peer)) && this.now - peer.quiet >= IDLE)
    quiet.forEach(peer => { this.close(peer) })
  }

  /** Answers all that can be answered, these first. */
  answer (first: Peer[]): void {
    const todo = [...first]
    for (let peer = todo.shift(); peer != null; peer = todo.shift()) {
      while (this.isThere(peer) && !this.waits(peer) && peer.asked.length > 0) {
        peer.quiet = this.now
        todo.push(...this.reply(peer, peer.asked.shift() as Request))
      }
      if (this.isThere(peer) && !this.waits(peer) && peer.ended) {
        this.said.push(`${peer.id} ErrorSyntax`)
        this.close(peer)
      }
    }
  }

  /** Replies to one request; gives who has waited until then. */
  reply (peer: Peer, asked: Request): Peer[] {
    if (asked.type === 'ReflectAddr') {
      this.#say(peer, 'ReflectedAddr')
      return []
    }
    const place = this.places.find(({ code }) => code === asked.room)
    if (asked.type === 'CreateRoom') {
      const isFull = this.places.length >= ROOMS
      const reply = this.#isTooMany(peer) ? 'ErrorTooManyRequests'
        : place != null ? 'ErrorRoomTaken' : isFull ? 'ErrorTooManyRequests' : 'RoomCreated'
      if (reply === 'RoomCreated') {
        this.places.push({ code: String(asked.room), by: peer.ip, since: this.now, records: [], waiters: new Map() })
      }
      this.#say(peer, reply)
      return []
    }
    if (place == null) {
      this.#say(peer, this.#isTooMany(peer) ? 'ErrorTooManyRequests' : 'ErrorNoSuchRoomCode')
      return []
    }
    const isV6 = peer.ip.includes(':')
    const same = place.records.filter(([isCreator, family]) => isCreator === asked.isCreator &&
      (asked.type === 'ReadyToShare' || family === isV6))
    const owners = [true, false].flatMap(family => same.filter(one => one[1] === family).slice(-1)).map(one => one[2])
      .filter(owner => this.isThere(owner))
    if (place.waiters.has(asked.isCreator) || (owners.length > 0 && !owners.includes(peer))) {
      this.#say(peer, this.#isTooMany(peer) ? 'ErrorTooManyRequests' : 'ErrorUnexpectedMsg')
      return []
    }
    if (asked.type === 'RecordPublicAddr') {
      place.records.push([asked.isCreator, isV6, peer])
      this.#say(peer, 'ReceivedAddr')
      return []
    }
    place.waiters.set(asked.isCreator, peer)
    this.#say(peer, 'ClientContact')
    const other = place.waiters.get(!asked.isCreator)
    if (other == null) {
      return []
    }
    this.end(place)
    this.#say(other, 'PeerContact')
    this.#say(peer, 'PeerContact')
    return [true, false].map(role => place.waiters.get(role)).filter(one => one != null)
  }

  #say (peer: Peer, what: string): void {
    this.said.push(`${peer.id} ${what}`)
    if (what === 'ErrorTooManyRequests') {
      this.close(peer)
    }
  }

  #isTooMany ({ ip }: Peer): boolean {
    if (this.now - this.#minute >= 60_000) {
      this.#minute = this.now
      this.#asked = []
    }
    const isTooMany = this.#asked.filter(one => one === ip).length >= REQUESTS
    this.#asked.push(...isTooMany ? [] : [ip])
    return isTooMany
  }
}

/** What comes of one step in the model, and in the rooms. */
function take (what: Step, model: Model, table: Table, id: number): string[] {
  const peer = model.peers['which' in what ? what.which % Math.max(1, model.peers.length) : -1]
  const timedOut = model.places.filter(one => model.now - one.since >= ROOM_TIME)
  assert.deepEqual(timedOut, [])
  switch (what.step) {
    case 'open':
      model.peers.push({ id, ip: what.ip, asked: [], quiet: model.now, ended: false, over: false })
      table.open([id, what.ip])
      return []
    case 'pass': {
      model.now += what.milliseconds
      const waiting = model.peers.filter(one => model.waits(one))
      const order = model.places.flatMap(place => [true, false].map(role => place.waiters.get(role)))
      model.expire()
      model.answer(order.filter(one => one != null && waiting.includes(one) && !model.waits(one)) as Peer[])
      return table.pass(what.milliseconds)
    }
    case 'ask':
      if (peer == null) {
        return []
      }
      peer.asked.push(what.request)
      model.answer([peer])
      return table.ask(peer.id, what.request)
    case 'end':
      if (peer == null) {
        return []
      }
      peer.ended = true
      model.answer([peer])
      return table.tell({ type: 'end', connection: peer.id })
    case 'close':
      if (peer == null) {
        return []
      }
      model.peers = model.peers.filter(one => one !== peer)
      for (const { waiters } of model.places) {
        [...waiters].filter(([, waiter]) => waiter === peer).forEach(([role]) => { waiters.delete(role) })
      }
      return table.tell({ type: 'close', connection: peer.id })
  }
}

function byConnection (lines: readonly string[]): readonly string[] {
  return lines.toSorted((one, other) => parseInt(one, 10) - parseInt(other, 10))
}

describe('The rooms under any order of events', () => {
  it('say what the model says, and leave nothing behind', () => {
    const seen = new Map<string, number>()
    fc.assert(fc.property(fc.array(step, { maxLength: 120, size: 'max' }), steps => {
      const model = new Model()
      const table = new Table({
        contactRoomTime: ROOM_TIME, contactIdle: IDLE, contactRequestsPerMinute: REQUESTS, contactRooms: ROOMS
      })
      for (const [id, what] of steps.entries()) {
        const said = take(what, model, table, id)
        // of what is due at one moment any may be first
        const order = what.step === 'pass' ? byConnection : (lines: readonly string[]) => lines
        assert.deepEqual(order(said), order(model.said.splice(0)))
        said.forEach(line => { seen.set(line.replace(/^\d+ /, ''), (seen.get(line.replace(/^\d+ /, '')) ?? 0) + 1) })
        const waiting = model.places.reduce((sum, place) => sum + place.waiters.size, 0)
        assert.deepEqual([table.rooms.rooms, table.rooms.waiting, table.rooms.connections],
          [model.places.length, waiting, model.peers.length])
        const next = table.rooms.wakeAt
        assert.ok(next == null ? model.places.length === 0 : next > table.now && next <= table.now + ROOM_TIME)
      }
      model.peers.forEach(({ id }) => { table.tell({ type: 'close', connection: id }) })
      table.pass(ROOM_TIME)
      const { wakeAt, rooms, waiting, connections } = table.rooms
      assert.deepEqual([wakeAt, rooms, waiting, connections], [undefined, 0, 0, 0])
    }), { numRuns: 1_500 })
    // or it would have said little
    for (const type of ['RoomCreated', 'ReceivedAddr', 'ClientContact', 'PeerContact', 'ErrorRoomTaken', 'ErrorPeerTimedOut',
      'ErrorNoSuchRoomCode', 'ErrorUnexpectedMsg', 'ErrorTooManyRequests', 'ErrorSyntax', 'ReflectedAddr', 'close']) {
      assert.ok((seen.get(type) ?? 0) > 20, `${type}: ${seen.get(type)}`)
    }
  }).timeout(30_000)
})
