// Questions that somebody at a terminal answers with yes or no.
import { openSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { Exit, Failure } from './failure.ts'

/** The terminal that a process was started from, also when its stdin is a pipe; Windows has no such file. */
const CONTROLLING_TERMINAL = '/dev/tty'
const LINE_FEED = 0x0a

/** Whether there is somebody at stdin who also sees what is asked. */
export function isAttended (): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** A terminal to ask at: stdin, of which no more than the answer is taken, or the one that the process was started from. */
export class Terminal implements Disposable {
  readonly #input: ReadStream

  /** Throws {@link Failure} `ERR_NO_TERMINAL` where there is none. */
  constructor () {
    this.#input = process.stdin.isTTY ? process.stdin : open()
  }

  /** Asks on stderr; whatever isn't yes, the end of the input too, is no. */
  async agrees (question: string): Promise<boolean> {
    process.stderr.write(question)
    return /^\s*y(es)?\s*$/i.test(await this.#line())
  }

  [Symbol.dispose] (): void {
    this.#input.destroy()
  }

  async #line (): Promise<string> {
    const input = this.#input
    const line: Buffer[] = []
    return await new Promise((resolve, reject) => {
      const done = (): void => {
        input.off('data', onData).off('end', done).off('error', reject).pause()
        resolve(Buffer.concat(line).toString())
      }
      const onData = (bytes: Buffer): void => {
        const end = bytes.indexOf(LINE_FEED)
        line.push(end < 0 ? bytes : bytes.subarray(0, end))
        if (end >= 0) {
          done()
          input.unshift(bytes.subarray(end + 1))
        }
      }
      input.on('data', onData).on('end', done).on('error', reject)
    })
  }
}

function open (): ReadStream {
  try {
    return new ReadStream(openSync(CONTROLLING_TERMINAL, 'r+'))
  } catch (cause) {
    throw new Failure('ERR_NO_TERMINAL', 'there is no terminal to ask at: neither stdin nor where the command was started', {
      advice: 'leave out --confirm, and compare the words yourself', exit: Exit.usage, cause
    })
  }
}
