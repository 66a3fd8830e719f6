/** The settings of what queries of flows may read. */
import { querySources, verifiedPostgres, whole } from './shapes.ts'
import { setting } from './setting.ts'
import type { Settings } from './setting.ts'
import type { QueriesConfig } from './config-types.ts'

export const QUERY_SETTINGS: Settings<QueriesConfig> = {
  sources: {
    ...setting(
      'SLUICE_QUERY_SOURCES',
      'What queries of flows may read, comma-separated `name=postgres://role:password@host/database`: each as a role that may select, and nothing else.',
      '',
      querySources,
    ),
    secret: true,
    inProduction: (sources) =>
      sources.flatMap(({ name, url }) => verifiedPostgres(url).map((mistake) => `has ${name}, which ${mistake}`)),
  },
  poolSize: setting(
    'SLUICE_QUERY_POOL_SIZE',
    'Most connections of one process to each query source; further queries wait.',
    '4',
    whole(1, 100),
  ),
}
