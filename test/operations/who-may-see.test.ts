import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { whoMaySee } from '../../src/operations/who-may-see.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { database, person } = await testApi()

/** An execution of somebody's flow, as if the engine had made it. */
async function execution(ownerId: string, initiatorId: string) {
  const [id, flowId, versionId] = [newUuid(), newUuid(), newUuid()]
  await database.query(`insert into sluice.flows (id, owner_id, name) values ($1, $2, 'f')`, [flowId, ownerId])
  await database.query(
    `insert into sluice.flow_versions (id, flow_id, number, definition, created_by) values ($1, $2, 1, '{}', $3)`,
    [versionId, flowId, ownerId],
  )
  await database.query(
    `insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at)
     values ($1, $2, $3, $4, 'PENDING', now(), 2, 1, now())`,
    [id, flowId, versionId, initiatorId],
  )
  return { id, flowId }
}

test('many principals and executions are one statement, answered in order (B4, B11)', async () => {
  const [owner, initiator, stranger, admin] = [await person(), await person(), await person('VIEWER'), await person('ADMIN')]
  const { id, flowId } = await execution(owner.id, initiator.id)
  const none = newUuid()
  const asked: { principal: Principal; executionId: string }[] = []
  const expected: (string | undefined)[] = []
  for (let n = 0; n < 200; n += 1) {
    for (const principal of [owner, initiator, stranger, admin]) {
      asked.push({ principal, executionId: n % 2 ? id : none })
      expected.push(n % 2 && principal !== stranger ? flowId : undefined)
    }
  }
  const { result, statements } = await recordStatements(() => whoMaySee(database, asked))
  expect(result).toEqual(expected)
  expect(statements).toHaveLength(1)
  expect(await whoMaySee(database, [])).toEqual([])
  const thousands = Array.from({ length: 2_500 }, () => ({ principal: owner, executionId: id }))
  expect(await whoMaySee(database, thousands)).toEqual(thousands.map(() => flowId))
})
