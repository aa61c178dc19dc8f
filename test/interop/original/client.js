// Runs original clients (libp2p-websocket-star, and -multi) that the parent process steers.
'use strict'

const { generateKeyPairSync } = require('node:crypto')
const crypto = require('libp2p-crypto')
const multiaddr = require('multiaddr')
const PeerId = require('peer-id')
const WebsocketStar = require('libp2p-websocket-star')
const WebsocketStarMulti = require('libp2p-websocket-star-multi')
const { cleanUrlSIO } = require('libp2p-websocket-star/src/utils')
const pull = require('pull-stream')
const { call, describe, report, serve } = require('./drive')
const { Stream } = require('./stream')

const ids = []
const peers = []
const streams = []

function add (list, item) {
  return list.push(item) - 1
}

function addStream (conn) {
  return add(streams, new Stream(conn))
}

/** What the original's own generator makes takes it five seconds in JavaScript. */
function rsaKey (bits) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  const der = privateKey.export({ type: 'pkcs1', format: 'der' })
  return call((cb) => crypto.keys.supportedKeys.rsa.unmarshalRsaPrivateKey(der, cb))
}

async function createId (type, bits = 2048) {
  const key = type === 'RSA' ? await rsaKey(bits) : await call((cb) => crypto.keys.generateKeyPair(type, 256, cb))
  return call((cb) => PeerId.createFromPrivKey(key.bytes, cb))
}

/** How a peer deals with a connection that comes in. */
const handlers = {
  echo: () => (conn) => pull(conn, conn),
  collect: (peer) => (conn) => {
    const stream = addStream(conn)
    conn.getObservedAddrs((err, addresses) => {
      report('connection', { peer, stream, from: err ? String(err) : String(addresses[0]) })
    })
  },
  ignore: () => () => {}
}

serve({
  // Makes an identity: type RSA, Ed25519 or secp256k1.
  async id ({ type, bits }) {
    const id = await createId(type, bits)
    return { key: add(ids, id), id: id.toB58String() }
  },

  // The private key as libp2p's protobuf, for a client of today with the same identity.
  exportKey: ({ key }) => ids[key].marshalPrivKey().toString('base64'),

  // Makes a transport with one listener. Without `key` it has no identity; `signAs` lets another key sign.
  create ({ key, signAs, flag, handler = 'echo', servers, timeout, ignoreNoOnline, lazy }) {
    let id = ids[key]
    if (signAs !== undefined) {
      id = new PeerId(id.toBytes(), id.privKey, id.pubKey)
      id.privKey = ids[signAs].privKey
    }
    const options = { id: lazy ? undefined : id, allowJoinWithDisabledChallenge: flag }
    const transport = servers
      ? new WebsocketStarMulti({ ...options, servers, timeout, ignore_no_online: ignoreNoOnline })
      : new WebsocketStar(options)
    if (lazy) transport.lazySetId(id)
    const peer = peers.length
    const listener = transport.createListener(handlers[handler](peer))
    for (const event of ['listening', 'close', 'connection']) listener.on(event, () => report(`listener ${event}`, { peer }))
    listener.on('error', (err) => report('listener error', { peer, ...describe(err) }))
    listener.on('peer', (address) => report('peer', { peer, address }))
    transport.discovery.on('peer', (info) => {
      report('discovery', { peer, peerId: info.id.toB58String(), addresses: info.multiaddrs.toArray().map(String) })
    })
    return add(peers, { transport, listener })
  },

  async listen ({ peer, address }) {
    const { listener } = peers[peer]
    await call((cb) => listener.listen(multiaddr(address), cb))
    for (const event of ['disconnect', 'reconnect']) listener.io?.on(event, () => report(event, { peer }))
    return (await call((cb) => listener.getAddrs(cb))).map(String)
  },

  online: ({ peer }) => peers[peer].listener.online.map(({ url }) => url),

  async close ({ peer }) {
    await call((cb) => peers[peer].listener.close(cb))
  },

  // Closes while a stream is open and listens again before it has ended.
  async reopen ({ peer, address }) {
    const { listener } = peers[peer]
    listener.close(() => {})
    await call((cb) => listener.listen(multiaddr(address), cb))
  },

  // Drops the socket, whatever is open.
  drop ({ peer }) {
    peers[peer].listener._down()
  },

  // The original never leaves by itself; this is what its protocol document says it would send.
  leave ({ peer, address }) {
    peers[peer].listener.io.emit('ss-leave', address)
  },

  async dial ({ peer, address }) {
    const conn = await call((cb) => peers[peer].transport.dial(multiaddr(address), cb))
    return addStream(conn)
  },

  // Dials, sends `size` bytes, ends, and compares what comes back.
  async echo ({ peer, address, size, chunk = 65536 }) {
    const conn = await call((cb) => peers[peer].transport.dial(multiaddr(address), cb))
    const stream = new Stream(conn)
    const sent = await stream.fill(size, chunk)
    stream.end()
    return { sent, ...await stream.until() }
  },

  fill: async ({ stream, size, chunk = 65536 }) => streams[stream].fill(size, chunk),
  write: ({ stream, text }) => streams[stream].write(Buffer.from(text)),
  end: ({ stream, reason }) => streams[stream].end(reason),
  stop: ({ stream }) => streams[stream].stop(),
  until: ({ stream, bytes }) => streams[stream].until(bytes),

  async observed ({ stream }) {
    return (await call((cb) => streams[stream].conn.getObservedAddrs(cb))).map(String)
  },
  setPeerInfo: ({ stream, info }) => streams[stream].conn.setPeerInfo(info),
  getPeerInfo: ({ stream }) => call((cb) => streams[stream].conn.getPeerInfo(cb)),

  // What the original makes of an address: is it one of its own, and where would it connect to?
  understand: ({ address }) => ({
    accepted: new WebsocketStar().filter(multiaddr(address)).length === 1,
    url: cleanUrlSIO(multiaddr(address))
  })
})
