/** Finds people by their ids or handles, for those who share with them. */
import { decodeId } from '../../ids.ts'
import type { Role } from '../../identity/principal.ts'
import type { Call } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'

export interface FoundPerson {
  id: string
  role: Role
}

/** By each text that names somebody who can sign in: an id (`user_...`) or a handle. One query for all. */
export async function findPeople(call: Call, texts: readonly string[]): Promise<ReadonlyMap<string, FoundPerson>> {
  const wanted = [...new Set(texts)].filter((text) => isStorableText(text))
  if (wanted.length === 0) return new Map()
  const rows = await call.services.database.query<FoundPerson & { text: string }>(
    `select w.text, u.id, u.role from unnest($1::text[], $2::uuid[]) as w (text, id)
    join sluice.users u on u.disabled_at is null and (u.id = w.id or (w.id is null and u.handle = w.text))`,
    [wanted, wanted.map((text) => decodeId('user', text) ?? null)],
  )
  return new Map(rows.map(({ text, ...person }) => [text, person]))
}
