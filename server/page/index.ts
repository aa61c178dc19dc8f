// The status page: what this star is, how many are on it, and the line to paste into a libp2p node.
import { randomBytes } from 'node:crypto'

/** What the page shows. */
export interface Status {
  readonly peers: number
  readonly streams: number
  /** Pairs of WebSockets in the raw relay. */
  readonly pairs: number
  /** Seconds since the star started. */
  readonly seconds: number
}

/** A page, and the nonce that its style and script carry for the content security policy. */
export interface Page {
  readonly nonce: string
  readonly html: string
}

/** Writes the page; the address on it is made in the browser, which knows by which name it came. */
export function statusPage (status: Status): Page {
  const nonce = randomBytes(16).toString('base64')
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>libp2p star</title>
<style nonce="${nonce}">
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
  body { color: #222; background: #fff }
  pre { background: #f3f3f3; padding: 1rem; overflow-x: auto; border-radius: 6px }
  dl { display: flex; gap: 2.5rem; margin: 1.5rem 0 } dt { color: #666 } dd { margin: 0; font-size: 1.6rem }
  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1b1b } pre { background: #2a2a2a } dt { color: #999 } }
</style>
<h1>libp2p star</h1>
<p>Peers meet here: they join, discover each other, and start talking at once through this server.
What libp2p peers say to each other is encrypted end to end.</p>
<dl>
  <div><dt>peers</dt><dd>${status.peers}</dd></div>
  <div><dt>streams</dt><dd>${status.streams}</dd></div>
  <div><dt>relay pairs</dt><dd>${status.pairs}</dd></div>
  <div><dt>up</dt><dd>${duration(status.seconds)}</dd></div>
</dl>
<p>The address of this star:</p>
<pre id="address">(needs JavaScript)</pre>
<p>In a libp2p node:</p>
<pre>import { star } from 'libp2p-star'

const s = star()
const node = await createLibp2p({
  addresses: { listen: ['<span id="listen">…</span>'] },
  transports: [s.transport],
  peerDiscovery: [s.discovery],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()]
})</pre>
<script nonce="${nonce}">
  const { hostname, port, protocol } = location
  const secure = protocol === 'https:'
  const host = hostname.replace(/^\\[|\\]$/g, '')
  const kind = host.includes(':') ? 'ip6' : /^[0-9.]+$/.test(host) ? 'ip4' : 'dns4'
  const scheme = secure ? '/wss' : '/ws'
  const address = '/' + kind + '/' + host + '/tcp/' + (port || (secure ? 443 : 80)) + scheme + '/p2p-websocket-star'
  document.getElementById('address').textContent = address
  document.getElementById('listen').textContent = address
</script>
</html>
`
  return { nonce, html }
}

function duration (seconds: number): string {
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60]
  if (days > 0) {
    return `${days} d ${hours} h`
  }
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`
}
