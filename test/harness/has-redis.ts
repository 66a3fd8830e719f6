/** Whether this machine has the servers that a fleet stands on besides PostgreSQL. Tests that need one are skipped where it is missing; CI skips nothing. */
import { spawnSync } from 'node:child_process'

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0
export const hasPgBouncer = spawnSync('pgbouncer', ['--version']).status === 0

const MISSING = [...(hasRedis ? [] : ['redis-server']), ...(hasPgBouncer ? [] : ['pgbouncer'])]

/** Says so once a run. Throws when nothing may be skipped (`SLUICE_TEST_SKIP=none`). */
export function tellOfMissingServers(): void {
  if (MISSING.length === 0) return
  const what = `${MISSING.join(' and ')} ${MISSING.length === 1 ? 'is' : 'are'} missing`
  const how = `Debian and Ubuntu have packages of these names (apt-get install ${MISSING.join(' ')}), Homebrew too (redis, pgbouncer).`
  if (process.env['SLUICE_TEST_SKIP'] === 'none') throw new Error(`${what}. ${how}`)
  console.log(`${what}: the tests that need them are skipped. ${how}`)
}
