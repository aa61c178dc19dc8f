// Where a received file goes: which names are taken, a temporary file first, and nothing overwritten by accident.
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../failure.ts'
import { HARMFUL } from '../output.ts'
import type { FileHandle } from 'node:fs/promises'

/** The longest name in bytes; with what is added for the temporary file it stays below what file systems allow. */
const MAX_NAME = 200

/** What link() says where a file system has no links. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'])

/** Whether a name that somebody sent is one for a file in our directory: no path, nothing hidden, nothing that deceives. */
export function isFileName (name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= MAX_NAME && !/^\.|[/\\]/.test(name) && !HARMFUL.test(name) &&
    (process.platform !== 'win32' || isWindowsName(name))
}

function isWindowsName (name: string): boolean {
  return !/[<>:"|?*]|[. ]$/.test(name) && !/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name)
}

/** Whether there is anything under that path. */
export async function exists (path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return false
    }
    throw error
  }
}

/** A file on its way in. However the process ends, short of being killed, nothing of it stays unless it was kept. */
export class PartFile implements AsyncDisposable {
  readonly path: string
  readonly #part: string
  readonly #handle: FileHandle
  readonly #onExit = (): void => { rmSync(this.#part, { force: true }) }

  constructor (path: string, part: string, handle: FileHandle) {
    this.path = path
    this.#part = part
    this.#handle = handle
    process.once('exit', this.#onExit)
  }

  /** Makes the temporary file, `NAME.RANDOM.part`. */
  static async create (dir: string, name: string): Promise<PartFile> {
    const part = join(dir, `${name}.${randomBytes(4).toString('hex')}.part`)
    return new PartFile(join(dir, name), part, await open(part, 'wx'))
  }

  async write (bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.byteLength;) {
      written += (await this.#handle.write(bytes, written)).bytesWritten
    }
  }

  /** Gives the file its name; false when there is one of that name, unless it may be replaced. */
  async keep (replace: boolean): Promise<boolean> {
    await this.#handle.close()
    if (replace) {
      await rename(this.#part, this.path)
      return true
    }
    try {
      // unlike rename() it never overwrites
      await link(this.#part, this.path)
      return true
    } catch (error) {
      if (codeOf(error) === 'EEXIST') {
        return false
      }
      if (!NO_LINKS.has(codeOf(error))) {
        throw error
      }
    }
    if (await exists(this.path)) {
      return false
    }
    await rename(this.#part, this.path)
    return true
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.#handle.close().catch(() => {})
    await rm(this.#part, { force: true })
    process.off('exit', this.#onExit)
  }
}
