/** The triggers of a flow's newest version, replaced in the transaction that publishes it. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { canonicalJson } from '../canonical-json.ts'
import { queryIn, tellAfterCommit } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import type { TriggerDefinition } from '../language/triggers/trigger-types.ts'

export interface PublishedTriggers {
  flowId: string
  triggers: readonly TriggerDefinition[]
  /** whom they run as */
  publishedBy: string
}

export interface SavedTrigger {
  id: string
  definition: TriggerDefinition
}

/** What became of the triggers of a flow. Those that stayed as they were are in none of these. */
export interface SavedTriggers {
  added: readonly SavedTrigger[]
  changed: readonly SavedTrigger[]
  /** their ids */
  removed: readonly string[]
}

/** Told the ids of flows after the commit, in the process that published them; `app.ts` passes it on. */
export const TRIGGERS_TOPIC = 'triggers'

interface Row {
  id: string
  name: string
  type: string
  definition: TriggerDefinition
  publishedBy: string
}

/**
 * A trigger is the same while its flow has one of its name and type: its id lives on, and with it what is kept about it. One that did
 * not change goes on as it was, but as whoever publishes the steps that it starts: who only edits must not have them run with the
 * rights of somebody else. Patterns run as whoever asks. The flow's row is locked by whoever calls.
 */
export async function saveTriggers(
  em: EntityManager,
  { flowId, triggers, publishedBy }: PublishedTriggers,
): Promise<SavedTriggers> {
  const rows = await queryIn<Row>(
    em,
    'select id, name, type, definition, published_by as "publishedBy" from sluice.triggers where flow_id = $1 and removed_at is null',
    [flowId],
  )
  const before = new Map(rows.map((row) => [`${row.type} ${row.name}`, row]))
  const added: SavedTrigger[] = []
  const changed: SavedTrigger[] = []
  const adopted: string[] = []
  for (const definition of triggers) {
    const key = `${definition.type} ${definition.name}`
    const old = before.get(key)
    before.delete(key)
    if (!old) added.push({ id: newUuid(), definition })
    else if (canonicalJson(old.definition) !== canonicalJson(definition)) changed.push({ id: old.id, definition })
    else if (old.type !== 'pattern' && old.publishedBy !== publishedBy) adopted.push(old.id)
  }
  const removed = [...before.values()].map(({ id }) => id)
  const saved = { added, changed, removed }
  if (adopted.length > 0) await queryIn(em, ADOPT, [adopted, publishedBy])
  if (added.length + changed.length + removed.length > 0) {
    // first: a name may be free only then
    if (removed.length > 0) await queryIn(em, REMOVE, [removed])
    if (changed.length > 0) await queryIn(em, CHANGE, [JSON.stringify(changed), publishedBy])
    if (added.length > 0) await queryIn(em, ADD, [JSON.stringify(added), flowId, publishedBy])
    tellAfterCommit(em, TRIGGERS_TOPIC, [flowId])
  }
  return saved
}

const REMOVE = `
  update sluice.triggers set removed_at = clock_timestamp(), changed_at = clock_timestamp(), version = version + 1
  where id = any($1::uuid[])`

const CHANGE = `
  update sluice.triggers t
  set definition = c.definition, published_by = $2, changed_at = clock_timestamp(), version = t.version + 1
  from json_to_recordset($1::json) as c(id uuid, definition json)
  where t.id = c.id`

const ADOPT = `
  update sluice.triggers set published_by = $2, changed_at = clock_timestamp(), version = version + 1 where id = any($1::uuid[])`

const ADD = `
  insert into sluice.triggers (id, flow_id, name, type, definition, published_by, created_at, changed_at)
  select a.id, $2, a.definition ->> 'name', a.definition ->> 'type', a.definition, $3, clock_timestamp(), clock_timestamp()
  from json_to_recordset($1::json) as a(id uuid, definition json)`
