/** PostgreSQL's own parser, as WebAssembly: 17 MB, which only those pay who meet SQL. */
import type { parseSync, scanSync } from 'libpg-query'

interface SqlParser {
  parseSync: typeof parseSync
  scanSync: typeof scanSync
}

let loaded: SqlParser | undefined

/** To be awaited before SQL is judged (25 ms, once), so that whoever judges need not wait. */
export async function loadSqlParser(): Promise<void> {
  if (loaded) return
  const parser = await import('libpg-query')
  await parser.loadModule()
  loaded = parser
}

/** The same, if there may be a query in `definition`: anything that can be written as JSON. */
export async function loadSqlParserFor(definition: unknown): Promise<void> {
  if (!loaded && JSON.stringify(definition)?.includes('"query"')) await loadSqlParser()
}

export const isSqlParserLoaded = (): boolean => loaded !== undefined

/** Throws when nobody loaded it: SQL that nobody could judge is not run. */
export function sqlParser(): SqlParser {
  if (!loaded) throw new Error("PostgreSQL's parser is not loaded")
  return loaded
}
