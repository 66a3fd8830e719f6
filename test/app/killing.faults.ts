/**
 * A fleet whose parts are killed, stopped, cut off and emptied under a load of everything that executions do: all of it ends as it
 * must, once, with a whole history. `SLUICE_TEST_EXECUTIONS` and `SLUICE_TEST_SECONDS` make it longer; CI has the sizes below.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'vitest'
import { effectsFile } from '../harness/effects.ts'
import { testFleet } from '../harness/fleet.ts'
import type { WorkerProcess } from '../harness/fleet.ts'
import { mixedLoad } from '../harness/mixed-load.ts'
import { seededChance } from '../harness/seeded.ts'

const EXECUTIONS = Number(process.env['SLUICE_TEST_EXECUTIONS'] ?? 1_000)
const SECONDS = Number(process.env['SLUICE_TEST_SECONDS'] ?? 30)
const WORKERS = 3

const effects = effectsFile()
const fleet = testFleet()
const chance = seededChance()

test(`${EXECUTIONS} executions while a worker is killed every second for ${SECONDS} s: all end as they must, nothing twice (D9, A5)`, async () => {
  await fleet.startServer()
  await Promise.all(Array.from({ length: WORKERS }, () => fleet.startWorker()))
  const load = await mixedLoad(fleet, effects.file)
  const starting = load.start(EXECUTIONS)
  const until = performance.now() + SECONDS * 1000
  const replacements: Promise<WorkerProcess>[] = []
  let kills = 0
  while (performance.now() < until) {
    await pause(1000)
    if (fleet.workers.length === 0) continue
    await fleet.kill(chance.pick(fleet.workers))
    kills++
    replacements.push(fleet.startWorker())
  }
  await Promise.all(replacements)
  await starting
  console.log(`${kills} kills`)
  await load.whole(60_000)
}, 300_000)
