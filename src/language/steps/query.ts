/** `query` in a definition: one SELECT on a source that the operator configured, read-only (C4). */
import { z } from 'zod'
import { commonFields, json, name, type AnyStep } from '../any-step.ts'
import { didYouMean } from '../nearest-name.ts'
import { checkSql, MAX_PARAMETERS, MAX_SQL_LENGTH } from '../sql/sql-guard.ts'
import { isSqlParserLoaded } from '../sql/sql-parser.ts'
import { objectOf } from '../template-schema.ts'
import type { Json, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface QueryStep extends AnyStep {
  readonly type: 'query'
  /** the name of a source */
  readonly source: string
  readonly sql: string
  /** `$1` first; texts in them may hold `${{ }}` */
  readonly params?: readonly Json[]
  readonly maxRows?: number
}
export interface QuerySpec {
  type: 'query'
  source: string
  sql: string
  params: Template
  maxRows: number
}

const DEFAULT_ROWS = 1_000
const MOST_ROWS = 10_000
const NONE: ReadonlySet<string> = new Set()

export const query: StepLanguage<QueryStep, QuerySpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('query').describe('Reads rows from a source that the operator configured.'),
    source: name.describe('The name of the source.'),
    sql: z.string().max(MAX_SQL_LENGTH).describe('One SELECT without values in it: $1, $2 ... stand for "params".'),
    params: z.array(json).max(MAX_PARAMETERS).optional().describe('What $1, $2 ... are; texts in it may hold ${{ }}.'),
    maxRows: z
      .int()
      .min(1)
      .max(MOST_ROWS)
      .optional()
      .describe(`Rows beyond are left out, and "truncated" is true; ${DEFAULT_ROWS} unless given.`),
  }),
  mayRunElsewhere: true,
  timeout: { otherwiseMs: 10_000, mostMs: 600_000 },
  compile({ source, sql, params = [], maxRows = DEFAULT_ROWS }, compiler) {
    const { allow, issues, path } = compiler
    const { sources = NONE } = allow
    if (!sources.has(source)) {
      issues.add('UNKNOWN_SOURCE', [...path, 'source'], undefined, () => didYouMean(source, sources))
    }
    // where no source is known, and the step refused anyway, the parser may be missing
    if (sources.has(source) || isSqlParserLoaded()) {
      for (const { code, message, hint } of checkSql(sql, params.length)) issues.add(code, [...path, 'sql'], message, hint)
    }
    return {
      type: 'query',
      source,
      sql,
      params: compiler.template([...params], 'params'),
      maxRows,
      secrets: [],
      atMostOnce: false,
    }
  },
  given: (spec) => spec.params,
  returns: () =>
    objectOf({ rows: { type: 'array', items: { type: 'object' } }, count: { type: 'integer' }, truncated: { type: 'boolean' } }),
}
