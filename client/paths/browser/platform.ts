// What paths need of the platform, in browsers: WebSockets, and no TCP.
import { nobleCrypto } from '../../../src/rendezvous/crypto.ts'
import { WebSocketWire } from './web-socket.ts'
import type { Platform } from '../platform.ts'

/** The platform. */
export const platform: Platform = {
  crypto: nobleCrypto,
  dialWebSocket: (url, ca, owner) => new WebSocketWire(url, ca, owner)
}
