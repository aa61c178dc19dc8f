// The contract that every protocol machine of this package keeps, and the duties of whoever drives one.

/**
 * A protocol without I/O: an event goes in, a list of outputs comes back.
 *
 * The driver's duties:
 * 1. hand over every event, in the order in which it happened, with the time at which it did;
 * 2. perform every output, in order, before the next event goes in;
 * 3. for an output that asks a question (`verify`, `sign`), put the answer in as an event when it is there;
 * 4. call again with `wake` at {@link wakeAt}, or soon after; an early or a needless wake changes nothing.
 *
 * An event that the state does not allow changes nothing and answers with an output that blames the sender.
 * A machine never throws on what a peer sent. It holds no timer and knows no clock: `now` is milliseconds of any clock
 * that never goes back.
 */
export interface Machine<Event, Output> {
  /** Takes one event in and returns what is to be done about it. */
  input (event: Event, now: number): readonly Output[]
  /** When the machine wants to be woken, in milliseconds of the clock that `now` is of; `undefined` when it does not. */
  readonly wakeAt: number | undefined
}
