/**
 * What it takes to find the pattern that a text matches, among many (C11: under 1 ms for 1,000). CPU time of this process, without the
 * one statement that asks the database which of the flows the caller may run. `npm run bench:dispatch`
 */
import { createPattern, createPatternSet } from '../src/triggers/patterns/pattern-set.ts'
import type { PatternTrigger } from '../src/language/triggers/pattern.ts'

const LIMIT_US = 1_000
const ROUNDS = 20

const SHAPES: readonly ((i: number) => string)[] = [
  (i) => `^recall topic${i} (?P<question>.+)$`,
  (i) => `(?i)\\bdeploy service_${i}\\b(?: to (?P<where>\\w+))?`,
  (i) => `order #(?P<id>\\d+) of shop ${i}`,
  (i) => `\\b(?P<what>start|stop|restart) job ${i} now\\b`,
  (i) => `weather in (?P<city>[A-Z]\\w+) for customer ${i}`,
]

/** Nothing tells these apart but trying them: the worst case. */
const WITHOUT_WORDS = [(i: number) => `^\\w+ \\w+ \\d{${1 + (i % 9)}} \\w{${1 + (i % 11)}}$`]

function patternsOf(count: number, shapes: typeof SHAPES) {
  return Array.from({ length: count }, (_, i) => {
    const definition: PatternTrigger = {
      ...{ type: 'pattern', name: `p${i}`, pattern: shapes[i % shapes.length]!(i), kind: 'agent', priority: i % 7 },
    }
    return createPattern({ id: `${i}`, flowId: `${i}`, definition })
  })
}

const WORDS = 'please could you tell me about the order of our shop and what job service weather topic is for customer now'.split(
  ' ',
)
/** As people write: one in two matches a pattern. */
function textOf(i: number, words: number): string {
  const filler = Array.from({ length: words }, (_, k) => WORDS[(i * 7 + k * 3) % WORDS.length]).join(' ')
  const wish = [`order #12 of shop ${5 * (i % 200) + 2}`, 'nothing like it'][i % 2]
  return `${filler} ${wish} ${filler}`
}

/** Microseconds of CPU each, the median of the rounds. */
function measure(count: number, words: number, shapes = SHAPES): { microseconds: number; tried: number; matched: number } {
  const set = createPatternSet(patternsOf(count, shapes))
  const texts = Array.from({ length: 200 }, (_, i) => textOf(i, words))
  const took: number[] = []
  let tried = 0
  let matched = 0
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (const text of texts) {
      const near = set.candidates(text)
      tried += near.length
      matched += near.filter((pattern) => pattern.find(text)).length
    }
    const { user, system } = process.cpuUsage(before)
    took.push((user + system) / texts.length)
  }
  const calls = ROUNDS * texts.length
  return { microseconds: took.toSorted((a, b) => a - b)[ROUNDS / 2]!, tried: tried / calls, matched: matched / calls }
}

console.log('| patterns | words | µs CPU | tried | matched |')
console.log('| -------: | ----: | -----: | ----: | ------: |')
let slowest = 0
for (const count of [10, 100, 1_000, 10_000]) {
  for (const words of [5, 50, 300]) {
    const { microseconds, tried, matched } = measure(count, words)
    if (count <= 1_000) slowest = Math.max(slowest, microseconds)
    console.log(`| ${count} | ${words * 2} | ${microseconds.toFixed(0)} | ${tried.toFixed(2)} | ${matched.toFixed(2)} |`)
  }
}
const worst = measure(1_000, 5, WITHOUT_WORDS)
console.log(`1,000 patterns that no word tells apart, all tried: ${worst.microseconds.toFixed(0)} µs CPU`)
if (slowest > LIMIT_US) {
  console.error(`over ${LIMIT_US} µs`)
  process.exitCode = 1
}
