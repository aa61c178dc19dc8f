// The star's plain HTTP side: the status page, health, metrics, and TLS.
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isIP } from 'node:net'
import { statusPage } from './page/index.ts'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { ResolvedOptions } from './options.ts'
import type { Status } from './page/index.ts'

/** What the pages show. */
export interface Pages {
  /** Numbers for the status page. */
  status (): Status
  /** Prometheus text, or `undefined` when metrics are off. */
  metrics (): Promise<{ readonly type: string, readonly text: string }> | undefined
  /** False once the star goes down. */
  healthy (): boolean
}

/** What the star needs for TLS. */
export interface Tls {
  readonly key?: Buffer
  readonly cert?: Buffer
  readonly pfx?: Buffer
  readonly passphrase?: string
}

/** An HTTP server and what is known of its certificate. */
export interface WebServer {
  readonly server: Server
  readonly secure: boolean
  /** Whether the certificate is good for that host name or IP address; any is where there is no certificate. */
  certifies (host: string): boolean
}

/** Reads the star's key and certificate, if it has any. Rejects when a file can't be read. */
export async function readTls ({ key, cert, pfx, passphrase }: ResolvedOptions): Promise<Tls | undefined> {
  const secret = passphrase == null ? {} : { passphrase }
  if (key != null && cert != null) {
    const [keyBytes, certBytes] = await Promise.all([readFile(key), readFile(cert)])
    return { key: keyBytes, cert: certBytes, ...secret }
  }
  return pfx == null ? undefined : { pfx: await readFile(pfx), ...secret }
}

/** Makes the HTTP or HTTPS server; it doesn't listen yet. */
export function createWebServer (tls: Tls | undefined, pages: Pages): WebServer {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    respond(request, response, pages).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  }
  if (tls == null) {
    return { server: createServer(listener), secure: false, certifies: () => true }
  }
  // Node offers no way to read the certificate out of a PKCS#12 file: its names have to be given
  const certificate = tls.cert == null ? undefined : new X509Certificate(tls.cert)
  const certifies = (host: string): boolean => certificate == null || covers(certificate, host)
  return { server: createTlsServer(tls, listener), secure: true, certifies }
}

function covers (certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  return found !== undefined
}

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const

async function respond (request: IncomingMessage, response: ServerResponse, pages: Pages): Promise<void> {
  const [path = '/'] = (request.url ?? '/').split('?')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return send(response, 405, 'text/plain', 'only GET\n', { allow: 'GET, HEAD' })
  }
  switch (path) {
    case '/': {
      const { nonce, html } = statusPage(pages.status())
      return send(response, 200, 'text/html', html, {
        'content-security-policy':
          `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`
      })
    }
    case '/healthz':
      return pages.healthy() ? send(response, 200, 'text/plain', 'ok\n') : send(response, 503, 'text/plain', 'going down\n')
    case '/metrics': {
      const metrics = await pages.metrics()
      return metrics == null ? notFound(response) : send(response, 200, metrics.type, metrics.text)
    }
    default:
      return notFound(response)
  }
}

function notFound (response: ServerResponse): void {
  // the original server's answer
  send(response, 404, 'application/json', JSON.stringify({ statusCode: 404, error: 'Not Found', message: 'Not Found' }))
}

function send (response: ServerResponse, status: number, type: string, body: string, headers: Record<string, string> = {}): void {
  const contentType = type.includes('charset') ? type : `${type}; charset=utf-8`
  response.writeHead(status, { ...HEADERS, ...headers, 'content-type': contentType })
  response.end(body)
}
