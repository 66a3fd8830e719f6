/** What queries of flows may read: a pool to each source that is configured, opened when the first query comes. */
import type { Config } from '../config/config-types.ts'
import { openQuerySource } from '../database/query-source.ts'
import type { QuerySource } from '../database/query-source.ts'
import { loadSqlParser } from '../language/sql/sql-parser.ts'
import type { Logger } from '../log.ts'

/** By name; closed with the stack, and with them what judges SQL. Where they will be read, the log says what is unsafe about them: nobody waits for that. */
export async function openSources(
  { queries }: Config,
  work: boolean,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<Map<string, QuerySource>> {
  if (queries.sources.length > 0) await loadSqlParser()
  const sources = queries.sources.map(({ name, url }) => openQuerySource({ name, connection: url, size: queries.poolSize, log }))
  for (const source of sources) {
    stack.defer(() => source.close())
    if (work) void source.check()
  }
  return new Map(sources.map((source) => [source.name, source]))
}
