/**
 * Which statements of a migration the release before may not survive: they take something away that it uses, refuse what it writes, or
 * keep it waiting as long as a table is large. Judged by PostgreSQL's own parser; what is not known to be harmless is risky.
 */
import { parse } from 'libpg-query'

type Node = Record<string, unknown>

interface Command {
  subtype: string
  def?: { ColumnDef?: { constraints?: { Constraint: { contype: string; raw_expr?: Node } }[] } }
}

/** Each risky statement, as an operator would be told: what it does and why it is risky. */
export async function riskyStatements(sql: string): Promise<string[]> {
  const { stmts = [] } = (await parse(sql)) as { stmts?: { stmt: Record<string, Node> }[] }
  // what this very migration makes, nobody uses yet
  const fresh = new Set<string>()
  const risks: string[] = []
  for (const { stmt } of stmts) {
    const [[kind, node]] = Object.entries(stmt) as [[string, Node]]
    const table = nameOf(node['relation'])
    if (kind === 'CreateStmt') fresh.add(table)
    else if (!fresh.has(table)) risks.push(...judge(kind, node, table))
  }
  return risks
}

function judge(kind: string, node: Node, table: string): string[] {
  switch (kind) {
    case 'CompositeTypeStmt':
    case 'CreateFunctionStmt':
    case 'SelectStmt':
    case 'InsertStmt':
    case 'CommentStmt':
      return node['replace'] === true ? ['create or replace: a function with a file of its own goes to the repeatables'] : []
    case 'GrantStmt':
      return node['is_grant'] === true ? [] : ['revoke: the release before may need the right']
    case 'AlterTableStmt':
      if (node['objtype'] !== 'OBJECT_TABLE') return [`alter of ${table}, which is no table: a released type is never changed`]
      return (node['cmds'] as { AlterTableCmd: Command }[]).flatMap(({ AlterTableCmd: command }) => judgeChange(command, table))
    case 'IndexStmt':
      return [
        `create index on ${table}: nobody writes there while it is made${node['unique'] === true ? ', and then not all that they write is taken' : ''}`,
      ]
    case 'CreateTrigStmt':
      return [`create trigger on ${table}: what the release before writes goes through it`]
    case 'UpdateStmt':
    case 'DeleteStmt':
      return [
        `${kind === 'UpdateStmt' ? 'update' : 'delete from'} ${table}: its rows are locked until all migrations are applied`,
      ]
    default:
      return [`${kind.replace(/Stmt$/, '')}: takes away or changes what the release before uses, or is not known to be harmless`]
  }
}

function judgeChange({ subtype, def }: Command, table: string): string[] {
  if (subtype === 'AT_SetRelOptions' || subtype === 'AT_SetStatistics') return []
  if (subtype !== 'AT_AddColumn') return [`alter table ${table} (${subtype}): the release before counts on what there was`]
  const constraints = def?.ColumnDef?.constraints ?? []
  const kinds = constraints.map(({ Constraint }) => Constraint.contype)
  const refuses = kinds.filter((kind) => !['CONSTR_DEFAULT', 'CONSTR_NULL', 'CONSTR_NOTNULL'].includes(kind))
  if (refuses.length > 0)
    return [`a column of ${table} with ${refuses.join(', ')}: the whole table is read, and locked meanwhile`]
  if (kinds.includes('CONSTR_NOTNULL') && !kinds.includes('CONSTR_DEFAULT'))
    return [`a column of ${table} that is not null and has no default: the release before cannot insert any more`]
  const isComputed = constraints.some(({ Constraint: { raw_expr: value } }) => value && !('A_Const' in value))
  if (isComputed) return [`a column of ${table} with a default that is no constant: each row may be written again`]
  return []
}

function nameOf(relation: unknown): string {
  const { schemaname, relname } = (relation ?? {}) as { schemaname?: string; relname?: string }
  return [schemaname, relname].filter(Boolean).join('.')
}
