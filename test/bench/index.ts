// The command line of the benches: npm run bench -- --help
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { announcements } from './cases/announcements.ts'
import { dial } from './cases/dial.ts'
import { churn } from './cases/churn.ts'
import { cuts } from './cases/cuts.ts'
import { direct } from './cases/direct.ts'
import { idle } from './cases/idle.ts'
import { joins } from './cases/joins.ts'
import { moves } from './cases/moves.ts'
import { pairs } from './cases/pairs.ts'
import { past } from './cases/past.ts'
import { relay } from './cases/relay.ts'
import { stall } from './cases/stall.ts'
import { throughput } from './cases/throughput.ts'
import { run } from './harness.ts'
import type { Result, Settings } from './harness.ts'
import { summarise } from './profile.ts'
import { json, machine, markdown } from './report.ts'

const CASES = [throughput, past, relay, pairs, dial, direct, moves, cuts, joins, idle, stall, churn, announcements]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
    profile: { type: 'string' },
    node: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})

const unknown = positionals.find(name => !CASES.some(bench => bench.name === name))
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
if (values.help || unknown !== undefined || !(rounds >= 1)) {
  if (unknown !== undefined) console.error(`There is no bench called ${unknown}.`)
  console.log('npm run bench -- [name …] [--rounds N] [--quick] [--only CONTENDER,…]')
  console.log('                 [--node FLAG,…] [--json FILE] [--profile DIR]\n')
  for (const bench of CASES) console.log(`  ${bench.name.padEnd(14)}${bench.title}: ${bench.rivals.join(', ')}`)
  process.exit(values.help ? 0 : 2)
}

const settings: Settings = { rounds, quick: values.quick }
if (values.only !== undefined) settings.only = values.only.split(',')
if (values.node !== undefined) settings.node = values.node.split(',')
if (values.profile !== undefined) {
  settings.profile = values.profile
  mkdirSync(values.profile, { recursive: true })
}

const command = ['npm run bench --', ...process.argv.slice(2)].join(' ')
const head = { machine: machine(), command, date: new Date().toISOString() }
console.log(`${head.machine}\n\n    ${head.command}\n`)
if (settings.quick) console.log('--quick: too small to quote from.\n')

const results: Result[] = []
for (const bench of CASES.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
  const result = await run(bench, settings, line => console.error(`${line} (load ${loadavg()[0]!.toFixed(1)})`))
  results.push(result)
  console.log(`${markdown(result)}\n`)
  if (values.json !== undefined) writeFileSync(values.json, json(results, head))
}
if (values.profile !== undefined) console.log(summarise(values.profile))
process.exitCode = results.some(({ failures }) => failures > 0) ? 1 : 0
