// `libp2p-star rendezvous`: two processes that have nothing in common but a URL.
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from 'uqr'
import { threeWords } from '../../bin/words.ts'
import { Cli, cleanUp, cli, needsTerminal, temporary } from './cli.ts'
import type { Ended } from './cli.ts'

const QUESTION = /do both sides show the same three words\? \[y\/N\] $/
const OFFER = ['rendezvous', 'offer', '--loopback']
/** What a terminal makes of these keys. */
const [CTRL_C, CTRL_D] = ['\u0003', '\u0004']
/** White on black. */
const COLOURS = '\u001b[97;40m'

/** The modules of a QR code that was drawn with half blocks; white is false. */
function modules (lines: readonly string[]): boolean[][] {
  return lines.flatMap(line => ['▀', '▄'].map(half => Array.from(line, block => block !== '█' && block !== half)))
}

/** What is drawn in half blocks. */
function drawing (text: string): string[] {
  const lines = text.split('\n').map(line => line.replace(COLOURS, '').replace('\u001b[0m', ''))
  return lines.filter(line => /^[▀▄█ ]{20,}$/.test(line))
}

/** What is said on stderr in JSON. */
function said ({ stderr }: Ended, name: string): Record<string, unknown> | undefined {
  const events = stderr.trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  return events.find(({ event }) => event === name)
}

describe('libp2p-star rendezvous', function () {
  this.timeout(60_000)
  afterEach(cleanUp)

  async function urlOf (offer: Cli): Promise<string> {
    return /libp2p-star:\/\/rendezvous#[\w-]+/.exec(await offer.note(/rendezvous#[\w-]+.*\n/))?.[0] ?? ''
  }

  it('carries stdin to stdout in both directions, and shows the same path at both ends', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback'], {}, 'from the offer\n')
    const joined = await new Cli(['rendezvous', 'join', await urlOf(offer)], {}, 'from the joiner\n'.repeat(20_000)).ended
    const offered = await offer.ended
    deepEqual([joined.code, joined.stdout], [0, 'from the offer'])
    deepEqual([offered.code, offered.stdout], [0, 'from the joiner\n'.repeat(20_000).trimEnd()])
    const [path = 'none'] = /^path ([\da-f]{8} ?){8}$/m.exec(joined.stderr) ?? []
    match(offered.stderr, new RegExp(`^${path}$`, 'm'))
  })

  it('says in JSON on stderr what it says, and leaves stdout to the other device', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--json'], {}, 'there')
    const joined = await new Cli(['rendezvous', 'join', '--json', await urlOf(offer)], {}, 'back').ended
    const offered = await offer.ended
    deepEqual([offered.stdout, joined.stdout, offered.code, joined.code], ['back', 'there', 0, 0])
    equal(said(offered, 'connected')?.['rph'], said(joined, 'connected')?.['rph'] ?? 'none')
  })

  it('ends with 130 when it is interrupted, and then the other one fails', async () => {
    const waiting = new Cli(['rendezvous', 'offer', '--loopback'])
    await urlOf(waiting)
    equal((await waiting.interrupt()).code, 130)
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--json'], {}, null)
    const join = new Cli(['rendezvous', 'join', '--json', await urlOf(offer)], {}, null)
    await Promise.all([offer.note(/connected/), join.note(/connected/)])
    equal((await offer.interrupt()).code, 130)
    const failed = await join.ended
    deepEqual([failed.code, said(failed, 'error')?.['code']], [1, 'ERR_PATH_LOST'])
  })

  it('says with exit code 3 that nobody came, or that nobody waits', async () => {
    const offer = new Cli(['rendezvous', 'offer', '--loopback', '--timeout', '2'])
    const url = await urlOf(offer)
    const late = await offer.ended
    equal(late.code, 3)
    match(late.stderr, /\[ERR_RENDEZVOUS_FAILED\]\n {2}does the other device still wait/)
    equal((await cli(['rendezvous', 'join', url, '--timeout', '5'])).code, 3)
  })

  it('shows three words at both ends, which follow from the hash of the path', async () => {
    const offer = new Cli([...OFFER, '--json'])
    const joined = await new Cli(['rendezvous', 'join', await urlOf(offer)]).ended
    const { rph, words } = said(await offer.ended, 'connected') ?? {}
    deepEqual(words, threeWords(Buffer.from(String(rph), 'hex')))
    match(joined.stderr, new RegExp(`^words ${threeWords(Buffer.from(String(rph), 'hex')).join(' ')}$`, 'm'))
    match(joined.stderr, new RegExp(`^path ${String(rph).replace(/.{8}(?=.)/g, '$& ')}$`, 'm'))
  })

  describe('as a QR code', () => {
    it('shows the URL with --qr, without colours where there is no terminal', async () => {
      const offer = new Cli([...OFFER, '--qr'])
      const url = await urlOf(offer)
      const text = await offer.note(/▀\n$/)
      const drawn = modules(drawing(text))
      const { data, size } = encode(url, { border: 2 })
      ok(size >= 21 + 4 && (size - 4 - 17) % 4 === 0)
      deepEqual(drawn.slice(0, size), data)
      // the corner by which a scanner finds it: a ring of black around a ring of white around a square
      const finder = drawn.slice(2, 9).map(row => row.slice(2, 9).map(dark => dark ? '#' : '.').join(''))
      deepEqual(finder, ['#######', '#.....#', '#.###.#', '#.###.#', '#.###.#', '#.....#', '#######'])
      ok(!text.includes('\u001b'))
      await offer.interrupt()
    })

    const terminals = [
      ['a wide terminal shows it in colours of its own', 120, [], true],
      ['a narrow one says why it doesn\'t', 40, [], false],
      ['a narrow one shows it with --qr', 40, ['--qr'], true],
      ['a wide one doesn\'t with --no-qr', 120, ['--no-qr'], false]
    ] as const
    describe('on a terminal', () => {
      before(needsTerminal)

      for (const [what, columns, args, shown] of terminals) {
        it(`${what}: ${columns} columns`, async () => {
          const offer = new Cli([...OFFER, ...args], {}, null, 'terminal', [`stty cols ${columns}; `, ''])
          const { size, data } = encode(await urlOf(offer), { border: 2 })
          const refused = !shown && columns === 40
          if (shown || refused) {
            await offer.note(shown ? /▀\S+\n$/ : /\(no QR code.*\n/)
          } else {
            await sleep(200) // it would come after the URL
          }
          offer.type(CTRL_C)
          const { stderr } = await offer.ended
          deepEqual(modules(drawing(stderr)).slice(0, size), shown ? data : [])
          equal(stderr.split(`\n${COLOURS}`).length - 1, shown ? Math.ceil(size / 2) : 0)
          equal(stderr.includes(`(no QR code: it is ${size} columns wide)`), refused)
        })
      }
    })

    it('is not shown in a pipe, nor in JSON', async () => {
      for (const args of [[], ['--json'], ['--json', '--qr'], ['--no-qr']]) {
        const offer = new Cli([...OFFER, ...args])
        const joined = await new Cli(['rendezvous', 'join', await urlOf(offer)]).ended
        const { code, stderr } = await offer.ended
        deepEqual([code, joined.code, /[▀▄█]/.test(stderr)], [0, 0, false], args.join(' '))
      }
    })
  })

  describe('asks whether both show the same words', () => {
    before(needsTerminal)

    /** One at a terminal, what it gets in a file, and another one. */
    async function attended (
      input: string | null = null, args: readonly string[] = []
    ): Promise<{ offer: Cli, join: Cli, got: () => Promise<string> }> {
      const file = joinPath(await temporary(), 'got')
      const offer = new Cli([...OFFER, ...args], {}, null, 'terminal', ['', ` > '${file}'`])
      const join = new Cli(['rendezvous', 'join', await urlOf(offer)], {}, input)
      return { offer, join, got: async () => await readFile(file, 'utf8') }
    }

    it('at terminals, at both ends, and passes nothing on before the answer is yes', async () => {
      const offer = new Cli(OFFER, {}, null, 'terminal')
      const join = new Cli(['rendezvous', 'join', await urlOf(offer)], {}, null, 'terminal')
      const [asked] = await Promise.all([offer.note(QUESTION), join.note(QUESTION)])
      const [words = 'none'] = /^words .*$/m.exec(asked) ?? []
      match(await join.note(QUESTION), new RegExp(`^${words}$`, 'm'))
      offer.type('y\nfrom the offer\n')
      await sleep(300)
      match(await join.note(/./), QUESTION)
      join.type('Yes\n')
      await join.note(/\nfrom the offer\n/)
      join.type(`from the joiner\n${CTRL_D}`)
      await offer.note(/\nfrom the joiner\n/)
      offer.type(CTRL_D)
      deepEqual([(await offer.ended).code, (await join.ended).code], [0, 0])
    })

    it('but nobody in a pipe, who waits for what the other one answers', async () => {
      const { offer, join, got } = await attended('from the joiner')
      await Promise.all([offer.note(QUESTION), join.note(/\npath /)])
      await sleep(300)
      equal(await got(), '')
      offer.type(`y\n${CTRL_D}`)
      deepEqual([(await offer.ended).code, (await join.ended).code], [0, 0])
      equal(await got(), 'from the joiner')
    })

    const answers = [['no', 'n\n'], ['nothing', '\n'], ['something else', 'you\n'], ['the end of the input', CTRL_D]] as const
    for (const [what, answer] of answers) {
      it(`and takes ${what} for no: both end with an error`, async () => {
        const { offer, join, got } = await attended('from the joiner')
        await offer.note(QUESTION)
        offer.type(answer)
        const [offered, joined] = await Promise.all([offer.ended, join.ended])
        deepEqual([offered.code, joined.code, joined.stdout, await got()], [1, 1, '', ''])
        match(offered.stderr, /error: the words were not confirmed: nothing .* \[ERR_NOT_CONFIRMED\]\n {2}if they differ,/)
        match(joined.stderr, /error: the other device broke off, .* \[ERR_PATH_LOST\]\n {2}it was ended, or somebody there /)
      })
    }

    it('and ends while it asks when the other one says no', async () => {
      const offer = new Cli(OFFER, {}, null, 'terminal')
      const join = new Cli(['rendezvous', 'join', await urlOf(offer)], {}, null, 'terminal')
      await Promise.all([offer.note(QUESTION), join.note(QUESTION)])
      join.type('n\n')
      const [offered, joined] = await Promise.all([offer.ended, join.ended])
      deepEqual([offered.code, joined.code], [1, 1])
      match(joined.stderr, /\[ERR_NOT_CONFIRMED\]/)
      match(offered.stderr, /\[ERR_PATH_LOST\]/)
    })

    it('and ends while it asks when it is interrupted', async () => {
      const { offer, join } = await attended()
      await offer.note(QUESTION)
      offer.type(CTRL_C)
      deepEqual([(await offer.ended).code, (await join.ended).code], [130, 1])
    })

    it('not with --yes, nor in JSON', async () => {
      for (const args of [['--yes'], ['--json']]) {
        const { offer, join, got } = await attended('from the joiner', args)
        await offer.note(/path |connected/)
        offer.type(CTRL_D)
        const { code, stderr } = await offer.ended
        deepEqual([code, (await join.ended).code, await got()], [0, 0, 'from the joiner'])
        ok(!stderr.includes('[y/N]'))
      }
    })

    it('with --confirm also where stdin is a pipe, at the terminal that the command was started from', async () => {
      const offer = new Cli([...OFFER, '--confirm'], {}, null, 'terminal', ['echo from the offer | ', ''])
      const join = new Cli(['rendezvous', 'join', await urlOf(offer)])
      await offer.note(QUESTION)
      equal(await Promise.race([join.ended, join.line(/./), sleep(300, 'nothing yet')]), 'nothing yet')
      offer.type('y\n')
      const [offered, joined] = await Promise.all([offer.ended, join.ended])
      deepEqual([offered.code, joined.code, joined.stdout], [0, 0, 'from the offer'])
    })

    it('with --confirm in JSON, too, as an event', async () => {
      const { offer, join, got } = await attended('from the joiner', ['--json', '--confirm'])
      const asked = await offer.note(/^{"event":"question".*}\n$/m)
      const [connected, question] = asked.trim().split('\n').slice(-2).map(line => JSON.parse(line) as Record<string, unknown>)
      deepEqual(question?.['words'], connected?.['words'])
      offer.type(`y\n${CTRL_D}`)
      deepEqual([(await offer.ended).code, (await join.ended).code, await got()], [0, 0, 'from the joiner'])
    })

    it('with --confirm not without a terminal: it is refused before anything is offered or dialled', async () => {
      for (const args of [OFFER, ['rendezvous', 'join', 'libp2p-star://rendezvous#']]) {
        const { code, stdout, stderr } = await new Cli([...args, '--confirm'], {}, '', 'nothing').ended
        deepEqual([code, stdout], [2, ''])
        match(stderr, /^error: there is no terminal to ask at.* \[ERR_NO_TERMINAL\]\n {2}leave out --confirm/)
      }
      match((await cli([...OFFER, '--confirm', '--yes'])).stderr, /'--confirm' cannot be used with option '-y, --yes'/)
    })
  })
})
