// Takes CPU profiles of the workers, reads them again and says where the time went.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'

interface ProfileNode { id: number, callFrame: { functionName: string, url: string, lineNumber: number } }
interface Profile { nodes: ProfileNode[], samples: number[], timeDeltas: number[] }

const TOP = 25
/** Microseconds between two samples. */
const INTERVAL = 250

const session = new Session()

/** Begins a profile of this process. */
export async function startProfile (): Promise<void> {
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL })
  await session.post('Profiler.start')
}

/** Ends it and writes it to a file. */
export async function stopProfile (file: string): Promise<void> {
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  writeFileSync(file, JSON.stringify(profile))
}

/** The functions with the most time of their own, and the packages, for each profile in a folder. */
export function summarise (folder: string): string {
  const files = readdirSync(folder).filter(file => file.endsWith('.cpuprofile')).sort()
  const read = (file: string): Profile => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile
  return files.map(file => `### ${file}\n\n${tables(read(file))}\n`).join('\n')
}

function tables ({ nodes, samples, timeDeltas }: Profile): string {
  const own = new Map<number, number>()
  samples.forEach((id, i) => own.set(id, (own.get(id) ?? 0) + (timeDeltas[i] ?? 0)))
  const byFunction = new Map<string, number>()
  const byPackage = new Map<string, number>()
  let busy = 0
  for (const { id, callFrame: { functionName, url, lineNumber } } of nodes) {
    const time = own.get(id) ?? 0
    // idle is no work, and the profiler's own is not ours
    if (time === 0 || functionName === '(idle)' || url === 'node:inspector') continue
    busy += time
    const where = url === '' ? '' : ` ${place(url)}:${lineNumber + 1}`
    add(byFunction, `${functionName === '' ? '(anonymous)' : functionName}${where}`, time)
    add(byPackage, packageOf(functionName, url), time)
  }
  return `${Math.round(busy / 1000)} ms busy\n\n${table('package', byPackage, busy)}\n\n${table('function', byFunction, busy)}`
}

function table (title: string, times: Map<string, number>, busy: number): string {
  const top = [...times].sort(([, a], [, b]) => b - a).slice(0, TOP)
  const lines = [`| own time, ms | part | ${title} |`, '| ---: | ---: | --- |']
  for (const [name, time] of top) lines.push(`| ${Math.round(time / 1000)} | ${(time / busy * 100).toFixed(1)} % | ${name} |`)
  return lines.join('\n')
}

function add (times: Map<string, number>, name: string, time: number): void {
  times.set(name, (times.get(name) ?? 0) + time)
}

/** The end of a path: the package and the file are enough. */
function place (url: string): string {
  const packages = url.lastIndexOf('node_modules/')
  return packages >= 0 ? url.slice(packages + 'node_modules/'.length) : url.split('/').slice(-3).join('/')
}

/** Which package a function is of; system calls and ciphers have no file and stand for themselves. */
function packageOf (name: string, url: string): string {
  if (url === '') return name === '' ? '(native)' : name
  if (url.startsWith('node:')) return url.split('/').slice(0, 2).join('/')
  const [scope = '', rest = ''] = place(url).split('/')
  if (!url.includes('node_modules/')) return 'ours'
  return scope.startsWith('@') ? `${scope}/${rest}` : scope
}
