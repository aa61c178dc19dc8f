// Which link stays, by table.
import assert from 'node:assert/strict'
import { decide, inOrder, isGreater, judge } from '../../../src/link/election.ts'
import type { Attempt, Standing, Verdict } from '../../../src/link/election.ts'
import type { Decision } from '../../../src/link/handshake.ts'

const NOTHING: Standing = { greater: true, link: undefined, own: undefined, admitting: false }
const LINK = { id: 7n, resumable: true, complete: false }
const linked: Standing = { ...NOTHING, link: LINK }
const unresumable: Standing = { ...NOTHING, link: { ...LINK, resumable: false } }
const replaced: Standing = { ...NOTHING, link: { ...LINK, id: 9n } }
const closing: Standing = { ...NOTHING, link: { ...LINK, complete: true } }

describe('A name is answered', () => {
  for (const [what, standing, resume, decision] of [
    ['for a new link where there is none', NOTHING, 0n, { status: 'ok' }],
    ['while we dial as well', { ...NOTHING, own: 'new' }, 0n, { status: 'ok_simultaneous' }],
    ['while we look for a path for a link', { ...linked, own: 'resume' }, 0n, { status: 'alive', link: 7n }],
    ['for a new link where there is one', linked, 0n, { status: 'alive', link: 7n }],
    ['for a new link where there is one that can\'t be resumed', unresumable, 0n, { status: 'alive', link: 7n }],
    ['for a new link where the old one has ended but for the last word', closing, 0n, { status: 'ok' }],
    ['for the link that there is', linked, 7n, { status: 'alive', link: 7n }],
    ['for the link that there is, to say the last word', closing, 7n, { status: 'alive', link: 7n }],
    ['for the link that there is, which can\'t be resumed', unresumable, 7n, { status: 'nok', link: 7n }],
    ['for another link than there is', linked, 8n, { status: 'nok', link: 7n }],
    ['for a link where there is none', NOTHING, 8n, { status: 'nok', link: 0n }]
  ] satisfies ReadonlyArray<readonly [string, Standing, bigint, Decision]>) {
    it(`${what}: ${decision.status}`, () => {
      for (const greater of [true, false]) {
        assert.deepEqual(decide({ ...standing, greater }, { resume }), decision)
      }
    })
  }
})

describe('An attempt that has proved itself', () => {
  const fresh: Attempt = { resume: 0n, resumed: false, replaces: 0n, late: false }
  const replacing: Attempt = { ...fresh, replaces: 7n }
  const resuming: Attempt = { ...fresh, resume: 7n, resumed: true }
  const asking: Attempt = { ...fresh, resume: 8n }

  for (const [what, standing, attempt, greater, lesser] of [
    ['for a new link', NOTHING, fresh, 'admit', 'admit'],
    ['for a new link, late or not', NOTHING, { ...fresh, late: true }, 'admit', 'admit'],
    ['for a new link while we dial', { ...NOTHING, own: 'new' }, fresh, 'hold', 'admit'],
    ['while another one is let in', { ...NOTHING, admitting: true }, fresh, 'hold', 'hold'],
    ['for a new link where one has come meanwhile', linked, fresh, { refuse: 7n }, { refuse: 7n }],
    ['in place of the link that there is', linked, replacing, 'admit', 'admit'],
    ['in place of the link that we look for a path for', { ...linked, own: 'resume' }, replacing, 'admit', 'admit'],
    ['in place of another link than there is', linked, { ...fresh, replaces: 6n }, { refuse: 7n }, { refuse: 7n }],
    ['in place of a link that is gone', NOTHING, replacing, 'admit', 'admit'],
    ['in place of a link that is gone, while we dial', { ...NOTHING, own: 'new' }, replacing, 'hold', 'admit'],
    ['for a new link where the old one has ended but for the last word', closing, fresh, 'admit', 'admit'],
    ['for the link that there is', linked, resuming, 'admit', 'admit'],
    ['for the link that we look for a path for', { ...linked, own: 'resume' }, resuming, 'hold', 'admit'],
    ['for the link that has got a path since', linked, { ...resuming, late: true }, { refuse: 7n }, { refuse: 7n }],
    ['for the link that is gone', NOTHING, resuming, { refuse: 0n }, { refuse: 0n }],
    ['for the link that another one has replaced', replaced, resuming, { refuse: 9n }, { refuse: 9n }],
    ['for a link that we don\'t have, to hear it from us', linked, asking, 'admit', 'admit'],
    ['for a link that we don\'t have, while we dial', { ...NOTHING, own: 'new' }, asking, 'admit', 'admit']
  ] satisfies ReadonlyArray<readonly [string, Standing, Attempt, Verdict, Verdict]>) {
    it(`${what}: ${spell(greater)}${spell(lesser) === spell(greater) ? '' : `, or ${spell(lesser)} by the lesser one`}`, () => {
      assert.deepEqual(judge({ ...standing, greater: true }, attempt), greater)
      assert.deepEqual(judge({ ...standing, greater: false }, attempt), lesser)
    })
  }
})

describe('Of several attempts', () => {
  it('the one with the lowest connection id comes first, as a number', () => {
    const ids = [2n ** 64n - 1n, 10n, 9n, 2n ** 63n].map(connectionId => ({ connectionId }))
    assert.deepEqual(inOrder(ids).map(({ connectionId }) => connectionId), [9n, 10n, 2n ** 63n, 2n ** 64n - 1n])
  })
})

describe('The greater id', () => {
  for (const [one, other, greater] of [
    [[1, 2], [1, 1], true], [[1, 1], [1, 2], false], [[200], [100, 255], true], [[1, 2], [1, 2], false],
    [[1, 2, 0], [1, 2], true], [[1, 2], [1, 2, 0], false], [[], [0], false], [[0], [], true]
  ] satisfies ReadonlyArray<readonly [number[], number[], boolean]>) {
    it(`is found byte by byte: ${one.join(' ') || 'none'} against ${other.join(' ') || 'none'}`, () => {
      assert.equal(isGreater(Uint8Array.from(one), Uint8Array.from(other)), greater)
    })
  }
})

function spell (verdict: Verdict): string {
  return typeof verdict === 'string' ? verdict : `refuse for ${verdict.refuse}`
}
