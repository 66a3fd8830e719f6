/** The standby that some lists are read from, where the operator has one. */
import { Gauge } from 'prom-client'
import { createReplica, LOOK_EVERY_MS } from '../database/replica.ts'
import type { Replica } from '../database/replica.ts'
import { createLoop } from '../loop.ts'
import type { Ground } from './ground.ts'

/** Started, measured, and stopped with the stack. */
export function openReplica({ config, database, registry, log, stack }: Ground): Replica | undefined {
  const { readUrl, readLagMs, poolSize } = config.database
  if (!readUrl) return undefined
  const options = { primary: database, connection: readUrl, mostLagMs: readLagMs, poolSize }
  const replica = createReplica({ ...options, log: log.child({ room: 'database' }) })
  new Gauge({
    ...{
      name: 'sluice_replica_lag_seconds',
      help: 'How far the standby is behind that lists are read from.',
      registers: [registry],
    },
    collect() {
      this.set((replica.lagMs ?? Number.NaN) / 1000)
    },
  })
  stack.defer(() => replica.close())
  const loop = createLoop({
    name: 'looking at the replica',
    log,
    async runOnce() {
      await replica.runOnce()
      return LOOK_EVERY_MS
    },
  })
  loop.start()
  stack.defer(() => loop.stop())
  return replica
}
