// What a peer looks like from outside, and what must be true of two of them when nothing is left to happen.
import assert from 'node:assert/strict'
import type { LinkNode, Talk } from './link-node.ts'

/** What a node looks like after a past. */
export interface View {
  readonly link: bigint | undefined
  /** Whether it has dialled that. */
  readonly dialled: boolean
  readonly path: number | undefined
  readonly paths: readonly number[]
  /** `waiting`, `cancelled`, `dialled 7` or `failed ERR_…`, in the order of the dials. */
  readonly dials: readonly string[]
  readonly talks: ReadonlyArray<Pick<Talk, 'over' | 'received'> & { readonly id: bigint, readonly error: string | undefined }>
  /** What was noted: `path 7`, `over 7 ERR_…`. */
  readonly notes: readonly string[]
  /** Paths of its own that came to be opened. */
  readonly opened: number
  readonly wakeAt: number | undefined
  readonly idle: boolean
}

/** What a node looks like now; `opened` of its paths came to be opened. */
export function viewOf (node: LinkNode, opened: number): View {
  const { pair: { link, wakeAt, idle }, paths, dials, talks, notes } = node
  return {
    link: link?.id,
    dialled: link?.dialled === true,
    path: link?.path,
    paths: [...paths],
    dials: dials.map(({ state, link, error }) => [state, link, error?.code].filter(part => part != null).join(' ')),
    talks: talks.map(({ link: { id }, over, error, received }) => ({ id, over, error: error?.code, received })),
    notes: notes.map(({ what, link, code }) => `${what} ${link} ${code ?? ''}`.trim()),
    opened,
    wakeAt,
    idle
  }
}

/** A view without the dials that were there before. */
export function sinceThen (view: View, before: View | undefined): View {
  return { ...view, dials: view.dials.slice(before?.dials.length) }
}

/** Both have one and the same link or none, and nothing else is left. */
export function checkRest ([one, other]: readonly View[]): void {
  assert(one != null && other != null)
  assert.equal(one.link, other.link, 'the ends do not agree')
  for (const { link, path, paths, dials, talks, idle } of [one, other]) {
    assert.equal(idle, link == null)
    assert.deepEqual(paths, path == null ? [] : [path], 'a path is left open')
    assert(!dials.includes('waiting'), 'a dial waits for ever')
    assert.deepEqual(talks.filter(({ over }) => !over).map(({ id }) => id), link == null ? [] : [link], 'a link is left over')
  }
}

/** Both have a link, and whoever dialled got it. */
export function checkLinked (views: readonly View[]): void {
  checkRest(views)
  for (const { link, dials } of views) {
    assert(link != null, 'there is no link')
    assert(dials.every(dial => dial === `dialled ${link}`), dials.join())
  }
}
