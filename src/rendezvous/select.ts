// Which of several paths is the better one. Pure rules: for the nomination, and later for a link that may be moved.
//
// 1. A path counts only after bytes were acknowledged on it in both directions: one that is open in one direction looks open.
// 2. What costs neither end anything comes first, then what is direct, then what is quicker.
// 3. A path that works is left for one of a better class at once, for one of the same class only if that is clearly quicker.

/** What carries a path. */
export type PathKind = 'tcp' | 'webrtc' | 'relay-ws' | 'relay'

/** What the choice of a path looks at. */
export interface Candidate {
  readonly kind: PathKind
  /** Whether both ends say that the path costs them nothing. */
  readonly unmetered: boolean
  /** Milliseconds, as measured on this path; `undefined` when they weren't. */
  readonly roundTrip: number | undefined
  /** Bytes of ours that the other end has acknowledged on this path. */
  readonly acknowledged: number
  /** Bytes of the other end's that came on this path. */
  readonly received: number
}

/** A path of the same class must be quicker by so much, in milliseconds, … */
export const MIN_GAIN = 5
/** … and by this part of what the other one takes: less is noise, and each move costs what is on the way to be sent again. */
export const MIN_GAIN_SHARE = 0.2
/** Milliseconds that a path rests when it has failed for the first time; doubled with each time. */
export const FIRST_REST = 1_000
/** The longest rest. */
export const LONGEST_REST = 60_000

/**
 * Milliseconds by which a path of this kind counts as slower than measured. Data channels carry a thirtieth of what TCP carries
 * between two processes of Node, and streams on socket.io half of what a WebSocket of their own does, whatever a single round
 * trip takes.
 */
const HANDICAP: Readonly<Record<PathKind, number>> = { tcp: 0, webrtc: 10, 'relay-ws': 0, relay: 10 }

const DIRECT: ReadonlySet<PathKind> = new Set<PathKind>(['tcp', 'webrtc'])

/** Less than 0 when the one is better than the other, 0 when there is no difference: for sorting. */
export function compare (one: Candidate, other: Candidate): number {
  const difference = classOf(one) - classOf(other)
  if (difference !== 0) {
    return difference
  }
  const [mine, theirs] = [cost(one), cost(other)]
  return mine === theirs ? 0 : mine - theirs
}

/** Whether a path may be chosen at all. */
export function isProven ({ acknowledged, received }: Candidate): boolean {
  return acknowledged > 0 && received > 0
}

/**
 * The path to be on: `current` as long as that is good enough, `undefined` when there is none that counts. A current path that
 * is not proven is left for any that counts, but not for none.
 */
export function select<Item extends Candidate> (candidates: readonly Item[], current: Item | undefined): Item | undefined {
  const [best] = candidates.filter(isProven).toSorted(compare) // stable: the first of equals
  if (current == null || best == null || best === current) {
    return best ?? current
  }
  if (!isProven(current) || classOf(best) < classOf(current)) {
    return best
  }
  const gain = cost(current) - cost(best)
  return classOf(best) === classOf(current) && gain >= Math.max(MIN_GAIN, MIN_GAIN_SHARE * cost(current)) ? best : current
}

/** How long a path rests that has failed so many times in a row. */
export function restAfter (failures: number, longest: number = LONGEST_REST): number {
  return failures <= 0 ? 0 : Math.min(longest, FIRST_REST * 2 ** (failures - 1))
}

/** Whether a path goes past every server. */
export function isDirect (kind: PathKind): boolean {
  return DIRECT.has(kind)
}

/** 0 is the best. */
function classOf ({ unmetered, kind }: Candidate): number {
  return (unmetered ? 0 : 2) + (isDirect(kind) ? 0 : 1)
}

function cost ({ roundTrip = Infinity, kind }: Candidate): number {
  return roundTrip + HANDICAP[kind]
}
