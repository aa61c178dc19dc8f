// Where the repository is, seen from a compiled test.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the repository. */
export const root: string = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot (folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : findRoot(dirname(folder))
}
