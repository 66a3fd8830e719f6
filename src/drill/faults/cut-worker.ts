/** A partition: between a worker and PostgreSQL every packet is lost, past its lease; the worker goes on with what it has. */
import { busiest, pastTheLease } from './fault.ts'
import type { Fault } from './fault.ts'

export const cutWorker: Fault = {
  what: () => 'a worker is cut off from PostgreSQL past its lease',
  async run(stage) {
    const { worker, executions } = await busiest(stage)
    const hit = await stage.hit(() => worker.database.silence(), executions)
    await pastTheLease(stage, hit)
    worker.database.mend()
  },
}
