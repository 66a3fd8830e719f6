/**
 * `npm run bench:live`: one event to many sockets, again and again: Sluice, plain yoga with graphql-ws, and a bare broadcast by ws, each in a
 * process of its own, in turn; then Sluice with an execution for each socket. Deliveries a second, from before the commit to receipt, CPU a
 * delivery, memory a connection. Options: --quick, --sockets=1000,5000, --rounds=3.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { LiveSystem } from './live-frames.ts'
import { measure } from './live-measure.ts'
import type { Figures } from './live-measure.ts'
import { PASSWORD } from './live-publisher.ts'
import { median } from './report.ts'
import { startServer } from './server.ts'

const SYSTEMS = ['raw', 'sluice', 'yoga'] as const
const MANY = 1_000
/** what a process has open besides its sockets */
const OTHER_FILES = 200
/** what is aimed at: times plain yoga, share of raw, kB a connection */
const TARGET = { yoga: 4, raw: 0.85, kb: 12 } as const

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, sockets: { type: 'string' }, rounds: { type: 'string' } },
})
const wanted = (options.sockets ?? (options.quick ? '1000' : '1000,5000')).split(',').map(Number)
const sizes = wanted.filter((sockets) => sockets + OTHER_FILES <= openFiles())
for (const sockets of wanted)
  if (!sizes.includes(sockets)) console.log(`${sockets} sockets are more than may be open here (ulimit -Hn).`)
if (sizes.length === 0) process.exit(1)
const rounds = Number(options.rounds ?? (options.quick ? 2 : 3))
const seconds = options.quick ? 3 : 6
console.log(`${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)} before it begins: other work makes these figures worse.`)

const server = await startServer()
const url = await server.makeDatabase('live', true)
const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
const environment = {
  ...{ DATABASE_URL: url, DATABASE_OWNER_URL: server.ownerUrl('live'), SLUICE_DATA_DIR: dataDir, PORT: '0' },
  ...{ NODE_ENV: 'development', SLUICE_ADMIN_PASSWORD: PASSWORD },
  ...{ SLUICE_LIMIT_API_PER_MINUTE: '1000000', SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '1000000' },
  ...{ SLUICE_LIMIT_SOCKETS: '100000', SLUICE_LIMIT_UNNAMED_SOCKETS: '100000' },
  ...{ SLUICE_SECURITY_UNUSUAL_REQUESTS: '1000000' },
}
const round = (system: LiveSystem, sockets: number, executions: number): Promise<Figures> =>
  measure({ system, sockets, executions, seconds, server, url, environment })

try {
  for (const sockets of sizes) {
    const figures: Record<LiveSystem, Figures[]> = { sluice: [], yoga: [], raw: [] }
    for (let at = 0; at < rounds; at++) {
      for (const system of SYSTEMS) figures[system].push(await round(system, sockets, 1))
    }
    reportOne(sockets, figures)
  }
  const many = Math.min(MANY, ...sizes)
  const figures: Figures[] = []
  for (let at = 0; at < rounds; at++) figures.push(await round('sluice', many, many))
  console.log(
    `\n${many} sockets on ${many} executions; medians of ${rounds} rounds\n\n${head()}\n${row('sluice', medians(figures))}`,
  )
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

/** that a process may have; Node takes as many as it may */
function openFiles(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files: { hard: number | string } } }
  const most = Number(userLimits?.open_files.hard)
  return Number.isNaN(most) ? Infinity : most
}

function reportOne(sockets: number, figures: Record<LiveSystem, Figures[]>): void {
  const [sluice, yoga, raw] = [medians(figures.sluice), medians(figures.yoga), medians(figures.raw)]
  console.log(`\n${sockets} sockets on one execution; medians of ${rounds} rounds\n\n${head()}`)
  console.log([row('sluice', sluice), row('yoga', yoga), row('raw', raw)].join('\n'))
  const times = sluice.perSecond / yoga.perSecond
  const share = sluice.perSecond / raw.perSecond
  console.log(
    `\n${times.toFixed(1)} times plain yoga (${TARGET.yoga} aimed at), ${(100 * share).toFixed(0)} % of raw (${100 * TARGET.raw} aimed at), ` +
      `${sluice.kbEach.toFixed(1)} kB a connection (at most ${TARGET.kb} aimed at).`,
  )
}

function medians(figures: readonly Figures[]): Figures {
  const each = (pick: (one: Figures) => number): number => median(figures.map(pick))
  return {
    ...{ perSecond: each((one) => one.perSecond), p50Ms: each((one) => one.p50Ms), p99Ms: each((one) => one.p99Ms) },
    ...{ cpuUs: each((one) => one.cpuUs), kbEach: each((one) => one.kbEach) },
    liveKbEach: each((one) => one.liveKbEach),
  }
}

function head(): string {
  return '| system | deliveries/s | p50 ms | p99 ms | µs CPU each | kB a socket | of JavaScript |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |'
}
function row(system: LiveSystem, { perSecond, p50Ms, p99Ms, cpuUs, kbEach, liveKbEach }: Figures): string {
  const cells = [
    perSecond.toFixed(0),
    p50Ms.toFixed(0),
    p99Ms.toFixed(0),
    cpuUs.toFixed(1),
    kbEach.toFixed(1),
    liveKbEach.toFixed(1),
  ]
  return `| ${system} | ${cells.join(' | ')} |`
}
