// Runs original servers (libp2p-websocket-star-rendezvous) that the parent process steers.
'use strict'

const rendezvous = require('libp2p-websocket-star-rendezvous')
const { serve } = require('./drive')

const servers = []

serve({
  // `metrics` must stay off: with it one unknown path ends the process on today's Node.
  async start ({ options }) {
    // The original reads 0 as "the default port"; the string means any.
    const server = await rendezvous.start({ ...options, port: options.port || '0', host: options.host ?? '127.0.0.1' })
    return { server: servers.push(server) - 1, uri: server.info.uri, port: server.info.port, protocol: server.info.protocol }
  },
  peers: ({ server }) => Object.keys(servers[server].peers()),
  stop: async ({ server }) => { await servers[server].stop({ timeout: 100 }) }
})
