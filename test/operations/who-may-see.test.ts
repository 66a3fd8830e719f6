import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { Principal, Scope, UserPrincipal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { visibleExecutions } from '../../src/operations/permissions.ts'
import { whoMaySee } from '../../src/operations/executions/who-may-see.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { database, person } = await testApi()

/** An execution of somebody's flow, as if the engine had made it. */
async function execution(ownerId: string, initiatorId: string) {
  const [id, flowId, versionId] = [newUuid(), newUuid(), newUuid()]
  await database.query(`insert into sluice.flows (id, owner_id, name) values ($1, $2, $3)`, [flowId, ownerId, flowId])
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
  const statement = await recordStatements(() => whoMaySee(database, asked.slice(0, 4)))
  expect(statement.statements[0]!.text).toBe(statements[0]!.text)
  const thousands = Array.from({ length: 2_500 }, () => ({ principal: owner, executionId: id }))
  expect(await whoMaySee(database, thousands)).toEqual(thousands.map(() => flowId))
})

test('it is the same rule as that of one who asks: for grants, keys, agents and links too (B4, B9)', async () => {
  const [owner, manager, reader, initiator, admin] = [
    await person(),
    await person(),
    await person(),
    await person(),
    await person('ADMIN'),
  ]
  const [one, other] = [await execution(owner.id, initiator.id), await execution(owner.id, owner.id)]
  const grant = (grantee: string, level: number) =>
    database.query(
      `insert into sluice.flow_grants (id, flow_id, grantee, user_id, level, granted_by) values ($1, $2, $3, $4, $5, $6)`,
      [newUuid(), one.flowId, grantee, grantee.startsWith('user:') ? grantee.slice(5) : null, level, owner.id],
    )
  await grant(`user:${manager.id}`, 4)
  await grant(`user:${reader.id}`, 1)
  await grant('agent:cto', 4)
  const key = (of: UserPrincipal, ...scopes: Scope[]): Principal => ({
    ...{
      kind: 'API_KEY',
      id: newUuid(),
      ownerId: of.id,
      actsAs: of.id,
      role: of.role,
      expiresAt: Infinity,
      scopes: new Set(scopes),
    },
  })
  const agent = (...agentRoles: string[]): Principal => {
    const id = newUuid()
    return {
      kind: 'AGENT',
      id,
      ownerId: admin.id,
      actsAs: id,
      role: 'VIEWER',
      agentRoles,
      expiresAt: Infinity,
      scopes: new Set(['EXECUTIONS_READ']),
    }
  }
  const link = (issuer: UserPrincipal, executionId: string): Principal => {
    const id = newUuid()
    return { kind: 'LINK', id, actsAs: id, role: 'VIEWER', may: 'READ', executionId, issuer, expiresAt: Infinity }
  }
  const principals = [
    ...[
      owner,
      manager,
      reader,
      initiator,
      admin,
      agent('cto'),
      agent('ceo'),
      key(owner, 'EXECUTIONS_READ'),
      key(owner, 'FLOWS_READ'),
    ],
    ...[key(admin, 'AUDIT_READ'), link(owner, one.id), link(owner, other.id), link(reader, one.id), link(admin, one.id)],
  ]
  const asked = principals.flatMap((principal) => [one, other].map(({ id }) => ({ principal, executionId: id })))
  const expected = []
  for (const { principal, executionId } of asked) {
    const seen = await sql<{ flowId: string }>`select t.flow_id as "flowId" from sluice.executions as t
      where t.id = ${executionId} and ${visibleExecutions(principal)}`.execute(database.fork().getKysely<unknown>())
    expected.push(seen.rows[0]?.flowId)
  }
  expect(await whoMaySee(database, asked)).toEqual(expected)
  expect(new Set(expected)).toEqual(new Set([one.flowId, other.flowId, undefined]))
})
