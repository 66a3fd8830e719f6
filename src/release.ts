/** Which release of Sluice this is, and what it makes of a database. */
import { readFileSync } from 'node:fs'

export const RELEASE = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

/**
 * Of the schema that this program makes (src/database/schema-level.ts). `level`: one more with each release whose migrations, repeatables or
 * definitions differ from the release before. `least`: the oldest level of a program that can go on with it; it is raised by what takes
 * something away (docs/operating.md, "Upgrading").
 */
export const SCHEMA_LEVEL = { level: 2, least: 1 }
