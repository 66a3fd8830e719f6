/** "Did you mean ...": the nearest of the names that would have been right. */
import { distance } from 'fastest-levenshtein'

/** A hint naming the candidate nearest to `wrong`, or undefined when none is near enough to be what was meant. */
export function didYouMean(wrong: string, candidates: Iterable<string>): string | undefined {
  if (wrong.length > 100) return undefined
  const plain = wrong.normalize('NFKC').toLowerCase()
  // A third of the letters may differ: "stpes" finds "steps", "abc" does not find "xyz".
  let best = Math.max(2, Math.floor(plain.length / 3)) + 1
  let nearest: string | undefined
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - plain.length) >= best) continue
    const apart = distance(plain, candidate.toLowerCase())
    if (apart >= best || apart >= candidate.length) continue
    best = apart
    nearest = candidate
  }
  return nearest === undefined ? undefined : `did you mean "${nearest}"?`
}
