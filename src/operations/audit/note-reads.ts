/** What one call has shown so far to an administrator: the ids alone, for the audit log, which `audit-reads.ts` writes before the answer. */
import type { EntityClass } from '@mikro-orm/postgresql'
import { Execution } from '../../engine/entities/execution.ts'
import type { Reader } from '../call.ts'

export interface Reads {
  /** ids of rows that were shown */
  readonly rows: Map<EntityClass<object>, Set<string>>
  /** of executions: what more than the row was shown, such as `output` */
  readonly parts: Map<string, Set<string>>
  /** what only administrators see and has no rows, by how often */
  readonly others: Map<string, number>
}

const READS = new WeakMap<Reader, Reads>()

/** Undefined when nothing is to be told. */
export const readsOf = (call: Reader): Reads | undefined => READS.get(call)

/** Rows that the caller was shown; nulls are none. Costs nothing for anybody but administrators. */
export function noteRows(call: Reader, entity: EntityClass<object>, rows: readonly ({ id: string } | null)[]): void {
  const reads = notesOf(call)
  if (!reads || rows.length === 0) return
  const ids = reads.rows.get(entity) ?? new Set()
  reads.rows.set(entity, ids)
  for (const row of rows) if (row) ids.add(row.id)
}

/** `part` of each of these executions was shown. */
export function noteParts(call: Reader, executionIds: readonly string[], part: string): void {
  const reads = notesOf(call)
  if (!reads) return
  noteRows(
    call,
    Execution,
    executionIds.map((id) => ({ id })),
  )
  for (const id of executionIds) reads.parts.set(id, (reads.parts.get(id) ?? new Set()).add(part))
}

/** `count` of something that none but administrators see. */
export function noteOther(call: Reader, what: string, count: number): void {
  const reads = notesOf(call)
  reads?.others.set(what, (reads.others.get(what) ?? 0) + count)
}

function notesOf(call: Reader): Reads | undefined {
  if (call.frame || call.principal?.role !== 'ADMIN') return undefined
  const known = READS.get(call)
  if (known) return known
  const made: Reads = { rows: new Map(), parts: new Map(), others: new Map() }
  READS.set(call, made)
  return made
}
