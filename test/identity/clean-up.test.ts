/** What is over goes, in batches, and nothing else. */
import { expect, test } from 'vitest'
import { createCleanUp } from '../../src/identity/clean-up.ts'
import { openSession, revokeSession } from '../../src/identity/sessions.ts'
import { createLog } from '../../src/log.ts'
import { people } from './people.ts'

const { database, person } = await people()

test('sessions that have been over for a day go with their tokens, resets when they expire, in small batches (B1, B2)', async () => {
  const user = await person()
  const open = () => database.transaction((em) => openSession(em, user.id))
  const [live, ended, justEnded] = [await open(), await open(), await open()]
  for (const { sessionId } of [ended, justEnded]) await database.transaction((em) => revokeSession(em, sessionId))
  await database.query(`update sluice.sessions set revoked_at = now() - interval '25 hours' where id = $1`, [ended.sessionId])
  await database.query(
    `insert into sluice.sessions (id, user_id, expires_at)
     select gen_random_uuid(), $1, now() - interval '25 hours' from generate_series(1, 1100)`,
    [user.id],
  )
  await database.query(
    `insert into sluice.password_resets (hash, user_id, expires_at)
     values (decode(repeat('01', 32), 'hex'), $1, now() - interval '1 s'), (decode(repeat('02', 32), 'hex'), $1, now() + interval '1 s')`,
    [user.id],
  )
  let batches = 0
  const counted: Pick<typeof database, 'query'> = {
    async query(text, params) {
      const rows = await database.query(text, params)
      batches += 1
      expect(rows.length).toBeLessThanOrEqual(500)
      return rows as never
    },
  }
  await createCleanUp(counted, createLog('silent')).runOnce()
  expect(batches).toBe(4)
  const left = await database.query<{ id: string }>('select id from sluice.sessions')
  expect(new Set(left.map(({ id }) => id))).toEqual(new Set([live.sessionId, justEnded.sessionId]))
  expect(await database.query('select from sluice.refresh_tokens')).toHaveLength(2)
  expect(await database.query('select from sluice.password_resets')).toHaveLength(1)
})
