// Two peers at a table whose link moves to paths made beside it, and what is asked of them afterwards.
import assert from 'node:assert/strict'
import { LinkTable } from './link-table.ts'
import type { NodeSetup } from './link-node.ts'
import type { Seat } from './link-table.ts'

/** Two peers with a link that `a` has dialled, and the path of that. */
export function linked (changes: Partial<NodeSetup> = {}): { at: LinkTable, z: Seat, a: Seat, first: number } {
  const at = new LinkTable()
  const plan = { bytes: 1_000, end: false, auto: false }
  const setup = { incarnation: 1, plan, options: { window: 600 }, ...changes }
  const a = at.seat({ ...setup, name: 'A', peer: 'Z' })
  const z = at.seat({ ...setup, name: 'Z', peer: 'A' })
  const first = at.dial(a, z)
  for (const seat of [a, z, a, z, a, z]) {
    say(at, seat, 10)
    at.settle()
  }
  at.pass(200) // all is acknowledged
  assert.deepEqual([a, z].map(({ node }) => node.pair.resumable), [true, true])
  return { at, z, a, first }
}

/** Has a peer say so many bytes more. */
export function say (at: LinkTable, { node }: Seat, bytes: number): void {
  if (node.talk != null) {
    node.write(node.talk, bytes, at.now)
  }
}

/** All say and read something, and hear it all. */
export function checkTalk (at: LinkTable, ...seats: [Seat, Seat]): void {
  for (let times = 0; times < 3; times++) {
    for (const seat of seats) {
      say(at, seat, 30)
      at.pass(150)
      seats.forEach(({ node }) => { node.talks.forEach(talk => { node.read(talk, 1_000, at.now) }) })
    }
    at.pass(150)
  }
  const [one, other] = seats.map(({ node: { talk } }) => talk)
  assert(one != null && other != null)
  assert.deepEqual([one.received, other.received], [other.sent, one.sent])
  seats.forEach(({ node }) => { assert.deepEqual(node.faults, []) })
}

/** The path of a peer's link. */
export function pathOf ({ node }: Seat): number | undefined {
  return node.pair.link?.path
}

/** The path of each, and all that are open. */
export function pathsOf (...seats: readonly Seat[]): unknown[] {
  return seats.map(seat => [pathOf(seat), ...[...seat.node.paths].toSorted((one, other) => one - other)])
}

/** What a peer has noted. */
export function codes ({ node }: Seat): Array<string | undefined> {
  return node.notes.map(({ what, code }) => code == null ? what : `${what} ${code}`)
}

/** Lays every path that somebody looks for, until that many milliseconds have passed. */
export function passLaying (at: LinkTable, milliseconds: number, one: Seat, other: Seat): void {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    for (const [from, to] of [[one, other], [other, one]] as const) {
      if (from.opening) {
        at.lay(from, to)
      }
    }
    at.pass(50)
  }
}
