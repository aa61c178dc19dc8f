// Options: what the comments say of the defaults is true, and nonsense is refused at the door.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as client from '../client/options.ts'
import * as server from '../server/options.ts'
import { root } from './support/root.ts'

interface Subject {
  readonly file: string
  readonly defaults: Readonly<Record<string, unknown>>
  readonly resolve: (options?: object) => object
  /** Options that must have no default. */
  readonly optional: readonly string[]
  /** Other values than the default, of options that don't take any. */
  readonly others?: Readonly<Record<string, unknown>>
}

const SUBJECTS: readonly Subject[] = [
  {
    file: 'server/options.ts',
    defaults: { ...server.defaults },
    resolve: server.resolve,
    optional: ['key', 'cert', 'pfx', 'passphrase', 'names', 'contactPort']
  },
  {
    file: 'client/options.ts',
    defaults: { ...client.defaults },
    resolve: client.resolve,
    optional: ['ca', 'secret', 'offerAddress', 'dialAddress'],
    others: { direct: 'require' }
  }
]

for (const { file, defaults, resolve, optional, others = {} } of SUBJECTS) {
  const source = readFileSync(join(root, file), 'utf8')

  describe(`The options in ${file}`, () => {
    const written = new Map([...source.matchAll(/@default (.+)\n\s+\*\/\n\s+(\w+)\?:/g)].map(([, value, name]) => [name, value]))

    for (const [name, value] of Object.entries(defaults)) {
      it(`say the truth about the default of ${name}`, () => {
        const said = written.get(name)
        assert.equal(typeof value === 'number' ? said?.replaceAll('_', '') : said, String(value))
      })
    }

    it('are all documented, and only those without a default say none', () => {
      const declared = [...source.matchAll(/\*\/\n {2}(\w+)\?:/g)].map(([, name]) => name ?? '')
      const all = [...source.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name ?? '')
      assert.deepEqual(declared, all)
      assert.deepEqual(all.filter(name => !written.has(name)).toSorted(), [...optional].toSorted())
      assert.deepEqual(all.filter(name => !(name in defaults)).toSorted(), [...optional].toSorted())
    })

    it('are filled in, also where undefined was given', () => {
      assert.deepEqual(resolve(), defaults)
      assert.deepEqual(resolve(Object.fromEntries(Object.keys(defaults).map(name => [name, undefined]))), defaults)
    })

    it('keep what was given', () => {
      const other = (value: unknown): unknown =>
        typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${String(value)}x`
      const given = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, others[name] ?? other(value)]))
      assert.deepEqual(resolve(given), given)
    })

    it('are refused when they have the wrong type', () => {
      for (const [name, value] of Object.entries(defaults)) {
        for (const wrong of [null, {}, [], typeof value === 'string' ? 1 : '1']) {
          assert.throws(() => resolve({ [name]: wrong }), { code: 'ERR_OPTIONS', message: new RegExp(name) })
        }
      }
    })

    it('are refused when they are no whole number, or too small', () => {
      for (const [name] of Object.entries(defaults).filter(([, value]) => typeof value === 'number')) {
        for (const wrong of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
          assert.throws(() => resolve({ [name]: wrong }), { code: 'ERR_OPTIONS', message: new RegExp(name) }, `${name}: ${wrong}`)
        }
      }
    })
  })
}

describe('The options of a server', () => {
  it('may be 0 only where that means something', () => {
    for (const [name] of Object.entries(server.defaults).filter(([, value]) => typeof value === 'number')) {
      const taken = ['port', 'announceDelay', 'restartDelay', 'relayBytes'].includes(name)
      if (taken) {
        assert.doesNotThrow(() => server.resolve({ [name]: 0 }))
      } else {
        assert.throws(() => server.resolve({ [name]: 0 }), { code: 'ERR_OPTIONS' }, name)
      }
    }
  })

  it('have a port that exists and a budget that holds the first flight of a stream', () => {
    assert.equal(server.resolve({ port: 65_535 }).port, 65_535)
    assert.throws(() => server.resolve({ port: 65_536 }), { code: 'ERR_OPTIONS' })
    assert.equal(server.resolve({ pairBudget: 65_536 }).pairBudget, 65_536)
    assert.throws(() => server.resolve({ pairBudget: 65_535 }), { code: 'ERR_OPTIONS' })
  })

  it('have a contact exchange only where its port is given, one that exists or 0', () => {
    assert.equal('contactPort' in server.resolve(), false)
    for (const contactPort of [0, 65_535]) {
      assert.equal(server.resolve({ contactPort }).contactPort, contactPort)
    }
    for (const contactPort of [65_536, -1, 0.5, '2311', null, false]) {
      const options = { contactPort } as server.ServerOptions
      assert.throws(() => server.resolve(options), { code: 'ERR_OPTIONS', message: /contactPort/ })
    }
  })

  it('take a key with its certificate, or a PKCS#12 file, and nothing between', () => {
    const good = [{}, { key: 'k', cert: 'c' }, { key: 'k', cert: 'c', passphrase: 'p' }, { pfx: 'p', passphrase: 'p' }]
    for (const tls of good) {
      assert.doesNotThrow(() => server.resolve(tls))
    }
    const bad = [{ key: 'k' }, { cert: 'c' }, { pfx: 'p', key: 'k' }, { pfx: 'p', key: 'k', cert: 'c' }, { pfx: 'p', cert: 'c' }]
    for (const tls of bad) {
      assert.throws(() => server.resolve(tls), { code: 'ERR_OPTIONS' }, JSON.stringify(tls))
    }
  })
})
