/**
 * @packageDocumentation
 *
 * The star server: signalling, discovery and the relayed path, for star clients and for original libp2p-websocket-star clients.
 *
 * ```ts
 * import { startStar } from 'libp2p-star/server'
 *
 * const server = await startStar({ port: 0 })
 * console.log(server.addresses)
 * await server.close()
 * ```
 */
import { networkInterfaces } from 'node:os'
import { ContactDriver } from './contact.ts'
import { Door } from './door.ts'
import { createWebServer, readTls } from './http.ts'
import { Metrics } from './metrics.ts'
import { resolve } from './options.ts'
import { RelayDriver } from './relay.ts'
import { StarDriver } from './star.ts'
import type { AddressInfo } from 'node:net'
import type { WebServer } from './http.ts'
import type { ResolvedOptions, ServerOptions } from './options.ts'

export { StarError } from '../src/errors.ts'
export { defaults } from './options.ts'
export type { Reason } from '../src/errors.ts'
export type { ServerOptions } from './options.ts'

/** A star server that runs. */
export interface StarServer {
  /** `http://HOST:PORT` or `https://…`, of the first address it listens on. */
  readonly url: string
  readonly port: number
  /** The TCP port of the contact exchange, at the same host; `undefined` when there is none. */
  readonly contactPort: number | undefined
  /** The multiaddrs to listen on or to dial through: one for each address of this machine that the star listens on. */
  readonly addresses: string[]
  /** The addresses that have joined and can be dialled. */
  peers (): string[]
  /** Prometheus text. */
  metrics (): Promise<string>
  /** Tells clients to come back, closes every socket and stops listening. */
  close (): Promise<void>
}

/**
 * Starts a star server. Rejects with {@link StarError} `ERR_OPTIONS` for options that make no sense, and with the
 * system's error when it can't listen.
 */
export async function startStar (options?: ServerOptions): Promise<StarServer> {
  const resolved = resolve(options)
  const started = performance.now()
  let closing: Promise<void> | undefined
  const metrics = new Metrics(() => ({ ...driver.readings, relay: relay.readings, contact: contact.readings }))
  const tls = await readTls(resolved)
  const web = createWebServer(tls, {
    status: () => ({ ...driver.readings, pairs: relay.readings.pairs, seconds: (performance.now() - started) / 1000 }),
    metrics: () => resolved.metrics ? metrics.text().then(text => ({ type: metrics.contentType, text })) : undefined,
    healthy: () => closing == null
  })
  const contact = new ContactDriver(resolved, tls, metrics)
  const contactPort = resolved.contactPort == null ? undefined : await contact.listen(resolved.host, resolved.contactPort)
  await listen(web, resolved).catch(async (error: unknown) => {
    await contact.close()
    throw error
  })
  const relay = new RelayDriver(resolved, metrics)
  const driver = new StarDriver({
    options: { ...resolved, ...contactPort == null ? {} : { contactPort } },
    http: web.server,
    metrics,
    door: new Door(web.server, resolved, relay),
    paths: relay,
    isOwnName: origin => isOwnName(origin, web, resolved.names)
  })
  const { port } = web.server.address() as AddressInfo
  const addresses = starAddresses(resolved.host, port, web.secure)
  return {
    url: `${web.secure ? 'https' : 'http'}://${resolved.host.includes(':') ? `[${resolved.host}]` : resolved.host}:${port}`,
    port,
    contactPort,
    addresses,
    peers: () => driver.addresses,
    metrics: () => metrics.text(),
    close: () => {
      relay.close()
      closing ??= Promise.all([driver.close(), contact.close()]).then(() => {})
      web.server.closeAllConnections()
      return closing
    }
  }
}

async function listen (web: WebServer, { host, port }: ResolvedOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    web.server.once('error', reject)
    web.server.listen(port, host, () => {
      web.server.off('error', reject)
      resolve()
    })
  })
}

function isOwnName (origin: string, web: WebServer, names: readonly string[] | undefined): boolean {
  if (!URL.canParse(origin)) {
    return false
  }
  const { hostname, port, protocol } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (names != null && names.length > 0) {
    return names.includes(host) || names.includes(`${hostname}:${port === '' ? (protocol === 'wss:' ? 443 : 80) : port}`)
  }
  return web.certifies(host)
}

function starAddresses (host: string, port: number, secure: boolean): string[] {
  const ends = `/tcp/${port}/${secure ? 'wss' : 'ws'}/p2p-websocket-star`
  if (host !== '0.0.0.0' && host !== '::') {
    const kind = host.includes(':') ? 'ip6' : /^[0-9.]+$/.test(host) ? 'ip4' : 'dns4'
    return [`/${kind}/${host}${ends}`]
  }
  return Object.values(networkInterfaces()).flatMap(entries => entries ?? [])
    .filter(entry => (entry.family === 'IPv4' || host === '::') && !entry.address.startsWith('fe80:'))
    .map(entry => `/${entry.family === 'IPv4' ? 'ip4' : 'ip6'}/${entry.address}${ends}`)
}
