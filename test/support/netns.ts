// Networks that can be broken: two hosts and a star between them, each in a network namespace of its own. A namespace lives as
// long as a process in it that waits for the end of its input, so nothing of it outlives the process that made it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

/** Where somebody is: addresses with the bits of their network, and through whom all others are reached. */
interface Place {
  readonly addresses: readonly string[]
  readonly gateway?: string
  /** The star's addresses in that network; where there are none the star is in the network of the other host, too. */
  readonly star?: readonly string[]
}

/** A network of two hosts; `star` are the star's addresses in a network that the two share. */
export interface Plan {
  readonly a: Place
  readonly b: Place
  readonly star?: readonly string[]
}

const isRoot = process.getuid?.() === 0
/** Who isn't root may do all this in a user namespace of their own. */
const [UNSHARE, NSENTER] = isRoot ? [['--net'], ['--net']] : [
  ['--user', '--map-root-user', '--net'], ['--user', '--preserve-credentials', '--net']
]

/** A slow way out with half a second of packets that wait for it. */
const SLOW = 'root tbf rate 5mbit burst 16kb latency 500ms'

/** What the system lacks, and how to get it. */
interface Missing {
  readonly what: string
  readonly how: string
}

/** What is missing to build such networks, and where these commands work; `undefined` when nothing is. */
export function missing (more: ReadonlyArray<Missing & { readonly rule: string }> = []): Missing | undefined {
  if (process.platform !== 'linux') {
    return { what: 'network namespaces', how: 'run it on Linux' }
  }
  const tools = { ip: 'iproute2', nft: 'nftables', nsenter: 'util-linux' }
  const packages = Object.entries(tools).flatMap(([tool, name]) => isThere(tool, '-V') ? [] : [name])
  if (packages.length > 0) {
    return { what: packages.join(', '), how: `apt-get install ${packages.join(' ')}` }
  }
  const rules = `nft add table inet probe && ip link add probe type veth peer name other && tc qdisc add dev probe ${SLOW}`
  if (!isThere('unshare', ...UNSHARE, 'sh', '-c', rules)) {
    return { what: 'the right to make network namespaces', how: 'run it as root, or where `unshare -Urn` works' }
  }
  return more.find(({ rule }) => !isThere('unshare', ...UNSHARE, 'sh', '-c', rule))
}

/** One network namespace. */
export class Namespace {
  readonly #holder: ChildProcessByStdio<Writable, Readable, null>

  private constructor (holder: ChildProcessByStdio<Writable, Readable, null>) {
    this.#holder = holder
  }

  /** Makes one: in the user namespace of another one if that is given. */
  static async create (beside?: Namespace): Promise<Namespace> {
    const unshare = ['unshare', ...beside == null || isRoot ? UNSHARE : ['--net']]
    const [file, ...args] = [...beside?.enter ?? [], ...unshare, 'sh', '-c', 'ip link set lo up && echo ready && exec cat']
    const holder = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const namespace = new Namespace(holder)
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => {
      throw new Error('a network namespace could not be made')
    })])
    return namespace
  }

  /** What stands before a command that is to run there. */
  get enter (): string[] {
    return ['nsenter', `--target=${this.#holder.pid}`, ...NSENTER]
  }

  get pid (): number {
    return this.#holder.pid ?? 0
  }

  /** Runs a script of the shell there. */
  async run (script: string): Promise<void> {
    const [file, ...args] = [...this.enter, 'sh', '-euc', script]
    const [code] = await once(spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] }), 'exit') as [number | null]
    if (code !== 0) {
      throw new Error(`in a network namespace this failed with ${code}: ${script}`)
    }
  }

  /** Ends it: what runs in it must have ended before. */
  async close (): Promise<void> {
    if (this.#holder.exitCode == null && this.#holder.signalCode == null) {
      this.#holder.kill('SIGKILL')
      await once(this.#holder, 'exit')
    }
  }
}

/** Two hosts and a star. */
export class Networks {
  readonly star: Namespace
  readonly a: Namespace
  readonly b: Namespace
  readonly #plan: Plan

  private constructor (plan: Plan, star: Namespace, a: Namespace, b: Namespace) {
    this.#plan = plan
    this.star = star
    this.a = a
    this.b = b
  }

  static async build (plan: Plan): Promise<Networks> {
    const made: Namespace[] = []
    try {
      const star = await Namespace.create()
      made.push(star)
      const a = await Namespace.create(star)
      made.push(a)
      const b = await Namespace.create(star)
      made.push(b)
      const networks = new Networks(plan, star, a, b)
      await networks.#connect()
      return networks
    } catch (error) {
      await Promise.all(made.map(async namespace => { await namespace.close() }))
      throw error
    }
  }

  /**
   * Has packets between the two hosts dropped, silently, at the one that they come to: those that fit, in these directions. The
   * star stays within reach of both.
   */
  async drop (directions: ReadonlyArray<'a to b' | 'b to a'>, which = ''): Promise<void> {
    for (const direction of directions) {
      const [from, to] = direction === 'a to b' ? [this.#plan.a, this.b] as const : [this.#plan.b, this.a] as const
      const rules = from.addresses.map(address => address.replace(/\/.*/, '')).map(ip =>
        `add rule inet broken input ${ip.includes(':') ? 'ip6' : 'ip'} saddr ${ip} ${which} drop`)
      await to.run(`nft -f - <<'END'
add table inet broken
add chain inet broken input { type filter hook input priority 0; }
${rules.join('\n')}
END`)
    }
  }

  /** Makes the hosts' ways out slow: to each other as to the star. */
  async slow (): Promise<void> {
    await Promise.all([this.a, this.b].map(async host => { await host.run(`tc qdisc add dev eth0 ${SLOW}`) }))
  }

  /** As fast as can be again. */
  async fast (): Promise<void> {
    await Promise.all([this.a, this.b].map(async host => { await host.run('tc qdisc del dev eth0 root') }))
  }

  /** Everything comes through again. */
  async heal (): Promise<void> {
    await Promise.all([this.a, this.b].map(async host => { await host.run('nft flush ruleset') }))
  }

  async close (): Promise<void> {
    await Promise.all([this.a, this.b, this.star].map(async namespace => { await namespace.close() }))
  }

  async #connect (): Promise<void> {
    const { star: shared } = this.#plan
    // whether an address of IPv6 is taken already would be asked for a second
    const add = (addresses: readonly string[], name: string): string[] =>
      addresses.map(address => `ip addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`)
    const bridge = shared == null ? ['echo 1 > /proc/sys/net/ipv4/ip_forward'] : [
      'ip link add bridge type bridge mcast_snooping 0', 'ip link set bridge up', ...add(shared, 'bridge')
    ]
    await this.star.run(bridge.join('\n'))
    for (const name of ['a', 'b'] as const) {
      const { addresses, gateway, star = [] } = this.#plan[name]
      await this.star.run([
        `ip link add dev to-${name} type veth peer name eth0 netns ${this[name].pid}`,
        ...shared == null ? add(star, `to-${name}`) : [`ip link set to-${name} master bridge`],
        `ip link set to-${name} up`
      ].join('\n'))
      await this[name].run([
        ...add(addresses, 'eth0'), 'ip link set eth0 up', ...gateway == null ? [] : [`ip route add default via ${gateway}`]
      ].join('\n'))
    }
  }
}

function isThere (command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}
