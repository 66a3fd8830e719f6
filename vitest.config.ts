/** How tests run. `npm test` runs `*.test.ts`; `npm run test:faults` the long `*.faults.ts`. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    // Two copies of graphql (its two builds) refuse each other's objects: "another module or realm".
    alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    pool: 'forks',
    // one process loads the modules once for many files: what a file holds open it ends itself
    isolate: false,
    maxWorkers: 2,
    testTimeout: 10_000,
    hookTimeout: 20_000,
  },
})
