/** Loading the examples at the start, and the limit on writing flows. */
import { expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { FlowVersion } from '../../src/engine/entities/flow-version.ts'
import { Flow } from '../../src/engine/entities/flow.ts'
import { isProblem } from '../../src/errors.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { ensureExampleFlows } from '../../src/operations/flows/ensure-example-flows.ts'
import { publishFlowVersion } from '../../src/operations/flows/publish-flow-version.ts'
import { testApi } from '../harness/api.ts'

const { database, services, call, person, audited } = await testApi({ flowWritesPerMinute: 10 })

const stored = async (ownerId: string) => {
  const flows = await database.fork().find(Flow, { ownerId }, { orderBy: { name: 'asc' } })
  return flows.map(({ name, latestNumber, visibility }) => ({ name, latestNumber, visibility }))
}

test('examples are created once, public, and published again only when they changed', async () => {
  const { id } = await person('ADMIN')
  const once = [{ name: 'feature_approval', latestNumber: 1, visibility: 'PUBLIC' }]
  await ensureExampleFlows(services, id, [featureApproval])
  expect(await stored(id)).toEqual(once)
  await ensureExampleFlows(services, id, [{ ...featureApproval, steps: { ...featureApproval.steps } }])
  expect(await stored(id)).toEqual(once)

  const changed = { ...featureApproval, description: 'Another.' }
  await ensureExampleFlows(services, id, [changed])
  expect(await stored(id)).toEqual([{ ...once[0], latestNumber: 2 }])
  const [flow] = await database.fork().find(Flow, { ownerId: id })
  expect(flow!.description).toBe('Another.')
  const events = await database.fork().find(AuditEvent, { flowId: flow!.id }, { orderBy: { id: 'asc' } })
  expect(events.map(({ type, actorKind }) => [type, actorKind])).toEqual([
    ['flow.created', 'SYSTEM'],
    ['flow.published', 'SYSTEM'],
  ])
})

test('servers that start at once load the examples once', async () => {
  const { id } = await person('ADMIN')
  const start = () => ensureExampleFlows(services, id, [featureApproval, { ...featureApproval, name: 'second' }])
  await Promise.all([start(), start(), start(), start()])
  expect(await stored(id)).toMatchObject([
    { name: 'feature_approval', latestNumber: 1 },
    { name: 'second', latestNumber: 1 },
  ])
  const changed = { ...featureApproval, description: 'Changed.' }
  await Promise.all(Array.from({ length: 4 }, () => ensureExampleFlows(services, id, [changed])))
  expect((await stored(id))[0]).toMatchObject({ latestNumber: 2 })
})

test('an example that is not valid stops the start and says why', async () => {
  const { id } = await person('ADMIN')
  const wrong = { name: 'wrong', steps: { a: { type: 'handler' as const, handler: 'missing' } } }
  await expect(ensureExampleFlows(services, id, [wrong])).rejects.toThrow(/wrong.*UNKNOWN_HANDLER/)
})

test('the eleventh write of flows in a minute is refused with when to come back; another person still may (B3)', async () => {
  const [me, you] = [await person(), await person()]
  const definition = (name: string) => ({ name, steps: { one: { type: 'transform', set: {} } } })
  const flows = []
  for (let at = 0; at < 10; at += 1) flows.push(await createFlow(call(me), { definition: definition(`flow ${at}`) }))
  expect(flows.filter(isProblem)).toEqual([])
  const first = flows[0] as Flow
  for (const refused of [
    await createFlow(call(me), { definition: definition('one more') }),
    await publishFlowVersion(call(me), { flowId: first.id, definition: definition('flow 0'), expectedVersion: 1 }),
  ]) {
    expect(refused).toMatchObject({ problem: 'LIMIT_REACHED' })
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0)
  }
  expect(await database.fork().count(Flow, { ownerId: me.id })).toBe(10)
  expect(await database.fork().count(FlowVersion, { flowId: first.id })).toBe(1)
  expect((await audited(me.id)).at(-1)).toMatchObject({ type: 'flow.writeLimited', success: false, errorCode: 'LIMIT_REACHED' })
  expect(isProblem(await createFlow(call(you), { definition: definition('mine') }))).toBe(false)
})
