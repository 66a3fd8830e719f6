/** PostgreSQL ends at once and comes back. The one of a fleet is left alone: for the drill's processes alone it is as if it had. */
import { together } from '../proxy.ts'
import { AWAY_MS, lasting } from './fault.ts'
import type { Fault } from './fault.ts'

export const restartPostgres: Fault = {
  what: ({ kind }) =>
    kind === 'OWN'
      ? 'PostgreSQL is ended at once, and recovers'
      : 'PostgreSQL ends every connection of the drill, and takes none for two seconds',
  async run(stage) {
    const { site, crew, progress } = stage
    if (site.crashPostgres) {
      const hit = await stage.hit(site.crashPostgres)
      return stage.recovered(hit, await progress.answers())
    }
    const ways = together([crew.api, ...crew.workers].map(({ database }) => database))
    const hit = await stage.hit(ways.cut)
    await lasting(AWAY_MS, stage)
    ways.mend()
    await stage.recovered(hit, progress.now())
  },
}
