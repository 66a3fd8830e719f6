/**
 * Runs the tests and closes with `N passed, N failed` alone on the last line. `--faults`: the second, longer suite (`*.faults.ts`).
 * Other arguments name the files to run, as for vitest.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

// as `bootstrap.mjs` does: the many processes that tests start, start in half the time
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '..', 'node_modules', '.cache', 'node-compile')

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

const vitest = await startVitest(positionals, { run: true, watch: false, ...suite })
const counts = { passed: 0, failed: 0, skipped: 0 }
for (const module of vitest.state.getTestModules()) {
  for (const test of module.children.allTests()) {
    const { state } = test.result()
    counts[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1
  }
  // A file that could not be loaded, or a hook that threw, has no failed test of its own.
  if (module.state() === 'failed' && ![...module.children.allTests('failed')].length) counts.failed += 1
}
// Some come after the report: of what a file left behind.
for (const error of vitest.state.getUnhandledErrors()) {
  counts.failed += 1
  console.error(error)
}
await vitest.close()

// Where nothing may be left out, what was left out has failed.
if (process.env.SLUICE_TEST_SKIP === 'none') counts.failed += counts.skipped
// Nothing found is a mistake in the call, not a success.
if (counts.passed + counts.failed === 0) counts.failed = 1
process.exitCode = counts.failed > 0 ? 1 : 0
if (counts.skipped > 0) console.log(`\n${counts.skipped} skipped`)
console.log(`\n${counts.passed} passed, ${counts.failed} failed`)
