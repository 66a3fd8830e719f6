/** Chance that can be repeated: `SLUICE_TEST_SEED=... npm run test:faults`. */

export interface Chance {
  /** 0 <= x < 1 */
  next(): number
  /** an integer, both ends included */
  between(least: number, most: number): number
  pick<T>(items: readonly T[]): T
}

/** Of this run: one of its own, unless one was given. */
export const runSeed = (): number => Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 2 ** 32)

/** Prints its seed. mulberry32. https://github.com/cprosche/mulberry32 */
export function seededChance(seed = runSeed()): Chance {
  console.log(`SLUICE_TEST_SEED=${seed}`)
  let state = seed
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  return { next, between, pick: (items) => items[between(0, items.length - 1)]! }
}
