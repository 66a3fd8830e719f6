/** Whether this machine has a `redis-server`. Tests that need one are skipped where it is missing; CI skips nothing. */
import { spawnSync } from 'node:child_process'

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

const HOW = 'Debian and Ubuntu have it as a package (apt-get install redis-server), Homebrew too (brew install redis).'

/** Says so once a run. Throws when nothing may be skipped (`SLUICE_TEST_SKIP=none`). */
export function tellOfMissingRedis(): void {
  if (hasRedis) return
  if (process.env['SLUICE_TEST_SKIP'] === 'none') throw new Error(`redis-server is missing. ${HOW}`)
  console.log(`redis-server is missing: the tests that need it are skipped. ${HOW}`)
}
