// The hash of a rendezvous's path as three words that two people can compare.

/** Bytes of the hash that become words: three times seven bits. */
const COUNT = 3

/** Plain words that neither look nor sound alike. Both devices must have the same, in the same order: nothing here may change. */
export const WORDS: readonly string[] = `
  acorn amber anchor apple arrow autumn badger bamboo banana basket beaver blanket
  bottle bridge bronze bubble butter cactus candle canyon carpet castle cello cherry
  chimney circus clover cobalt coffee comet coral cotton cricket crystal daisy desert
  diamond dolphin dragon drum eagle echo elbow emerald engine falcon feather fiddle
  finger flute forest fossil galaxy garden garlic giraffe glacier goblet guitar hammer
  harbour hazel helmet igloo island ivory jungle kettle kitten ladder lantern lemon
  lobster magnet mango marble meadow mirror monkey museum needle nickel oasis ocean
  olive orchid oyster palace panda parrot peanut pepper pigeon pillow pirate planet
  pumpkin puzzle rabbit radio rainbow raven ribbon salmon shadow silver spider sponge
  statue sugar sunset temple thunder tiger tomato tulip tunnel turtle velvet violin
  volcano walnut whistle window winter wizard zebra zipper
`.trim().split(/\s+/)

/** The words: of each of the first three bytes the lower seven bits, as an index into {@link WORDS}. */
export function threeWords (hash: Uint8Array): string[] {
  return Array.from(hash.subarray(0, COUNT), byte => WORDS[byte % WORDS.length] ?? '')
}
