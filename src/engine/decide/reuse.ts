/** What a retry tells of itself when it begins: what it tries again, and the steps whose recorded ends it uses again. */
import { encodeId } from '../../ids.ts'
import type { Draft, EventRow } from './draft.ts'
import { emit } from './draft.ts'

export function startOfRetry({ from: { origin } }: Draft): Pick<EventRow, 'data'> {
  if (origin?.retryOf === undefined) return {}
  const { retryOf, from, reason } = origin
  return { data: { retryOf, ...(from !== undefined && { from }), ...(reason !== undefined && { reason }) } }
}

/** In the order in which they can run. */
export function tellReused(draft: Draft): void {
  if (draft.steps.size === 0) return
  for (const { name } of draft.from.program.steps) {
    const { reusedFrom, status, route } = draft.steps.get(name) ?? {}
    if (reusedFrom === undefined) continue
    const data = { execution: encodeId('execution', reusedFrom), status: status!, ...(route !== undefined && { route }) }
    emit(draft, 'step.reused', { step: name, path: name, data })
  }
}
