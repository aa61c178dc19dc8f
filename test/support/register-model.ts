// A naive model of a star's register: it is told the same as the register and predicts who is listed and who is owed what.
import { canonicalAddress } from '../../src/address.ts'
import type { RegistryEvent, RegistryOutput } from '../../src/star/contract.ts'
import type { Generation } from '../../src/star/protocol.ts'

/** What the model knows of a call. */
interface Call {
  readonly socket: string
  readonly kind: 'join' | 'dial'
  acknowledged: number
}

/** Follows a register from outside, by its events and outputs alone, and says what must be true. */
export class RegisterModel {
  readonly sockets = new Map<string, Generation>()
  /** Which socket can be dialled under each address. */
  readonly owners = new Map<string, string>()
  /** The addresses that each socket has joined, listed or not. */
  readonly joined = new Map<string, Set<string>>()
  /** The calls of the sockets that are there. */
  readonly calls = new Map<number, Call>()
  /** Joins that a verification would complete: by call. */
  readonly #proofs = new Map<number, { readonly socket: string, readonly address: string, readonly listed: boolean }>()
  /** Whether the latest introduction of a socket for an address said listed. */
  readonly #introduced = new Map<string, boolean>()
  /** Dials that ring, by listener and id. */
  readonly ringing = new Map<string, { readonly dialer: string, readonly call: number }>()
  /** How many joins and dials have succeeded. */
  readonly successes = { join: 0, dial: 0 }
  /** What the model objects to. */
  readonly faults: string[] = []

  /** Takes note of an event and of what the register answered. */
  observe (event: RegistryEvent, outputs: readonly RegistryOutput[]): void {
    this.#before(event)
    for (const output of outputs) {
      this.#output(event, output)
    }
    this.#after(event, outputs)
  }

  /** The addresses that the register must list, sorted. */
  listed (): string[] {
    return [...this.owners.keys()].toSorted()
  }

  /** Calls that were never acknowledged and that nothing owes an answer any more. */
  forgotten (): number[] {
    const owed = new Set([...this.#proofs.keys(), ...[...this.ringing.values()].map(dial => dial.call)])
    return [...this.calls]
      .filter(([number, call]) => call.acknowledged === 0 && !owed.has(number))
      .map(([number]) => number)
  }

  #before (event: RegistryEvent): void {
    if (event.type === 'connect') {
      this.sockets.set(event.socket, event.generation)
      this.joined.set(event.socket, new Set())
    } else if ((event.type === 'join' || event.type === 'dial') && this.sockets.has(event.socket)) {
      this.calls.set(event.call, { socket: event.socket, kind: event.type, acknowledged: 0 })
    } else if (event.type === 'disconnect') {
      this.sockets.delete(event.socket)
    }
  }

  #output (event: RegistryEvent, output: RegistryOutput): void {
    switch (output.do) {
      case 'ack': {
        const call = this.calls.get(output.call)
        this.#require(this.sockets.has(output.socket), `an acknowledgement for ${output.socket}, which is gone`)
        this.#require(call?.socket === output.socket && call.kind === output.kind, `an acknowledgement of none: ${output.call}`)
        this.#require(++(call ?? { acknowledged: 9 }).acknowledged === 1, `a second acknowledgement of call ${output.call}`)
        if (output.done && output.refused == null) {
          this.successes[output.kind]++
        }
        if (event.type === 'leave') {
          this.#proofs.delete(output.call)
        }
        break
      }
      case 'verify':
        if (event.type === 'join') {
          const address = canonicalAddress(String(event.address)) ?? ''
          const listed = this.#introduced.get(`${event.socket} ${address}`) ?? true
          this.#proofs.set(output.call, { socket: event.socket, address, listed })
        }
        break
      case 'incoming':
        this.#require(this.sockets.has(output.listener) && this.sockets.has(output.dialer), 'a dial that rings nowhere')
        this.#require(!this.ringing.has(`${output.listener} ${output.id}`), `two dials ring as ${output.id}`)
        this.#require(this.#isListed(output.listener), 'a dial to the unlisted')
        if (event.type === 'dial') {
          this.ringing.set(`${output.listener} ${output.id}`, { dialer: output.dialer, call: event.call })
        }
        break
      case 'replaced':
        this.#require(this.sockets.get(output.socket) === 'star', `${output.socket} is told that it was replaced`)
        break
      case 'changes':
        this.#require(!output.changes.joined.some(peer => output.changes.left.includes(peer)), 'a peer both joined and left')
        break
      case 'cancel':
      case 'announce':
    }
  }

  #after (event: RegistryEvent, outputs: readonly RegistryOutput[]): void {
    const [ack] = outputs.filter(output => output.do === 'ack')
    switch (event.type) {
      case 'join':
        if (ack?.refused == null && ack?.done === false) {
          this.#introduced.set(`${event.socket} ${canonicalAddress(String(event.address))}`, isListed(event.proof))
        }
        break
      case 'verified': {
        const proof = this.#proofs.get(event.call)
        this.#proofs.delete(event.call)
        const ended = proof == null ? ack == null : ack?.done ?? !this.sockets.has(proof.socket)
        this.#require(ended, `verification ${event.call} has no end`)
        this.#require(event.valid || ack == null || ack.refused != null, 'a bad signature has joined')
        if (proof != null && ack?.done === true && ack.refused == null) {
          this.#join(proof)
        }
        break
      }
      case 'leave': {
        const address = typeof event.address === 'string' ? canonicalAddress(event.address) : undefined
        if (address != null) {
          this.joined.get(event.socket)?.delete(address)
          if (this.owners.get(address) === event.socket) {
            this.owners.delete(address)
          }
        }
        break
      }
      case 'disconnect':
        this.#forget(event.socket)
        break
      case 'answer':
      case 'unopened':
        this.ringing.delete(`${event.socket} ${event.id}`)
        break
      case 'wake':
      case 'connect':
      case 'dial':
    }
    if (event.type === 'wake' || event.type === 'disconnect') {
      for (const [key, dial] of this.ringing) {
        if (this.calls.get(dial.call)?.acknowledged === 1 || !this.sockets.has(dial.dialer)) {
          this.ringing.delete(key)
        }
      }
    }
  }

  #join ({ socket, address, listed }: { socket: string, address: string, listed: boolean }): void {
    const owner = this.owners.get(address)
    if (listed) {
      this.joined.get(owner ?? '')?.delete(address)
      this.owners.set(address, socket)
    } else if (owner === socket) {
      this.owners.delete(address)
    }
    this.joined.get(socket)?.add(address)
  }

  #forget (socket: string): void {
    this.joined.delete(socket)
    for (const [address, owner] of this.owners) {
      if (owner === socket) {
        this.owners.delete(address)
      }
    }
    for (const [number, call] of this.calls) {
      if (call.socket === socket) {
        this.calls.delete(number)
        this.#proofs.delete(number)
      }
    }
  }

  #isListed (socket: string): boolean {
    return [...this.owners.values()].includes(socket)
  }

  #require (condition: boolean, fault: string): void {
    if (!condition) {
      this.faults.push(fault)
    }
  }
}

function isListed (proof: unknown): boolean {
  return typeof proof === 'object' && proof !== null && 'listed' in proof ? proof.listed === true : true
}
