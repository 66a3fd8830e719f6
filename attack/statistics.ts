/** What times tell, whatever noise there is. */

/** A difference that can be used tells in this share of all pairs which of the two it was. */
const USABLE = 0.8
/** Standard deviations of chance: exceeded by chance once in 500 times, by chance twice in a row once in 250,000. */
const SURE = 3.1

/** How likely a value of `some` is greater than one of `others` (Mann and Whitney's U, as a share): 0.5 = nothing tells them apart. */
export function moreLikely(some: readonly number[], others: readonly number[]): number {
  let greater = 0
  for (const one of some) for (const other of others) greater += one > other ? 1 : one === other ? 0.5 : 0
  return greater / (some.length * others.length)
}

/** Whether the times tell the two apart, for somebody who has as many samples: -1 the first are shorter, 1 longer, 0 nothing. */
export function tells(some: readonly number[], others: readonly number[]): -1 | 0 | 1 {
  const chance = Math.sqrt((some.length + others.length + 1) / (12 * some.length * others.length))
  const share = moreLikely(some, others) - 0.5
  return Math.abs(share) > Math.max(USABLE - 0.5, SURE * chance) ? (Math.sign(share) as -1 | 1) : 0
}
