/**
 * Two releases on one database, as during a roll-out. CI has no other release: `SLUICE_TEST_OLDER=/path/to/its/checkout npm run test:faults
 * test/app/other-release` is how a release is tried before it is made.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { effectsFile } from '../harness/effects.ts'
import { testFleet } from '../harness/fleet.ts'
import { mixedLoad } from '../harness/mixed-load.ts'

const older = process.env['SLUICE_TEST_OLDER']
const SECONDS = Number(process.env['SLUICE_TEST_SECONDS'] ?? 5)

test.skipIf(older === undefined)(
  'a newer release takes the place of an older one under load, and the older one of the newer: nothing is lost or recorded twice',
  async () => {
    const effects = effectsFile()
    const fleet = await testFleet({}, { migrated: false })
    const oldServer = await fleet.startServer({}, older)
    await fleet.startWorker({}, older)
    const load = await mixedLoad(fleet, effects)
    await load.start(40)

    // the newer one migrates while the older one works; then both do
    await fleet.startServer()
    await fleet.startWorker()
    const mixed = async (): Promise<void> => {
      for (const until = performance.now() + SECONDS * 1000; performance.now() < until; await pause(200)) await load.start(5)
    }
    await mixed()
    expect(oldServer.process.exitCode).toBe(null)
    expect(await fetch(`${oldServer.url}/health/ready`).then((answer) => answer.json())).toEqual({ status: 'ok' })

    // and back: it starts at what the newer one made
    for (const worker of fleet.workers.slice()) await fleet.kill(worker)
    await fleet.startWorker({}, older)
    await mixed()
    for (const server of fleet.servers.slice(1)) await fleet.kill(server)
    await load.whole(120_000)
  },
  300_000,
)
