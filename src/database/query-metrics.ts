/** What queries of flows cost (A9): how long each source takes, by how it ends. */
import { Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { SourceError } from './query-source.ts'
import type { QuerySource } from './query-source.ts'

/** The same sources, measured. */
export function measureSources(sources: ReadonlyMap<string, QuerySource>, registry: Registry): Map<string, QuerySource> {
  const seconds = new Histogram({
    ...{
      name: 'sluice_query_seconds',
      help: 'Time of a query of a flow, by its source and how it ended.',
      registers: [registry],
    },
    labelNames: ['source', 'outcome'],
    buckets: [0.001, 0.01, 0.1, 1, 10, 100],
  })
  const measured = (source: QuerySource): QuerySource => ({
    ...source,
    async run(query, signal) {
      const began = performance.now()
      const took = (outcome: string): void =>
        seconds.observe({ source: source.name, outcome }, (performance.now() - began) / 1000)
      try {
        const rows = await source.run(query, signal)
        took('OK')
        return rows
      } catch (error) {
        took(error instanceof SourceError ? error.reason : 'FAULT')
        throw error
      }
    },
  })
  return new Map([...sources].map(([name, source]) => [name, measured(source)]))
}
