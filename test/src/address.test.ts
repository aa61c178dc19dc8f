// Star addresses: every form that is taken, every form that is refused, and that one peer has one spelling.
import assert from 'node:assert/strict'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { canonicalAddress, originalSpelling, parseStarAddress, peerOfAddress, requireStarAddress } from '../../src/address.ts'
import { StarError } from '../../src/errors.ts'

const ID = 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC'
const CID_OF_ID = peerIdFromString(ID).toCID().toString()

/** Prefix, then the URL that it stands for. */
const URLS: ReadonlyArray<readonly [string, string]> = [
  ['/ip4/127.0.0.1/tcp/9090/ws', 'ws://127.0.0.1:9090'],
  ['/ip4/127.0.0.1/tcp/9090/wss', 'wss://127.0.0.1:9090'],
  ['/ip6/::1/tcp/9090/ws', 'ws://[::1]:9090'],
  ['/ip6/2001:db8::1/tcp/443/wss', 'wss://[2001:db8::1]:443'],
  ['/dns4/star.example/tcp/443/wss', 'wss://star.example:443'],
  ['/dns6/star.example/tcp/8080/ws', 'ws://star.example:8080'],
  ['/dns/star.example/tcp/80/ws', 'ws://star.example:80'],
  ['/dnsaddr/star.example/tcp/80/ws', 'ws://star.example:80'],
  ['/dns/star.example/ws', 'ws://star.example:80'],
  ['/dns4/star.example/wss', 'wss://star.example:443'],
  ['/dns6/star.example/ws', 'ws://star.example:80'],
  ['/dnsaddr/star.example/wss', 'wss://star.example:443'],
  ['/dns4/star.example/tcp/443/tls/ws', 'wss://star.example:443'],
  ['/ip4/127.0.0.1/tcp/9090/tls/ws', 'wss://127.0.0.1:9090'],
  ['/dns/star.example/tls/ws', 'wss://star.example:443']
]

const REFUSED: ReadonlyArray<readonly [string, string]> = [
  ['udp instead of tcp', '/dns4/star.example/udp/443/wss/p2p-websocket-star'],
  ['no ws', '/dns4/star.example/tcp/443/p2p-websocket-star'],
  ['no ws and no tcp', '/dns4/star.example/p2p-websocket-star'],
  ['http instead of ws', '/dns4/star.example/tcp/443/http/p2p-websocket-star'],
  ['tls without ws', '/dns4/star.example/tcp/443/tls/p2p-websocket-star'],
  ['ws before tcp', '/dns4/star.example/ws/tcp/443/p2p-websocket-star'],
  ['the star before ws', '/dns4/star.example/tcp/443/p2p-websocket-star/wss'],
  ['the star first', '/p2p-websocket-star/dns4/star.example/tcp/443/wss'],
  ['the star alone', '/p2p-websocket-star'],
  ['no star', '/dns4/star.example/tcp/443/wss'],
  ['another star', '/dns4/star.example/tcp/443/wss/p2p-webrtc-star'],
  ['the peer before the star', `/dns4/star.example/tcp/443/wss/p2p/${ID}/p2p-websocket-star`],
  ['a circuit behind the peer', `/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/${ID}/p2p-circuit`],
  ['a second peer behind the peer', `/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/${ID}/p2p/${ID}`],
  ['something else behind the star', '/dns4/star.example/tcp/443/wss/p2p-websocket-star/tcp/1'],
  ['the star twice', '/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p-websocket-star'],
  ['an unreadable peer id', '/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/nobody'],
  ['ip4 without tcp', '/ip4/127.0.0.1/ws/p2p-websocket-star'],
  ['ip6 without tcp', '/ip6/::1/wss/p2p-websocket-star'],
  ['an ip4 address that is none', '/ip4/127.0.0.256/tcp/80/ws/p2p-websocket-star'],
  ['a port that is none', '/ip4/127.0.0.1/tcp/65536/ws/p2p-websocket-star'],
  ['a unix socket', '/unix/tmp%2Fstar/ws/p2p-websocket-star'],
  ['no host', '/tcp/80/ws/p2p-websocket-star'],
  ['a URL', 'wss://star.example:443'],
  ['an empty text', ''],
  ['a slash', '/']
]

describe('A star address', () => {
  for (const [prefix, url] of URLS) {
    it(`${prefix} stands for ${url}, with a peer or without`, () => {
      const star = `${prefix}/p2p-websocket-star`
      assert.deepEqual(parseStarAddress(star), { canonical: star, star, url })
      for (const protocol of ['p2p', 'ipfs']) {
        assert.deepEqual(parseStarAddress(`${star}/${protocol}/${ID}`), { canonical: `${star}/p2p/${ID}`, star, url, peer: ID })
      }
    })
  }

  for (const [what, address] of REFUSED) {
    it(`is refused with ${what}`, () => {
      assert.equal(parseStarAddress(address), undefined)
      assert.throws(() => requireStarAddress(address), error => error instanceof StarError && error.code === 'ERR_ADDRESS')
    })
  }

  it('is the same as a text and as a multiaddr', () => {
    for (const [prefix] of URLS) {
      const address = `${prefix}/p2p-websocket-star/p2p/${ID}`
      assert.deepEqual(parseStarAddress(multiaddr(address)), requireStarAddress(address))
    }
  })

  it('has one spelling, whichever way the peer id and the IPv6 address were written', () => {
    const spellings = [
      `/ip6/::1/tcp/80/ws/p2p-websocket-star/p2p/${ID}`,
      `/ip6/0:0:0:0:0:0:0:1/tcp/80/ws/p2p-websocket-star/p2p/${CID_OF_ID}`,
      `/ip6/0000:0000::0001/tcp/80/ws/p2p-websocket-star/ipfs/${CID_OF_ID}`,
      `/ip6/::1/tcp/80/ws/p2p-websocket-star/ipfs/${ID}`
    ]
    assert.deepEqual(new Set(spellings.map(address => requireStarAddress(address).canonical)), new Set([spellings[0]]))
    assert.deepEqual(new Set(spellings.map(canonicalAddress)), new Set([spellings[0]]))
    assert.deepEqual(new Set(spellings.map(address => requireStarAddress(address).peer)), new Set([ID]))
  })

  it('is told from others like the filter of the original client does: 8 of 11 remain', () => {
    const listed = [
      '/ip4/127.0.0.1/tcp/9090/wss/p2p-websocket-star',
      `/ip4/127.0.0.1/tcp/9090/wss/p2p-websocket-star/ipfs/${ID}`,
      `/ip4/127.0.0.1/tcp/9090/ws/p2p-websocket-star/ipfs/${ID}`,
      `/ip6/::1/tcp/9090/ws/p2p-websocket-star/ipfs/${ID}`,
      `/dnsaddr/star.example/ws/p2p-websocket-star/ipfs/${ID}`,
      `/dnsaddr/star.example/wss/p2p-websocket-star/ipfs/${ID}`,
      '/dnsaddr/star.example/wss/p2p-websocket-star',
      `/dns4/star.example/tcp/443/wss/p2p-websocket-star/ipfs/${ID}`,
      `/ip4/127.0.0.1/tcp/9090/ws/ipfs/${ID}`,
      `/ip4/127.0.0.1/tcp/9090/p2p-websocket-star/ipfs/${ID}`,
      `/p2p-websocket-star/ip4/127.0.0.1/tcp/9090/ws/ipfs/${ID}`
    ]
    assert.deepEqual(listed.filter(address => parseStarAddress(address) != null), listed.slice(0, 8))
  })

  it('gives one URL for one server, as the original client cleaned it: its own port or another', () => {
    const same = ['/dns4/h.example/tcp/443/wss', '/dns/h.example/wss', '/dns6/h.example/tcp/443/tls/ws']
    const urlOf = (prefix: string): string => requireStarAddress(`${prefix}/p2p-websocket-star`).url
    assert.deepEqual(new Set(same.map(urlOf)), new Set(['wss://h.example:443']))
    const urls = ['/ip4/1.2.3.4/tcp/80/ws', '/ip4/1.2.3.4/tcp/9999/wss', '/ip4/1.2.3.4/tcp/8080/ws'].map(urlOf)
    assert.deepEqual(urls.map(url => new URL(url).href), ['ws://1.2.3.4/', 'wss://1.2.3.4:9999/', 'ws://1.2.3.4:8080/'])
  })

  it('keeps every part through taking apart, for any host, port, scheme and peer', () => {
    const host = fc.oneof(
      fc.ipV4().map(ip => `/ip4/${ip}`),
      fc.ipV6().filter(ip => !ip.includes('.')).map(ip => `/ip6/${ip}`),
      fc.domain().chain(name => fc.constantFrom('dns', 'dns4', 'dns6', 'dnsaddr').map(kind => `/${kind}/${name}`))
    )
    const scheme = fc.constantFrom('ws', 'wss', 'tls/ws')
    fc.assert(fc.property(host, fc.integer({ min: 1, max: 65_535 }), scheme, fc.boolean(), (where, port, way, withPeer) => {
      const address = `${where}/tcp/${port}/${way}/p2p-websocket-star${withPeer ? `/ipfs/${ID}` : ''}`
      const parsed = requireStarAddress(address)
      assert.equal(parsed.peer, withPeer ? ID : undefined)
      assert.deepEqual(requireStarAddress(parsed.canonical), parsed)
      assert.equal(parsed.canonical, canonicalAddress(address))
      assert.match(parsed.url, way === 'ws' ? /^ws:/ : /^wss:/)
      assert.equal(parsed.url.split(':').at(-1), String(port))
      assert.doesNotThrow(() => new URL(parsed.url))
    }))
  })

  it('is never thrown about, whatever text it is', () => {
    const protocol = fc.constantFrom('ip4', 'dns', 'tcp', 'ws', 'wss', 'tls', 'p2p-websocket-star', 'p2p', 'ipfs')
    const part = fc.oneof(protocol, fc.constantFrom(ID, '1.2.3.4', '80', '', '%'))
    const text = fc.oneof(fc.string(), fc.array(part).map(parts => `/${parts.join('/')}`))
    fc.assert(fc.property(text, address => {
      const parsed = parseStarAddress(address)
      canonicalAddress(address)
      assert.equal(parsed == null || parsed.canonical.startsWith(parsed.star), true)
    }), { numRuns: 500 })
  })
})

describe('The spelling of an address', () => {
  it('has /ipfs/ for original clients and /p2p/ otherwise', () => {
    const address = `/dns4/star.example/tcp/443/wss/p2p-websocket-star/p2p/${ID}`
    assert.equal(originalSpelling(address), address.replace('/p2p/', '/ipfs/'))
    assert.equal(canonicalAddress(originalSpelling(address)), address)
  })

  it('is left alone where there is no peer at the end', () => {
    for (const address of ['/dns4/star.example/wss/p2p-websocket-star', `/ip4/1.2.3.4/tcp/1/p2p/${ID}/p2p-circuit`]) {
      assert.equal(originalSpelling(address), address)
    }
  })

  it('has the peer at its end, in both spellings', () => {
    assert.equal(peerOfAddress(`/ip4/1.2.3.4/p2p/${ID}`), ID)
    assert.equal(peerOfAddress(`/ip4/1.2.3.4/ipfs/${ID}`), ID)
    assert.equal(peerOfAddress(`/ip4/1.2.3.4/tcp/1/p2p/${CID_OF_ID}/p2p-circuit/p2p/${ID}`), ID)
    assert.equal(peerOfAddress('/ip4/1.2.3.4/tcp/1'), undefined)
    assert.equal(peerOfAddress(`/p2p/${ID}/p2p-circuit`), undefined)
  })

  it('is canonical for any multiaddr and for nothing else', () => {
    assert.equal(canonicalAddress(`/ip4/0.0.0.0/ipfs/${CID_OF_ID}`), `/ip4/0.0.0.0/p2p/${ID}`)
    assert.equal(canonicalAddress('no address'), undefined)
  })
})
