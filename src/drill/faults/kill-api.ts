/** kill -9 of the API; somebody starts it again at once. Starts that were asked for are asked for again, feeds go on where they were. */
import type { Fault } from './fault.ts'

export const killApi: Fault = {
  what: () => 'the API is killed, and started again',
  async run(stage) {
    const { crew, progress } = stage
    const hit = await stage.hit(() => crew.api.kill())
    await crew.api.start()
    await stage.answered(hit, progress.now())
  },
}
