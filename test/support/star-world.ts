// A star and its sessions on a network made of a queue of things to come: sockets break, messages dawdle, the star notices late.
import { StarError } from '../../src/errors.ts'
import { Session } from '../../src/star/session.ts'
import { ORIGIN, Register, sign } from './register.ts'
import type { RegistryOutput } from '../../src/star/contract.ts'
import type { SessionEvent, SessionOutput } from '../../src/star/session.ts'
import type { Random } from './random.ts'
import type { Identity } from './register.ts'

/** One connection between a member and the star. */
interface Socket {
  readonly name: string
  readonly member: WorldMember
  /** When the latest message of each direction arrives: later ones arrive later. */
  up: number
  down: number
  /** Nothing arrives any more. */
  cut: boolean
}

/** A member of the star: a session and its driver. */
export interface WorldMember {
  readonly who: Identity
  readonly session: Session
  socket: Socket | undefined
}

/** How bad the network is. */
export interface Weather {
  /** The longest that a message takes, in milliseconds. */
  readonly delay: number
  /** How often a connection attempt fails. */
  readonly refusal: number
  /** The longest that the star takes to notice a broken socket, in milliseconds. */
  readonly notice: number
}

/** A star, its members, and a clock that jumps from one event to the next. */
export class StarWorld {
  readonly register: Register
  readonly members: WorldMember[] = []
  weather: Weather
  readonly #random: Random
  readonly #coming: Array<{ readonly at: number, readonly happen: () => void }> = []
  #sockets = 0

  constructor (random: Random, weather: Weather) {
    this.register = new Register()
    this.#random = random
    this.weather = weather
  }

  get now (): number {
    return this.register.now
  }

  add (who: Identity, listed: boolean): WorldMember {
    const session = new Session({
      address: who.address, origin: ORIGIN, key: who.key, speaks: [], timeout: 10_000, retryMin: 500, retryMax: 8_000
    }, () => this.#random.next())
    const member: WorldMember = { who, session, socket: undefined }
    this.members.push(member)
    this.feed(member, { type: 'list', listed })
    this.feed(member, { type: 'start' })
    return member
  }

  /** Breaks a member's connection; the member notices at once, the star later, perhaps after the member is back. */
  cut (member: WorldMember): void {
    if (member.socket != null) {
      this.#drop(member.socket)
      this.feed(member, { type: 'lost', error: new StarError('ERR_STAR_LOST') })
    }
  }

  feed (member: WorldMember, event: SessionEvent): void {
    for (const output of member.session.input(event, this.now)) {
      this.#perform(member, output)
    }
  }

  /** Lets time pass. */
  run (milliseconds: number): void {
    const end = this.now + milliseconds
    for (;;) {
      const next = this.#next()
      if (next == null || next.at > end) {
        this.register.now = end
        return
      }
      this.register.now = Math.max(this.now, next.at)
      next.happen()
    }
  }

  #next (): { readonly at: number, readonly happen: () => void } | undefined {
    const [first] = this.#coming
    const wakes = this.members.map(member => ({
      at: member.session.wakeAt ?? Infinity,
      happen: () => { this.feed(member, { type: 'wake' }) }
    }))
    wakes.push({ at: this.register.registry.wakeAt ?? Infinity, happen: () => { this.#obey(this.register.wake()) } })
    const [earliest] = wakes.toSorted((one, other) => one.at - other.at)
    if (first != null && first.at <= (earliest?.at ?? Infinity)) {
      return { at: first.at, happen: () => { this.#coming.shift(); first.happen() } }
    }
    return earliest?.at === Infinity ? undefined : earliest
  }

  #at (at: number, happen: () => void): void {
    const index = this.#coming.findLastIndex(event => event.at <= at)
    this.#coming.splice(index + 1, 0, { at, happen })
  }

  #later (most: number, happen: () => void): void {
    this.#at(this.now + this.#random.next() * most, happen)
  }

  #perform (member: WorldMember, output: SessionOutput): void {
    switch (output.do) {
      case 'connect':
        return this.#connect(member)
      case 'disconnect':
        if (member.socket != null) {
          this.#drop(member.socket)
        }
        return
      case 'join': {
        const { socket } = member
        const { address } = member.who
        if (socket != null) {
          this.#up(socket, () => { this.#obey(this.register.join(socket.name, address, output.proof)) })
        }
        return
      }
      case 'sign': {
        const { socket } = member
        this.#later(50, () => {
          if (socket === member.socket) {
            this.feed(member, { type: 'signed', signature: sign(member.who.key, output.message) })
          }
        })
        return
      }
      case 'joined':
      case 'down':
    }
  }

  #connect (member: WorldMember): void {
    const socket: Socket = { name: `s${this.#sockets++}`, member, up: this.now, down: this.now, cut: false }
    member.socket = socket
    if (this.#random.chance(this.weather.refusal)) {
      this.#later(this.weather.delay, () => {
        if (member.socket === socket) {
          member.socket = undefined
          this.feed(member, { type: 'lost', error: new StarError('ERR_STAR_UNREACHABLE') })
        }
      })
      return
    }
    this.#up(socket, () => {
      this.register.connect(socket.name, 'star')
      this.#down(socket, { type: 'open', socket: socket.name })
    })
  }

  /** The member's end is gone; the star's goes later. */
  #drop (socket: Socket): void {
    socket.member.socket = undefined
    socket.cut = true
    this.#later(this.weather.notice, () => { this.#obey(this.register.disconnect(socket.name)) })
  }

  #up (socket: Socket, arrive: () => void): void {
    socket.up = Math.max(socket.up, this.now + this.#random.next() * this.weather.delay)
    this.#at(socket.up, () => {
      if (!socket.cut) {
        arrive()
      }
    })
  }

  #down (socket: Socket, event: SessionEvent): void {
    socket.down = Math.max(socket.down, this.now + this.#random.next() * this.weather.delay)
    this.#at(socket.down, () => {
      if (!socket.cut && socket.member.socket === socket) {
        this.feed(socket.member, event)
      }
    })
  }

  #to (name: string, event: SessionEvent): void {
    const member = this.members.find(({ socket }) => socket?.name === name)
    if (member?.socket != null) {
      this.#down(member.socket, event)
    }
  }

  #obey (outputs: readonly RegistryOutput[]): void {
    for (const output of outputs) {
      switch (output.do) {
        case 'ack':
          this.#to(output.socket, { type: 'reply', args: output.args })
          break
        case 'verify': {
          const { call, key, message, signature } = output
          const valid = signature === sign(key, message)
          this.#later(20, () => { this.#obey(this.register.tell({ type: 'verified', call, valid })) })
          break
        }
        case 'replaced':
          this.#to(output.socket, { type: 'replaced' })
          break
        case 'changes':
          for (const { socket, who } of this.members) {
            if (socket != null && output.changes.left.includes(who.id)) {
              this.#down(socket, { type: 'vacant' })
            }
          }
          break
        case 'incoming':
        case 'cancel':
        case 'announce':
      }
    }
  }
}
