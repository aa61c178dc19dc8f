// One peer and the link to it: drives a pair, opens and closes its paths, and makes libp2p's connection of the link.
import { Alarm } from '../src/alarm.ts'
import { StarError } from '../src/errors.ts'
import { Pair } from '../src/link/pair.ts'
import { isDirect } from '../src/rendezvous/select.ts'
import { LinkConnection } from './link-connection.ts'
import { PathTable } from './path-table.ts'
import { RelayPath } from './paths/relay.ts'
import type { Connection } from '@libp2p/interface'
import type { Link, PairEvent, PairOutput } from '../src/link/pair.ts'
import type { SessionOutput } from '../src/link/session.ts'
import type { Path } from './paths/path.ts'
import type { Caller, Host, LinkRecord, PeerInit, Route, Waiting } from './peer-contract.ts'
import type { Member, StreamSlot } from './star.ts'

/** What is spoken on a stream that carries a link; announced to the star, and asked for with each dial. */
export const LINK_PROTOCOL = 'link/1'

/** Milliseconds that libp2p may take to make its connection of a link; as long as its own limit for those that come in. */
const UPGRADE_TIMEOUT = 10_000

/** Bytes on their way from which on there is no hurry. */
const MUCH = 16_384

/** One peer of a node. */
export class Peer {
  readonly #init: PeerInit
  readonly #pair: Pair
  readonly #alarm: Alarm
  readonly #paths: PathTable
  readonly #links = new Map<Link, LinkRecord>()
  readonly #routes = new Map<Member, { readonly route: Route, readonly release: () => void }>()
  readonly #callers = new Set<Waiting>()
  readonly #inbox: PairEvent[] = []
  #feeding = false
  /** How many dials wait, for a link or for its connection. */
  #dials = 0
  #stopOpening: (() => void) | undefined
  #upgradeError: unknown
  #closed = false

  constructor (init: PeerInit) {
    this.#init = init
    this.#pair = new Pair(init.options, init.ports)
    this.#paths = new PathTable(event => { this.#feed(event) }, path => {
      this.#linksOn(path).forEach(link => { this.#flush(link) })
    })
    this.#alarm = new Alarm(globalThis, this.#pair, () => { this.#feed({ type: 'wake' }) })
  }

  /** The link that both have proved, if there is one. */
  get link (): Link | undefined {
    return this.#pair.link
  }

  /** Whether the link outlives its path. */
  get resumable (): boolean {
    return this.#pair.resumable
  }

  /** The path that carries the link now. */
  get path (): Path | undefined {
    return this.#paths.find(this.#pair.link?.path)
  }

  /** The star that the link runs through, or that it was last dialled through. */
  get member (): Member | undefined {
    return this.#paths.get(this.#pair.link?.path)?.member ?? [...this.#routes.keys()].at(-1)
  }

  /** True while attempts of the other peer, or our own, have come to nothing yet, nor to a link. */
  get unproved (): boolean {
    return this.#pair.link == null
  }

  /** Resolves with the connection over the one link to the peer, which is made where there is none. */
  async dial (caller: Caller): Promise<Connection> {
    this.#learn(caller.route)
    this.#dials++
    try {
      return await this.#connect(caller)
    } finally {
      this.#dials--
      this.#rest()
    }
  }

  async #connect (caller: Caller): Promise<Connection> {
    const { signal } = caller
    const link = this.#pair.link ?? await this.#wait(caller)
    try {
      return await this.#connectionOf(link, signal)
    } catch (error) {
      const stays = this.#pair.link
      if (signal.aborted || stays === link || (stays == null && link.dialled)) {
        throw error
      }
      // what was dialled for has given way to this one, or the other peer had dialled it and did not want it any more
      return await this.#connectionOf(stays ?? await this.#wait(caller), signal)
    }
  }

  /** The other peer has opened a stream through that star. */
  answer (slot: StreamSlot, route: Route, host: Host): RelayPath {
    this.#learn(route)
    const path = new RelayPath(slot, route.member.star.url)
    const id = this.#paths.enter({ path, member: route.member, host })
    this.#feed({ type: 'incoming', path: id })
    return path
  }

  /** Whether this is libp2p's connection over that link, which the other peer has dialled. */
  carries (connection: Connection, link: bigint): boolean {
    const own = this.#pair.link
    return own?.id === link && !own.dialled && this.#links.get(own)?.connection.timeline === connection.timeline
  }

  /** The other peer has given its half of a link's secret, inside this connection; false when it isn't that link's. */
  share (connection: Connection, link: bigint, secret: Uint8Array): boolean {
    if (!this.carries(connection, link)) {
      return false
    }
    this.#feed({ type: 'secret', link, secret })
    return true
  }

  /** The two have made another path, and have proved on it that they are its ends: the link moves there. */
  adopt (path: Path, link: bigint): void {
    if (this.#closed) {
      return path.close()
    }
    const id = this.#paths.enter({ path, member: undefined, host: undefined })
    this.#feed({ type: 'adopt', path: id, link, direct: isDirect(path.kind), roundTrip: path.roundTrip ?? 0 })
  }

  /** The peer has come to a star where we are: a link that waits need not wait for its next try. */
  seen (): void {
    this.#feed({ type: 'seen' })
  }

  /** Ends that link, if it is still there, and tells the other peer. */
  end (id: bigint, error: StarError): void {
    const { link } = this.#pair
    if (link?.id === id) {
      this.#obey(link, link.session.reset(error))
    }
  }

  /** Gives the link's path up, as if it had died; false when it has none. */
  drop (): boolean {
    const path = this.#pair.link?.path
    if (path == null) {
      return false
    }
    this.#paths.close(path) // the other end is told, or it would go on sending
    this.#feed({ type: 'lost', path, error: new StarError('ERR_PATH_DEAD') })
    return true
  }

  /** Ends everything; the other peer is told. */
  close (error: StarError): void {
    this.#closed = true
    for (const link of [...this.#links.keys()]) {
      this.#obey(link, link.session.reset(error))
    }
    this.#stopOpening?.()
    this.#alarm.clear()
    this.#paths.clear()
    this.#callers.forEach(waiting => { waiting.reject(error) })
    this.#routes.forEach(({ release }) => { release() })
    this.#routes.clear()
  }

  /** The newest route is the one that is tried first. */
  #learn (route: Route): void {
    const known = this.#routes.get(route.member)
    this.#routes.delete(route.member)
    this.#routes.set(route.member, { route, release: known?.release ?? this.#init.hold(route.member) })
  }

  async #wait (caller: Caller): Promise<Link> {
    const { signal } = caller
    signal.throwIfAborted()
    let waiting: Waiting | undefined
    const onAbort = (): void => { waiting?.reject(signal.reason) }
    try {
      return await new Promise<Link>((resolve, reject) => {
        waiting = { caller, resolve, reject }
        this.#callers.add(waiting)
        signal.addEventListener('abort', onAbort, { once: true })
        this.#feed({ type: 'dial' })
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (waiting != null) {
        this.#callers.delete(waiting)
      }
      if (this.#callers.size === 0) {
        this.#feed({ type: 'cancel' })
      }
    }
  }

  async #connectionOf (link: Link, signal: AbortSignal): Promise<Connection> {
    const record = this.#links.get(link)
    if (record == null) {
      throw new StarError('ERR_STREAM_CLOSED')
    }
    record.waiting++
    try {
      signal.throwIfAborted()
      return await new Promise<Connection>((resolve, reject) => {
        const onAbort = (): void => { reject(signal.reason as Error) }
        signal.addEventListener('abort', onAbort, { once: true })
        void record.upgraded.then(resolve, reject).finally(() => { signal.removeEventListener('abort', onAbort) })
      })
    } finally {
      record.waiting--
      if (signal.aborted && record.waiting === 0 && record.libp2p == null && link.dialled) {
        // what the other peer has dialled is not ours to give up
        record.upgrading.abort(signal.reason)
        record.connection.abort(new StarError('ERR_STOPPED', { cause: signal.reason }))
      }
    }
  }

  #feed (event: PairEvent): void {
    if (this.#closed) {
      return
    }
    this.#inbox.push(event)
    if (this.#feeding) {
      return // what an output leads to comes after the outputs
    }
    this.#feeding = true
    for (let next = this.#inbox.shift(); next != null; next = this.#inbox.shift()) {
      for (const output of this.#pair.input(next, performance.now())) {
        this.#perform(output)
      }
    }
    this.#feeding = false
    this.#alarm.set(performance.now())
    this.#rest()
  }

  /** Nothing is kept of a peer that there is nothing to do with. */
  #rest (): void {
    if (!this.#closed && this.#pair.idle && this.#dials === 0 && this.#paths.size === 0 && this.#stopOpening == null) {
      this.close(new StarError('ERR_STREAM_CLOSED'))
      this.#init.onIdle()
    }
  }

  #perform (output: PairOutput): void {
    switch (output.do) {
      case 'open':
        return this.#open()
      case 'abandon':
        return this.#stopOpening?.()
      case 'send':
        return this.#paths.send(output.path, output.bytes)
      case 'close':
        return this.#close(output.path, output.error)
      case 'sign':
        return this.#sign(output.path, output.message)
      case 'verify':
        return void this.#init.verify(output).then(valid => { this.#feed({ type: 'verified', path: output.path, valid }) })
      case 'link':
        return this.#begin(output.link)
      case 'session':
        return this.#obey(output.link, output.outputs)
      case 'dialled':
        return this.#callers.forEach(waiting => { waiting.resolve(output.link) })
      case 'failed': {
        // why the upgrade failed says more than that the link was closed then
        const error = output.error.code === 'ERR_STREAM_CLOSED' ? this.#upgradeError ?? output.error : output.error
        return this.#callers.forEach(waiting => { waiting.reject(error) })
      }
      case 'note': {
        const { what, link, error } = output
        return this.#init.onNote({ what, link, path: this.#paths.find(output.path), error })
      }
    }
  }

  /** Opens a path on the newest route whose star is joined, or on the first that comes back. */
  #open (): void {
    const routes = [...this.#routes.values()].map(({ route }) => route).toReversed()
    const route = routes.find(({ member }) => member.joined)
    if (route != null) {
      return this.#openOn(route)
    }
    const tries = routes.map(back => ({ back, onJoined: (): void => { this.#openOn(back) } }))
    tries.forEach(({ back, onJoined }) => { back.member.addEventListener('joined', onJoined) })
    this.#stopOpening = () => {
      this.#stopOpening = undefined
      tries.forEach(({ back, onJoined }) => { back.member.removeEventListener('joined', onJoined) })
    }
  }

  #openOn ({ member, address }: Route): void {
    this.#stopOpening?.()
    try {
      const { end, accepted } = member.dial(address, slot => new RelayPath(slot, member.star.url), LINK_PROTOCOL)
      accepted.catch(() => {}) // the path has been told
      this.#feed({ type: 'opened', path: this.#paths.enter({ path: end, member, host: undefined }) })
    } catch (cause) {
      const error = cause instanceof StarError ? cause : new StarError('ERR_STAR_LOST', { cause })
      this.#feed({ type: 'unopened', error })
    }
  }

  #close (id: number, error: StarError | undefined): void {
    const record = this.#paths.close(id)
    if (error?.code === 'ERR_PATH_DEAD') {
      record?.member?.probe()
    }
  }

  #sign (path: number, message: Uint8Array): void {
    Promise.resolve(this.#init.sign(message)).then(signature => {
      this.#feed({ type: 'signed', path, signature })
    }, (cause: unknown) => {
      this.#paths.get(path)?.path.lose(new StarError('ERR_KEY', { cause }))
    })
  }

  /** Makes a connection of a link, and has libp2p make its own of that. */
  #begin (link: Link): void {
    const [waiting] = this.#callers
    const { remoteAddr, upgrade } = waiting?.caller ?? this.#paths.get(link.path)?.host ?? {}
    if (remoteAddr == null || upgrade == null) {
      return this.#obey(link, link.session.reset(new StarError('ERR_STOPPED')))
    }
    const connection = new LinkConnection({
      link,
      remoteAddr,
      direction: link.dialled ? 'outbound' : 'inbound',
      log: this.#init.log,
      metrics: link.dialled ? this.#init.metrics?.dialer : this.#init.metrics?.listener,
      perform: outputs => { this.#obey(link, outputs) }
    })
    const upgrading = new AbortController()
    const signal = AbortSignal.any([upgrading.signal, AbortSignal.timeout(UPGRADE_TIMEOUT)])
    const upgraded = upgrade(connection, link.dialled, signal).catch((cause: unknown) => {
      throw record.error ?? cause // why the link is over says more than what libp2p made of that
    })
    const record: LinkRecord = {
      connection, upgraded, libp2p: undefined, upgrading, waiting: 0, flushing: false, error: undefined
    }
    this.#upgradeError = undefined
    this.#links.set(link, record)
    upgraded.then(libp2p => {
      record.libp2p = libp2p
      if (link.dialled) {
        this.#exchange(link, libp2p)
      }
    }, (error: unknown) => {
      this.#upgradeError = error
      connection.abort(error instanceof Error ? error : new StarError('ERR_STREAM_CLOSED', { cause: error }))
    })
  }

  #exchange (link: Link, connection: Connection): void {
    this.#init.exchange(connection, link.id).then(secret => {
      this.#feed({ type: 'secret', link: link.id, secret })
      this.#init.onResumable(link, connection)
    }, (error: unknown) => {
      this.#init.log('could not exchange the secret of a link, it will not outlive its path - %e', error)
    })
  }

  #obey (link: Link, outputs: readonly SessionOutput[]): void {
    const record = this.#links.get(link)
    for (const output of outputs) {
      switch (output.do) {
        case 'flush':
          this.#flushSoon(link)
          break
        case 'deliver':
          record?.connection.deliver(output.bytes)
          break
        case 'writable':
          record?.connection.drain()
          break
        case 'ended':
          record?.connection.ended()
          break
        case 'dead':
          this.#feed({ type: 'dead', link })
          break
        case 'closed':
          this.#flush(link, true)
          this.#links.delete(link)
          if (record != null && output.error != null) {
            record.error = output.error
            breakOff(record.libp2p, output.error)
          }
          record?.connection.closed(output.error)
          this.#feed({ type: 'closed', link })
          break
      }
    }
  }

  /** A word goes out at once, for somebody may wait for it; much that is written in one turn goes out together. */
  #flushSoon (link: Link): void {
    const record = this.#links.get(link)
    if (record?.flushing === false) {
      if (link.session.kept < MUCH && this.#paths.get(link.path)?.path.prompt === true) {
        return this.#flush(link)
      }
      record.flushing = true
      queueMicrotask(() => {
        record.flushing = false
        this.#flush(link)
      })
    }
  }

  #flush (link: Link, last: boolean = false): void {
    const path = this.#paths.get(link.path)?.path
    if (path == null) {
      return
    }
    path.release()
    const now = performance.now()
    const next = (): readonly Uint8Array[] | undefined => link.session.flush(last ? path.reserve : path.budget, now)
    for (let parts = next(); parts != null; parts = next()) {
      path.send(parts)
    }
    if (link.session.relieved()) {
      this.#links.get(link)?.connection.drain()
    }
    this.#alarm.set(now)
  }

  #linksOn (path: number): Link[] {
    return [...this.#links.keys()].filter(link => link.path === path)
  }
}

/** Ends the streams that aren't read to their end with an error: libp2p itself would end them as if all were well. */
function breakOff (connection: Connection | undefined, error: StarError): void {
  for (const stream of connection?.streams ?? []) {
    if (stream.remoteWriteStatus !== 'closed') {
      stream.abort(error)
    }
  }
}
