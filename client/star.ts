// One membership in one star: the driver of a session over socket.io, and of the streams that go through it.
import { gatherWrites, platformOptions } from '#socket'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { TypedEventEmitter } from 'main-event'
import { io } from 'socket.io-client'
import { toString } from 'uint8arrays/to-string'
import { Alarm } from '../src/alarm.ts'
import { StarError } from '../src/errors.ts'
import { eventName, parseEventName } from '../src/pull-stream/protocol.ts'
import {
  Event, MAX_DIAL_ID, PROTOCOL, decodeError, isAddress, isDialTerms, isName, isPeerChanges, restartDelay
} from '../src/star/protocol.ts'
import { Session } from '../src/star/session.ts'
import type { PrivateKey } from '@libp2p/interface'
import type { Socket } from 'socket.io-client'
import type { StarAddress } from '../src/address.ts'
import type { Send } from '../src/pull-stream/endpoint.ts'
import type { Kind, Side } from '../src/pull-stream/protocol.ts'
import type { SessionEvent, SessionOutput } from '../src/star/session.ts'
import type { ResolvedStarInit } from './options.ts'

/** One end of a stream, as the socket sees it. */
export interface StreamEnd {
  /** Asks the other end for its bytes; called once, when events can come. */
  open (): void
  receive (kind: Kind, side: Side, payload: unknown): void
  /** The socket is gone, or the dial came to nothing. */
  lose (error: StarError): void
}

/** What a stream's end is made of. */
export interface StreamSlot {
  readonly id: string
  readonly side: Side
  /** Bytes that may be on the way to this end: what we want and the star allows. */
  readonly window: number
  send (event: Send): void
  /** To be called when the stream is over. */
  onClose (): void
}

/** Makes the end of a stream that somebody dialled, or throws to refuse the dial. */
export type Answerer = (slot: StreamSlot, from: string, protocol: string | undefined) => StreamEnd

/** What happens to a membership. */
export interface MemberEvents {
  /** Joined, for the first time or again. */
  joined: CustomEvent
  /** Not joined any more, or not yet, and why; it comes back by itself unless it was stopped or replaced. */
  down: CustomEvent<StarError>
  /** A peer is there that was not known to be: its id. */
  peer: CustomEvent<string>
  /** A peer has left: its id. */
  left: CustomEvent<string>
  /** Left on purpose. */
  stopped: CustomEvent
  /** The last stream is over. */
  idle: CustomEvent
}

/** Who is a member, where, and how. */
export interface MemberInit {
  readonly star: StarAddress
  readonly privateKey: PrivateKey
  /** The peer id of the key. */
  readonly self: string
  readonly options: ResolvedStarInit
  /** What is spoken on streams to us beside plain bytes. */
  readonly speaks?: readonly string[]
  /** Takes dials while the membership is listed; the latest one counts. */
  answer?: Answerer
}

/** At most so many peers are remembered; in larger stars the oldest are forgotten. */
const MAX_PEERS = 10_000

/** A membership in one star under one identity. */
export class Member extends TypedEventEmitter<MemberEvents> {
  readonly star: StarAddress
  /** The star's address with our peer id. */
  readonly address: string
  answer: Answerer | undefined
  readonly #init: MemberInit
  readonly #session: Session
  readonly #alarm: Alarm
  readonly #streams = new Map<string, StreamEnd>()
  readonly #peers = new Set<string>()
  readonly #probing = new WeakSet<Socket>()
  #socket: Socket | undefined
  #window: number
  #contact: number | undefined
  #lastError: StarError | undefined

  constructor (init: MemberInit) {
    super()
    this.#init = init
    this.star = init.star
    this.address = `${init.star.star}/p2p/${init.self}`
    this.answer = init.answer
    this.#window = init.options.window
    this.#session = new Session({
      address: this.address,
      origin: init.star.url,
      key: toString(publicKeyToProtobuf(init.privateKey.publicKey), 'base16'),
      speaks: init.speaks ?? [],
      ...init.options
    }, Math.random)
    this.#alarm = new Alarm(globalThis, this.#session, () => { this.#feed({ type: 'wake' }) })
  }

  /** Whether the star knows us now. */
  get joined (): boolean {
    return this.#session.state === 'joined'
  }

  /** The port at the star's host where one is told where one comes from; where the star has none, there is none. */
  get contact (): number | undefined {
    return this.#contact
  }

  /** Why we aren't joined, as far as is known. */
  get lastError (): StarError | undefined {
    return this.#lastError
  }

  /** The ids of the peers that the star told of and that haven't left. */
  get peers (): string[] {
    return [...this.#peers]
  }

  /** How many streams are open. */
  get streams (): number {
    return this.#streams.size
  }

  /** Connects and joins, and stays joined until {@link stop}; while it waits to try again it tries at once. */
  start (): void {
    this.#feed({ type: 'start' })
  }

  /** Whether others may discover and dial us. */
  list (listed: boolean): void {
    this.#feed({ type: 'list', listed })
  }

  /** Leaves the star; every stream through it ends with `ERR_STOPPED`. */
  stop (): void {
    this.#loseStreams(new StarError('ERR_STOPPED'))
    this.#feed({ type: 'stop' })
    this.#alarm.clear()
    this.safeDispatchEvent('stopped')
  }

  /**
   * Resolves when joined; rejects with the reason as soon as a try to join has failed, at once while another connection
   * has our place, or when the signal is aborted.
   */
  async whenJoined (signal?: AbortSignal): Promise<void> {
    if (this.joined) {
      return
    }
    signal?.throwIfAborted()
    if (this.#session.state === 'replaced') {
      throw new StarError('ERR_REPLACED')
    }
    await new Promise<void>((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.removeEventListener('joined', onJoined)
        this.removeEventListener('down', onDown)
        this.removeEventListener('stopped', onStopped)
        signal?.removeEventListener('abort', onAbort)
        act()
      }
      const onJoined = (): void => { settle(resolve) }
      const onDown = (event: CustomEvent<StarError>): void => { settle(() => { reject(event.detail) }) }
      const onStopped = (): void => { settle(() => { reject(new StarError('ERR_STOPPED')) }) }
      const onAbort = (): void => { settle(() => { reject(toError(signal?.reason)) }) }
      this.addEventListener('joined', onJoined)
      this.addEventListener('down', onDown)
      this.addEventListener('stopped', onStopped)
      signal?.addEventListener('abort', onAbort)
      this.start()
    })
  }

  /**
   * Dials a peer of this star. `make` makes our end, which may write its first bytes at once; the returned `accepted`
   * resolves when the peer has taken the dial and rejects with {@link StarError} when it is refused, after the end was
   * told by `lose`. A peer that doesn't speak the protocol is never told of the dial: it ends with `ERR_NOT_SPOKEN`.
   */
  dial<End extends StreamEnd> (
    to: string, make: (slot: StreamSlot) => End, protocol?: string
  ): { end: End, accepted: Promise<void> } {
    const socket = this.#socket
    if (socket == null || !this.joined) {
      throw this.#lastError ?? new StarError('ERR_STAR_LOST')
    }
    const id = toString(crypto.getRandomValues(new Uint8Array(12)), 'base64url')
    const end = make(this.#slot(socket, id, 'dialer'))
    this.#streams.set(id, end)
    const accepted = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { fail(new StarError('ERR_STAR_TIMEOUT')) }, 2 * this.#init.options.timeout)
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        socket.off('disconnect', onDisconnect)
        act()
      }
      const fail = (error: StarError): void => {
        settle(() => { reject(error) })
        end.lose(error)
      }
      const onDisconnect = (): void => { fail(new StarError('ERR_STAR_LOST')) }
      socket.on('disconnect', onDisconnect)
      const said = protocol == null ? [id] : [id, { protocol }]
      socket.emit(Event.Dial, this.address, to, ...said, (error?: unknown) => {
        if (error == null) {
          settle(resolve)
        } else {
          fail(decodeError(error, 'ERR_DIAL_REFUSED'))
        }
      })
    })
    end.open()
    return { end, accepted }
  }

  /** Asks the star whether it is there; drops the socket, and comes back with another one, when it doesn't answer. */
  probe (): void {
    const socket = this.#socket
    if (socket?.connected === true && !this.#probing.has(socket)) {
      this.#probing.add(socket)
      socket.timeout(this.#init.options.probeTimeout).emit(Event.Ping, (late: Error | null) => {
        this.#probing.delete(socket)
        if (late != null) {
          this.#lost(socket, new StarError('ERR_STAR_TIMEOUT'))
        }
      })
    }
  }

  /**
   * Announces a path of the star's raw relay, 64 lowercase hex digits, where two WebSockets may then meet: one pair, for as
   * long as the star says. Rejects with {@link StarError}: `ERR_NO_RELAY` where there is none, `ERR_STAR_TIMEOUT` after
   * `timeout` without an answer, `ERR_STAR_LOST` while we aren't joined.
   */
  async announceRelay (path: string): Promise<void> {
    const socket = this.#socket
    if (socket == null || !this.joined) {
      throw new StarError('ERR_STAR_LOST', { cause: this.#lastError })
    }
    await new Promise<void>((resolve, reject) => {
      socket.timeout(this.#init.options.timeout).emit(Event.Relay, path, (late: Error | null, error?: unknown) => {
        if (late != null) {
          // a socket that is gone answers at once
          reject(new StarError(socket.connected ? 'ERR_STAR_TIMEOUT' : 'ERR_STAR_LOST'))
        } else if (error == null) {
          resolve()
        } else {
          reject(decodeError(error, 'ERR_NO_RELAY'))
        }
      })
    })
  }

  #slot (socket: Socket, id: string, side: Side): StreamSlot {
    return {
      id,
      side,
      window: this.#window,
      send: event => {
        const name = eventName(event.kind, id, event.side)
        // an event for a socket that is gone would be kept and sent on the next one
        if (socket.connected) {
          socket.emit(name, event.payload)
        }
      },
      onClose: () => {
        if (this.#streams.delete(id) && this.#streams.size === 0) {
          this.safeDispatchEvent('idle')
        }
      }
    }
  }

  #feed (event: SessionEvent): void {
    const time = performance.now()
    for (const output of this.#session.input(event, time)) {
      this.#perform(output)
    }
    this.#alarm.set(performance.now())
  }

  #perform (output: SessionOutput): void {
    switch (output.do) {
      case 'connect':
        return this.#connect()
      case 'disconnect':
        return this.#disconnect()
      case 'join': {
        const socket = this.#socket
        socket?.emit(Event.Join, this.address, output.proof, (...args: unknown[]) => {
          this.#from(socket, { type: 'reply', args })
        })
        return
      }
      case 'sign':
        return this.#sign(output.message)
      case 'joined': {
        const there = new Set(output.welcome.peers)
        this.#lastError = undefined
        this.#window = Math.min(this.#init.options.window, output.welcome.window)
        this.#contact = output.welcome.contact
        this.safeDispatchEvent('joined')
        this.#gone([...this.#peers].filter(peer => !there.has(peer)))
        return this.#told(output.welcome.peers)
      }
      case 'down':
        this.#lastError = output.error
        this.safeDispatchEvent('down', { detail: output.error })
    }
  }

  #connect (): void {
    const { timeout, ca } = this.#init.options
    const socket = io(this.star.url, {
      ...platformOptions(ca),
      transports: ['websocket'],
      forceNew: true,
      reconnection: false, // the session decides when to come back
      timeout,
      auth: { protocol: PROTOCOL }
    })
    this.#socket = socket
    socket.on('connect', () => {
      gatherWrites(socket)
      this.#from(socket, { type: 'open', socket: socket.id ?? '' })
    })
    socket.on('connect_error', error => { this.#lost(socket, connectError(error, this.star.url)) })
    socket.on('disconnect', () => { this.#lost(socket, new StarError('ERR_STAR_LOST')) })
    socket.on(Event.Incoming, (id: unknown, from: unknown, ...rest: unknown[]) => {
      this.#incoming(socket, id, from, rest.slice(0, -1)[0], rest.at(-1))
    })
    socket.on(Event.Peers, (changes: unknown) => { this.#changes(changes) })
    socket.on(Event.Replaced, () => { this.#from(socket, { type: 'replaced' }) })
    socket.on(Event.Restarting, (detail: unknown) => {
      this.#from(socket, { type: 'restarting', reconnectIn: restartDelay(detail) })
    })
    socket.onAny((name: unknown, payload: unknown) => {
      const event = parseEventName(name)
      if (event != null) {
        this.#streams.get(event.id)?.receive(event.kind, event.side, payload)
      }
    })
  }

  /** Feeds an event that a socket raised, unless another socket has taken its place. */
  #from (socket: Socket | undefined, event: SessionEvent): void {
    if (socket === this.#socket) {
      this.#feed(event)
    }
  }

  #lost (socket: Socket, error: StarError): void {
    if (socket !== this.#socket) {
      return
    }
    this.#disconnect()
    this.#loseStreams(error)
    this.#feed({ type: 'lost', error })
  }

  #disconnect (): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.disconnect()
    this.#loseStreams(new StarError('ERR_STAR_LOST'))
  }

  #loseStreams (error: StarError): void {
    for (const end of this.#streams.values()) {
      end.lose(error)
    }
  }

  #sign (message: Uint8Array): void {
    const socket = this.#socket
    Promise.resolve(this.#init.privateKey.sign(message)).then(signature => {
      this.#from(socket, { type: 'signed', signature: toString(signature, 'base16') })
    }, (cause: unknown) => {
      if (socket != null) {
        this.#lost(socket, new StarError('ERR_KEY', { cause }))
      }
    })
  }

  #incoming (socket: Socket, id: unknown, from: unknown, terms: unknown, ack: unknown): void {
    if (typeof ack !== 'function') {
      return
    }
    const reply = (error?: StarError): void => {
      Reflect.apply(ack, undefined, error == null ? [] : [{ code: error.code }])
    }
    if (!isName(id, MAX_DIAL_ID) || !isAddress(from) || !isDialTerms(terms) || this.#streams.has(id)) {
      return reply(new StarError('ERR_DIAL_ID'))
    }
    let end: StreamEnd
    try {
      if (this.answer == null) {
        throw new StarError('ERR_DIAL_REFUSED')
      }
      end = this.answer(this.#slot(socket, id, 'listener'), from, terms?.protocol)
    } catch (cause) {
      return reply(cause instanceof StarError ? cause : new StarError('ERR_DIAL_REFUSED', { cause }))
    }
    this.#streams.set(id, end)
    reply()
    end.open()
  }

  #changes (changes: unknown): void {
    if (!isPeerChanges(changes)) {
      return
    }
    this.#gone(changes.left)
    if (changes.left.includes(this.#init.self)) {
      this.#feed({ type: 'vacant' })
    }
    this.#told(changes.joined)
  }

  #gone (peers: readonly string[]): void {
    for (const peer of peers) {
      if (this.#peers.delete(peer)) {
        this.safeDispatchEvent('left', { detail: peer })
      }
    }
  }

  #told (peers: readonly string[]): void {
    for (const peer of peers) {
      if (peer === this.#init.self || this.#peers.has(peer)) {
        continue
      }
      if (this.#peers.size >= MAX_PEERS) {
        const [oldest = ''] = this.#peers
        this.#peers.delete(oldest)
      }
      this.#peers.add(peer)
      this.safeDispatchEvent('peer', { detail: peer })
    }
  }
}

/** Finds out what a failed connection means. */
function connectError (error: Error, url: string): StarError {
  if ('data' in error && error.data != null) {
    return decodeError(error.data, 'ERR_STAR_UNREACHABLE')
  }
  // socket.io-client 4 says so when the server's first packet is that of socket.io 2
  const code = error.message.includes('v2.x') ? 'ERR_STAR_TOO_OLD' : 'ERR_STAR_UNREACHABLE'
  return new StarError(code, { detail: url, cause: error })
}

function toError (reason: unknown): Error {
  return reason instanceof Error ? reason : new StarError('ERR_STOPPED', { cause: reason })
}
