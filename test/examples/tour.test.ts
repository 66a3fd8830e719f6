/** The tour of the README, taken: a real server on a port, and the client as a process of its own. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

const { env } = await testDatabase()
const TOUR = fileURLToPath(new URL('../../examples/clients/tour.ts', import.meta.url))

test(
  'the tour starts feature_approval, sees each step live, answers for the ceo and reads the history (A15)',
  { timeout: 30_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-tour-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const config = loadConfig({ ...env, SLUICE_DATA_DIR: dataDir, PORT: '0', SLUICE_LOG_LEVEL: 'fatal' }, { mode: 'start' })
    const onFatal = (error: Error): void => expect.unreachable(error.message)
    const app = await startApp({ config, environment: {}, log: createLog('fatal'), serve: true, work: true, onFatal })
    onTestFinished(() => app.stop())

    const tour = await promisify(execFile)(process.execPath, [TOUR], {
      env: { SLUICE_URL: `${app.url}/graphql`, SLUICE_DATA_DIR: dataDir },
    })
    const lines = tour.stdout.trim().split('\n')
    const live = lines.filter((line) => line.startsWith('  live: ')).map((line) => line.slice('  live: '.length))
    const history = lines.slice(lines.findIndex((line) => line.startsWith('its history')) + 1).map((line) => line.slice(2))
    expect(lines).toContain('the ceo is asked: "Approve the high-cost feature Live dashboards"')
    expect(lines.find((line) => line.startsWith('ended: '))).toContain('SUCCEEDED {"approved":true,"decided_by":"ceo"')
    expect(live.length).toBeGreaterThan(5)
    expect(history.slice(-live.length)).toEqual(live)
    expect(history.map((line) => Number.parseInt(line, 10))).toEqual(history.map((_, at) => at + 1))
  },
)
