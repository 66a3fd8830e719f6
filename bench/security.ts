/**
 * `npm run bench:security`: what the checks of one request cost, each apart and all in a row, in microseconds of this process's CPU
 * and until they are done (C10). Options: --quick, --rounds=5.
 */
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { median } from './report.ts'
import { openSecurity } from './security-parts.ts'
import type { Part } from './security-parts.ts'

/** of CPU: what C10 allows for all of them together, and what is aimed at */
const ALLOWED_US = 1_000
const AIM_US = 100

interface Cost {
  cpuUs: number
  wallUs: number
}

const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } } })
const rounds = Number(options.rounds ?? (options.quick ? 3 : 5))

console.log(`${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)} before it begins: other work makes these figures larger.`)
const { parts, inARow, close } = await openSecurity()
const costs = new Map<Part, Cost[]>([...parts, inARow].map((part) => [part, []]))
try {
  // one that does not count, then all in turn, so that a busy moment hits none of them alone
  for (let round = 0; round <= rounds; round++) {
    for (const [part, measured] of costs) {
      const cost = await measure(part)
      if (round > 0) measured.push(cost)
    }
  }
} finally {
  await close()
}
report()

/** Of each time. */
async function measure({ run, times }: Part): Promise<Cost> {
  const count = options.quick ? Math.ceil(times / 4) : times
  const cpu = process.cpuUsage()
  const began = performance.now()
  for (let at = 0; at < count; at++) await run(at)
  const wallUs = ((performance.now() - began) * 1_000) / count
  const { user, system } = process.cpuUsage(cpu)
  return { cpuUs: (user + system) / count, wallUs }
}

function report(): void {
  const row = (name: string, { cpuUs, wallUs }: Cost): string => `| ${name.padEnd(62)} | ${show(cpuUs)} | ${show(wallUs)} |`
  const show = (us: number): string => us.toFixed(us < 10 ? 1 : 0).padStart(8)
  const of = (part: Part): Cost => {
    const measured = costs.get(part)!
    return { cpuUs: median(measured.map(({ cpuUs }) => cpuUs)), wallUs: median(measured.map(({ wallUs }) => wallUs)) }
  }
  const usual = parts.filter((part) => part.usual).map(of)
  const total = usual.reduce((a, b) => ({ cpuUs: a.cpuUs + b.cpuUs, wallUs: a.wallUs + b.wallUs }), { cpuUs: 0, wallUs: 0 })
  console.log(`\n| ${'check'.padEnd(62)} | µs CPU   | µs       |\n| ${'-'.repeat(62)} | -------: | -------: |`)
  for (const part of parts) console.log(row(`${part.usual ? '' : '(seldom) '}${part.name}`, of(part)))
  console.log(row('together, without what is seldom', total))
  console.log(row('the same in a row, with audit: one mutation', of(inARow)))
  const { cpuUs } = of(inARow)
  const verdict = cpuUs < AIM_US ? 'as aimed at' : cpuUs < ALLOWED_US ? 'allowed, more than aimed at' : 'MORE THAN ALLOWED'
  console.log(
    `\n${cpuUs.toFixed(0)} µs of CPU a request: ${verdict} (${AIM_US} µs aimed at, ${ALLOWED_US} µs allowed). ${rounds} rounds.`,
  )
  if (cpuUs >= ALLOWED_US) process.exitCode = 1
}
