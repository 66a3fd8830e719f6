/**
 * SQL in a flow (C4): exactly one SELECT that reads tables and computes, with nothing in it but parameters. It is judged by PostgreSQL's own
 * parser, node by node against what is allowed: deletions in a CTE, SELECT INTO, FOR UPDATE and pg_sleep() are all SELECTs at the top.
 */
import type { ScanToken } from 'libpg-query'
import { didYouMean } from '../nearest-name.ts'
import { FUNCTIONS, OPERATORS, TYPES } from './sql-names.ts'
import { HINTS, NODES, REFUSED } from './sql-nodes.ts'
import { sqlParser } from './sql-parser.ts'

export interface SqlProblem {
  /** INVALID_SQL: PostgreSQL would not run it; FORBIDDEN_SQL: we do not */
  code: 'INVALID_SQL' | 'FORBIDDEN_SQL'
  message: string
  hint?: string
}

export const MAX_SQL_LENGTH = 10_000
export const MAX_PARAMETERS = 50
const MAX_PROBLEMS = 10
/** of the syntax tree; each level of the text is two or three there */
const MAX_DEPTH = 150
/** Brackets are counted before the parser runs: its stack is the one of JavaScript. */
const MAX_BRACKETS = 50
/** Planning takes longer with each, also where nothing is read. */
const MAX_RELATIONS = 30

const CLOCKS = /^(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)$/

type Node = Readonly<Record<string, unknown>>
interface Checking {
  sql: string
  parameters: Set<number>
  relations: number
  refuse(code: SqlProblem['code'], message: string, node?: Node, hint?: string): void
}

/** Every problem of `sql`, which is to be run with this many parameters; [] when it may run. The parser is loaded. */
export function checkSql(sql: string, parameterCount: number): SqlProblem[] {
  const problems: SqlProblem[] = []
  const refuse: Checking['refuse'] = (code, message, node, hint) => {
    if (problems.length === MAX_PROBLEMS) return
    const text = message + placeOf(sql, node)
    if (!problems.some((known) => known.message === text))
      problems.push(hint === undefined ? { code, message: text } : { code, message: text, hint })
  }
  const checking: Checking = { sql, parameters: new Set(), relations: 0, refuse }
  if (!checkText(checking)) return problems
  const statements = parse(checking)
  if (!statements) return problems
  checkTokens(checking)
  checkStatements(statements, checking)
  checkParameters(checking, parameterCount)
  return problems
}

/** False when the parser should not see it. */
function checkText({ sql, refuse }: Checking): boolean {
  if (sql.includes('${{')) {
    refuse('FORBIDDEN_SQL', 'SQL holds no templates', undefined, 'write $1, and the template into "params"')
  } else if (sql.trim() === '') refuse('INVALID_SQL', 'there is no statement')
  else if (sql.length > MAX_SQL_LENGTH) refuse('FORBIDDEN_SQL', `SQL has at most ${MAX_SQL_LENGTH} characters`)
  // also inside of a name, which nobody needs: reading nested ones takes the parser quadratic time
  else if (COMMENT.test(sql)) refuse('FORBIDDEN_SQL', 'comments are not allowed', { location: bytesBefore(sql, COMMENT) })
  else if (/[^\P{Cc}\t\n\r]|\p{Cf}|\p{Cs}/u.test(sql)) refuse('FORBIDDEN_SQL', 'SQL holds no control or invisible characters')
  else if (bracketDepth(sql) > MAX_BRACKETS) refuse('FORBIDDEN_SQL', `brackets are nested at most ${MAX_BRACKETS} levels deep`)
  else return true
  return false
}

const COMMENT = /--|\/\*/
const bytesBefore = (sql: string, pattern: RegExp): number => Buffer.byteLength(sql.slice(0, sql.search(pattern)))

function bracketDepth(sql: string): number {
  let depth = 0
  let deepest = 0
  for (const char of sql) {
    if (char === '(' || char === '[') deepest = Math.max(deepest, ++depth)
    else if (char === ')' || char === ']') depth = Math.max(0, depth - 1)
  }
  return deepest
}

function parse({ sql, refuse }: Checking): Node[] | undefined {
  try {
    const { stmts = [] } = sqlParser().parseSync(sql) as { stmts?: Node[] }
    return stmts
  } catch (error) {
    const details = error instanceof Error && 'sqlDetails' in error ? (error.sqlDetails as { cursorPosition: number }) : undefined
    if (details) refuse('INVALID_SQL', (error as Error).message, { location: details.cursorPosition })
    else refuse('FORBIDDEN_SQL', 'the statement is nested too deep')
    return undefined
  }
}

/** What the syntax tree does not show: how things were written. */
function checkTokens({ sql, refuse }: Checking): void {
  const { tokens } = sqlParser().scanSync(sql)
  let before: ScanToken | undefined
  for (const token of tokens) {
    const { tokenName, text, start } = token
    const at = { location: start }
    if (/^[ifsbx]const$/i.test(tokenName) || text.includes("'"))
      refuse('FORBIDDEN_SQL', 'values are not written into SQL', at, 'write $1, and the value into "params"')
    else if (/^u&"/i.test(text)) refuse('FORBIDDEN_SQL', 'names are written without escapes', at)
    else if (before?.tokenName === 'PARAM' && before.end === start && /^[\w"]/.test(text))
      refuse('INVALID_SQL', 'a parameter is followed by a blank', at)
    before = token
  }
  if (!/^(select|with)$/i.test(tokens[0]?.text ?? '')) refuse('FORBIDDEN_SQL', 'the statement begins with SELECT or WITH')
  const ends = tokens.filter(({ text }) => text === ';')
  if (ends.length > 1) refuse('FORBIDDEN_SQL', 'exactly one statement is allowed', { location: ends[1]!.start })
}

function checkStatements(statements: Node[], checking: Checking): void {
  const { refuse } = checking
  if (statements.length !== 1) return refuse('FORBIDDEN_SQL', `exactly one statement is allowed, these are ${statements.length}`)
  const statement = statements[0]!['stmt'] as Node
  if (!('SelectStmt' in statement))
    return refuse('FORBIDDEN_SQL', `only SELECT is allowed, this is ${nameOf(Object.keys(statement)[0] ?? '')}`)
  visit(statement, checking, 0)
}

/** A node wrapped in its type: `{ ColumnRef: { ... } }`. An empty one stands for a plain DISTINCT. */
function visit(wrapped: Node, checking: Checking, depth: number): void {
  for (const [type, node] of Object.entries(wrapped)) visitPart(type, node as Node, checking, depth)
}

function visitPart(type: string, node: Node, checking: Checking, depth: number): void {
  const { refuse } = checking
  if (depth > MAX_DEPTH) return refuse('FORBIDDEN_SQL', 'the statement is nested too deep')
  const fields = Object.hasOwn(NODES, type) ? NODES[type]! : undefined
  if (!fields) return refuse('FORBIDDEN_SQL', `${nameOf(type)} is not allowed`, node, HINTS[type])
  CHECKS[type]?.(node, checking)
  for (const [name, value] of Object.entries(node)) {
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (kind === 'nodes') for (const inner of [value].flat()) visit(inner as Node, checking, depth + 1)
    else if (kind === undefined) refuseField(type, name, node, checking)
    else if (kind !== 'value') visitPart(kind, value as Node, checking, depth + 1)
  }
}

function refuseField(type: string, name: string, node: Node, { refuse }: Checking): void {
  // The grammar itself writes the part of a date: extract(year from x); what people write is found among the tokens.
  if (type === 'A_Const') return name === 'sval' ? undefined : refuse('FORBIDDEN_SQL', 'values are not written into SQL', node)
  refuse('FORBIDDEN_SQL', `${nameOf(name)} is not allowed`, node)
}

/** What the shape of a node does not say. */
const CHECKS: Record<string, (node: Node, checking: Checking) => void> = {
  RangeVar(node, checking) {
    const { schemaname = '', relname } = node as { schemaname?: string; relname: string }
    const isSystem = [schemaname, relname].some((name) => /^(pg_|information_schema$)/i.test(name))
    if (isSystem) checking.refuse('FORBIDDEN_SQL', "PostgreSQL's own tables are not read", node)
    if (++checking.relations > MAX_RELATIONS) checking.refuse('FORBIDDEN_SQL', `at most ${MAX_RELATIONS} tables are read`)
  },
  ParamRef({ number, location }, { parameters, refuse }) {
    if (typeof number === 'number' && number <= MAX_PARAMETERS) parameters.add(number)
    else refuse('INVALID_SQL', `parameters are $1 to $${MAX_PARAMETERS}`, { location })
  },
  A_Expr: (node, checking) => checkOperator(textsOf(node['name']), node, checking),
  SubLink: (node, checking) => node['operName'] && checkOperator(textsOf(node['operName']), node, checking),
  SelectStmt(node, { refuse }) {
    if (node['targetList'] === undefined && node['valuesLists'] === undefined && node['op'] === 'SETOP_NONE')
      refuse('INVALID_SQL', 'a SELECT names at least one column')
  },
  A_Indirection(node, { refuse }) {
    // `(x).f` calls the function f where x has no such field.
    const isIndexed = (node['indirection'] as Node[]).every((step) => 'A_Indices' in step)
    if (!isIndexed) refuse('FORBIDDEN_SQL', 'a field of a value is not allowed, only elements of lists', node['arg'] as Node)
  },
  FuncCall(node, { refuse }) {
    const path = textsOf(node['funcname'])
    const name = path.at(-1)!
    // The grammar writes some calls itself, as pg_catalog.NAME: trim(x), x at time zone $1.
    const isPlain = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog')
    if (isPlain && FUNCTIONS.has(name)) return
    const hint = CLOCKS.test(name) ? HINTS['SQLValueFunction'] : didYouMean(name, FUNCTIONS)
    refuse('FORBIDDEN_SQL', `the function ${cut(path.join('.'))}() is not allowed`, node, hint)
  },
  TypeName(node, { refuse }) {
    const path = textsOf(node['names'])
    const name = path.at(-1)!
    const isPlain = path.length === 1 || (path.length === 2 && path[0] === 'pg_catalog')
    if (!isPlain || !TYPES.has(name))
      refuse('FORBIDDEN_SQL', `the type ${cut(path.join('.'))} is not allowed`, node, didYouMean(name, TYPES))
  },
}

function checkOperator(path: string[], node: Node, { refuse }: Checking): void {
  const isAllowed = path.length === 1 && (OPERATORS.has(path[0]!) || /BETWEEN/.test(path[0]!))
  if (!isAllowed) refuse('FORBIDDEN_SQL', `the operator ${cut(path.join('.'))} is not allowed`, node)
}

function checkParameters({ parameters, refuse }: Checking, count: number): void {
  for (let number = 1; number <= count; number++)
    if (!parameters.has(number)) refuse('INVALID_SQL', `params has ${count}, but $${number} is not in the SQL`)
  for (const number of parameters) if (number > count) refuse('INVALID_SQL', `$${number} has no value: params has ${count}`)
}

const textsOf = (nodes: unknown): string[] => (nodes as { String?: { sval?: string } }[]).map((node) => node.String?.sval ?? '')

const cut = (name: string): string => name.slice(0, 64)

/** "UpdateStmt" -> "UPDATE", unless it has a better name. */
const nameOf = (type: string): string =>
  REFUSED[type] ??
  type
    .replace(/Stmt$/, '')
    .replaceAll(/(?<=[a-z])[A-Z]|_/g, (letter) => ` ${letter.replace('_', '')}`)
    .toUpperCase()

/** PostgreSQL counts bytes. */
function placeOf(sql: string, node: Node | undefined): string {
  const location = locationOf(node)
  if (location === undefined || location < 0) return ''
  return ` (at character ${Buffer.from(sql).subarray(0, location).toString().length + 1})`
}

function locationOf(node: Node | undefined): number | undefined {
  if (!node) return undefined
  if (typeof node['location'] === 'number') return node['location']
  const [inner] = Object.values(node)
  return typeof inner === 'object' && inner !== null && 'location' in inner ? Number(inner.location) : undefined
}
