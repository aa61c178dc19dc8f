// Heartbeats: who is asked, once for each silence, and who is given up.
import assert from 'node:assert/strict'
import { Heartbeat } from '../../../src/relay/heartbeat.ts'

describe('A heartbeat', () => {
  it('asks after the interval, once, and gives up after the timeout', () => {
    const heartbeat = new Heartbeat(100, 50, 0)
    const verdicts = [0, 99, 100, 101, 149, 150, 151].map(time => heartbeat.look(time))
    assert.deepEqual(verdicts, [undefined, undefined, 'ask', undefined, undefined, 'dead', 'dead'])
  })

  it('begins anew with each sign of life', () => {
    const heartbeat = new Heartbeat(100, 50, 0)
    assert.equal(heartbeat.look(120), 'ask')
    heartbeat.hear(140)
    assert.deepEqual([200, 240, 289, 290].map(time => heartbeat.look(time)), [undefined, 'ask', undefined, 'dead'])
  })
})
