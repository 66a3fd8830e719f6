/** One measured system in a process of its own, so that its CPU time is its own; bench/engine.ts tells it what to run. */
import { openCeiling } from './ceiling.ts'
import { openDbos } from './dbos.ts'
import type { Amount, Shape, SystemName } from './shapes.ts'
import { openSluice } from './sluice.ts'
import type { Round, System } from './system.ts'

export type Order = { run: Shape; amount: Amount } | 'flush' | 'close'
export type Reply = { round?: Round } | { failed: string }

const OPEN: Record<SystemName, (connection: string) => Promise<System>> = {
  sluice: openSluice,
  dbos: openDbos,
  ceiling: openCeiling,
}

const name = process.argv[2] as SystemName
// not as an argument: it holds a password, and everybody sees arguments
const connection = process.env['BENCH_DATABASE']!
const reply = (answer: Reply): void => void process.send!(answer)
process.on('disconnect', () => process.exit(1))

try {
  const system = await OPEN[name](connection)
  process.on('message', (order: Order) => void obey(system, order))
  reply({})
} catch (error) {
  reply({ failed: describe(error) })
}

async function obey(system: System, order: Order): Promise<void> {
  try {
    if (order === 'close') {
      await system.close()
      reply({})
      process.disconnect()
      process.exit(0)
    }
    if (order === 'flush') reply((await system.flushCounters(), {}))
    else reply({ round: await system.run(order.run, order.amount) })
  } catch (error) {
    reply({ failed: describe(error) })
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
