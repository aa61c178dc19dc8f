// Which of several links to one peer stays. Pure rules; both ends apply them and come to the same, whatever crosses what.
//
// 1. A name is a claim: it changes nothing. What is decided on it is only what to answer.
// 2. Who holds a link says so (`alive`). It is replaced only with the consent of a dialler that has proved itself and no longer
//    holds it.
// 3. When both dial at once, the peer with the greater id decides, and decides for its own dial: it holds the other's link back,
//    proved, until its own dial has come to something or to nothing. The other peer takes what the greater one dials at once, and
//    waits for what becomes of its own dial; if that is accepted after all, the greater one has given its own up, and it counts.
// 4. The same holds when both look for a new path for their link at once, but for an attempt of the greater one that has not
//    proved itself yet: that gives way, for the other peer can't have let it in. When our own attempt has come to something, the
//    other peer's attempts up to then are late, and refused: whoever let ours in has given its own up. One that begins later is
//    let in, whatever path we have: the other peer has lost that.
// 5. Of several links that the same peer dialled and that wait, the one with the lowest connection id is taken.
//
// Deciding earlier (at the name, as Erlang does) lets a claim end a good dial, and a path that swallows bytes win; deciding by
// ids alone lets a dead link win over a fresh one.
import type { Decision, Outcome } from './handshake.ts'
import type { NameMessage } from './wire.ts'

/** What a peer has to do with one other peer at a moment. */
export interface Standing {
  /** Whether our id is the greater one. */
  readonly greater: boolean
  /** The link that is there, proved; with a path or waiting for one. Of one that is complete only the last word is to be sent. */
  readonly link: { readonly id: bigint, readonly resumable: boolean, readonly complete: boolean } | undefined
  /** What our own attempt in flight is for. */
  readonly own: 'new' | 'resume' | undefined
  /** Whether some attempt of the other one is just being let in. */
  readonly admitting: boolean
}

/** What is done with an attempt that has proved itself: it is let in, told to wait, or refused for a link that stays. */
export type Verdict = 'admit' | 'hold' | { readonly refuse: bigint }

/** The answer to a name. */
export function decide ({ link, own }: Standing, { resume }: Pick<NameMessage, 'resume'>): Decision {
  if (resume !== 0n) {
    return link?.id === resume && link.resumable ? { status: 'alive', link: resume } : { status: 'nok', link: link?.id ?? 0n }
  }
  if (link?.complete === false) {
    return { status: 'alive', link: link.id }
  }
  return { status: own === 'new' ? 'ok_simultaneous' : 'ok' }
}

/** An attempt of the other peer; it is `late` when another one, begun by us or later, has given the link a path since. */
export interface Attempt extends Pick<Outcome, 'resume' | 'resumed' | 'replaces'> {
  readonly late: boolean
}

/** What becomes of an attempt of the other peer that has proved itself. */
export function judge ({ greater, link, own, admitting }: Standing, attempt: Attempt): Verdict {
  if (admitting) {
    return 'hold'
  }
  if (attempt.resume !== 0n) {
    if (attempt.resumed && (attempt.late || link?.id !== attempt.resume)) {
      return { refuse: link?.id ?? 0n }
    }
    return attempt.resumed && own === 'resume' && greater ? 'hold' : 'admit'
  }
  if (link?.complete === false) {
    return attempt.replaces === link.id ? 'admit' : { refuse: link.id }
  }
  return own === 'new' && greater ? 'hold' : 'admit'
}

/** The order in which attempts that wait are judged. */
export function inOrder<T extends { readonly connectionId: bigint }> (attempts: readonly T[]): T[] {
  return attempts.toSorted((one, other) => one.connectionId < other.connectionId ? -1 : 1)
}

/** Whether the one id is greater than the other, byte by byte; a longer one is greater than its own beginning. */
export function isGreater (one: Uint8Array, other: Uint8Array): boolean {
  for (const [index, byte] of one.entries()) {
    const against = other[index] ?? -1
    if (byte !== against) {
      return byte > against
    }
  }
  return false
}
