// How far a transfer is: a bar where somebody looks, events where a machine reads, else nothing.
import { SingleBar } from 'cli-progress'
import { formatBytes } from './options.ts'
import type { Output } from './output.ts'

/** Shows how far something is. */
export interface Progress {
  update (bytes: number): void
  stop (): void
}

/** Milliseconds between two events in JSON. */
const PERIOD = 250

/** Begins to show how far the transfer of so many bytes is. */
export function startProgress (output: Output, name: string, size: number): Progress {
  if (output.json) {
    return jsonProgress(output, name, size)
  }
  return output.interactive ? new Bar(name, size) : { update: () => {}, stop: () => {} }
}

function jsonProgress (output: Output, name: string, size: number): Progress {
  let due = performance.now() + PERIOD
  return {
    update: bytes => {
      if (performance.now() >= due || bytes === size) {
        due = performance.now() + PERIOD
        output.tell('progress', { name, bytes, size })
      }
    },
    stop: () => {}
  }
}

/** A bar on stderr. */
class Bar implements Progress {
  readonly #bar: SingleBar
  readonly #size: number
  readonly #started: number = performance.now()
  /** Gives the cursor back, however the process ends. */
  readonly #onExit = (): void => { this.#bar.stop() }

  constructor (name: string, size: number) {
    this.#size = size
    this.#bar = new SingleBar({
      format: '{name} [{bar}] {percentage}% of {size}, {speed}/s, {eta_formatted} left',
      hideCursor: true,
      barsize: 24,
      etaBuffer: 50,
      gracefulExit: false, // signals are ours
      linewrap: true // cuts what is longer than the terminal is wide
    })
    process.once('exit', this.#onExit)
    this.#bar.start(size, 0, { name: shorten(name), size: formatBytes(size), speed: formatBytes(0) })
  }

  update (bytes: number): void {
    const seconds = Math.max(0.001, (performance.now() - this.#started) / 1000)
    this.#bar.update(bytes, { speed: formatBytes(Math.round(bytes / seconds)), size: formatBytes(this.#size) })
  }

  stop (): void {
    process.off('exit', this.#onExit)
    this.#bar.stop()
  }
}

function shorten (name: string): string {
  return name.length <= 24 ? name : `${name.slice(0, 11)}…${name.slice(-12)}`
}
