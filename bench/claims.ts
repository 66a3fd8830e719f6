/**
 * `npm run bench:claims`: claims a second by many workers, and what it costs to wake them; then what a claim reads and takes with 1,000 to
 * 1,000,000 executions ready and no statistics, and the same without the planner settings that the function carries. `-- --quick`: the first
 * part alone, shorter; `-- --wakes`: the second alone.
 */
import { newUuid } from '../src/ids.ts'
import { measureRates } from './claim-rates.ts'
import { fillReadyExecutions, isNeverAnalysed, readingsOf, stopAnalysing } from './ready-executions.ts'
import type { Query } from './ready-executions.ts'
import { quantile } from './report.ts'
import { startServer } from './server.ts'
import { measureWakes } from './wakes.ts'

const SIZES = [1_000, 10_000, 100_000, 1_000_000]
const WANTED = [1, 32, 256]
const CLAIMS = 20

const server = await startServer()
const [quick, wakes] = [process.argv.includes('--quick'), process.argv.includes('--wakes')]
try {
  // one process keeps no more offers than that: what is too much is left to looks, which are not what is measured
  if (!wakes)
    await measureRates(
      server,
      quick ? { rounds: 3, backlog: 3_000, oneByOne: 50 } : { rounds: 7, backlog: 10_000, oneByOne: 500 },
    )
  if (!quick) await measureWakes(server)
  if (!quick && !wakes) await measurePages()
} finally {
  await server.stop()
}

async function measurePages(): Promise<void> {
  console.log(
    `Buffers (8 kB pages looked at) and ms of a claim, median of ${CLAIMS}; half of the executions are of one initiator.`,
  )
  for (const size of SIZES) console.log(await measure(size))
}

async function measure(size: number): Promise<string> {
  const name = `bench_claims_${size}`
  await server.makeDatabase(name, true)
  const client = await server.connect(name)
  const query: Query = async (text, params) => (await client.query(text, params)).rows as never
  const worker = newUuid()
  const flow = { flowId: newUuid(), flowVersionId: newUuid() }
  await stopAnalysing(query)
  await fillReadyExecutions(query, { executions: size, ofTheHuge: size / 2, initiators: Math.max(10, size / 100), ...flow })
  await query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [worker])
  const cells: string[] = []
  for (const settings of ['as it is', 'without its settings']) {
    if (settings !== 'as it is') await query('alter function sluice.claim_next reset all')
    for (const wanted of WANTED) cells.push(`${wanted}: ${await claims(query, worker, wanted)}`)
    cells.push(settings)
  }
  if (!(await isNeverAnalysed(query))) throw new Error('the table was analysed meanwhile')
  await client.end()
  return `${size.toLocaleString('en')} ready | ${cells.join(' | ')}`
}

/** Every claim is undone, so that each finds the same. */
async function claims(query: Query, worker: string, wanted: number): Promise<string> {
  const readings: { buffers: number; ms: number }[] = []
  for (let i = 0; i < CLAIMS; i++) {
    await query('begin')
    readings.push(await readingsOf(query, 'select * from sluice.claim_next($1, $2, null)', [worker, wanted]))
    await query('rollback')
  }
  const buffers = quantile(readings.map((reading) => reading.buffers), 0.5) // prettier-ignore
  return `${buffers} buffers, ${quantile(
    readings.map(({ ms }) => ms),
    0.5,
  ).toFixed(1)} ms`
}
