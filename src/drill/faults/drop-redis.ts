/** Redis is killed and comes back empty. The one of a fleet is left alone: for the drill's processes alone it is away. */
import { AWAY_MS, lasting } from './fault.ts'
import type { Fault } from './fault.ts'

export const dropRedis: Fault = {
  what: ({ kind }) => (kind === 'OWN' ? 'Redis is killed, and comes back empty' : 'Redis is away from the drill for two seconds'),
  impossible: ({ kind, redisUrl }) =>
    redisUrl !== undefined
      ? undefined
      : kind === 'OWN'
        ? 'this machine has no redis-server (apt-get install redis-server, brew install redis)'
        : 'REDIS_URL is not set',
  async run(stage) {
    const { site, crew } = stage
    const hit = await stage.hit(() => (site.killRedis ? site.killRedis() : crew.redis!.cut()))
    // nothing waits for it
    await Promise.all([stage.recovered(hit), lasting(AWAY_MS, stage)])
    if (site.startRedis) await site.startRedis()
    else crew.redis!.mend()
  },
}
