// A real Erlang node takes our handshake machine for one of its own kind: it is dialled by it, and dials it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { HIDDEN_NODE, decodeFrame, encodeFrame } from './erlang/frames.ts'
import { ErlangNode, hasErlang } from './erlang/node.ts'
import { Peer } from './erlang/peer.ts'
import { skipUnless } from './needs.ts'
import type { Socket } from 'node:net'
import type { Decide } from '../../src/link/handshake.ts'
import type { Connection } from './erlang/connection.ts'
import type { Sender } from './erlang/frames.ts'

const COOKIE = 'monster'
const ok: Decide = () => ({ status: 'ok' })

describe('An Erlang node', function () {
  this.timeout(60_000)
  let erlang: ErlangNode
  const peers: Peer[] = []

  before(async function () {
    skipUnless(this, hasErlang(), 'Erlang', 'apt-get install --no-install-recommends erlang-base')
    erlang = await ErlangNode.start(COOKIE)
  })

  afterEach(() => {
    peers.splice(0).forEach(peer => { peer.close() })
  })

  after(async () => {
    await erlang?.stop()
  })

  /** One of ours: with an `a` it is less than the Erlang node, whose name begins with an `m`; with a `z` it is greater. */
  async function peer (letter: 'a' | 'z' = 'a', cookie: string = COOKIE): Promise<Peer> {
    const one = stranger(`${letter}${randomBytes(6).toString('hex')}@127.0.0.1`, cookie)
    assert.equal(await erlang.ask(`net_kernel:allow(['${one.name}'])`), 'ok')
    return one
  }

  /** One that the Erlang node wasn't told of. */
  function stranger (name: string, cookie: string): Peer {
    const one = new Peer(erlang, name, cookie)
    peers.push(one)
    return one
  }

  /** The link is there for both: the node lists it as hidden, and sends its ticks over it. */
  async function checkUp ({ name }: Peer, connection: Connection, times: number = 1): Promise<void> {
    await connection.when('the handshake', () => connection.outcome != null || connection.closed)
    const { outcome } = connection
    assert.deepEqual([outcome?.peer, outcome?.resumed, connection.error], [erlang.name, false, undefined])
    await erlang.said('nodeup', name, times)
    assert.equal(await erlang.ask(`lists:member('${name}', nodes(hidden))`), 'true')
    await connection.when('a tick', () => connection.ticks > 0)
  }

  /** It came to nothing: the connection is closed, and the node knows nobody of this name. */
  async function checkDown ({ name }: Peer, connection: Connection, code: string | undefined): Promise<void> {
    await connection.when('the end of the connection', () => connection.closed)
    assert.deepEqual([connection.error?.code, connection.outcome], [code, undefined])
    assert.equal((await erlang.nodes()).includes(name), false)
    assert.equal(erlang.lines.includes(`nodeup ${name}`), false)
  }

  /** The Erlang node's own dial, as it comes in, and what becomes of it there. */
  interface Dial {
    readonly socket: Socket
    readonly result: Promise<string>
  }

  async function dialFromErlang (one: Peer): Promise<Dial> {
    const next = await one.listen()
    const result = erlang.ask(`net_kernel:hidden_connect_node('${one.name}')`)
    return { socket: await next(), result }
  }

  describe('that is dialled', () => {
    it('takes the right cookie', async () => {
      const one = await peer()
      const connection = await one.dial()
      await checkUp(one, connection)
      assert.deepEqual(connection.heard, ['ok', 'server_challenge', 'server_ack'])
      connection.close()
      await erlang.said('nodedown', one.name)
    })

    it('refuses the wrong cookie by hanging up', async () => {
      const one = await peer('a', 'another')
      const connection = await one.dial()
      await checkDown(one, connection, undefined)
      assert.deepEqual(connection.heard, ['ok', 'server_challenge'])
    })

    it('is refused when it was dialled by another name', async () => {
      const one = await peer()
      await checkDown(one, await one.dial({ peer: 'somebody@127.0.0.1' }), 'ERR_LINK_NAME')
    })

    it('says ok_simultaneous to a greater one that it is dialling itself, and that dial comes to this link', async () => {
      const one = await peer('z')
      const { result } = await dialFromErlang(one)
      const connection = await one.dial()
      await checkUp(one, connection)
      assert.deepEqual(connection.heard, ['ok_simultaneous', 'server_challenge', 'server_ack'])
      assert.equal(await result, 'true')
    })

    it('says nok to a lesser one that it is dialling itself', async () => {
      const one = await peer('a')
      const { socket, result } = await dialFromErlang(one)
      const connection = await one.dial()
      await checkDown(one, connection, 'ERR_LINK_EXISTS')
      assert.deepEqual(connection.heard, ['nok'])
      socket.destroy()
      assert.equal(await result, 'false')
    })

    it('says alive when it has a link, and replaces it for one that no longer holds it', async () => {
      const one = await peer()
      const first = await one.dial()
      await checkUp(one, first)
      const second = await one.dial({ holds: false })
      await first.when('the end of the first', () => first.closed)
      await checkUp(one, second, 2)
      assert.deepEqual(second.heard, ['alive', 'server_challenge', 'server_ack'])
      await erlang.said('nodedown', one.name)
    })

    it('keeps the link that it has for one that still holds it', async () => {
      const one = await peer()
      const first = await one.dial()
      await checkUp(one, first)
      const second = await one.dial({ holds: true })
      await second.when('the end of the second', () => second.closed)
      assert.deepEqual([second.heard, second.error?.code], [['alive'], 'ERR_LINK_EXISTS'])
      const { ticks } = first
      await first.when('another tick', () => first.ticks > ticks)
      assert.deepEqual([first.closed, (await erlang.nodes()).includes(one.name)], [false, true])
      assert.equal(erlang.lines.includes(`nodedown ${one.name}`), false)
    })

    it('keeps the link that it has when somebody without the cookie wants to replace it', async () => {
      const one = await peer()
      const first = await one.dial()
      await checkUp(one, first)
      const second = await stranger(one.name, 'another').dial()
      await second.when('the end of the second', () => second.closed)
      assert.deepEqual([second.heard, second.outcome], [['alive', 'server_challenge'], undefined])
      const { ticks } = first
      await first.when('another tick', () => first.ticks > ticks)
    })

    it('says not_allowed to a node that lacks what it needs, and to one that it wasn\'t told of', async () => {
      const lacking = await peer()
      const connection = await lacking.dial({ flags: 0n })
      await checkDown(lacking, connection, 'ERR_LINK_REFUSED')
      const unknown = stranger('unknown@127.0.0.1', COOKIE)
      const other = await unknown.dial()
      await checkDown(unknown, other, 'ERR_LINK_REFUSED')
      assert.deepEqual([connection.heard, other.heard], [['not_allowed'], ['not_allowed']])
    })
  })

  describe('that dials', () => {
    it('is taken with the right cookie', async () => {
      const one = await peer()
      const { socket, result } = await dialFromErlang(one)
      const connection = one.take(socket, ok)
      await checkUp(one, connection)
      assert.equal(await result, 'true')
      assert.deepEqual(connection.heard, ['name', 'client_challenge'])
      connection.close()
      await erlang.said('nodedown', one.name)
    })

    it('is refused with the wrong cookie', async () => {
      const one = await peer('a', 'another')
      const { socket, result } = await dialFromErlang(one)
      const connection = one.take(socket, ok)
      await checkDown(one, connection, 'ERR_LINK_SECRET')
      assert.equal(await result, 'false')
      assert.deepEqual(connection.heard, ['name', 'client_challenge'])
    })

    it('goes on when it hears ok_simultaneous', async () => {
      const one = await peer()
      const { socket, result } = await dialFromErlang(one)
      await checkUp(one, one.take(socket, () => ({ status: 'ok_simultaneous' })))
      assert.equal(await result, 'true')
    })

    it('gives up when it hears nok, once it has waited for the link that stays', async () => {
      const one = await peer()
      const { socket, result } = await dialFromErlang(one)
      const connection = one.take(socket, () => ({ status: 'nok' }))
      await checkDown(one, connection, 'ERR_LINK_EXISTS')
      assert.equal(await result, 'false')
    })

    it('gives up at once when it hears not_allowed', async () => {
      const one = await peer()
      const { socket, result } = await dialFromErlang(one)
      const connection = one.take(socket, () => ({ status: 'not_allowed' }))
      await checkDown(one, connection, 'ERR_LINK_REFUSED')
      assert.equal(await result, 'false')
    })

    it('answers alive with true when it no longer holds the link, which is then replaced', async () => {
      const one = await peer()
      const { socket, result } = await dialFromErlang(one)
      const connection = one.take(socket, () => ({ status: 'alive', link: 5n }))
      await checkUp(one, connection)
      assert.equal(await result, 'true')
      assert.deepEqual(connection.heard, ['name', 'true', 'client_challenge'])
      assert.equal(connection.outcome?.replaces, 5n)
    })

    it('answers alive with false when it no longer stands by its dial', async () => {
      const one = await peer()
      const next = await one.listen()
      const dial = `spawn(fun () -> net_kernel:hidden_connect_node('${one.name}') end)` // that call won't come back
      const [socket] = await Promise.all([next(), erlang.ask(dial)])
      await erlang.ask(forget(one.name))
      const connection = one.take(socket, () => ({ status: 'alive', link: 5n }))
      await checkDown(one, connection, 'ERR_LINK_EXISTS')
      assert.deepEqual([connection.heard, connection.stays], [['name', 'false'], 5n])
    })
  })
})

/** Lets an Erlang node forget that it dials another one, which it otherwise does in the twinkling between two messages. */
function forget (name: string): string {
  return `sys:replace_state(net_kernel, fun (State) -> list_to_tuple([
    case is_map(Part) of true -> maps:filter(fun (_, Node) -> Node =/= '${name}' end, Part); false -> Part end ||
    Part <- tuple_to_list(State)]) end), forgotten`.replaceAll(/\s+/g, ' ')
}

/** Frames of real nodes and what they say; the flags of the distribution protocol are not among it. */
const FRAMES: ReadonlyArray<readonly [what: string, hex: string, sender: Sender, says: Record<string, unknown>]> = [
  ['a name of OTP 25', '4e0000000d07df7fbd6b00e1ab000b6d403132372e302e302e31', 'dialler',
    { name: 'm@127.0.0.1', incarnation: 1_795_219_883n }],
  ['a status', '736f6b', 'acceptor', { status: 'ok' }],
  ['an answer to alive', '7374727565', 'dialler', { status: true }],
  ['a challenge of OTP 25', '4e0000000d07df7fbdb852fa066b00e1ab000b6d403132372e302e302e31', 'acceptor',
    { name: 'm@127.0.0.1', challenge: 3_092_445_702, incarnation: 1_795_219_883n }],
  ['a challenge of OTP 23', '4e0000000101df7fbd5a6bae8b6b00e303000b6d403132372e302e302e31', 'acceptor',
    { name: 'm@127.0.0.1', challenge: 1_517_006_475, incarnation: 1_795_220_227n }],
  ['a reply of OTP 27', '72bc9e1ef1050c0d69f6a62b99b4a1f875a0280f15', 'dialler',
    { challenge: 3_164_479_217, digest: bytesOf('050c0d69f6a62b99b4a1f875a0280f15') }],
  ['an ack of OTP 25', '61af07f4fee222b9f7fa36ec0cc801b5d4', 'acceptor', { digest: bytesOf('af07f4fee222b9f7fa36ec0cc801b5d4') }]
]

function bytesOf (hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

describe('A frame of the Erlang handshake', () => {
  for (const [what, hex, sender, says] of FRAMES) {
    it(`is read and spelled: ${what}`, () => {
      const frame = Buffer.from(hex, 'hex')
      const message = decodeFrame(frame, sender, 1n)
      assert.deepEqual({ ...message.value, ...says }, message.value)
      const flags = frame[0] === 0x4e ? frame.readBigUInt64BE(1) : HIDDEN_NODE
      assert.equal(encodeFrame(message, flags).toString('hex'), hex)
    })
  }

  it('may have more behind a name, and no less', () => {
    const name = '4e0000000407070f9400001234000c6a73403132372e302e302e31'
    const message = decodeFrame(Buffer.from(`${name}ffff`, 'hex'), 'dialler', 1n)
    assert.equal(encodeFrame(message, HIDDEN_NODE).toString('hex'), name)
    assert.throws(() => decodeFrame(Buffer.from(name, 'hex').subarray(0, -1), 'dialler', 1n), TypeError)
  })

  it('is none when it is malformed, or said by the wrong end', () => {
    const malformed: ReadonlyArray<readonly [Sender, string]> = [
      ['dialler', ''], ['dialler', '4e'], ['dialler', '4e000000000000000000000000ffff61'], ['dialler', '58'],
      ['acceptor', '4e0000000000000000'],
      ['dialler', '7200000001'], ['dialler', '72000000000000000000000000000000000000000000'],
      ['acceptor', '61000000000000000000000000000000'], ['acceptor', '610000000000000000000000000000000000'],
      ['acceptor', '6f6b'], ['acceptor', '737472756520'], ['acceptor', '7374727565'], ['dialler', '736f6b']
    ]
    for (const [sender, hex] of malformed) {
      assert.throws(() => decodeFrame(Buffer.from(hex, 'hex'), sender, 1n), TypeError, hex)
    }
  })
})
