// The documents tell the truth: every code, option, event and metric is in them and nothing else is, and the examples
// compile and run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { REASONS } from '../src/errors.ts'
import { Event } from '../src/star/protocol.ts'
import { defaults as clientDefaults } from '../client/options.ts'
import { defaults as serverDefaults } from '../server/options.ts'
import { createTestStar } from '../server/testing.ts'
import { root } from './support/root.ts'
import type { TestStar } from '../server/testing.ts'

const run = promisify(execFile)

async function read (path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8')
}

/** The first cells of the rows of all tables, as code. */
function firstCells (text: string): string[] {
  const cells = [...text.matchAll(/^\| ((?:`[^`]+`(?:, )?)+)/gm)].map(([, cell = '']) => cell)
  return cells.flatMap(cell => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
}

describe('Documents', () => {
  it('list every error code, and no other', async () => {
    const codes = firstCells(await read('docs/PROTOCOL.md')).filter(name => name.startsWith('ERR_'))
    assert.deepEqual(codes.toSorted(), Object.keys(REASONS).toSorted())
  })

  it('list every signalling event, and no other', async () => {
    const events = firstCells(await read('docs/PROTOCOL.md')).filter(name => /^(ss|ws)-/.test(name))
    assert.deepEqual(events.toSorted(), Object.values<string>(Event).toSorted())
  })

  it('list every option of the client and of the server', async () => {
    const cells = firstCells(await read('README.md'))
    const withoutDefault = ['ca', 'secret', 'key', 'cert', 'pfx', 'passphrase', 'names', 'contactPort']
    for (const name of [...Object.keys(clientDefaults), ...Object.keys(serverDefaults), ...withoutDefault]) {
      assert.ok(cells.includes(name), `${name} is missing in README.md`)
    }
  })

  it('give the true defaults of numbers', async () => {
    const readme = await read('README.md')
    for (const [name, value] of Object.entries({ ...clientDefaults, ...serverDefaults })) {
      if (typeof value === 'number') {
        const row = readme.split('\n').find(line => line.startsWith('|') && line.includes(`\`${name}\``)) ?? ''
        assert.ok(row.includes(value.toLocaleString('en-US')) || row.includes(` ${value}`), `${name} is ${value}, but: ${row}`)
      }
    }
  })

  it('list every metric of the star, and no other', async () => {
    const star = await createTestStar()
    const text = await star.server.metrics()
    await star.close()
    const served = [...text.matchAll(/^# TYPE ((?:star|rendezvous)_\w+)/gm)].map(([, name = '']) => name)
    const names = firstCells(await read('docs/OPERATIONS.md')).map(name => name.replace(/\{.*/, ''))
    const listed = names.filter(name => /^(star|rendezvous)_/.test(name))
    assert.deepEqual(listed.toSorted(), served.toSorted())
  })
})

describe('Examples of the README', function () {
  this.timeout(60_000)
  const folder = join(root, 'dist', 'readme')
  let star: TestStar
  let blocks: string[]

  before(async () => {
    star = await createTestStar()
    const readme = await read('README.md')
    const found = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, block = '']) => block)
    blocks = found.map(block => block.replaceAll('/tcp/9090/', `/tcp/${star.server.port}/`))
    await mkdir(folder, { recursive: true })
  })

  after(async () => {
    await star.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function execute (index: number, rest: string = ''): Promise<string> {
    const file = join(folder, `example-${index}.ts`)
    await writeFile(file, `${blocks[index] ?? ''}\n${rest}`)
    const { stdout } = await run(process.execPath, ['--no-warnings', file], { timeout: 20_000 })
    return stdout
  }

  it('compile', async () => {
    const files = await Promise.all(blocks.map(async (block, index) => {
      const file = join(folder, `compile-${index}.ts`)
      await writeFile(file, `${block}\nexport {}\n`)
      return file
    }))
    assert.ok(files.length >= 3)
    const options = '--noEmit --strict --target es2023 --module nodenext --types node --skipLibCheck --ignoreConfig'
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [compiler, ...options.split(' '), ...files]).catch((error: { stdout: string }) => {
      assert.fail(error.stdout)
    })
  })

  it('run: a libp2p node listens on the star', async () => {
    const output = await execute(0, 'console.log(node.getMultiaddrs().map(String).join()); await node.stop()')
    assert.match(output, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws\/p2p-websocket-star\/p2p\/12D3Koo/)
  })

  it('run: two clients without libp2p echo a greeting', async () => {
    assert.equal(await execute(1), 'hello\n')
  })

  it('run: two devices meet without a star', async () => {
    assert.match(await execute(2), /^libp2p-star:\/\/rendezvous#[\w-]+\ntrue\nhello\n$/)
  })

  it('run: a server starts and stops', async () => {
    assert.match(await execute(3), /p2p-websocket-star/)
  })

  it('run: two peers learn each other\'s addresses', async () => {
    assert.equal(await execute(4), 'true true\n')
  })
})
