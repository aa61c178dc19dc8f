// The original server with a bare socket.io client that only joins: native signatures, so that the server is what is measured.
import { generateKeyPair, privateKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { load, missing, preferWs, startServer } from './original.ts'
import type { Rival } from './types.ts'

interface OldSocket {
  once: (event: string, listener: (error?: unknown) => void) => void
  emit: (event: string, address: string, proof: string, ack: (error: unknown, nonce: string | null) => void) => void
  disconnect: () => void
}
interface OldSocketIo { connect: (url: string, options: object) => OldSocket }

export const originalRaw: Rival = {
  name: 'original-raw',
  about: 'libp2p-websocket-star-rendezvous 0.4.1 with a bare socket.io 2 client that signs natively',
  like: 'star-raw',
  missing,
  startServer,

  startEnd: async (server, options) => {
    preferWs()
    const io = load<OldSocketIo>('socket.io-client', 'libp2p-websocket-star')
    const key = options.key === undefined ? await generateKeyPair('Ed25519') : privateKeyFromProtobuf(options.key)
    const address = `${server}/ipfs/${peerIdFromPrivateKey(key).toString()}`
    const parts = multiaddr(server).getComponents()
    const url = `http://${parts[0]?.value}:${parts[1]?.value}`
    const socket = io.connect(url, { transports: ['websocket'], forceNew: true, reconnection: false })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('connect_error', reject)
    })
    const join = async (proof: string): Promise<string | null> => await new Promise((resolve, reject) => {
      socket.emit('ss-join', address, proof, (error, nonce) => {
        if (error === null || error === undefined) resolve(nonce)
        else reject(new Error(`the original server refused: ${JSON.stringify(error)}`))
      })
    })
    const nonce = await join(Buffer.from(publicKeyToProtobuf(key.publicKey)).toString('hex'))
    const signature = await key.sign(Buffer.from(nonce ?? ''))
    await join(Buffer.from(signature).toString('hex'))
    return {
      address,
      dial: async () => { throw new Error('the bare client only joins') },
      close: async () => socket.disconnect()
    }
  }
}
