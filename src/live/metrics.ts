/** What feeds count for collectors (A9): who follows, and how much of it is different. */
import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Feeds } from './feeds.ts'

export function measureFeeds(feeds: Pick<Feeds<never>, 'size' | 'groups'>, registry: Registry): void {
  const registers = [registry]
  new Gauge({
    ...{ name: 'sluice_feed_followers', help: 'Open feeds of this process.', registers },
    collect() {
      this.set(feeds.size)
    },
  })
  new Gauge({
    ...{ name: 'sluice_feed_groups', help: 'Different things that are rendered for them.', registers },
    collect() {
      this.set(feeds.groups)
    },
  })
}
