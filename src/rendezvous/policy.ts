// When a link is tried to be moved to a better path, and to which kinds: at once when it has a path; again after a rest, which
// grows, when nothing came of it, or not the best kind there is, or when what came of it did not last.
import { isDirect, restAfter } from './select.ts'
import type { Machine } from '../machine.ts'
import type { PathKind } from './select.ts'

/** What a policy is told. */
export type PolicyEvent =
  /** The link runs on a path of this kind from now on; `undefined` when it has lost its path. */
  | { readonly type: 'path', readonly kind: PathKind | undefined }
  /** A try is over. When a path was nominated, `path` has said so, or will if the link comes to it. */
  | { readonly type: 'tried', readonly nominated: boolean }
  /** The other peer knows nothing of all this. */
  | { readonly type: 'unsupported' }
  | { readonly type: 'wake' }

/** What the driver is to do: try paths of these kinds, and say `tried` in the end. One at a time. */
export interface PolicyOutput {
  readonly do: 'try'
  readonly kinds: readonly PathKind[]
}

/** How a policy is set up; times are milliseconds. */
export interface PolicyOptions {
  /** The kinds that both peers may have, the best one first. */
  readonly kinds: readonly PathKind[]
  /** The longest rest between two tries. */
  readonly longestRest: number
}

/** A path that has lived for so long, in milliseconds, was a good one: its end doesn't count as one more failure in a row. */
export const GOOD_AFTER = 60_000

/** Milliseconds that a link has at least to come to what was nominated: both ends speak there first. */
const PENDING_REST = 3_000

const NOTHING: readonly PolicyOutput[] = []

/** The policy of one link. */
export class Policy implements Machine<PolicyEvent, PolicyOutput> {
  readonly #options: PolicyOptions
  #kind: PathKind | undefined
  #trying = false
  #supported = true
  #failures = 0
  #tryAt: number | undefined
  /** When the link came to the path that it is on, if that came of a try. */
  #movedAt: number | undefined
  /** Whether the link has come to another path since the last try began. */
  #came = false
  /** Whether the last failure is only that the link has not come to what was nominated: it may yet. */
  #pending = false
  #first = true

  constructor (options: PolicyOptions) {
    this.#options = options
  }

  get wakeAt (): number | undefined {
    return this.#trying || !this.#supported || this.#better.length === 0 ? undefined : this.#tryAt
  }

  input (event: PolicyEvent, now: number): readonly PolicyOutput[] {
    switch (event.type) {
      case 'path':
        this.#path(event.kind, now)
        break
      case 'tried':
        this.#tried(event.nominated, now)
        break
      case 'unsupported':
        this.#supported = false
        break
      case 'wake':
    }
    if ((this.wakeAt ?? Infinity) > now) {
      return NOTHING
    }
    this.#trying = true
    this.#came = false
    this.#pending = false
    this.#tryAt = undefined
    return [{ do: 'try', kinds: this.#better }]
  }

  #path (kind: PathKind | undefined, now: number): void {
    const before = this.#kind
    if (kind != null && this.#first) {
      this.#first = false
      this.#tryAt = now
    } else if (this.#movedAt != null && kind !== before) {
      // what a try had led to has ended, or has been left for something better
      const lasted = now - this.#movedAt >= GOOD_AFTER
      this.#movedAt = undefined
      if (kind == null || !this.#isBetter(kind, before)) {
        this.#failures = lasted ? 1 : this.#failures + 1
        this.#rest(now)
      }
    }
    if (kind != null && kind !== 'relay' && kind !== before) {
      this.#came = true
      if (this.#pending) {
        this.#pending = false
        this.#failures--
        this.#tryAt = undefined
      }
      this.#movedAt = now
      if (isDirect(kind)) {
        this.#tryAt = undefined
      } else if (this.#tryAt == null) {
        this.#failures++ // there is something better, and it was not found
        this.#rest(now)
      }
    }
    this.#kind = kind
  }

  #tried (nominated: boolean, now: number): void {
    if (!this.#trying) {
      return
    }
    this.#trying = false
    if (!nominated || !this.#came) {
      // a path that was nominated and that the link never comes to is no better than none
      this.#pending = nominated
      this.#failures++
      this.#rest(now)
    }
  }

  #rest (now: number): void {
    const rest = restAfter(this.#failures, this.#options.longestRest)
    this.#tryAt = now + (this.#pending ? Math.max(rest, PENDING_REST) : rest)
  }

  /** The kinds that are better than what the link runs on; none while it has no path. */
  get #better (): readonly PathKind[] {
    const kind = this.#kind
    return kind == null ? [] : this.#options.kinds.filter(one => this.#isBetter(one, kind))
  }

  #isBetter (one: PathKind, other: PathKind | undefined): boolean {
    const { kinds } = this.#options
    const rank = other == null || !kinds.includes(other) ? kinds.length : kinds.indexOf(other)
    return kinds.includes(one) && kinds.indexOf(one) < rank
  }
}
