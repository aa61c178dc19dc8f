// The house: which room may know which, held by reading every import, with the reason in the message.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { root } from './support/root.ts'

/** One import of one file; `types` when it is gone after compiling. */
interface Import {
  readonly file: string
  readonly target: string
  readonly types: boolean
}

interface Rule {
  readonly name: string
  readonly reason: string
  /** True for an import that breaks the rule. */
  readonly broken: (one: Import) => boolean
}

const ROOMS = ['src', 'server', 'client', 'bin']
const PROTOCOLS = ['src/star', 'src/pull-stream', 'src/link', 'src/rendezvous', 'src/relay', 'src/contact']
/** Comments are no imports, whatever they show. */
const COMMENTS = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const STATEMENT = /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)/g

function filesOf (folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.includes('node_modules'))
    .map(name => join(folder, name).split(sep).join('/'))
}

function importsOf (file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8').replaceAll(COMMENTS, '')
  return [...source.matchAll(STATEMENT)].map(([, types, from, dynamic]) => {
    const written = from ?? dynamic ?? ''
    const target = written.startsWith('.') ? relative(root, join(root, dirname(file), written)).split(sep).join('/') : written
    return { file, target, types: types != null }
  })
}

function isIn (folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`)
}

/** A package or one of its files. */
function isPackage (name: string, target: string): boolean {
  return target === name || target.startsWith(`${name}/`)
}

/** The drivers of the stand-alone rendezvous, for Node alone. */
function isRendezvous (path: string): boolean {
  return path === 'client/rendezvous.ts' || isIn('client/rendezvous', path)
}

/** What is for Node alone. */
function isForNode (path: string): boolean {
  return isRendezvous(path) || isIn('client/paths/node', path) || path === 'client/contact/node.ts'
}

const RULES: readonly Rule[] = [
  {
    name: 'src does no I/O',
    reason: 'the core is machines: no Node, no sockets, no drivers, so that it runs anywhere and can be tested without them',
    broken: ({ file, target }) => isIn('src', file) && (
      isBuiltin(target) || ['server', 'client', 'bin', 'test'].some(room => isIn(room, target)) ||
      ['socket.io', 'socket.io-client', 'ws', 'engine.io', 'engine.io-client'].some(name => isPackage(name, target)))
  },
  {
    name: 'src/star, src/pull-stream, src/link, src/rendezvous, src/relay and src/contact don\'t know each other',
    reason: 'each protocol can be read and replaced by itself; the drivers bring them together',
    broken: ({ file, target }) => PROTOCOLS.some(room => isIn(room, file) &&
      isIn('src', target) && target.split('/').length > 2 && !isIn(room, target))
  },
  {
    name: 'what all of src uses knows none of its protocols',
    reason: 'errors, addresses and the machine contract stand below the protocols',
    broken: ({ file, target }) => /^src\/\w+\.ts$/.test(file) && /^src\/[\w-]+\//.test(target)
  },
  {
    name: 'client and server don\'t know each other',
    reason: 'a browser must not load a server, and a server needs no client; only bin and tests have both',
    broken: ({ file, target }) =>
      (isIn('client', file) && isIn('server', target)) || (isIn('server', file) && isIn('client', target))
  },
  {
    name: 'nothing knows bin or the tests',
    reason: 'commands and tests are the top of the house',
    broken: ({ file, target }) => !isIn('bin', file) && (isIn('bin', target) || isIn('test', target))
  },
  {
    name: 'client needs no Node',
    reason: 'it runs in browsers; what differs goes through #socket, #paths and #contact, or is for Node alone and says so',
    broken: ({ file, target }) => isIn('client', file) && (isBuiltin(target) || target === 'ws') && !isForNode(file)
  },
  {
    name: 'the rest of client knows nothing of the stand-alone rendezvous, and of a platform only through #paths and #contact',
    reason: 'they need Node, and would bring it into browsers',
    broken: ({ file, target }) => isIn('client', file) && !isForNode(file) && isForNode(target)
  },
  {
    name: 'socket.io is in server/star.ts alone',
    reason: 'one driver speaks socket.io; the outbox knows only the type of its socket',
    broken: ({ file, target, types }) => isPackage('socket.io', target) && file !== 'server/star.ts' &&
      !(file === 'server/outbox.ts' && types)
  },
  {
    name: 'socket.io-client is in client/star.ts and the platform\'s options',
    reason: 'one driver speaks socket.io; client/socket*.ts hold what differs between Node and browsers',
    broken: ({ file, target }) => isPackage('socket.io-client', target) && !/^client\/(star|socket(\.\w+)?)\.ts$/.test(file)
  },
  {
    name: 'on the server, ws is in server/relay.ts alone',
    reason: 'one driver speaks bare WebSocket; all others go through socket.io',
    broken: ({ file, target }) => isPackage('ws', target) && isIn('server', file) && file !== 'server/relay.ts'
  }
]

describe('The house', () => {
  const files = ROOMS.flatMap(filesOf)
  const imports = files.flatMap(importsOf)

  it('is read correctly: every file, and the imports that each driver is known for', () => {
    assert.equal(files.length > 30, true)
    const has = (file: string, target: string): boolean => imports.some(one => one.file === file && one.target === target)
    assert.deepEqual([
      has('server/star.ts', 'socket.io'), has('client/star.ts', 'socket.io-client'), has('client/star.ts', 'src/star/session.ts'),
      has('src/star/registry.ts', 'src/star/protocol.ts'),
      has('server/star.ts', 'node:crypto'), has('src/pull-stream/relay.ts', 'src/errors.ts'), has('server/relay.ts', 'ws')
    ], [true, true, true, true, true, true, true])
  })

  for (const { name, reason, broken } of RULES) {
    it(`keeps the rule that ${name}`, () => {
      const offenders = imports.filter(broken).map(({ file, target }) => `${file} imports ${target}`)
      assert.deepEqual(offenders, [], `${name}: ${reason}`)
    })
  }

  it('would notice each broken rule', () => {
    const breaches: ReadonlyArray<readonly [string, string]> = [
      ['src/star/registry.ts', 'node:crypto'], ['src/star/registry.ts', 'src/pull-stream/relay.ts'],
      ['src/errors.ts', 'src/star/protocol.ts'],
      ['client/star.ts', 'server/options.ts'], ['server/star.ts', 'bin/libp2p-star.ts'], ['client/hub.ts', 'fs'],
      ['client/contact.ts', 'client/contact/node.ts'],
      ['server/outbox.ts', 'socket.io'], ['client/hub.ts', 'socket.io-client'], ['server/star.ts', 'ws']
    ]
    for (const [index, [file, target]] of breaches.entries()) {
      assert.equal(RULES[index]?.broken({ file, target, types: false }), true, `${file} imports ${target}`)
    }
  })

  it('has a word about each file on its first line', () => {
    const tests = filesOf('test').filter(file => !/^test\/(aegir|interop\/original)\//.test(file))
    const mute = [...files, ...tests].filter(file => {
      const [first = '', second = ''] = readFileSync(join(root, file), 'utf8').split('\n')
      return !/^(\/\/ .+|\/\*\*)/.test(first.startsWith('#!') ? second : first)
    })
    assert.deepEqual(mute, [], 'the first line of a file says what the file is for')
  })
})
