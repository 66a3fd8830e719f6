/** Offers executions that may have nobody: whom a commit told something or gave a slot, wherever they are. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { together } from '../database/together.ts'
import type { Dispatch, Offer } from '../fleet/dispatch.ts'
import type { Logger } from '../log.ts'

// whoever waits for a slot is nobody's before it has one
const UNHELD_TEXT = prepared(`
  select id as "executionId", pool, version, priority from sluice.executions
  where id = any ($1::uuid[]) and coalesce(owner, $2) = $2 and ended_at is null and coalesce(wake_at, '-infinity') < '9999-12-31Z'`)

const NOBODY = '00000000-0000-0000-0000-000000000000'

/** One statement for all that are named while another runs; never rejects: what is not offered, a look finds. */
export function createUnheldOffers(database: Pick<Database, 'query'>, dispatch: Pick<Dispatch, 'offer'>, log: Logger) {
  const find = together(async (ids: readonly string[]) => {
    const found = await database.query<Offer>(UNHELD_TEXT, [ids, NOBODY])
    const byId = new Map(found.map((offer) => [offer.executionId, offer]))
    return ids.map((id) => byId.get(id))
  })

  return (executionId: string): void => {
    find(executionId)
      .then((offer) => offer && dispatch.offer(offer))
      .catch((error: unknown) => log.warn({ err: error }, 'what may have nobody was not offered; a look finds it'))
  }
}
