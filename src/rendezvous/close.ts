// The codes with which a WebSocket path is closed, and what they mean to who is left. TCP has none: there it is just closed.
import { StarError } from '../errors.ts'

/** The codes. A relay hands 1000 and 41xx on to the other device and makes 4004 of all others. */
export const CloseCode = {
  /** Not nominated, or all is said. */
  normal: 1000,
  /** The rendezvous protocol was broken. */
  protocol: 4000,
  /** Said by a relay: the other device did not come. */
  missing: 4003,
  /** Said by a relay: the other device left without a code that can be handed on. */
  left: 4004,
  /** The first of those of the protocol that runs on top, after the nomination: 4100 to 4199. */
  upper: 4100
} as const

const MEANINGS = new Map<number, string>([
  [CloseCode.normal, 'it was not nominated, or all was said'],
  [CloseCode.protocol, 'the other end, or the relay, says that the protocol was broken'],
  [CloseCode.left, 'the other end has left']
])

/** The error of a path that was closed by somebody else, with this code if there was one. */
export function lostError (code?: number): StarError {
  if (code === CloseCode.missing) {
    return new StarError('ERR_PATH_TIMEOUT', { detail: 'the other device did not come to the relay' })
  }
  const meaning = code == null ? undefined : MEANINGS.get(code) ?? `close code ${code}`
  return new StarError('ERR_PATH_LOST', meaning == null ? {} : { detail: meaning })
}
