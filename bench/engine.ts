/**
 * `npm run bench:engine`: Sluice, DBOS and the ceiling of Sluice's own commit function, on one PostgreSQL in one run, shape by
 * shape and round by round in turn. Options: --quick, --rounds=3, --only=drained,closed, --systems=sluice,ceiling, --out=FILE.
 */
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { costTable, speedTable, summarise } from './report.ts'
import type { Measured, Results } from './report.ts'
import { startServer } from './server.ts'
import type { BenchServer, Counters } from './server.ts'
import { amountOf, SHAPES, SYSTEMS } from './shapes.ts'
import type { Amount, Shape, SystemName } from './shapes.ts'
import type { Order, Reply } from './system-process.ts'
import type { Round } from './system.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    systems: { type: 'string' },
    out: { type: 'string' },
  },
})
const quick = options.quick
const rounds = Number(options.rounds ?? (quick ? 2 : 3))
const shapes = chosen(options.only, SHAPES, ({ name }) => name)
const systems = chosen(options.systems, SYSTEMS, (name) => name)

interface Opened {
  name: SystemName
  database: string
  child: ChildProcess
}

installPeers()
const began = performance.now()
console.log(`${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)} before it begins: compare ratios, not machines.`)
const server = await startServer()
const opened: Opened[] = []
const results: Results = {}
try {
  for (const name of systems) opened.push(await open(server, name))
  for (const shape of shapes) results[shape.name] = await measure(shape)
  console.log(`\n${speedTable(shapes, results)}\n\nFor each execution:\n${costTable(shapes, results)}`)
  console.log(
    `\n${rounds} rounds in ${((performance.now() - began) / 1000).toFixed(0)} s, load ${loadavg()[0]!.toFixed(1)} at the end.`,
  )
  if (options.out)
    await writeFile(options.out, JSON.stringify({ at: new Date(), cores: cpus().length, rounds, quick, results }, null, 2))
} finally {
  await Promise.allSettled(opened.map(({ child }) => ask(child, 'close')))
  await server.stop()
}

/** One shape: every system in turn, again and again, after a round that does not count. */
async function measure(shape: Shape): Promise<Results[string]> {
  await server.checkpoint()
  const measured = new Map<SystemName, Measured[]>(systems.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const system of opened) {
      progress(`${shape.title}: ${round === 0 ? 'warming up' : `round ${round} of ${rounds}`}, ${system.name}`)
      const amount = amountOf(shape, system.name, quick)
      const result = await runRound(system, shape, round === 0 ? { ...amount, ...warmUp(amount) } : amount)
      if (round > 0) measured.get(system.name)!.push(result)
    }
  }
  progress('')
  return Object.fromEntries(systems.map((name) => [name, summarise(measured.get(name)!)]))
}

function warmUp({ executions, seconds }: Amount): Amount {
  return { executions: Math.min(Math.ceil(executions / 4), 1_000), seconds: Math.min(seconds, 1) }
}

async function runRound({ child, database }: Opened, shape: Shape, amount: Amount): Promise<Measured> {
  await ask(child, 'flush')
  const before = await server.counters(database)
  const round = await ask(child, { run: shape, amount })
  const cpuMs = (await server.counters(database)).cpuMs
  await ask(child, 'flush')
  const after = { ...(await server.counters(database)), cpuMs }
  const difference = Object.fromEntries(Object.entries(after).map(([key, value]) => [key, value - before[key as keyof Counters]]))
  return { ...round!, server: difference as unknown as Counters }
}

async function open(on: BenchServer, name: SystemName): Promise<Opened> {
  const database = `bench_${name}`
  const url = await on.makeDatabase(database, name !== 'dbos')
  const child = fork(join(import.meta.dirname, 'system-process.ts'), [name], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, BENCH_DATABASE: url },
  })
  await nextReply(child)
  return { name, database, child }
}

async function ask(child: ChildProcess, order: Order): Promise<Round | undefined> {
  child.send(order)
  return nextReply(child)
}

function nextReply(child: ChildProcess): Promise<Round | undefined> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null): void => reject(new Error(`a measured process ended with ${code}`))
    child.once('exit', gone)
    child.once('message', (reply: Reply) => {
      child.off('exit', gone)
      if ('failed' in reply) reject(new Error(reply.failed))
      else resolve(reply.round)
    })
  })
}

/** One line that changes, where somebody watches. */
function progress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`)
}

/** The peers have dependencies of their own, which nobody needs who does not run this. */
function installPeers(): void {
  if (!systems.includes('dbos') || existsSync(join(import.meta.dirname, 'node_modules', '@dbos-inc', 'dbos-sdk'))) return
  console.log('Installing DBOS into bench/node_modules, to compare with (once) ...')
  const options = { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'inherit'] as ('ignore' | 'inherit')[] }
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], options)
  if (status !== 0) throw new Error('DBOS could not be installed; --systems=sluice,ceiling does without it.')
}

function chosen<Item>(names: string | undefined, all: readonly Item[], nameOf: (item: Item) => string): Item[] {
  if (names === undefined) return [...all]
  const wanted = names.split(',')
  const unknown = wanted.filter((name) => !all.some((item) => nameOf(item) === name))
  if (unknown.length > 0) throw new Error(`${unknown.join()}? There are ${all.map(nameOf).join()}.`)
  return all.filter((item) => wanted.includes(nameOf(item)))
}
