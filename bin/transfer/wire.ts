// The wire of a file transfer, one file a libp2p stream. Every message is JSON after its length, four bytes, the highest first:
//
//     sender                                   receiver
//     { name, size }                       →
//                                          ←   { ok: true }, or { error: CODE } and that is all
//     size bytes, as they are              →
//     { sha256 }                           →
//                                          ←   { ok: true, sha256 }, or { error: CODE }; this one may come earlier
//     closes                               →

/** The protocol's name. */
export const SEND_PROTOCOL = '/libp2p-star/send/1.0.0'

/** The longest message that is read. */
export const MAX_MESSAGE = 4_096

/** Why a receiver doesn't take a file. */
export const REFUSALS = {
  ERR_SENDER: 'the receiver takes files from others only: it was started with another --from',
  ERR_BUSY: 'the receiver is taking another file: try again later',
  ERR_FILE_NAME: 'the receiver does not take a file of that name: send it under another with --name',
  ERR_FILE_SIZE: 'the file is larger than the receiver takes: its --max-size',
  ERR_FILE_EXISTS: 'the receiver has a file of that name already: send it under another with --name, or receive with --force',
  ERR_CHECKSUM: 'what arrived is not what was sent: send it again',
  ERR_WRITE: 'the receiver could not write the file: is there room on its disk?',
  ERR_PROTOCOL: 'the receiver did not understand'
} as const

/** A code of {@link REFUSALS}. */
export type Refusal = keyof typeof REFUSALS

/** The sender's first message. */
export interface Offer { readonly name: string, readonly size: number }

/** The receiver's messages. */
export type Answer = { readonly ok: true, readonly sha256?: string } | { readonly error: string }

/** Writes a message. */
export function encode (message: Offer | Answer | { readonly sha256: string }): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(message))
  const bytes = new Uint8Array(4 + body.byteLength)
  new DataView(bytes.buffer).setUint32(0, body.byteLength)
  bytes.set(body, 4)
  return bytes
}

/** Whether a message is an offer. */
export function isOffer (message: unknown): message is Offer {
  return isRecord(message) && typeof message['name'] === 'string' &&
    Number.isSafeInteger(message['size']) && Number(message['size']) >= 0
}

/** Whether a message is an answer. */
export function isAnswer (message: unknown): message is Answer {
  return isRecord(message) && (typeof message['error'] === 'string' ||
    (message['ok'] === true && (message['sha256'] === undefined || typeof message['sha256'] === 'string')))
}

/** Whether a message is the sender's last. */
export function isChecksum (message: unknown): message is { readonly sha256: string } {
  return isRecord(message) && typeof message['sha256'] === 'string'
}

/** Whether a code is one of {@link REFUSALS}. */
export function isRefusal (code: string): code is Refusal {
  return Object.hasOwn(REFUSALS, code)
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
