/** SIGSTOP of a worker past its lease: others take over, and when it wakes up it finds that nothing is its own any more. */
import { busiest, pastTheLease } from './fault.ts'
import type { Fault } from './fault.ts'

export const pauseWorker: Fault = {
  what: () => 'a worker is paused past its lease, and wakes up',
  async run(stage) {
    const { worker, executions } = await busiest(stage)
    const hit = await stage.hit(() => worker.pause(), executions)
    await pastTheLease(stage, hit)
    worker.resume()
  },
}
