// A node that is stopped leaves nothing behind that keeps its process alive, whatever its links were doing.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { quickly, within } from '../support/waiting.ts'

/** Milliseconds from when everything is closed in a process, whose links are in some state before, to its end. */
async function lingers (state: string): Promise<number> {
  const script = fileURLToPath(new URL('../support/link-quitter.js', import.meta.url))
  const child = spawn(process.execPath, ['--enable-source-maps', script, state], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let closedAt: number | undefined
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding('utf8').on('data', (text: string) => {
      output += text
      closedAt ??= performance.now()
    })
  }
  try {
    const [code] = await within('the process to end by itself', once(child, 'close'), 60_000)
    assert.deepEqual([output, code], ['everything is closed\n', 0])
    return performance.now() - (closedAt ?? 0)
  } catch (error) {
    throw new Error(`it said: ${output}`, { cause: error })
  } finally {
    child.kill('SIGKILL')
  }
}

describe('a process ends by itself when its nodes were stopped', () => {
  for (const [state, when] of [
    ['suspended', 'a link waits for a path'], ['handshake', 'a link is in its handshake'], ['waiting', 'data is on its way'],
    ['asking', 'an offer is not answered'], ['racing', 'a path is open and nobody answers on it'],
    ['answering', 'a path is proved and not nominated'], ['direct', 'data is on its way past the star'],
    ['relayed', 'data is on its way through the raw relay']
  ] as const) {
    it(`while ${when}`, async () => {
      await quickly('its end when everything is closed', 2_000, async () => await lingers(state))
    }).timeout(300_000)
  }
})
