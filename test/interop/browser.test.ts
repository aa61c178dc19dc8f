// A real browser: a libp2p node bundled for the web joins the star, discovers a Node peer, dials it, and is dialled by it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { star } from '../../client/index.ts'
import { createTestStar } from '../../server/testing.ts'
import { createNode, nextEvent, until, whenNode } from '../support/nodes.ts'
import { root } from '../support/root.ts'
import { skipUnless } from './needs.ts'
import type { ChildProcess } from 'node:child_process'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PeerInfo, Stream } from '@libp2p/interface'
import type { Star } from '../../client/index.ts'
import type { TestStar } from '../../server/testing.ts'
import type { Node } from '../support/nodes.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'
]
const ECHO = '/interop/echo/1.0.0'

/** Bundles the page's script for browsers, through the conditions of package.json that browsers use. */
async function bundle (): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'dist/test/interop/browser-page.js')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    logLevel: 'silent'
  })
  return outputFiles[0]?.text ?? ''
}

describe('a browser on the star', function () {
  this.timeout(90_000)
  let server: TestStar
  let web: Server
  let node: Node
  let made: Star
  let browser: ChildProcess
  let profile: string

  before(async function () {
    skipUnless(this, existsSync(CHROMIUM), CHROMIUM, 'apt-get install chromium')
    const script = await bundle()
    server = await createTestStar()
    made = star()
    node = await createNode([server.address], {}, { transports: [made.transport], peerDiscovery: [made.discovery] })
    await node.handle(ECHO, (stream: Stream) => {
      stream.addEventListener('message', event => { stream.send(event.data) })
    })
    const page = `<!doctype html><script type="module">${script.replaceAll('</script', '<\\/script')}</script>`
    web = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      response.end(page)
    })
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    profile = await mkdtemp(join(tmpdir(), 'libp2p-star-'))
    const { port } = web.address() as AddressInfo
    const query = new URLSearchParams({ star: server.address })
    const url = `http://127.0.0.1:${port}/?${query.toString()}`
    browser = spawn(CHROMIUM, [...FLAGS, `--user-data-dir=${profile}`, url], { stdio: 'ignore' })
  })

  after(async () => {
    if (browser?.exitCode === null) {
      browser.kill('SIGKILL')
      await once(browser, 'exit')
    }
    web?.close()
    web?.closeAllConnections()
    await node?.stop()
    await server?.close()
    if (profile != null) {
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  })

  it('is discovered, connects, echoes a megabyte over the star, answers a ping, and moves to the raw relay', async () => {
    const discovered = await nextEvent<CustomEvent<PeerInfo>>(node, 'peer:discovery', () => true, 60_000)
    await whenNode(node, 'connection:open', () => node.getConnections(discovered.detail.id).length > 0, 60_000)
    // the page reports what its echo came to in a stream of its own
    const report = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => { reject(new Error('the page did not report')) }, 60_000)
      void node.handle('/interop/report/1.0.0', (stream: Stream) => {
        stream.addEventListener('message', event => {
          clearTimeout(timer)
          resolve(new TextDecoder().decode(event.data.subarray()))
        })
      })
    })
    assert.equal(report, 'echoed 1048576 bytes, all equal')
    await node.services.ping.ping(discovered.detail.id)
    // a browser has no TCP: the connection moves to the raw relay, and goes on there
    await until(() => made.explain(discovered.detail.id).links[0]?.path?.kind === 'relay-ws', 20_000)
    await node.services.ping.ping(discovered.detail.id)
  })
})
