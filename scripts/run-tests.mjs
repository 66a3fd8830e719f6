/**
 * Runs the tests and closes with `N passed, N failed` alone on the last line. `--faults`: the second, longer suite (`*.faults.ts`).
 * Other arguments name the files to run, as for vitest. In CI a few files that failed get a second chance, each alone: many tests measure
 * how long something takes, on machines that other tests keep busy.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

// as `bootstrap.mjs` does: the many processes that tests start, start in half the time
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '..', 'node_modules', '.cache', 'node-compile')

/** More than these is no bad luck. */
const MOST_SUSPECTS = 3

const { values, positionals } = parseArgs({ options: { faults: { type: 'boolean', default: false } }, allowPositionals: true })
const faults = {
  include: ['test/**/*.faults.ts'],
  testTimeout: 300_000,
  hookTimeout: 120_000,
  isolate: true,
  // they wait a third of their time: for leases to end, for clients to come back
  maxWorkers: 3,
}
const suite = values.faults ? faults : {}

const counts = { passed: 0, failed: 0, skipped: 0 }
/** Some come after the report: of what a file left behind. */
const unhandled = []

/** Runs these files and returns those that failed. */
async function run(files, options) {
  const vitest = await startVitest(files, { run: true, watch: false, ...suite, ...options })
  const modules = vitest.state.getTestModules().map((module) => ({ file: module.moduleId, ...countTests(module) }))
  unhandled.push(...vitest.state.getUnhandledErrors())
  await vitest.close()
  return modules
}

function countTests(module) {
  const found = { passed: 0, failed: [], skipped: 0 }
  for (const test of module.children.allTests()) {
    const { state } = test.result()
    if (state === 'failed') found.failed.push(`${module.relativeModuleId} > ${test.fullName}`)
    else found[state === 'passed' ? 'passed' : 'skipped'] += 1
  }
  // A file that could not be loaded, or a hook that threw, has no failed test of its own.
  if (module.state() === 'failed' && found.failed.length === 0) found.failed.push(module.relativeModuleId)
  return found
}

let modules = await run(positionals)
const suspects = modules.filter(({ failed }) => failed.length > 0)
/** What failed beside other files and passed alone: named, so that somebody finds out why. */
const flaky = []
if (process.env.CI === 'true' && suspects.length > 0 && suspects.length <= MOST_SUSPECTS) {
  console.log(`\n${suspects.length} ${suspects.length === 1 ? 'file' : 'files'} failed: once more, each alone`)
  const alone = await run(
    suspects.map(({ file }) => file),
    { maxWorkers: 1 },
  )
  const failedAgain = new Set(alone.flatMap(({ failed }) => failed))
  flaky.push(...suspects.flatMap(({ failed }) => failed.filter((name) => !failedAgain.has(name))))
  modules = [...modules.filter((module) => !suspects.includes(module)), ...alone]
}

for (const { passed, failed, skipped } of modules) {
  counts.passed += passed
  counts.failed += failed.length
  counts.skipped += skipped
}
counts.failed += unhandled.length
for (const error of unhandled) console.error(error)

// Where nothing may be left out, what was left out has failed.
if (process.env.SLUICE_TEST_SKIP === 'none') counts.failed += counts.skipped
// Nothing found is a mistake in the call, not a success.
if (counts.passed + counts.failed === 0) counts.failed = 1
process.exitCode = counts.failed > 0 ? 1 : 0
if (counts.skipped > 0) console.log(`\n${counts.skipped} skipped`)
for (const name of flaky) console.log(`\nFLAKY, passed only alone: ${name}`)
console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
