// What /metrics tells: the original server's seven figures under their old names, and what a relay's operator wants to know.
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { REASONS } from '../src/errors.ts'
import type { Reason } from '../src/errors.ts'

/** Figures of the raw relay, which are read when somebody asks. */
export interface RelayReadings {
  readonly pairs: number
  /** Sockets that wait for their other end. */
  readonly waiting: number
  /** Bytes relayed since the star started. */
  readonly bytes: number
  /** What is on the way now costs so many bytes. */
  readonly inFlight: number
}

/** Figures of the contact exchange, which are read when somebody asks. */
export interface ContactReadings {
  readonly connections: number
  readonly rooms: number
  /** Peers that wait for their other one. */
  readonly waiting: number
}

/** Figures of the star itself, which are read when somebody asks. */
export interface StarReadings {
  readonly peers: number
  readonly connections: Readonly<Record<'original' | 'star', number>>
  readonly dialling: number
  readonly streams: number
  readonly inFlight: number
}

/** Everything that is read when somebody asks. */
export interface Readings extends StarReadings {
  readonly relay: RelayReadings
  readonly contact: ContactReadings
}

/** The figures of the process, which all its stars share: their collectors can be neither stopped nor had twice. */
const processMetrics = new Registry()

/** The counters of one star. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #joins: Outcomes
  readonly #dials: Outcomes
  readonly #refusals: Counter
  readonly #relayed: Counter
  readonly #broken: Counter
  readonly #replaced: Counter
  readonly #relayRefusals: Counter
  readonly #contactReplies: Counter

  constructor (read: () => Readings) {
    const registers = [this.#registry]
    this.#joins = new Outcomes(this.#registry, 'joins')
    this.#dials = new Outcomes(this.#registry, 'dials')
    this.#refusals = new Counter({ name: 'star_refusals_total', help: 'refusals, by code', labelNames: ['code'], registers })
    for (const code of Object.keys(REASONS)) {
      this.#refusals.inc({ code }, 0)
    }
    this.#relayed = new Counter({ name: 'star_relayed_bytes_total', help: 'bytes relayed since the star started', registers })
    this.#broken = new Counter({
      name: 'star_streams_broken_total', help: 'streams ended by the star, by code', labelNames: ['code'], registers
    })
    const help = 'addresses of star clients taken over by another socket'
    this.#replaced = new Counter({ name: 'star_replaced_total', help, registers })
    const turned = 'raw relay: refusals, by HTTP status or close code'
    this.#relayRefusals = new Counter({ name: 'star_relay_refusals_total', help: turned, labelNames: ['code'], registers })
    const said = 'contact exchange: replies, by type'
    this.#contactReplies = new Counter({ name: 'star_contact_replies_total', help: said, labelNames: ['type'], registers })
    // counted by the relay itself: a counter is too slow for each message
    const carried = 'raw relay: bytes relayed since the star started'
    const bytes: Counter = new Counter({
      name: 'star_relay_pair_bytes_total', help: carried, registers, collect: () => { reset(bytes, read().relay.bytes) }
    })
    const gauge = (name: string, help: string, value: () => number): void => {
      // a gauge registers itself
      void new Gauge({ name, help, registers, collect () { this.set(value()) } })
    }
    gauge('rendezvous_peers', 'peers online now', () => read().peers)
    gauge('star_dials_in_flight', 'dials waiting for their answer now', () => read().dialling)
    gauge('star_streams', 'streams open now', () => read().streams)
    gauge('star_bytes_in_flight', 'bytes of streams sent and not yet acknowledged now', () => read().inFlight)
    gauge('star_connections_original', 'sockets of original clients open now', () => read().connections.original)
    gauge('star_connections', 'sockets of star clients open now', () => read().connections.star)
    gauge('star_relay_pairs', 'raw relay: pairs now', () => read().relay.pairs)
    gauge('star_relay_waiting', 'raw relay: sockets waiting for their other end now', () => read().relay.waiting)
    gauge('star_relay_pair_bytes_in_flight', 'raw relay: what is on the way now, in bytes', () => read().relay.inFlight)
    gauge('star_contact_connections', 'contact exchange: connections now', () => read().contact.connections)
    gauge('star_contact_rooms', 'contact exchange: rooms now', () => read().contact.rooms)
    gauge('star_contact_waiting', 'contact exchange: peers waiting for their other one now', () => read().contact.waiting)
  }

  /** The type of the text, for the HTTP header. */
  get contentType (): string {
    return this.#registry.contentType
  }

  /** The text for Prometheus. */
  async text (): Promise<string> {
    if (processMetrics.getMetricsAsArray().length === 0) {
      collectDefaultMetrics({ register: processMetrics })
    }
    return await Registry.merge([this.#registry, processMetrics]).metrics()
  }

  /** Counts a join or a dial that has come to its end. */
  ended (kind: 'join' | 'dial', refused?: Reason): void {
    const outcomes = kind === 'join' ? this.#joins : this.#dials
    outcomes.count(refused == null)
    if (refused != null) {
      this.refused(refused)
    }
  }

  /** Counts a refusal of anything else. */
  refused (code: Reason): void {
    this.#refusals.inc({ code })
  }

  /** Counts bytes that were relayed. */
  relayed (bytes: number): void {
    this.#relayed.inc(bytes)
  }

  /** Counts a stream that the star ended. */
  broken (code: Reason): void {
    this.#broken.inc({ code })
  }

  /** Counts a WebSocket that the raw relay refused, with an HTTP status or a close code. */
  relayRefused (code: number): void {
    this.#relayRefusals.inc({ code })
  }

  /** Counts a reply of the contact exchange. */
  contactReplied (type: string): void {
    this.#contactReplies.inc({ type })
  }

  /** Counts an address taken over. */
  replaced (): void {
    this.#replaced.inc()
  }
}

function reset (counter: Counter, value: number): void {
  counter.reset()
  counter.inc(value)
}

/** One of the original's triples: all, successes, failures. */
class Outcomes {
  readonly #all: Counter
  readonly #success: Counter
  readonly #failure: Counter

  constructor (registry: Registry, what: string) {
    const counter = (name: string, help: string): Counter => new Counter({ name, help, registers: [registry] })
    this.#all = counter(`rendezvous_${what}_total`, `all ${what} since the star started`)
    this.#success = counter(`rendezvous_${what}_total_success`, `completed ${what} since the star started`)
    this.#failure = counter(`rendezvous_${what}_total_failure`, `failed ${what} since the star started`)
  }

  count (success: boolean): void {
    this.#all.inc()
    const outcome = success ? this.#success : this.#failure
    outcome.inc()
  }
}
