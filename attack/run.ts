/** `npm run attack [-- --quick] [topic ...]`: the project's own attacks against a server of its own. Fails when anything gets through. */
import { parseArgs } from 'node:util'
import { startOutside } from './outside.ts'
import { startTarget } from './server.ts'
import type { Target } from './server.ts'
import { TOPICS } from './topics.ts'
import { hold } from './trial.ts'
import type { Verdict } from './trial.ts'
import { populate } from './world.ts'

const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean', default: false } }, allowPositionals: true })
const unknown = positionals.filter((name) => !TOPICS.some((topic) => topic.name === name))
if (unknown.length > 0) {
  console.error(`There is no topic ${unknown.join(', ')}: they are ${TOPICS.map(({ name }) => name).join(', ')}.`)
  process.exit(64)
}
const wanted = TOPICS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))

const outside = await startOutside()
const targets: Target[] = []
const stopAll = async (): Promise<void> => void (await Promise.all(targets.splice(0).map((target) => target.stop())))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void stopAll().finally(() => process.exit(130)))

const verdicts: Verdict[] = []
try {
  for (const limited of [false, true]) {
    const topics = wanted.filter((topic) => (topic.limited ?? false) === limited)
    if (topics.length === 0) continue
    const target = await startTarget({ limited, outside })
    targets.push(target)
    const world = await populate(target, outside)
    for (const topic of topics) {
      const verdict = await hold(topic, world, values.quick)
      verdicts.push(verdict)
      tell(verdict, topic.about)
    }
    await stopAll()
  }
} finally {
  await stopAll()
  outside.close()
}

const tried = verdicts.reduce((sum, verdict) => sum + verdict.tried, 0)
const through = verdicts.reduce((sum, verdict) => sum + verdict.through.length, 0)
console.log(`\n${tried} attacks of ${verdicts.length} topics, ${through === 0 ? 'nothing' : through} got through`)
process.exit(through > 0 ? 1 : 0)

function tell({ topic, tried: count, through: found, ms }: Verdict, about: string): void {
  const result = found.length === 0 ? 'held' : `${found.length} GOT THROUGH`
  console.log(
    `${topic.padEnd(22)} ${String(count).padStart(4)} tried, ${result.padEnd(16)} ${(ms / 1_000).toFixed(1).padStart(6)} s  ${about}`,
  )
  for (const one of found) console.log(`    - ${one}`)
}
