/**
 * The smallest fleet, one API and two workers as processes of their own, under a load of everything that executions do: it works on
 * both; then a worker and the API are asked to end, as a roll-out does.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { effectsFile } from '../harness/effects.ts'
import { testFleet } from '../harness/fleet.ts'
import type { WorkerProcess } from '../harness/fleet.ts'
import { freePort } from '../harness/free-port.ts'
import { mixedLoad } from '../harness/mixed-load.ts'

const AT_A_TIME = 40
/** Whatever waits for one of these to expire is not there at the end of the test. */
const LONG_LEASE = { SLUICE_LEASE_MS: '600000' }

const effects = effectsFile()
const fleet = await testFleet()

test('one API and two workers: both work; one and the API are asked to end under load: nothing is lost, recorded twice or waits for a lease, and who follows comes back by itself (E5, D9)', async () => {
  const server = { PORT: String(await freePort()) }
  const ports = [String(await freePort()), String(await freePort())]
  await Promise.all([
    fleet.startServer(server),
    ...ports.map((port) => fleet.startWorker({ ...LONG_LEASE, SLUICE_METRICS_PORT: port })),
  ])
  const load = await mixedLoad(fleet, effects)
  await load.start(AT_A_TIME)
  for (const port of ports) await expect.poll(() => ended(port), { timeout: 60_000 }).toBeGreaterThan(0)

  let isRolledOut = false
  const meanwhile = (async () => {
    while (!isRolledOut) {
      await load.start(10)
      await pause(200)
    }
  })()
  await pause(1_000)
  const handedBackMs = await drain(fleet.workers[0]!)
  const [old] = fleet.servers.splice(0)
  expect(await old!.end('SIGTERM')).toBe(0)
  await fleet.startServer(server)
  isRolledOut = true
  await meanwhile
  await load.whole(60_000)
  console.log(`handed back within ${handedBackMs} ms, ${load.started.size} executions`)
}, 300_000)

/** Until it has ended by itself; how long it held something, ms. */
async function drain(worker: WorkerProcess): Promise<number> {
  fleet.workers.splice(fleet.workers.indexOf(worker), 1)
  const [, workerId] = /^ +worker +(\S+)$/m.exec(worker.output())!
  const began = performance.now()
  const ending = worker.end('SIGTERM')
  let heldMs = 0
  const held = 'select count(*)::int as count from sluice.executions where owner = $1'
  while ((await fleet.database.query<{ count: number }>(held, [workerId]))[0]!.count > 0) {
    await pause(20)
    heldMs = Math.round(performance.now() - began)
  }
  expect(await ending).toBe(0)
  return heldMs
}

/** Executions that this worker ended. */
async function ended(port: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return [...text.matchAll(/^sluice_executions_total\S* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
}
