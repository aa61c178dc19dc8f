// Where the project's folder is, seen from the sources as well as from dist/.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder with the project's package.json. */
export function projectFolder (): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}
