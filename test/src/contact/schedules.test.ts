// Two peers and a contact server, machine against machine, under any order of delays and of connections that are lost: both learn
// the same of each other, or each that is still there learns that it came to nothing.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Exchange } from '../../../src/contact/exchange.ts'
import { Rooms } from '../../../src/contact/rooms.ts'
import { encodeReply } from '../../../src/contact/wire.ts'
import { WIDE, at, cut } from '../../support/contact.ts'
import { Random } from '../../support/random.ts'
import type { StarError } from '../../../src/errors.ts'
import type { Family } from '../../../src/contact/address.ts'
import type { ExchangeEvent } from '../../../src/contact/exchange.ts'
import type { RoomsEvent } from '../../../src/contact/rooms.ts'
import type { FullContact } from '../../../src/contact/wire.ts'

const ROOM_TIME = 30_000

interface Line {
  readonly peer: number
  readonly family: Family
  readonly connection: number
  /** When what was sent last comes, to keep the order. */
  up: number
  down: number
  lost: boolean
}

interface Player {
  readonly exchange: Exchange
  readonly lines: Map<Family, Line>
  result?: { readonly own: FullContact, readonly peer: FullContact }
  error?: StarError
  created?: number
}

class World {
  readonly random: Random
  readonly rooms = new Rooms({ ...WIDE, contactRoomTime: ROOM_TIME, contactIdle: 15_000 })
  readonly players: Player[] = []
  readonly lines: Line[] = []
  now = 0
  #events: Array<{ readonly at: number, readonly run: () => void }> = []

  constructor (seed: number) {
    this.random = new Random(seed)
  }

  later (delay: number, run: () => void): void {
    this.#events.push({ at: this.now + delay, run })
  }

  /** A peer that comes after so many milliseconds, with connections of these families. */
  add (delay: number, creator: boolean, families: readonly Family[], losses: number): void {
    this.later(delay, () => {
      const peer = this.players.length
      const exchange = new Exchange({ room: 'r', creator, local: undefined, families, timeout: 60_000 }, this.now)
      this.players.push({ exchange, lines: new Map() })
      for (const family of families) {
        const isThere = losses === 0 || this.random.chance(0.8)
        this.later(this.random.between(1, 3_000), () => {
          if (isThere) {
            this.#connect(peer, family)
          } else {
            this.tell(peer, { type: 'lost', family })
          }
        })
      }
      for (let index = 0; index < losses; index++) {
        this.later(this.random.between(0, 10_000), () => { this.#lose(this.lines[this.random.between(0, this.lines.length)]) })
      }
    })
  }

  run (): void {
    for (let count = 0; count < 10_000; count++) {
      const wakes = [this.rooms, ...this.players.map(({ exchange }) => exchange)].map(({ wakeAt }) => wakeAt ?? Infinity)
      const [next] = this.#events.toSorted((one, other) => one.at - other.at)
      const at = Math.min(next?.at ?? Infinity, ...wakes)
      if (at === Infinity) {
        return
      }
      this.now = Math.max(this.now, at)
      if (next != null && next.at <= at) {
        this.#events = this.#events.filter(event => event !== next)
        next.run()
      } else {
        this.serve({ type: 'wake' })
        this.players.forEach((_, index) => { this.tell(index, { type: 'wake' }) })
      }
    }
    assert.fail('it never ends')
  }

  serve (event: RoomsEvent): void {
    for (const output of this.rooms.input(event, this.now)) {
      const line = this.lines.find(one => one.connection === output.connection)
      if (line != null && output.do === 'send') {
        line.down = this.#carry(line, line.down, encodeReply(output.version, output.reply), bytes => {
          this.tell(line.peer, { type: 'bytes', family: line.family, bytes })
        })
      } else if (line != null && output.do === 'close') {
        this.later(1, () => { this.#lose(line) })
      }
    }
  }

  tell (peer: number, event: ExchangeEvent): void {
    const player = this.players[peer]
    for (const output of player?.exchange.input(event, this.now) ?? []) {
      assert.ok(player != null && player.result == null && player.error == null, 'something follows the end')
      const line = 'family' in output ? player.lines.get(output.family) : undefined
      if (output.do === 'send' && line != null) {
        line.up = this.#carry(line, line.up, output.bytes, bytes => {
          this.serve({ type: 'bytes', connection: line.connection, bytes })
        })
      } else if (output.do === 'done') {
        player.result = output
      } else if (output.do === 'fail') {
        player.error = output.error
      } else if (output.do === 'created') {
        player.created = this.now
      }
    }
    if (player != null && (player.result != null || player.error != null)) {
      // it closes its connections, or holds them for a while
      player.lines.forEach(line => { this.later(this.random.between(0, 2_000), () => { this.#lose(line) }) })
    }
  }

  /** Carries bytes in pieces, in order; gives the time at which the last one comes. */
  #carry (line: Line, busy: number, bytes: Uint8Array, deliver: (piece: Uint8Array) => void): number {
    let at = Math.max(busy, this.now)
    for (const piece of cut(bytes, [this.random.between(20, 200)])) {
      at += this.random.between(0, 300)
      this.later(at - this.now, () => {
        if (!line.lost) {
          deliver(piece)
        }
      })
    }
    return at
  }

  #connect (peer: number, family: Family): void {
    const connection = this.lines.length
    const address = family === 'v4' ? at('192.0.2.1', 1_000 + connection) : at('2001:db8::1', 1_000 + connection)
    const line: Line = { peer, family, connection, up: this.now, down: this.now, lost: false }
    this.lines.push(line)
    this.players[peer]?.lines.set(family, line)
    this.serve({ type: 'open', connection, address, key: `${peer}` })
    this.tell(peer, { type: 'open', family, local: address })
  }

  /** Both ends learn of it, at their own time. */
  #lose (line: Line | undefined): void {
    if (line != null && !line.lost) {
      line.lost = true
      this.later(this.random.between(0, 500), () => { this.serve({ type: 'close', connection: line.connection }) })
      this.later(this.random.between(0, 500), () => { this.tell(line.peer, { type: 'lost', family: line.family }) })
    }
  }
}

const families = fc.constantFrom<readonly Family[]>(['v4'], ['v6'], ['v4', 'v6'])

describe('Two peers and a contact server', () => {
  it('that all stay, end with both peers knowing the same, or with a joiner that came too early', () => {
    let met = 0
    fc.assert(fc.property(fc.integer(), families, families, fc.nat(20_000), (seed, one, other, delay) => {
      const world = new World(seed)
      world.add(0, true, one, 0)
      world.add(delay, false, other, 0)
      world.run()
      const [creator, joiner] = world.players
      if (joiner?.error != null) {
        assert.equal(joiner.error.code, 'ERR_NO_ROOM')
        assert.equal(creator?.error?.code, 'ERR_ROOM_TIMEOUT')
        return
      }
      met++
      assert.deepEqual(creator?.result?.own, joiner?.result?.peer)
      assert.deepEqual(creator?.result?.peer, joiner?.result?.own)
      assert.ok(creator?.created != null && joiner?.created == null)
      for (const player of [creator, joiner]) {
        const seen = player?.result?.own.public
        assert.ok(seen?.v4 != null || seen?.v6 != null)
      }
      assert.deepEqual([world.rooms.rooms, world.rooms.waiting, world.rooms.connections], [0, 0, 0])
    }), { numRuns: 200 })
    assert.ok(met > 100, `${met} have met`)
  }).timeout(30_000)

  it('whose connections break, and of whom a third one wants the role, come to an end each, and leave nothing behind', () => {
    const ends = new Set<string>()
    fc.assert(fc.property(fc.integer(), families, families, fc.nat(3), fc.nat(3), (seed, one, other, losses, late) => {
      const world = new World(seed)
      world.add(0, true, one, losses)
      world.add(3_000 + late * 1_000, false, other, losses)
      world.add(3_000 + late * 1_000, late === 0, other, 1)
      world.run()
      for (const { result, error } of world.players) {
        assert.ok((result == null) !== (error == null), 'it has not come to an end, or to two')
        ends.add(error?.code.replace('ERR_', '') ?? 'met')
        assert.notEqual(error?.code, 'ERR_PROTOCOL')
      }
      assert.deepEqual([world.rooms.rooms, world.rooms.waiting, world.rooms.connections], [0, 0, 0])
      assert.equal(world.rooms.wakeAt, undefined)
    }), { numRuns: 500 })
    for (const end of ['STAR_LOST', 'STAR_UNREACHABLE', 'ROOM_TIMEOUT', 'ROOM_ROLE', 'ROOM_TAKEN', 'NO_ROOM', 'met']) {
      assert.ok(ends.has(end), `${end} is not among ${[...ends].join()}`)
    }
  }).timeout(30_000)
})
