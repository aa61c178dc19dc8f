// What paths need of the platform, in Node: TCP, WebSockets, interfaces, cryptography.
import { lookup } from 'node:dns/promises'
import { Door } from './door.ts'
import { localAddresses } from './interfaces.ts'
import { nodeCrypto } from './crypto.ts'
import { TcpWire } from './tcp.ts'
import { WebSocketWire } from './web-socket.ts'
import type { Platform } from '../platform.ts'

/** The platform. */
export const platform: Platform = {
  crypto: nodeCrypto,
  dialWebSocket: (url, ca, owner) => new WebSocketWire(url, ca, owner),
  tcp: {
    lookup: async host => (await lookup(host, { all: true })).map(({ address }) => address),
    addresses: localAddresses,
    dial: (target, owner) => TcpWire.dial(target, owner),
    door: options => new Door(options)
  }
}
