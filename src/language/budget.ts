/** The work that one evaluation may do: counted, not timed, so that the answer is the same on every machine. */

/** One unit is about 0.1 microseconds, so that the worst expression ends within about 100 ms. */
const MAX_WORK = 500_000

/** One object for all: a stack trace for each throw inside a loop would cost more than the loop. */
export const WORK_EXCEEDED = new Error('the expression does too much work; use shorter lists or texts, or nest less')

let left = 0
let sharing = false
let spentInAll = 0
let weights = new Map<object, number>()

/** Begins a new evaluation, inside of `shareWork` with what the ones before it left. Evaluations are synchronous and never nest. */
export function startWork(): void {
  if (sharing) return
  left = MAX_WORK
  if (weights.size > 0) weights = new Map()
}

/** All evaluations within `work` together may do the work of one: a step with many expressions costs no more than a step with one. */
export function shareWork<T>(work: () => T): T {
  startWork()
  sharing = true
  try {
    return work()
  } finally {
    sharing = false
  }
}

/** Units spent since the process began: the difference tells what something cost. */
export const workSpent = (): number => spentInAll

/** Takes `units` off; throws WORK_EXCEEDED, from then on every time, when nothing is left. */
export function spend(units: number): void {
  spentInAll += units
  if ((left -= units) < 0) throw WORK_EXCEEDED
}

/**
 * What it costs to visit all of `value`. Each object is looked at once in an evaluation (and paid for), so that asking again
 * is free, and so that a value that holds one branch many times is weighed with all of them without visiting them.
 */
export function weigh(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length / 64
  if (typeof value !== 'object' || value === null) return 1
  const known = weights.get(value)
  if (known !== undefined) return known
  // Fields of objects cost more than elements of lists: their keys are listed and looked up each time (measured).
  const [each, inners] = Array.isArray(value) ? [1, value] : [4, Object.values(value)]
  let weight = 1
  for (const inner of inners) {
    spend(each)
    weight += each + weigh(inner)
  }
  weights.set(value, weight)
  return weight
}
