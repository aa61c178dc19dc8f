// The star's plain HTTP side and TLS: pages, health, metrics, certificates, and options that make no sense.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { connect } from '../../client/index.ts'
import { startStar } from '../../server/index.ts'
import { RawClient, openStream, stages } from '../support/raw.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { WireError } from '../../src/star/protocol.ts'
import type { Stage } from '../support/raw.ts'

/** The path of a file with a test certificate; those are not compiled, so they stay where the sources are. */
function tls (name: string): string {
  return fileURLToPath(new URL(`../../../test/support/tls/${name}`, import.meta.url))
}

const PEM: ServerOptions = { key: tls('star.key'), cert: tls('star.crt') }
const PFX: ServerOptions = { pfx: tls('star.pfx'), passphrase: 'test-only' }

describe('http', () => {
  const open = stages()

  async function get (stage: Stage, path: string, init?: RequestInit): Promise<Response> {
    return await fetch(new URL(path, stage.star.server.url), init)
  }

  it('serves a status page that runs no script but its own', async () => {
    const stage = await open()
    const response = await get(stage, '/?x=1')
    const html = await response.text()
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    const policy = response.headers.get('content-security-policy') ?? ''
    const [, nonce = ''] = /script-src 'nonce-([^']{20,})'/.exec(policy) ?? []
    assert.ok(policy.startsWith("default-src 'none'"))
    const tags = html.match(/<(?:script|style)[^>]*>/g) ?? []
    assert.deepEqual(tags, [`<style nonce="${nonce}">`, `<script nonce="${nonce}">`])
    const again = await get(stage, '/')
    assert.notEqual(again.headers.get('content-security-policy'), policy)
  })

  it('shows how many peers and streams there are, and nothing of who they are', async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('star')]
    await openStream(one, other)
    const html = await (await get(stage, '/')).text()
    assert.match(html, /<dt>peers<\/dt><dd>2<\/dd>/)
    assert.match(html, /<dt>streams<\/dt><dd>1<\/dd>/)
    const metrics = await (await get(stage, '/metrics')).text()
    for (const { identity } of [one, other]) {
      assert.ok(identity != null && !html.includes(identity.id) && !metrics.includes(identity.id))
    }
  })

  it('says whether the star is well', async () => {
    const response = await get(await open(), '/healthz')
    assert.deepEqual([response.status, await response.text()], [200, 'ok\n'])
  })

  it('answers HEAD like GET, without a body', async () => {
    const response = await get(await open(), '/healthz', { method: 'HEAD' })
    assert.deepEqual([response.status, await response.text()], [200, ''])
  })

  it("serves metrics under the original's names and more", async () => {
    const stage = await open()
    const [one, other] = [await stage.join('original'), await stage.join('star')]
    await openStream(one, other)
    await one.dial(`${one.star}/ipfs/12D3KooWGEiRrLpRo1ZeFByrHbNynBBWemvBykzLhZNqKpF4dk2s`)
    await one.ask('ss-join', 'nonsense', '')
    const response = await get(stage, '/metrics')
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const text = await response.text()
    for (const [name, value] of Object.entries({
      rendezvous_peers: 2,
      rendezvous_joins_total: 3,
      rendezvous_joins_total_success: 2,
      rendezvous_joins_total_failure: 1,
      rendezvous_dials_total: 2,
      rendezvous_dials_total_success: 1,
      rendezvous_dials_total_failure: 1,
      star_streams: 1,
      star_connections: 1,
      star_connections_original: 1,
      'star_refusals_total{code="ERR_PEER_NOT_FOUND"}': 1
    })) {
      assert.equal(text.split('\n').find(line => line.startsWith(`${name} `)), `${name} ${value}`)
    }
    assert.match(text, /^process_cpu_seconds_total /m)
  })

  it('serves no metrics where they are off', async () => {
    const stage = await open({ metrics: false })
    assert.equal((await get(stage, '/metrics')).status, 404)
    assert.match(await stage.star.server.metrics(), /^rendezvous_peers 0$/m)
  })

  it('answers like the original where nothing is', async () => {
    const stage = await open()
    for (const path of ['/nothing', '/metrics/', '/%00', '/../etc/passwd', '/socket.iox']) {
      const response = await get(stage, path)
      assert.equal(response.status, 404, path)
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.deepEqual(await response.json(), { statusCode: 404, error: 'Not Found', message: 'Not Found' })
    }
  })

  it('takes nothing that is sent to it', async () => {
    const stage = await open()
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const response = await get(stage, '/', { method })
      assert.equal(response.status, 405, method)
      assert.equal(response.headers.get('allow'), 'GET, HEAD')
    }
  })

  it('answers requests whose path is no path', async () => {
    const { star } = await open()
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request({ port: star.server.port, path: '//', method: 'GET' }, response => {
        response.resume()
        resolve(response.statusCode)
      }).on('error', reject).end()
    })
    assert.equal(status, 404)
  })

  it('lets clients in by WebSocket only', async () => {
    const stage = await open()
    assert.equal((await get(stage, '/socket.io/?EIO=4&transport=polling')).status, 400)
    assert.equal((await get(stage, '/socket.io/socket.io.js')).ok, false)
  })
})

describe('tls', () => {
  const open = stages()
  let certificate: string
  let other: string

  before(async () => {
    [certificate, other] = await Promise.all([readFile(tls('star.crt'), 'utf8'), readFile(tls('other.crt'), 'utf8')])
  })

  for (const [kind, options] of [['key and certificate', PEM], ['a PKCS#12 file and its passphrase', PFX]] as const) {
    it(`works with ${kind}`, async () => {
      const { star } = await open(options)
      assert.equal(star.server.url, `https://127.0.0.1:${star.server.port}`)
      assert.equal(star.address, `/ip4/127.0.0.1/tcp/${star.server.port}/wss/p2p-websocket-star`)
      const clients = [star.address, star.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/')]
        .map(async address => await connect(address, { ca: certificate }))
      const [one, two] = await Promise.all(clients)
      assert.ok(one != null && two != null)
      const stream = await one.dial(two.id)
      await stream.sink([Buffer.from('over TLS')])
      for await (const incoming of two) {
        const { value } = await incoming.source.next()
        assert.equal(Buffer.from(value ?? []).toString(), 'over TLS')
        break
      }
      await Promise.all([one.close(), two.close()])
    })
  }

  it('keeps clients away that trust somebody else, or the system alone', async () => {
    const { star } = await open(PEM)
    for (const init of [{ ca: other }, {}]) {
      await assert.rejects(connect(star.address, init), { name: 'StarError', code: 'ERR_STAR_UNREACHABLE' })
    }
    const client = await connect(star.address, { ca: [other, certificate] })
    await client.close()
  })

  async function joinAs (stage: Stage, origin: string): Promise<string | undefined> {
    const client = await RawClient.connect(stage.star.address, 'star', { ca: certificate })
    const [error] = await client.join({ origin })
    client.socket.disconnect()
    return (error as WireError | null)?.code
  }

  it('makes the names in the certificate those by which the star may be dialled', async () => {
    const stage = await open(PEM)
    const { port } = stage.star.server
    for (const origin of [`wss://127.0.0.1:${port}`, `wss://localhost:${port}`, 'wss://localhost:443']) {
      assert.equal(await joinAs(stage, origin), undefined, origin)
    }
    for (const origin of [
      'wss://star.example:443', `wss://127.0.0.2:${port}`, 'wss://[::1]:443', 'wss://sub.localhost:1', 'nonsense'
    ]) {
      assert.equal(await joinAs(stage, origin), 'ERR_STAR_NAME', origin)
    }
  })

  it('lets names that are given count for more than the certificate', async () => {
    const stage = await open({ ...PEM, names: ['localhost'] })
    const { address } = stage.star
    await assert.rejects(connect(address, { ca: certificate }), { name: 'StarError', code: 'ERR_STAR_NAME' })
    const client = await connect(address.replace('/ip4/127.0.0.1/', '/dns4/localhost/'), { ca: certificate })
    await client.close()
  })
})

describe('options of a star', () => {
  async function assertRefused (options: Record<string, unknown>): Promise<void> {
    await assert.rejects(async () => {
      const star = await startStar({ port: 0, ...options })
      await star.close()
    }, { name: 'StarError', code: 'ERR_OPTIONS' }, JSON.stringify(options))
  }

  it('are refused when they make no sense', async () => {
    for (const options of [
      { port: -1 }, { port: 65_536 }, { port: 1.5 }, { port: '9090' }, { port: NaN }, { port: null }, { host: 5 }, { host: null },
      { cryptoChallenge: 'yes' }, { strictMultiaddr: 1 }, { metrics: {} }, { refreshPeerListIntervalMS: 0 }, { maxPeers: 0 },
      { joinsPerSecond: -5 }, { pairBudget: 65_535 }, { pairBudget: Infinity }, { stallTimeout: '1s' }, { dialTimeout: 0 }
    ]) {
      await assertRefused(options)
    }
  })

  it('are refused when TLS is given by halves or twice', async () => {
    await assertRefused({ key: PEM.key })
    await assertRefused({ cert: PEM.cert })
    await assertRefused({ ...PEM, ...PFX })
  })

  it('are taken as not given when they are undefined', async () => {
    const star = await startStar({ port: 0, host: undefined, maxPeers: undefined } as unknown as ServerOptions)
    assert.match(star.url, /^http:\/\/127\.0\.0\.1:/)
    await star.close()
  })

  it('name files that must be there and fit', async () => {
    await assert.rejects(startStar({ port: 0, key: tls('absent.key'), cert: tls('star.crt') }), { code: 'ENOENT' })
    await assert.rejects(startStar({ port: 0, key: tls('README.md'), cert: tls('star.crt') }))
    await assert.rejects(startStar({ port: 0, pfx: tls('star.pfx'), passphrase: 'wrong' }))
  })

  it('name a port that nobody else has', async () => {
    const star = await startStar({ port: 0 })
    await assert.rejects(startStar({ port: star.port }), { code: 'EADDRINUSE' })
    assert.equal((await fetch(star.url)).status, 200)
    await star.close()
  })

  it('name the address to listen on, loopback of IPv6 or all addresses too', async function () {
    const every = await startStar({ port: 0, host: '0.0.0.0' })
    assert.ok(every.addresses.includes(`/ip4/127.0.0.1/tcp/${every.port}/ws/p2p-websocket-star`))
    await every.close()
    const name = await startStar({ port: 0, host: 'localhost' })
    assert.deepEqual(name.addresses, [`/dns4/localhost/tcp/${name.port}/ws/p2p-websocket-star`])
    await name.close()
    try {
      const six = await startStar({ port: 0, host: '::1' })
      assert.equal(six.url, `http://[::1]:${six.port}`)
      const [address = ''] = six.addresses
      assert.equal(address, `/ip6/::1/tcp/${six.port}/ws/p2p-websocket-star`)
      await (await connect(address)).close()
      await six.close()
    } catch (error) {
      assert.ok(['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? ''), String(error))
      this.skip() // no IPv6 here
    }
  })
})
