import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrations, repeatables } from '../migrations/list.ts'
import { openDatabase } from '../src/database/database.ts'
import { startEmbedded } from '../src/database/embedded.ts'
import { migrateDatabase } from '../src/database/migrate.ts'
import { createEngine } from '../src/engine/create-engine.ts'
import { createHandlerHost } from '../src/engine/handlers/handler-host.ts'
import { defineHandler } from '../src/engine/handlers/define-handler.ts'
import { createLocalBus } from '../src/fleet/local-bus.ts'
import { newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import { startOrder, storeFlow, unwrap } from '../test/harness/engine.ts'

const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
const log = createLog(process.env.LOG ?? 'warn')
const pg = await startEmbedded({ dataDir, log })
await migrateDatabase({ connection: pg.ownerUrl, appRole: 'sluice_app', migrations, repeatables, log })
const database = await openDatabase({ connection: pg.appUrl, entities: [], poolSize: 10, log })
const handler = defineHandler({ name: 'noop', inline: true, run: async () => ({ ok: true }) })
const registry = new Map([['noop', { name: 'noop', inline: true, exportName: 'noop', file: 'x', handler }]])
const engine = createEngine({
  database,
  log,
  registry,
  leaseMs: 10000,
  maxHeld: Number(process.env.HELD ?? 500),
  fenceMs: 500,
  drainMs: 500,
  enabled: true,
  bus: createLocalBus(log),
  host: createHandlerHost({ registry, environment: {}, log }),
  allow: { roles: new Set(['ceo']), handlers: new Set(['noop']) },
})
const steps = (n: number) =>
  Object.fromEntries(
    Array.from({ length: n }, (_, i) => [`s${i}`, { type: 'handler', handler: 'noop', ...(i > 0 && { after: [`s${i - 1}`] }) }]),
  )
const flow = await storeFlow(database, { name: 'three', steps: steps(3) })
const fan = await storeFlow(database, {
  name: 'fan',
  steps: {
    ...Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`p${i}`, { type: 'handler', handler: 'noop' }])),
    join: { type: 'handler', handler: 'noop', after: Array.from({ length: 10 }, (_, i) => `p${i}`) },
  },
})
const initiatorId = newUuid()
let commits = 0,
  items = 0
engine.committer.onCommit = (b) => {
  commits++
  items += b.items
}
const order = await startOrder(engine, flow, {}, { initiatorId })
const fanOrder = await startOrder(engine, fan, {}, { initiatorId })
const open = async () =>
  Number((await database.query<{ n: number }>('select count(*) as n from sluice.executions where ended_at is null'))[0]!.n)
// drained: enqueue N with no worker, then run
async function drained(o: typeof order, n: number) {
  for (let i = 0; i < n; i += 1000) await Promise.all(Array.from({ length: 1000 }, () => engine.start(o)))
}
const { readdirSync, readFileSync } = await import('node:fs')
function pgCpu() {
  let t = 0
  for (const d of readdirSync('/proc')) {
    if (!/^\d+$/.test(d)) continue
    try {
      const st = readFileSync(`/proc/${d}/stat`, 'utf8')
      const f = st.slice(st.lastIndexOf(')') + 2).split(' ')
      if (d === String(pg.pid) || f[1] === String(pg.pid)) t += Number(f[11]) + Number(f[12])
    } catch {}
  }
  return t / 100
}
const N = Number(process.env.N ?? 10000)
let t = performance.now()
await drained(order, N)
console.log('enqueue', Math.round((N / (performance.now() - t)) * 1000), '/s')
commits = items = 0
t = performance.now()
const cpu = process.cpuUsage()
const p0 = pgCpu()
await engine.run()
while ((await open()) > 0) await new Promise((r) => setTimeout(r, 100))
let s = (performance.now() - t) / 1000
const c = process.cpuUsage(cpu)
console.log(
  'drained',
  Math.round(N / s),
  '/s  commits',
  commits,
  'items',
  items,
  'node cpu ms/exec',
  ((c.user + c.system) / 1e3 / N).toFixed(3),
  'pg cpu ms/exec',
  (((pgCpu() - p0) * 1000) / N).toFixed(3),
)
// closed loop 100 callers
commits = items = 0
t = performance.now()
let done = 0
await Promise.all(
  Array.from({ length: 100 }, async () => {
    while (performance.now() - t < 5000) {
      const r = unwrap(await engine.start(order))
      await engine.ended(r.executionId, 10000)
      done++
    }
  }),
)
s = (performance.now() - t) / 1000
console.log('closed 100', Math.round(done / s), '/s commits', commits, 'items', items)
const lat: number[] = []
for (let i = 0; i < 500; i++) {
  const a = performance.now()
  const r = unwrap(await engine.start(order))
  await engine.ended(r.executionId, 10000)
  lat.push(performance.now() - a)
}
lat.sort((a, b) => a - b)
console.log('one at a time p50', lat[250]!.toFixed(2), 'p99', lat[495]!.toFixed(2))
t = performance.now()
done = 0
await Promise.all(
  Array.from({ length: 100 }, async () => {
    while (performance.now() - t < 5000) {
      const r = unwrap(await engine.start(fanOrder))
      await engine.ended(r.executionId, 10000)
      done++
    }
  }),
)
console.log('fan closed', Math.round(done / ((performance.now() - t) / 1000)), '/s')
console.log(
  await database.query(
    "select relname, n_tup_ins, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where schemaname='sluice' and n_tup_ins > 0",
  ),
)
await engine.stop()
await database.close()
await pg.stop()
await rm(dataDir, { recursive: true })
