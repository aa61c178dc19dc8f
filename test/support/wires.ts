// Wires and paths of every kind, and what is written down of them while their contracts are tested.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { concat } from 'uint8arrays/concat'
import { resolve } from '../../client/options.ts'
import { RelayPath } from '../../client/paths/relay.ts'
import { Member } from '../../client/star.ts'
import { platform } from '../../client/paths/node/platform.ts'
import { Attempt } from '../../client/upgrade/attempt.ts'
import { parseStarAddress, requireStarAddress } from '../../src/address.ts'
import { newPath } from './relay-socket.ts'
import { Watched } from './waiting.ts'
import type { Path, PathKind, PathOwner } from '../../client/paths/path.ts'
import type { Platform } from '../../client/paths/platform.ts'
import type { Wire, WireOwner } from '../../client/paths/wire.ts'
import type { TestStar } from '../../server/testing.ts'
import type { StarError } from '../../src/errors.ts'

/** Writes down what the owner of a wire or of a path is told, and fails when it is told anything after the end. */
export class Owner extends Watched implements WireOwner, PathOwner {
  readonly chunks: Uint8Array[] = []
  received = 0
  opened = 0
  taken = 0
  /** What the end was, and how often it was told. */
  readonly ends: Array<{ readonly code?: number | undefined, readonly error?: StarError | undefined }> = []
  /** What came after it. */
  readonly late: string[] = []

  onOpen (): void {
    this.opened++
    this.#tell('open')
  }

  onBytes (bytes: Uint8Array): void {
    this.chunks.push(Uint8Array.from(bytes))
    this.received += bytes.byteLength
    this.#tell('bytes')
  }

  onTaken (): void {
    this.taken++
    this.#tell('taken')
  }

  onRoom (): void {
    this.#tell('room')
  }

  onClose (code: number | undefined, error: StarError | undefined): void {
    this.#tell('close')
    this.ends.push({ code, error })
    this.changed()
  }

  onGone (error: StarError): void {
    this.#tell('gone')
    this.ends.push({ error })
    this.changed()
  }

  get bytes (): Uint8Array {
    return concat(this.chunks)
  }

  async got (bytes: number, ms?: number): Promise<void> {
    await this.when(`${bytes} bytes`, () => this.received >= bytes, ms)
  }

  async ended (ms?: number): Promise<void> {
    await this.when('the end', () => this.ends.length > 0, ms)
  }

  /** To be called when all is over: it was told once, and nothing after it. */
  assertOver (): void {
    assert.deepEqual([this.ends.length, this.late], [1, []])
  }

  #tell (what: string): void {
    if (this.ends.length > 0) {
      this.late.push(what)
    }
    this.changed()
  }
}

/** Two ends of a wire, open, and their owners. */
export interface WirePair {
  readonly wires: readonly [Wire, Wire]
  readonly owners: readonly [Owner, Owner]
}

/** A wire in memory, as the contract has it: the simplest there is, for the contract's own sake. */
export class MemoryWire implements Wire {
  readonly via = 'memory'
  readonly #owner: WireOwner
  #other: MemoryWire | undefined
  #queue: Uint8Array[] = []
  #paused = false
  #ending: number | undefined
  #closed = false
  queued = 0

  constructor (owner: WireOwner) {
    this.#owner = owner
  }

  static pair (one: WireOwner, other: WireOwner): [MemoryWire, MemoryWire] {
    const wires: [MemoryWire, MemoryWire] = [new MemoryWire(one), new MemoryWire(other)]
    wires[0].#other = wires[1]
    wires[1].#other = wires[0]
    return wires
  }

  own (): void {
    // its owner is who made it
  }

  send (parts: readonly Uint8Array[]): void {
    if (this.#ending == null) {
      this.#queue.push(...parts)
      this.queued += parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
      setImmediate(() => { this.#carry() })
    }
  }

  pause (): void {
    this.#paused = true
  }

  resume (): void {
    const other = this.#other
    this.#paused = false
    if (other != null) {
      setImmediate(() => { other.#carry() })
    }
  }

  close (code: number): void {
    this.#ending ??= code
    if (code !== 1000) {
      this.#queue = []
    }
    this.resume()
    setImmediate(() => { this.#carry() })
  }

  #carry (): void {
    const other = this.#other
    if (this.#closed || other == null || other.#paused) {
      return
    }
    for (let part = this.#queue.shift(); part != null; part = this.#queue.shift()) {
      this.queued -= part.byteLength
      other.#owner.onBytes(part)
      this.#owner.onTaken()
    }
    if (this.#ending != null) {
      this.#end(undefined)
      other.#end(this.#ending)
    }
  }

  #end (code: number | undefined): void {
    if (!this.#closed) {
      this.#closed = true
      this.#owner.onClose(code, undefined)
    }
  }
}

/** The WebSocket URL of a new path at the relay of a star that asks for no announcement. */
export function relayUrl (star: TestStar): string {
  return `${parseStarAddress(star.address)?.url ?? ''}/relay/${newPath()}`
}

/** Two ends of a path, owned. */
export interface PathPair {
  readonly paths: readonly [Path, Path]
  readonly owners: readonly [Owner, Owner]
  /** Has the second one not read, and read again. */
  hold (): void
  release (): void
  close (): Promise<void>
}

/** A stream through a star. */
export async function relayPaths (star: TestStar): Promise<PathPair> {
  const owners = [new Owner(), new Owner()] as const
  const answered = Promise.withResolvers<RelayPath>()
  const members = await Promise.all(owners.map(async (owner, index) => {
    const privateKey = await generateKeyPair('Ed25519')
    const member = new Member({
      star: requireStarAddress(star.address),
      privateKey,
      self: peerIdFromPrivateKey(privateKey).toString(),
      options: resolve(),
      speaks: ['link/1'],
      answer: slot => {
        const path = new RelayPath(slot, star.address)
        path.own(owner)
        answered.resolve(path)
        return path
      }
    })
    member.list(index === 1)
    await member.whenJoined()
    return member
  }))
  const [here, there] = members
  assert.ok(here != null && there != null)
  const { end, accepted } = here.dial(there.address, slot => new RelayPath(slot, star.address), 'link/1')
  end.own(owners[0])
  await accepted
  const paths = [end, await answered.promise] as const
  paths[0].release()
  return {
    paths,
    owners,
    hold () {}, // as it is until it is released
    release: () => { paths[1].release() },
    close: async () => { members.forEach(member => { member.stop() }) }
  }
}

/** A path that came of a race between two, of which the second one dials. */
export async function nominatedPaths (kind: PathKind, star: TestStar, sealed: boolean): Promise<PathPair> {
  const wires: Wire[] = []
  const owners = [new Owner(), new Owner()] as const
  const { tcp } = platform
  assert.ok(tcp)
  const noted = (wire: Wire): Wire => {
    wires.push(wire)
    return wire
  }
  const watching: Platform = {
    ...platform,
    dialWebSocket: (url, ca, owner) => noted(platform.dialWebSocket(url, ca, owner)),
    tcp: { ...tcp, dial: (target, owner) => noted(tcp.dial(target, owner)) }
  }
  const doors = owners.map(() => tcp.door({ port: 0, allow: () => true }))
  const adopted = owners.map(() => Promise.withResolvers<Path>())
  const url = parseStarAddress(star.address)?.url ?? ''
  const attempts = owners.map((owner, index) => new Attempt({
    platform: index === 1 ? watching : platform,
    options: resolve({ directLoopback: true, directSealed: sealed, ...index === 1 ? { offerAddress: () => false } : {} }),
    door: doors[index],
    nominator: index === 0,
    kinds: [kind],
    member: { joined: true, star: { url }, announceRelay: async () => {} } as unknown as Member,
    current: () => ({ kind: 'relay', unmetered: false, roundTrip: undefined, acknowledged: 1, received: 1 }),
    adopt: path => {
      path.own(owner)
      adopted[index]?.resolve(path)
    },
    onTried () {}
  }))
  const [here, there] = attempts
  assert.ok(here != null && there != null)
  const [mine, theirs] = await Promise.all([here.offer(1n), there.offer(1n)])
  await Promise.all([here.run(theirs), there.run(mine)])
  const [one, other] = await Promise.all(adopted.map(async ({ promise }) => await promise))
  assert.ok(one != null && other != null)
  return {
    paths: [one, other],
    owners,
    hold: () => { wires.forEach(wire => { wire.pause() }) },
    release: () => { wires.forEach(wire => { wire.resume() }) },
    close: async () => {
      one.close()
      other.close()
      await Promise.all(attempts.map(async ({ closed }) => { await closed }))
      await Promise.all(doors.map(async door => { await door.close() }))
    }
  }
}
