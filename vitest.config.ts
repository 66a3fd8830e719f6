/** How tests run. `npm test` runs `*.test.ts`; `npm run test:faults` the long `*.faults.ts`. */
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/harness/longest-first.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    pool: 'forks',
    // one process loads the modules once for many files: what a file holds open it ends itself
    isolate: false,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 10_000,
    hookTimeout: 20_000,
    // Node runs what it is given, as it does in production; nothing is transformed, and no module is a mock.
    experimental: { viteModuleRunner: false, nodeLoader: false },
  },
})
