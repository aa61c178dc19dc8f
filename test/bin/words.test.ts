// The words by which two people compare a path: what makes them easy to tell apart, and how they follow from its hash.
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { WORDS, threeWords } from '../../bin/words.ts'

/** How many letters have to be changed, added or left out to make one of the other. */
function distance (one: string, other: string): number {
  const last = other.split('').reduce<number[]>((above, letter) => {
    return above.reduce<number[]>((row, _, index) => {
      const left = row[index - 1] ?? Infinity
      const diagonal = above[index - 1] ?? Infinity
      return [...row, Math.min((above[index] ?? 0) + 1, left + 1, diagonal + (one[index - 1] === letter ? 0 : 1))]
    }, [])
  }, Array.from({ length: one.length + 1 }, (_, index) => index))
  return last.at(-1) ?? 0
}

describe('Words', () => {
  it('are 128, each another one, of three to seven plain letters', () => {
    equal(WORDS.length, 128)
    equal(new Set(WORDS).size, 128)
    for (const word of WORDS) {
      match(word, /^[a-z]{3,7}$/)
    }
  })

  it('differ in more than one letter', () => {
    deepEqual([distance('tiger', 'tiger'), distance('tiger', 'tier'), distance('tiger', 'timber')], [0, 1, 2])
    const alike = WORDS.flatMap((word, index) => WORDS.slice(0, index).filter(other => distance(word, other) < 2))
    deepEqual(alike, [])
  })

  it('are those of the lower seven bits of the first three bytes', () => {
    const [first = '', second = '', last = ''] = [WORDS[0], WORDS[1], WORDS[127]]
    deepEqual([first, second, last], ['acorn', 'amber', 'zipper'])
    deepEqual(threeWords(Uint8Array.of(0, 1, 127, 5)), [first, second, last])
    deepEqual(threeWords(Uint8Array.of(128, 129, 255, 9)), [first, second, last])
  })

  it('of any byte are there', () => {
    ok(Array.from({ length: 256 }, (_, byte) => threeWords(Uint8Array.of(byte, byte, byte))).flat().every(word => word !== ''))
  })
})
