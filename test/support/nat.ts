// Hosts behind routers of every kind, and an internet with some delay between them; each host and each router is in a network
// namespace of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Namespace, missing } from './netns.ts'
import type { ChildProcess } from 'node:child_process'

/**
 * What is in front of a host. `public`: nothing; `pubfw`: its own firewall. One public port for all destinations, into which
 * `full` lets anybody, `addr` those whose address was contacted, `port` those whose address and port were; `remap` is like
 * `port`, with other numbers outside than inside; `sym` has a new port for each destination. `+rst` refuses others instead of
 * ignoring them. `cgn`: two of `port` in a row.
 */
export type NatType = 'public' | 'pubfw' | 'full' | 'addr' | 'port' | 'port+rst' | 'remap' | 'sym' | 'sym+rst' | 'cgn'

/** A place for a host; `A` and `A2` are behind one router. */
export type Site = 'P' | 'Q' | 'A' | 'A2' | 'B' | 'C' | 'D'

/** The server's addresses, two of IPv4 so that it can be seen whether a router has another port for each. */
export const SERVER = { v4: ['198.51.100.1', '198.51.100.2'], v6: '2001:db8::1' } as const

/** Packets are not put together into larger ones: the hub would have to send these in pieces. */
const SINGLE = 'gso_max_segs 1'
/** One way between any two public addresses, in milliseconds. */
const DELAY = 10
const HUB = fileURLToPath(new URL('nat-hub.js', import.meta.url))
/** What is asked of the system beside what netns.ts needs. */
const NEEDS = 'ip link add probe type vxlan id 7 remote 127.0.0.1 dstport 4789 dev lo'

/** What is missing for that, and how to get it; `undefined` when nothing is. */
export function natMissing (): ReturnType<typeof missing> {
  return missing([{ rule: NEEDS, what: 'VXLAN devices', how: 'modprobe vxlan' }])
}

/** A host or a router that is connected to the internet, and its addresses there. */
interface Edge {
  readonly name: string
  readonly addresses: readonly string[]
}

const EDGES: readonly Edge[] = [
  { name: 'server', addresses: [...SERVER.v4, SERVER.v6] },
  { name: 'P', addresses: ['198.51.100.21', '2001:db8::21'] },
  { name: 'Q', addresses: ['198.51.100.22', '2001:db8::22'] },
  { name: 'rA', addresses: ['198.51.100.11', '2001:db8::11'] },
  { name: 'rB', addresses: ['198.51.100.12', '2001:db8::12'] },
  { name: 'carrierC', addresses: ['198.51.100.13'] },
  { name: 'carrierD', addresses: ['198.51.100.14'] }
]
/** Networks behind routers; those of IPv6 are reached through them. */
const LANS = [
  { router: 'rA', hosts: ['A', 'A2'], v4: '10.0.1', v6: '2001:db8:1:', via: '2001:db8::11' },
  { router: 'rB', hosts: ['B'], v4: '10.0.2', v6: '2001:db8:2:', via: '2001:db8::12' },
  { router: 'carrierC', hosts: ['rC'], v4: '10.64.3' },
  { router: 'carrierD', hosts: ['rD'], v4: '10.64.4' },
  { router: 'rC', hosts: ['C'], v4: '10.0.3' },
  { router: 'rD', hosts: ['D'], v4: '10.0.4' }
] as const

/** All of it. */
export class NatLab {
  readonly #namespaces = new Map<string, Namespace>()
  #hub: ChildProcess | undefined
  readonly #types = new Map<Site, NatType>()

  static async build (): Promise<NatLab> {
    const lab = new NatLab()
    try {
      await lab.#build()
      return lab
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  /** Where a host is, or the server. */
  at (name: Site | 'server'): Namespace {
    return this.#of(name)
  }

  /** Sets what is in front of a host. */
  async set (site: Site, type: NatType): Promise<void> {
    if (this.#types.get(site) === type) {
      return
    }
    this.#types.set(site, type)
    if (type === 'public' || type === 'pubfw') {
      await load(this.#of(site), type === 'public' ? '' : FIREWALL)
    } else if (type === 'cgn') {
      await Promise.all([load(this.#of(`r${site}`), rules('port', '')), load(this.#of(`carrier${site}`), rules('port', ''))])
    } else {
      await load(this.#of(site === 'B' ? 'rB' : 'rA'), rules(type, `10.0.${site === 'B' ? 2 : 1}.2`))
    }
  }

  async close (): Promise<void> {
    if (this.#hub?.exitCode === null) {
      this.#hub.kill()
      await once(this.#hub, 'exit')
    }
    await Promise.all([...this.#namespaces.values()].map(async namespace => { await namespace.close() }))
  }

  async #build (): Promise<void> {
    const hub = await Namespace.create()
    this.#namespaces.set('hub', hub)
    const names = new Set([...EDGES.map(({ name }) => name), ...LANS.flatMap(({ router, hosts }) => [router, ...hosts])])
    await Promise.all([...names].map(async name => { this.#namespaces.set(name, await Namespace.create(hub)) }))
    await hub.run(EDGES.map(({ name }, index) => [
      `ip link add dev to-${name} type veth peer name under netns ${this.#of(name).pid}`,
      `ip addr add 172.31.${index}.1/24 dev to-${name}`,
      `ip link set to-${name} up`
    ].join('\n')).join('\n'))
    await Promise.all([...EDGES.entries()].map(async ([index, edge]) => { await this.#connect(edge, index) }))
    for (const lan of LANS) {
      await this.#wire(lan)
    }
    const [file, ...args] = [...hub.enter, process.execPath, HUB, String(DELAY), ...EDGES.map((_, index) => `172.31.${index}.2`)]
    this.#hub = spawn(file as string, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await Promise.race([once(this.#hub.stdout as NodeJS.EventEmitter, 'data'), once(this.#hub, 'exit').then(() => {
      throw new Error('the hub did not start')
    })])
  }

  /** Connects one to the internet. */
  async #connect ({ name, addresses }: Edge, index: number): Promise<void> {
    await this.#of(name).run([
      `ip addr add 172.31.${index}.2/24 dev under`,
      'ip link set under up',
      `ip link add wan0 type vxlan id 7 remote 172.31.${index}.1 dstport 4789 dev under`,
      `ip link set wan0 ${SINGLE}`,
      ...addresses.map(address => `ip addr add ${address}${address.includes(':') ? '/64 dev wan0 nodad' : '/24 dev wan0'}`),
      'ip link set wan0 up',
      ...LANS.flatMap(lan => 'via' in lan && lan.router !== name && addresses.some(address => address.includes(':'))
        ? [`ip -6 route add ${lan.v6}:/64 via ${lan.via}`]
        : [])
    ].join('\n'))
  }

  /** Connects hosts to a router. */
  async #wire (lan: typeof LANS[number]): Promise<void> {
    const { router, hosts, v4 } = lan
    const v6 = 'v6' in lan ? lan.v6 : undefined
    await this.#of(router).run([
      'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding',
      'ip link add lan0 type bridge mcast_snooping 0; ip link set lan0 up',
      `ip addr add ${v4}.1/24 dev lan0`,
      ...v6 == null ? [] : [`ip addr add ${v6}:1/64 dev lan0 nodad`],
      ...hosts.map((host, index) => [
        `ip link add dev lan0-${index} type veth peer name ${host.startsWith('r') ? 'wan0' : 'eth0'} netns ${this.#of(host).pid}`,
        `ip link set lan0-${index} master lan0; ip link set lan0-${index} up`
      ].join('\n'))
    ].join('\n'))
    await Promise.all(hosts.map(async (host, index) => {
      const device = host.startsWith('r') ? 'wan0' : 'eth0'
      await this.#of(host).run([
        `ip addr add ${v4}.${index + 2}/24 dev ${device}`,
        ...v6 == null ? [] : [`ip addr add ${v6}:${index + 2}/64 dev ${device} nodad`],
        `ip link set ${device} ${SINGLE}`,
        `ip link set ${device} up`,
        `ip route add default via ${v4}.1`,
        ...v6 == null ? [] : [`ip -6 route add default via ${v6}:1`]
      ].join('\n'))
    }))
  }

  #of (name: string): Namespace {
    const namespace = this.#namespaces.get(name)
    if (namespace == null) {
      throw new Error(`there is no ${name}`)
    }
    return namespace
  }
}

/** A host's own firewall. */
const FIREWALL = `
table inet lab {
  chain arrive { type filter hook input priority filter; policy drop;
    iifname != wan0 accept
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
}`

/** What a router translates and lets through. Addresses of IPv6 it doesn't translate, but lets in only what was asked for. */
function rules (type: NatType, host: string): string {
  const [kind, modifier] = type.split('+')
  const snat = kind === 'sym' ? 'masquerade random,fully-random'
    : kind === 'remap' ? 'meta l4proto { tcp, udp } masquerade to :20000-29999' : 'masquerade'
  const open = kind === 'full' ? `iifname wan0 meta l4proto { tcp, udp } dnat ip to ${host}`
    : kind === 'addr' ? `iifname wan0 meta l4proto { tcp, udp } ip saddr @contacted dnat ip to ${host}` : ''
  const others = modifier === 'rst' ? 'iifname wan0 meta l4proto tcp reject with tcp reset' : 'iifname wan0 drop'
  return `
table inet lab {
  set contacted { type ipv4_addr; flags dynamic, timeout; timeout 5m; }
  chain map_in { type nat hook prerouting priority dstnat; ${open}
  }
  chain map_out { type nat hook postrouting priority srcnat; oifname wan0 meta nfproto ipv4 ${snat}
  }
  chain transit { type filter hook forward priority filter; policy drop;
    iifname lan0 oifname wan0 update @contacted { ip daddr }
    ct state established,related accept
    iifname lan0 accept
    ct status dnat accept
    ${others}
  }
  chain arrive { type filter hook input priority filter; policy accept;
    ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
    ${others}
  }
}`
}

async function load (namespace: Namespace, ruleset: string): Promise<void> {
  await namespace.run(`nft -f - <<'END'\nflush ruleset\n${ruleset}\nEND`)
}
