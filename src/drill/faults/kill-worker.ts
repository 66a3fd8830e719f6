/** kill -9 of a worker in the middle of steps; somebody starts it again when others have taken over. */
import { busiest } from './fault.ts'
import type { Fault } from './fault.ts'

export const killWorker: Fault = {
  what: () => 'a worker is killed in the middle of steps',
  async run(stage) {
    const { worker, executions } = await busiest(stage)
    const hit = await stage.hit(() => worker.kill(), executions)
    await stage.recovered(hit)
    await worker.start()
  },
}
