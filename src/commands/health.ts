/** `sluice health`: asks the process of this machine how it is, for what starts containers and has no HTTP client of its own. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

const ANSWER_WITHIN_MS = 3_000

export const usage = `usage: sluice health [--live]

Asks the server or worker that this environment configures whether it is ready, at SLUICE_METRICS_PORT or else at PORT, and prints what
it says. Ends with 1 when it is not ready or does not answer.

  --live  only whether it answers
`

export const run: CommandModule['run'] = async (args, environment) => {
  const { values } = parseArgs({ args, options: { live: { type: 'boolean' } } })
  const { host, port, metricsPort } = loadConfig(environment, { mode: 'schema' }).server
  const at = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const url = `http://${at}:${metricsPort ?? port}/health/${values.live ? 'live' : 'ready'}`
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    process.stdout.write(`${await answer.text()}\n`)
    return answer.ok ? EXIT.ok : EXIT.failure
  } catch {
    process.stderr.write(`nobody answers at ${url}\n`)
    return EXIT.failure
  }
}
