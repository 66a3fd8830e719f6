/** Limits of what documents do: aliases are attempts, keys are their owner's. */
import { expect, test } from 'vitest'
import type { KeyPrincipal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { testApi } from '../harness/api.ts'

const { person, run, audited, services } = await testApi({ flowWritesPerMinute: 10 })

const aliased = (count: number, field: (at: number) => string) =>
  `mutation { ${Array.from({ length: count }, (_, at) => `a${at}: ${field(at)} { __typename ... on LimitReachedProblem { retryAfterMs } }`).join(' ')} }`
const typesOf = (data: Record<string, { __typename: string }>, name: string) =>
  Object.values(data).filter(({ __typename }) => __typename === name)
const flow = (name: string) =>
  `createFlow(input: { definition: { name: "${name}", steps: { only: { type: "transform", set: { a: "1" } } } } })`

test('20 sign-ins in one document are 20 attempts (B3)', async () => {
  const signIn = () => 'signIn(input: { email: "somebody@example.com", password: "Wrong-password-1" })'
  const { data } = await run(undefined, aliased(20, signIn))
  expect(typesOf(data, 'UnauthenticatedProblem')).toHaveLength(5)
  const refused = typesOf(data, 'LimitReachedProblem') as unknown as { retryAfterMs: number }[]
  expect(refused).toHaveLength(15)
  for (const { retryAfterMs } of refused) expect(retryAfterMs).toBeGreaterThan(0)
})

test('20 flows in one document are 20 writes, and the refused ones are audited once and counted (B3, A7)', async () => {
  const me = await person()
  const { data } = await run(
    me,
    aliased(20, (at) => flow(`flow_${at}`)),
  )
  expect(typesOf(data, 'CreateFlowSuccess')).toHaveLength(10)
  expect(typesOf(data, 'LimitReachedProblem')).toHaveLength(10)
  await services.refusals.runOnce({ all: true })
  const refusals = (await audited(me.id)).filter(({ type }) => type === 'flow.writeLimited')
  expect(refusals.map(({ metadata }) => metadata?.['count'] ?? 1)).toEqual([1, 9])
})

test('keys write within the limit of their owner (B3, B9)', async () => {
  const me = await person()
  const key = (): KeyPrincipal => ({
    ...{ kind: 'API_KEY', id: newUuid(), actsAs: me.id, ownerId: me.id, role: 'USER' },
    ...{ scopes: new Set(['FLOWS_READ', 'FLOWS_WRITE'] as const), expiresAt: Number.MAX_SAFE_INTEGER },
  })
  const outcomes = []
  for (let at = 0; at < 12; at++) {
    const { data } = await run(
      key(),
      aliased(1, () => flow(`by_key_${at}`)),
    )
    outcomes.push(data.a0.__typename)
  }
  expect(outcomes.filter((name) => name === 'CreateFlowSuccess')).toHaveLength(10)
  expect(outcomes.slice(10)).toEqual(['LimitReachedProblem', 'LimitReachedProblem'])
  expect(
    (
      await run(
        me,
        aliased(1, () => flow('by_me')),
      )
    ).data.a0.__typename,
  ).toBe('LimitReachedProblem')
})
