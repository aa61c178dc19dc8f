// What an interop test needs and a machine may lack: skipped with the way to get it, except in CI, where a skip is a failure.
import { join } from 'node:path'
import { root } from '../support/root.ts'
import type { Context } from 'mocha'

/** The folder in the sources of one of the interop packages, which are installed apart. */
export function interopFolder (name: string): string {
  return join(root, 'test', 'interop', name)
}

/** Skips the tests of this hook unless what they need is there; in CI it throws instead. */
export function skipUnless (context: Context, there: boolean, what: string, how: string): void {
  if (there) {
    return
  }
  const missing = `missing: ${what}; get it with: ${how}`
  if ((process.env['CI'] ?? '') !== '') {
    throw new Error(missing)
  }
  console.log(`      ${missing}`)
  context.skip()
}
