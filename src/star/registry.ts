// The star's register: who has joined under which address, who is being challenged, who is dialling whom. A machine without I/O.
import { canonicalAddress, originalSpelling, parseStarAddress, peerOfAddress } from '../address.ts'
import { StarError } from '../errors.ts'
import { Announcer } from './announcer.ts'
import { challengeMessage } from './challenge.ts'
import { Directory, listingOf } from './directory.ts'
import {
  MAX_DIAL_ID, MAX_ERROR, decodeError, encodeError, isAddress, isAnswer, isDialTerms, isHex, isIntroduction, isName, welcomeOf
} from './protocol.ts'
import type { Reason } from '../errors.ts'
import type { Machine } from '../machine.ts'
import type { RegistryEvent, RegistryOptions, RegistryOutput, RegistryPorts } from './contract.ts'
import type { Listing, Registration } from './directory.ts'
import type { ChallengeOffer, Generation, Welcome } from './protocol.ts'

interface Challenge {
  readonly key: string
  readonly message: Uint8Array
  readonly entry: Listing
  readonly expires: number
}

interface Client {
  readonly generation: Generation
  readonly addresses: Set<string>
  readonly challenges: Map<string, Challenge>
  dialling: number
}

interface Dial {
  readonly id: string
  readonly call: number
  readonly dialer: string
  readonly listener: string
  readonly deadline: number
}

/** The register of one star. */
export class Registry implements Machine<RegistryEvent, RegistryOutput> {
  readonly #options: RegistryOptions
  readonly #ports: RegistryPorts
  readonly #clients = new Map<string, Client>()
  readonly #directory = new Directory()
  /** Joins whose signature is being verified, by call. */
  readonly #joins = new Map<number, Registration>()
  /** Dials that wait for their answer, by listener and id, oldest first. */
  readonly #dials = new Map<string, Dial>()
  readonly #announcer: Announcer
  #outputs: RegistryOutput[] = []

  constructor (options: RegistryOptions, ports: RegistryPorts) {
    this.#options = options
    this.#ports = ports
    this.#announcer = new Announcer(options)
  }

  get wakeAt (): number | undefined {
    const [oldest] = this.#dials.values()
    const times = [oldest?.deadline, this.#announcer.wakeAt].filter(time => time !== undefined)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** How many addresses can be dialled. */
  get size (): number {
    return this.#directory.size
  }

  /** How many dials wait for an answer. */
  get dialling (): number {
    return this.#dials.size
  }

  /** Whether that socket has joined under any address. */
  hasJoined (socket: string): boolean {
    return (this.#clients.get(socket)?.addresses.size ?? 0) > 0
  }

  /** The addresses that can be dialled, canonical. */
  addresses (): string[] {
    return this.#directory.all().map(entry => entry.address)
  }

  input (event: RegistryEvent, now: number): readonly RegistryOutput[] {
    this.#outputs = []
    switch (event.type) {
      case 'connect':
        this.#connect(event.socket, event.generation)
        break
      case 'join':
        this.#join(event.socket, event.call, event.address, event.proof, now)
        break
      case 'verified':
        this.#verified(event.call, event.valid, now)
        break
      case 'leave':
        this.#leave(event.socket, event.address, now)
        break
      case 'dial':
        this.#dial(event, now)
        break
      case 'answer':
        this.#answer(event.socket, event.id, event.error)
        break
      case 'unopened':
        this.#unopened(event.socket, event.id, event.reason)
        break
      case 'disconnect':
        this.#disconnect(event.socket, now)
        break
      case 'wake':
        this.#wake(now)
        break
    }
    return this.#outputs
  }

  #connect (socket: string, generation: Generation): void {
    this.#clients.set(socket, { generation, addresses: new Set(), challenges: new Map(), dialling: 0 })
    this.#announcer.connected(generation)
  }

  #join (socket: string, call: number, spelling: unknown, proof: unknown, now: number): void {
    const client = this.#clients.get(socket)
    if (client == null) {
      return
    }
    const address = isAddress(spelling) ? canonicalAddress(spelling) : undefined
    if (address == null || !isAddress(spelling)) {
      return this.#refuse('join', socket, call, 'ERR_ADDRESS')
    }
    const parsed = parseStarAddress(spelling)
    if (parsed == null && (this.#options.strictMultiaddr || client.generation === 'star')) {
      return this.#refuse('join', socket, call, 'ERR_ADDRESS')
    }
    if (!this.#hasRoomFor(client, address, now)) {
      return this.#refuse('join', socket, call, 'ERR_TOO_MANY_ADDRESSES')
    }
    const { generation } = client
    if (!this.#options.cryptoChallenge) {
      return this.#enter(call, { socket, generation, address, ...listingOf(proof) }, now)
    }
    const challenge = client.challenges.get(address)
    if (challenge != null) {
      client.challenges.delete(address) // one answer each
      return this.#prove(call, challenge, { socket, generation, address, ...challenge.entry }, proof, now)
    }
    if (client.generation === 'star') {
      return this.#challengeStar(client, socket, call, address, proof, now)
    }
    return this.#challengeOriginal(client, socket, call, address, proof, now)
  }

  #hasRoomFor (client: Client, address: string, now: number): boolean {
    const { maxAddressesPerSocket } = this.#options
    if (client.addresses.has(address) || client.challenges.has(address)) {
      return true
    }
    if (client.addresses.size + client.challenges.size >= maxAddressesPerSocket) {
      for (const [other, challenge] of client.challenges) {
        if (challenge.expires <= now) {
          client.challenges.delete(other)
        }
      }
    }
    return client.addresses.size + client.challenges.size < maxAddressesPerSocket
  }

  #challengeOriginal (client: Client, socket: string, call: number, address: string, proof: unknown, now: number): void {
    if (proof === '') {
      return this.#refuse('join', socket, call, 'ERR_PROOF_REQUIRED')
    }
    if (!isHex(proof) || !this.#isKeyOf(address, proof)) {
      return this.#refuse('join', socket, call, 'ERR_KEY')
    }
    // 72 characters, like the two uuids of the original
    const nonce = this.#ports.random(36)
    client.challenges.set(address, {
      key: proof,
      message: Uint8Array.from(nonce, digit => digit.charCodeAt(0)),
      entry: listingOf(proof),
      expires: now + this.#options.challengeTimeout
    })
    this.#acknowledge('join', socket, call, [null, nonce], false)
  }

  #challengeStar (client: Client, socket: string, call: number, address: string, proof: unknown, now: number): void {
    if (isAnswer(proof)) {
      return this.#refuse('join', socket, call, 'ERR_CHALLENGE_EXPIRED')
    }
    if (!isIntroduction(proof)) {
      return this.#refuse('join', socket, call, 'ERR_ARGUMENTS')
    }
    if (!this.#isKeyOf(address, proof.key)) {
      return this.#refuse('join', socket, call, 'ERR_KEY')
    }
    if (!this.#ports.isOwnName(proof.origin)) {
      return this.#refuse('join', socket, call, 'ERR_STAR_NAME')
    }
    const expires = this.#ports.wallClock() + this.#options.challengeTimeout
    const offer: ChallengeOffer = { nonce: this.#ports.random(32), expires }
    client.challenges.set(address, {
      key: proof.key,
      message: challengeMessage({ origin: proof.origin, socket, address }, offer),
      entry: listingOf(proof),
      expires: now + this.#options.challengeTimeout
    })
    this.#acknowledge('join', socket, call, [null, offer], false)
  }

  #prove (call: number, challenge: Challenge, join: Registration, proof: unknown, now: number): void {
    const signature = isAnswer(proof) ? proof.signature : proof
    if (challenge.expires <= now) {
      return this.#refuse('join', join.socket, call, 'ERR_CHALLENGE_EXPIRED')
    }
    if (!isHex(signature)) {
      return this.#refuse('join', join.socket, call, 'ERR_SIGNATURE')
    }
    this.#joins.set(call, join)
    this.#outputs.push({ do: 'verify', call, key: challenge.key, message: challenge.message, signature })
  }

  #verified (call: number, valid: boolean, now: number): void {
    const join = this.#joins.get(call)
    if (join == null) {
      return // left or disconnected meanwhile
    }
    this.#joins.delete(call)
    if (!valid) {
      return this.#refuse('join', join.socket, call, 'ERR_SIGNATURE')
    }
    this.#enter(call, join, now)
  }

  #enter (call: number, join: Registration, now: number): void {
    const client = this.#clients.get(join.socket)
    if (client == null) {
      return
    }
    // asked again: several proofs may have been verified at once
    if (!client.addresses.has(join.address) && client.addresses.size >= this.#options.maxAddressesPerSocket) {
      return this.#refuse('join', join.socket, call, 'ERR_TOO_MANY_ADDRESSES')
    }
    const former = this.#directory.find(join.address)
    if (join.listed && former == null && this.#directory.size >= this.#options.maxPeers) {
      return this.#refuse('join', join.socket, call, 'ERR_TOO_MANY_PEERS')
    }
    if (former != null && (join.listed || former.socket === join.socket)) {
      this.#remove(former, now)
      if (former.socket !== join.socket && former.generation === 'star') {
        this.#outputs.push({ do: 'replaced', socket: former.socket, address: former.address })
      }
    }
    client.addresses.add(join.address)
    if (join.listed) {
      this.#list(join, now)
    }
    this.#acknowledge('join', join.socket, call, [null, null, this.#othersFor(join)], true)
  }

  #list (join: Registration, now: number): void {
    this.#directory.add(join)
    if (this.#announcer.joined(join.address, peerOfAddress(join.address), now)) {
      this.#outputs.push({ do: 'announce', address: originalSpelling(join.address), except: join.socket })
    }
  }

  #othersFor (self: Registration): Welcome | string[] {
    if (self.generation === 'star') {
      return welcomeOf(this.#announcer.sample(peerOfAddress(self.address)), this.#options)
    }
    return this.#directory.all().filter(entry => entry !== self).map(entry => originalSpelling(entry.address))
  }

  #leave (socket: string, spelling: unknown, now: number): void {
    const address = isAddress(spelling) ? canonicalAddress(spelling) : undefined
    if (address == null) {
      return
    }
    this.#clients.get(socket)?.challenges.delete(address)
    this.#clients.get(socket)?.addresses.delete(address)
    for (const [call, join] of this.#joins) {
      if (join.socket === socket && join.address === address) {
        this.#joins.delete(call)
        this.#refuse('join', socket, call, 'ERR_CHALLENGE_EXPIRED')
      }
    }
    const entry = this.#directory.find(address)
    if (entry?.socket === socket) {
      this.#remove(entry, now)
    }
  }

  #remove (entry: Registration, now: number): void {
    this.#clients.get(entry.socket)?.addresses.delete(entry.address)
    const peer = this.#directory.remove(entry)
    this.#announcer.left(entry.address, peer, now)
  }

  #dial ({ socket, call, from, to, id, terms }: RegistryEvent & { type: 'dial' }, now: number): void {
    const client = this.#clients.get(socket)
    if (client == null) {
      return
    }
    const caller = isAddress(from) ? canonicalAddress(from) : undefined
    if (caller == null || !client.addresses.has(caller)) {
      return this.#refuse('dial', socket, call, 'ERR_NOT_JOINED')
    }
    if (!isName(id, MAX_DIAL_ID)) {
      return this.#refuse('dial', socket, call, 'ERR_DIAL_ID')
    }
    if (!isDialTerms(terms)) {
      return this.#refuse('dial', socket, call, 'ERR_ARGUMENTS')
    }
    if (client.dialling >= this.#options.dialsInFlight) {
      return this.#refuse('dial', socket, call, 'ERR_TOO_MANY_IN_FLIGHT')
    }
    const callee = this.#directory.findPeer(to)
    if (callee == null) {
      return this.#refuse('dial', socket, call, 'ERR_PEER_NOT_FOUND')
    }
    if (callee.socket === socket) {
      return this.#refuse('dial', socket, call, 'ERR_DIAL_SELF')
    }
    const protocol = terms?.protocol
    if (protocol != null && !callee.speaks.includes(protocol)) {
      return this.#refuse('dial', socket, call, 'ERR_NOT_SPOKEN')
    }
    const key = dialKey(callee.socket, id)
    if (this.#dials.has(key)) {
      return this.#refuse('dial', socket, call, 'ERR_DIAL_ID')
    }
    this.#dials.set(key, { id, call, dialer: socket, listener: callee.socket, deadline: now + this.#options.dialTimeout })
    client.dialling++
    const spelling = callee.generation === 'original' ? originalSpelling(caller) : caller
    const said = protocol == null ? {} : { terms: { protocol } }
    this.#outputs.push({ do: 'incoming', dialer: socket, listener: callee.socket, id, from: spelling, ...said })
  }

  #answer (socket: string, id: string, error: unknown): void {
    const dial = this.#dials.get(dialKey(socket, id))
    if (dial == null) {
      return // answered twice, too late, or never asked
    }
    this.#endDial(dial)
    if (error == null || error === false || error === '' || error === 0) {
      return this.#acknowledge('dial', dial.dialer, dial.call, [], true)
    }
    this.#outputs.push({ do: 'cancel', dialer: dial.dialer, id, reason: 'ERR_DIAL_REFUSED' })
    const original = this.#clients.get(dial.dialer)?.generation === 'original'
    if (original && typeof error === 'string') {
      return this.#acknowledge('dial', dial.dialer, dial.call, [error.slice(0, MAX_ERROR)], true, 'ERR_DIAL_REFUSED')
    }
    this.#refuse('dial', dial.dialer, dial.call, decodeError(error, 'ERR_DIAL_REFUSED').code)
  }

  #unopened (socket: string, id: string, reason: Reason): void {
    const dial = this.#dials.get(dialKey(socket, id))
    if (dial != null) {
      this.#endDial(dial)
      this.#refuse('dial', dial.dialer, dial.call, reason)
    }
  }

  #endDial (dial: Dial): void {
    this.#dials.delete(dialKey(dial.listener, dial.id))
    const client = this.#clients.get(dial.dialer)
    if (client != null) {
      client.dialling--
    }
  }

  #disconnect (socket: string, now: number): void {
    const client = this.#clients.get(socket)
    if (client == null) {
      return
    }
    for (const address of client.addresses) {
      const entry = this.#directory.find(address)
      if (entry?.socket === socket) {
        this.#remove(entry, now)
      }
    }
    for (const [call, join] of this.#joins) {
      if (join.socket === socket) {
        this.#joins.delete(call)
      }
    }
    for (const dial of this.#dials.values()) {
      if (dial.dialer === socket) {
        this.#endDial(dial)
      } else if (dial.listener === socket) {
        this.#endDial(dial)
        this.#refuse('dial', dial.dialer, dial.call, 'ERR_PEER_NOT_FOUND')
      }
    }
    this.#clients.delete(socket)
    this.#announcer.disconnected(client.generation)
  }

  #wake (now: number): void {
    for (const dial of this.#dials.values()) {
      if (dial.deadline > now) {
        break // they stand in the order of their deadlines
      }
      this.#endDial(dial)
      this.#outputs.push({ do: 'cancel', dialer: dial.dialer, id: dial.id, reason: 'ERR_DIAL_TIMEOUT' })
      this.#refuse('dial', dial.dialer, dial.call, 'ERR_DIAL_TIMEOUT')
    }
    for (const address of this.#announcer.dueForOriginals(now)) {
      const entry = this.#directory.find(address)
      if (entry != null) {
        this.#outputs.push({ do: 'announce', address: originalSpelling(entry.address), except: entry.socket })
      }
    }
    const changes = this.#announcer.dueForStars(now)
    if (changes != null) {
      this.#outputs.push({ do: 'changes', changes })
    }
  }

  #isKeyOf (address: string, key: string): boolean {
    try {
      return this.#ports.peerIdOf(key) === peerOfAddress(address)
    } catch {
      return false
    }
  }

  #acknowledge (
    kind: 'join' | 'dial', socket: string, call: number, args: readonly unknown[], done: boolean, refused?: Reason
  ): void {
    this.#outputs.push({ do: 'ack', socket, call, args, kind, done, ...(refused == null ? {} : { refused }) })
  }

  #refuse (kind: 'join' | 'dial', socket: string, call: number, reason: Reason): void {
    const generation = this.#clients.get(socket)?.generation ?? 'original'
    this.#acknowledge(kind, socket, call, [encodeError(generation, new StarError(reason))], true, reason)
  }
}

function dialKey (listener: string, id: string): string {
  return `${listener} ${id}`
}
