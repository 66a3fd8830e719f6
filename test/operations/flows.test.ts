/** Flows through their use cases: creating, publishing, finding, and who may. */
import { expect, test } from 'vitest'
import { FlowVersion } from '../../src/engine/entities/flow-version.ts'
import { Flow } from '../../src/engine/entities/flow.ts'
import { isProblem } from '../../src/errors.ts'
import { newUuid } from '../../src/ids.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { findFlow } from '../../src/operations/flows/find-flow.ts'
import { publishFlowVersion } from '../../src/operations/flows/publish-flow-version.ts'
import { updateFlow } from '../../src/operations/flows/update-flow.ts'
import { validateFlow } from '../../src/operations/flows/validate-flow.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { database, call, person, audited } = await testApi()

const definition = (name: string, value = 1) => ({ name, steps: { one: { type: 'transform', set: { value } } } })
const flowCount = async () => (await database.query<{ n: number }>('select count(*) as n from sluice.flows'))[0]!.n

test('a new flow has its first version, its owner and an audit row (C7)', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: { ...definition('first'), description: 'What for.' } }))
  expect(flow).toMatchObject({
    name: 'first',
    ownerId: me.id,
    description: 'What for.',
    visibility: 'PRIVATE',
    latestNumber: 1,
    version: 1,
  })
  const [version] = await database.fork().find(FlowVersion, { flowId: flow.id })
  expect(version).toMatchObject({ number: 1, createdBy: me.id, definition: { name: 'first' } })
  expect(await audited(me.id)).toMatchObject([{ type: 'flow.created', flowId: flow.id, success: true, ip: '192.0.2.1' }])
})

test('a name that looks like SQL is a name (B6)', async () => {
  const me = await person()
  const name = `'; DROP TABLE workflows; --`
  const flow = unwrap(await createFlow(call(me), { definition: definition(name) }))
  expect(unwrap(await findFlow(call(me), { name })).id).toBe(flow.id)
  expect(await findFlow(call(me), { name: `x' or '1'='1` })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await findFlow(call(me), { name: 'a\0b' })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await findFlow(call(me), { name: `\\'; select 1; --` })).toMatchObject({ problem: 'NOT_FOUND' })
})

test('a definition with mistakes is refused with all of them, and nothing is written (C3, D5)', async () => {
  const me = await person()
  const before = await flowCount()
  const wrong = {
    name: 'wrong',
    steps: { a: { type: 'teleport' }, b: { type: 'transform', set: {}, colour: 'red', after: ['nowhere'] } },
  }
  const refused = await createFlow(call(me), { definition: wrong })
  expect(refused).toMatchObject({ problem: 'VALIDATION', path: ['definition'] })
  const paths = isProblem(refused) ? refused.issues!.map(({ path }) => path.join('.')) : []
  expect(paths.length).toBeGreaterThanOrEqual(3)
  expect(paths.some((path) => path.startsWith('steps.a'))).toBe(true)
  expect(paths.some((path) => path.startsWith('steps.b'))).toBe(true)
  const validation = await validateFlow(call(me), { definition: wrong })
  expect(validation.valid).toBe(false)
  expect(validation.issues).toEqual(isProblem(refused) ? refused.issues : [])
  expect(await flowCount()).toBe(before)
})

test('validating writes nothing', async () => {
  const me = await person('VIEWER')
  const before = await flowCount()
  expect(await validateFlow(call(me), { definition: definition('fine') })).toMatchObject({ valid: true, issues: [] })
  expect(await flowCount()).toBe(before)
  expect(await audited(me.id)).toEqual([])
})

test('an unknown handler or role is refused when the flow is created (A1, A2)', async () => {
  const me = await person()
  const steps = { a: { type: 'handler', handler: 'rm_rf' }, b: { type: 'agent', role: 'emperor', subject: 'x', request: {} } }
  const refused = await createFlow(call(me), { definition: { name: 'unknown', steps } })
  expect(isProblem(refused) && refused.issues!.map(({ code }) => code)).toEqual(
    expect.arrayContaining(['UNKNOWN_HANDLER', 'UNKNOWN_ROLE']),
  )
})

test('two flows of one owner cannot have one name; flows of two owners can', async () => {
  const [me, you] = [await person(), await person()]
  unwrap(await createFlow(call(me), { definition: definition('taken') }))
  expect(await createFlow(call(me), { definition: definition('taken') })).toMatchObject({
    problem: 'VALIDATION',
    issues: [{ code: 'NAME_TAKEN', path: ['name'] }],
  })
  expect(unwrap(await createFlow(call(you), { definition: definition('taken') })).ownerId).toBe(you.id)
})

test('"x" is mine, else the only one that I can see, else ambiguous; "owner/x" always works', async () => {
  const [me, you, other] = [await person(), await person(), await person()]
  const theirs = unwrap(await createFlow(call(you), { definition: definition('shared'), visibility: 'PUBLIC' }))
  expect(unwrap(await findFlow(call(me), { name: 'shared' })).id).toBe(theirs.id)

  const third = unwrap(await createFlow(call(other), { definition: definition('shared'), visibility: 'PUBLIC' }))
  const ambiguous = await findFlow(call(me), { name: 'shared' })
  expect(ambiguous).toMatchObject({ problem: 'AMBIGUOUS' })
  expect(isProblem(ambiguous) && ambiguous.candidates!.toSorted()).toEqual(
    [`${other.handle}/shared`, `${you.handle}/shared`].toSorted(),
  )
  expect(unwrap(await findFlow(call(me), { name: `${other.handle}/shared` })).id).toBe(third.id)

  const mine = unwrap(await createFlow(call(me), { definition: definition('shared') }))
  expect(unwrap(await findFlow(call(me), { name: 'shared' })).id).toBe(mine.id)
  expect(await findFlow(call(you), { name: `${me.handle}/shared` })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await findFlow(call(me), { name: 'nobody/shared' })).toMatchObject({ problem: 'NOT_FOUND' })
})

test('what I may not see answers exactly like what does not exist (B4)', async () => {
  const [me, you] = [await person(), await person()]
  const hidden = unwrap(await createFlow(call(you), { definition: definition('hidden') }))
  const edit = { definition: definition('hidden'), expectedVersion: 1 }
  const absent = newUuid()
  expect(await findFlow(call(me), { id: hidden.id })).toEqual(await findFlow(call(me), { id: absent }))
  expect(await publishFlowVersion(call(me), { ...edit, flowId: hidden.id })).toEqual(
    await publishFlowVersion(call(me), { ...edit, flowId: absent }),
  )
  expect(await updateFlow(call(me), { flowId: hidden.id, expectedVersion: 1, visibility: 'PUBLIC' })).toMatchObject({
    problem: 'NOT_FOUND',
  })
  expect(unwrap(await findFlow(call(await person('ADMIN')), { id: hidden.id })).id).toBe(hidden.id)
})

test('what I may see but not change is forbidden, and the try is audited (B4, A7)', async () => {
  const [you, viewer] = [await person(), await person('VIEWER')]
  const flow = unwrap(await createFlow(call(you), { definition: definition('public'), visibility: 'PUBLIC' }))
  const edit = { flowId: flow.id, definition: definition('public'), expectedVersion: 1 }
  for (const somebody of [await person(), viewer]) {
    await expect(publishFlowVersion(call(somebody), edit)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(await audited(somebody.id)).toMatchObject([
      { type: 'flow.publishingRefused', flowId: flow.id, success: false, errorCode: 'FORBIDDEN' },
    ])
  }
  await expect(createFlow(call(viewer), { definition: definition('no') })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(createFlow(call(), { definition: definition('no') })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

test('publishing adds a version; a stale one is refused with the current version (A5)', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: definition('growing') }))
  const publish = (expectedVersion: number, value: number) =>
    publishFlowVersion(call(me), { flowId: flow.id, definition: definition('growing', value), expectedVersion })
  const published = unwrap(await publish(1, 2))
  expect(published.flow).toMatchObject({ version: 2, latestNumber: 2 })
  expect(published.flowVersion).toMatchObject({ number: 2, createdBy: me.id })
  expect(await publish(1, 3)).toMatchObject({ problem: 'STALE_VERSION', currentVersion: 2, path: ['expectedVersion'] })
  expect(await database.fork().count(FlowVersion, { flowId: flow.id })).toBe(2)
  expect((await audited(me.id)).map(({ type }) => type)).toEqual(['flow.created', 'flow.published'])
})

test('a version cannot have another name than its flow', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: definition('steady') }))
  const renamed = await publishFlowVersion(call(me), { flowId: flow.id, definition: definition('other'), expectedVersion: 1 })
  expect(renamed).toMatchObject({ problem: 'VALIDATION', issues: [{ code: 'NAME_CHANGED', path: ['name'] }] })
  expect(unwrap(await findFlow(call(me), { id: flow.id })).version).toBe(1)
})

test('of 200 simultaneous edits of one version one is done, and 199 are told which version there is now (A5)', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: definition('contested') }))
  const edits = Array.from({ length: 200 }, (_, at) =>
    publishFlowVersion(call(me), { flowId: flow.id, definition: definition('contested', at), expectedVersion: 1 }),
  )
  const results = await Promise.all(edits)
  expect(results.filter((result) => !isProblem(result))).toHaveLength(1)
  const stale = results.filter(isProblem)
  expect(new Set(stale.map(({ problem, currentVersion }) => `${problem} ${currentVersion}`))).toEqual(
    new Set(['STALE_VERSION 2']),
  )
  expect(await database.fork().count(FlowVersion, { flowId: flow.id })).toBe(2)
  expect((await audited(me.id)).map(({ type }) => type)).toEqual(['flow.created', 'flow.published'])
})

test('200 edits by 5 people at once, each repeated until it is done, are all there (A5)', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: definition('busy') }))
  let stale = 0
  async function edit(value: number): Promise<void> {
    for (let expectedVersion = 1; ;) {
      const done = await publishFlowVersion(call(me), { flowId: flow.id, definition: definition('busy', value), expectedVersion })
      if (!isProblem(done)) return
      expect(done.problem).toBe('STALE_VERSION')
      stale += 1
      expectedVersion = done.currentVersion!
    }
  }
  const people = Array.from({ length: 5 }, async (_, one) => {
    for (let nth = 0; nth < 40; nth += 1) await edit(1000 + one * 40 + nth)
  })
  await Promise.all(people)
  expect(stale).toBeGreaterThan(0)
  expect(await database.fork().findOneOrFail(Flow, flow.id)).toMatchObject({ version: 201, latestNumber: 201 })
  const versions = await database.fork().find(FlowVersion, { flowId: flow.id }, { orderBy: { number: 'asc' } })
  expect(versions.map(({ number }) => number)).toEqual(Array.from({ length: 201 }, (_, at) => at + 1))
  const values = versions.slice(1).map((version) => (version.definition as ReturnType<typeof definition>).steps.one.set.value)
  expect(new Set(values).size).toBe(200)
}, 30_000)

test('visibility and description are edited under the same lock', async () => {
  const me = await person()
  const flow = unwrap(await createFlow(call(me), { definition: definition('edited') }))
  const edited = unwrap(
    await updateFlow(call(me), { flowId: flow.id, expectedVersion: 1, visibility: 'PUBLIC', description: 'Now told.' }),
  )
  expect(edited).toMatchObject({ visibility: 'PUBLIC', description: 'Now told.', version: 2 })
  expect(unwrap(await updateFlow(call(me), { flowId: flow.id, expectedVersion: 2, description: null }))).toMatchObject({
    description: null,
    version: 3,
  })
  expect(await updateFlow(call(me), { flowId: flow.id, expectedVersion: 2 })).toMatchObject({
    problem: 'STALE_VERSION',
    currentVersion: 3,
  })
  const long = await updateFlow(call(me), { flowId: flow.id, expectedVersion: 3, description: 'x'.repeat(501) })
  expect(long).toMatchObject({ problem: 'VALIDATION', issues: [{ path: ['description'] }] })
})
