/** Reads one execution that the caller may see. */
import { sql } from 'kysely'
import { Execution } from '../../engine/entities/execution.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { maskExecutions } from './mask-rows.ts'
import { noteRows } from '../audit/note-reads.ts'
import { requirePrincipal, visibleExecutions } from '../permissions.ts'
import { selectRows } from '../select-rows.ts'

/** `id` is a UUID. As of now, never from an earlier read. Problem: NOT_FOUND. */
export async function getExecution(call: Call, id: string): Promise<Execution | Problem> {
  const where = sql`t.id = ${id} and ${visibleExecutions(requirePrincipal(call))}`
  const [execution] = await maskExecutions(call, await selectRows(call, Execution, { where }))
  noteRows(call, Execution, [execution ?? null])
  return execution ?? problem('NOT_FOUND')
}
