// What the commands say: sentences for people, or one JSON object a line for machines.
import { format } from 'node:util'
import type { Failure } from './failure.ts'

/** Where a command says things. */
export class Output {
  readonly json: boolean
  readonly #results: NodeJS.WritableStream

  /** Results go to stdout, unless that is for something else. */
  constructor (json: boolean, results: NodeJS.WritableStream = process.stdout) {
    this.json = json
    this.#results = results
  }

  /** Whether there is somebody to look at a progress bar. */
  get interactive (): boolean {
    return !this.json && process.stderr.isTTY
  }

  /** A result: the event and its fields as JSON, or the text, where there is one, as it is. */
  tell (event: string, fields: object, text?: string): void {
    if (this.json) {
      this.#results.write(`${JSON.stringify({ event, ...fields })}\n`)
    } else if (text != null) {
      this.#results.write(`${text}\n`)
    }
  }

  /** Something beside the point, for people only. */
  note (text: string): void {
    if (!this.json) {
      process.stderr.write(`${text}\n`)
    }
  }

  /** An error; with its stack, and those of its causes, only when DEBUG is set. */
  fail (failure: Failure): void {
    const { code, message, advice, exit } = failure
    this.tell('error', { code, message, ...(advice == null ? {} : { advice }), exit })
    this.note(`error: ${message} [${code}]${advice == null ? '' : `\n  ${advice}`}`)
    if ((process.env['DEBUG'] ?? '') !== '') {
      process.stderr.write(`${format(failure)}\n`)
    }
  }
}

/** Characters that steer a terminal, break a line, or turn the direction in which a text is shown. */
export const HARMFUL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u

/** A text of somebody else's, made harmless for a terminal and for one line. */
export function harmless (text: string): string {
  return text.replace(new RegExp(HARMFUL, 'gu'), '\uFFFD')
}
