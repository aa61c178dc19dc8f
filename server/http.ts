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

/** An HTTP server and what is known of its certificate. */
export interface WebServer {
  readonly server: Server
  readonly secure: boolean
  /** Whether the certificate is good for that host name or IP address; any is where there is no certificate. */
  certifies (host: string): boolean
}

/** Makes the HTTP or HTTPS server; it doesn't listen yet. Rejects when a TLS file can't be read. */
export async function createWebServer (options: ResolvedOptions, pages: Pages): Promise<WebServer> {
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    respond(request, response, pages).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  }
  const passphrase = options.passphrase == null ? {} : { passphrase: options.passphrase }
  if (options.key != null && options.cert != null) {
    const [key, cert] = await Promise.all([readFile(options.key), readFile(options.cert)])
    const certificate = new X509Certificate(cert)
    const server = createTlsServer({ key, cert, ...passphrase }, listener)
    return { server, secure: true, certifies: host => covers(certificate, host) }
  }
  if (options.pfx != null) {
    const server = createTlsServer({ pfx: await readFile(options.pfx), ...passphrase }, listener)
    // Node offers no way to read the certificate out of a PKCS#12 file: its names have to be given
    return { server, secure: true, certifies: () => true }
  }
  return { server: createServer(listener), secure: false, certifies: () => true }
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
