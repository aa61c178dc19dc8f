// Prints what a bench found as Markdown, and keeps every single figure for --json.
import { existsSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { median } from './harness.ts'
import type { Column, Figures, Result } from './harness.ts'
import { projectFolder } from './rivals/project.ts'

/** What the figures were measured on, in a line. */
export function machine (): string {
  const cores = cpus()
  const bufferutil = existsSync(join(projectFolder(), 'node_modules/bufferutil')) ? 'present' : 'not present'
  const load = loadavg()[0]!.toFixed(1)
  const model = cores[0]?.model.trim() ?? ''
  return `${cores.length} cores ${model}, Node ${process.versions.node}, bufferutil ${bufferutil}, load ${load} at start`
}

/** The tables and the legend of one bench. */
export function markdown (result: Result): string {
  const { bench, settings } = result
  const rounds = Math.max(0, ...[...result.rounds.values()].map(found => found.length))
  const lines = [`## ${bench.title}`, '', `${bench.about(settings)} Medians of ${rounds} round${rounds === 1 ? '' : 's'}.`, '']
  lines.push(`| | ${bench.columns.map(({ title }) => title).join(' | ')} |`)
  lines.push(`| --- |${' ---: |'.repeat(bench.columns.length)}`)
  for (const name of result.rounds.keys()) {
    lines.push(`| ${name} | ${bench.columns.map(column => cell(result, name, column)).join(' | ')} |`)
  }
  lines.push('', ...legend(result))
  return lines.join('\n')
}

function legend (result: Result): string[] {
  const lines: string[] = []
  if ([...result.rounds.keys()].some(name => compared(result, name) !== undefined)) {
    lines.push('In brackets: how many times better ours is than this contender in the same round (median); below 1, worse.', '')
  }
  for (const [name, about] of result.about) {
    const against = compared(result, name)
    lines.push(`- ${name}: ${about}${against === undefined ? '' : ` (compared with ${against})`}`)
  }
  for (const note of result.notes) lines.push(`- NOTE ${note}`)
  return lines
}

/** Contenders of ours that others are compared with where their own is not there. */
const OTHERWISE = ['star-moving', 'star-relay-ws', 'star-raw', 'star']

/** Which of ours a contender is compared with in this bench. */
function compared (result: Result, name: string): string | undefined {
  if (name.startsWith('star')) return undefined
  return ['star-relay', result.like.get(name)!, ...OTHERWISE].find(ours => result.rounds.has(ours))
}

function cell (result: Result, name: string, column: Column): string {
  const found = result.rounds.get(name)!
  const value = median(found.map(figures => figures[column.key] ?? Number.NaN))
  if (Number.isNaN(value)) return '–'
  const against = compared(result, name)
  if (against === undefined) return digits(value)
  const ratio = median(found.map((figures, i) => advantage(result.rounds.get(against)![i], figures, column)))
  return Number.isFinite(ratio) ? `${digits(value)} (${digits(ratio)}×)` : digits(value)
}

function advantage (ours: Figures | undefined, theirs: Figures, { key, better }: Column): number {
  const a = ours?.[key] ?? Number.NaN
  const b = theirs[key] ?? Number.NaN
  // A ratio of something that is next to nothing, or shrank, says nothing.
  if (a <= 0 || b <= 0 || !Number.isFinite(a) || !Number.isFinite(b)) return Number.NaN
  return better === 'more' ? a / b : b / a
}

/** Three digits that mean something. */
function digits (value: number): string {
  if (value === 0) return '0'
  if (value === Number.POSITIVE_INFINITY) return 'never'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(Math.abs(value) >= 10 ? 3 : 2)))
}

/** Everything that was measured, for a file. */
export function json (results: Result[], head: Record<string, unknown>): string {
  const benches = results.map(({ bench, settings, rounds, notes }) => ({
    name: bench.name,
    title: bench.title,
    about: bench.about(settings),
    columns: bench.columns,
    rounds: Object.fromEntries(rounds),
    notes
  }))
  return JSON.stringify({ ...head, benches }, null, 2)
}
