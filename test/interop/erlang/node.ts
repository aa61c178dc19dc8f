// A real Erlang node with a port mapper of its own, on loopback. Both end when this process does, however it ends.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { Watched, within } from '../../support/waiting.ts'
import type { ChildProcessByStdio } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import type { Readable, Writable } from 'node:stream'

type Child = ChildProcessByStdio<Writable, Readable, Readable>

const HOST = '127.0.0.1'

/** The port mapper isn't asked to end with its parent, so a shell sees to it: its input ends when this process does. */
const EPMD = 'epmd -d -port "$1" -address 127.0.0.1 & read -r _; kill $!; wait'

/** Evaluates each line of its input and prints what comes of it behind the line's number; prints what nodes come and go. */
const PROGRAM = `
  Evaluate = fun (Text) ->
    try
      {ok, Tokens, _} = erl_scan:string(Text),
      {ok, Expressions} = erl_parse:parse_exprs(Tokens),
      {value, Value, _} = erl_eval:exprs(Expressions, []),
      Value
    catch
      Class:Reason -> {Class, Reason}
    end
  end,
  Listen = fun Listen () ->
    case io:get_line("") of
      eof -> halt();
      Line ->
        [Number, Text] = string:split(Line, " "),
        spawn(fun () -> io:format("~s ~0p~n", [Number, Evaluate(Text)]) end),
        Listen()
    end
  end,
  Watch = fun Watch () ->
    receive {What, Node, _} -> io:format("~s ~s~n", [What, Node]) end,
    Watch()
  end,
  spawn(fun () ->
    net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    io:format("ready~n"),
    Watch()
  end),
  spawn(Listen).`

/** Whether this machine has Erlang. */
export function hasErlang (): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v erl && command -v epmd'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A node, and a way to ask it things. */
export class ErlangNode extends Watched {
  readonly name: string
  /** The port of its port mapper. */
  readonly epmd: number
  /** What it has printed: answers behind their numbers, `nodeup` and `nodedown` with the name of the node. */
  readonly lines: string[] = []
  readonly #children: readonly Child[]
  #questions = 0

  private constructor (name: string, epmd: number, children: readonly Child[], node: Child) {
    super()
    this.name = name
    this.epmd = epmd
    this.#children = children
    for (const silent of [node.stderr, ...children.slice(1).flatMap(({ stdout, stderr }) => [stdout, stderr])]) {
      silent.resume()
    }
    createInterface(node.stdout).on('line', line => {
      this.lines.push(line)
      this.changed()
    })
  }

  static async start (cookie: string): Promise<ErlangNode> {
    const port = await freePort()
    const name = `m${randomBytes(6).toString('hex')}@${HOST}`
    const mapper: Child = spawn('sh', ['-c', EPMD, 'sh', String(port)], { stdio: 'pipe' })
    await within('the port mapper to start', once(mapper.stderr, 'data'), 20_000)
    const kernel = { inet_dist_use_interface: '{127,0,0,1}', net_setuptime: '2', net_ticktime: '2' }
    const node: Child = spawn('erl', [
      '-noshell', '-name', name, '-setcookie', cookie, '-start_epmd', 'false',
      ...Object.entries(kernel).flatMap(([key, value]) => ['-kernel', key, value]), '-eval', PROGRAM
    ], {
      stdio: 'pipe',
      env: { ...process.env, HOME: tmpdir(), ERL_EPMD_PORT: String(port), ERL_CRASH_DUMP_BYTES: '0' }
    })
    const erlang = new ErlangNode(name, port, [node, mapper], node)
    try {
      await erlang.when('the Erlang node to start', () => erlang.lines.includes('ready'), 20_000)
    } catch (error) {
      await erlang.stop()
      throw error
    }
    return erlang
  }

  /** Evaluates expressions; what comes of it is as Erlang prints it. */
  async ask (expressions: string): Promise<string> {
    const number = `${++this.#questions} `
    this.#children[0]?.stdin.write(`${number}${expressions}.\n`)
    let answer: string | undefined
    await this.when(expressions, () => (answer = this.lines.find(line => line.startsWith(number))) != null)
    return answer?.slice(number.length) ?? ''
  }

  /** The nodes that it is connected to, or still was when it was asked. */
  async nodes (): Promise<string[]> {
    const list = await this.ask('nodes(connected)')
    return [...list.matchAll(/'([^']+)'/g)].map(([, name]) => name ?? '')
  }

  /** Waits until it has said so many times that a node has come, or gone. */
  async said (what: 'nodeup' | 'nodedown', name: string, times: number = 1): Promise<void> {
    await this.when(`${what} ${name}`, () => this.lines.filter(line => line === `${what} ${name}`).length >= times)
  }

  /** Ends node and port mapper, and waits until they are gone. */
  async stop (): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode == null && child.signalCode == null) {
        const gone = once(child, 'exit')
        child.stdin.end()
        await within('an Erlang process to end', gone)
      }
    }
  }
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
