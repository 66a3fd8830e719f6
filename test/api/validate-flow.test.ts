/** Everything that is wrong with a definition, through the API, in one pass: half a hundred mistakes of every kind, each where it is (C3, C4, D3, D5). */
import { expect, test } from 'vitest'
import { testApi } from '../harness/api.ts'

const api = await testApi({ handlers: { charge_card: () => null } })
const owner = await api.person()

const VALIDATE = `mutation ($definition: JSON!) { validateFlow(input: { definition: $definition }) {
  valid issues { code path message hint } warnings { code path message } worstCase { duration cost } } }`
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on ValidationProblem { issues { code path } } } }`

const PLANTED = {
  name: 'wrong/name',
  metadata: { note: 'x.constructor("return process")()', nested: [{ prototype: 1 }] },
  input: { type: 'object', properties: { email: { type: 'string', pattern: '^(?=a)' }, age: { type: 'integr' } } },
  steps: {
    code: { type: 'transform', set: { x: "${{ require('fs') }}" } },
    template: { type: 'transform', set: { x: 'Hello {{7*7}}' } },
    call: { type: 'transform', set: { x: '${{ system(input.email) }}' } },
    regex: { type: 'transform', set: { x: '${{ input.email.matches("(a+)+\\\\1") }}' } },
    sql: { type: 'query', source: 'nowhere', sql: "with d as (delete from t returning a) select a from d where a = 'x'" },
    inject: { type: 'query', source: 'nowhere', sql: 'select a from t where b = ${{ input.email }}' },
    unknown: { type: 'shell', command: 'ls' },
    field: { type: 'handler', handler: 'charge_card', witth: {} },
    handler: { type: 'handler', handler: 'charge_crad' },
    role: { type: 'agent', role: 'ceoo', subject: 'x', request: {} },
    lost: { type: 'transform', set: {}, after: ['colde'] },
    ｔemplate: { type: 'transform', set: {} },
    returns: { type: 'transform', set: {}, returns: { type: 'object', requird: ['x'] } },
    circle: { type: 'transform', set: {}, after: ['round'] },
    round: { type: 'transform', set: {}, after: ['circle'] },
    dear: { type: 'handler', handler: 'charge_card', cost: -1, retry: { attempts: 3, delay: '1 second' } },
    each: {
      type: 'map',
      over: [1],
      retry: { attempts: 2 },
      step: {
        type: 'loop',
        times: 2,
        until: 'last > 1',
        while: 'last < 1',
        step: { type: 'handler', handler: 'charge_card', when: 'itm', after: ['lost'] },
      },
    },
    undo: { type: 'handler', handler: 'charge_card', compensate: { type: 'wait', duration: 'PT1S' }, onError: { goto: 'undo' } },
  },
  triggers: [
    { type: 'pattern', name: 'p', pattern: '(?=x)y', kind: 'agent', cost: 1.5 },
    { type: 'pattern', name: 'p', pattern: '.*', kind: 'agent' },
    { type: 'schedule', name: 's', cron: '61 * * * *', timezone: 'Mars/Olympus' },
    { type: 'webhook', name: 'w', secret: 'no secret', inputt: {} },
    { type: 'mail', name: 'm' },
  ],
  concurrency: { max: 1, onLimit: 'wait', key: '${{ steps.code.output }}' },
  rate: [
    { max: 1, per: 'PT0.5S' },
    { max: 1, per: 'PT1M', key: '${{ input.' },
  ],
  priority: 1_000,
  onFailure: { flow: 'a/b/c' },
  retention: { payloads: 'PT1H' },
  cache: { ttl: 'soon' },
  permissions: { roles: ['OWNER'], agents: ['cfo'] },
  output: { all: '${{ steps.nothing.output }}' },
  timeout: '30 days',
}

test('all planted problems are told at once, each with its path, and nothing is stored (C3, C4, D3, D5)', async () => {
  const { data } = await api.run(owner, VALIDATE, { definition: PLANTED })
  const told = data.validateFlow.issues.map(({ code, path }: { code: string; path: string[] }) => `${path.join('.')} ${code}`)
  expect(data.validateFlow).toMatchObject({ valid: false, worstCase: null })
  expect([...new Set(told)].sort()).toEqual(
    [
      'name INVALID_VALUE',
      'metadata.note FORBIDDEN_CONTENT',
      'metadata.nested.0.prototype FORBIDDEN_KEY',
      'input.properties.email.pattern INVALID_SCHEMA',
      'input.properties.age.type INVALID_SCHEMA',
      'steps.code.set.x FORBIDDEN_CONTENT',
      'steps.code.set.x UNKNOWN_FUNCTION',
      'steps.template.set.x FORBIDDEN_CONTENT',
      'steps.call.set.x UNKNOWN_FUNCTION',
      'steps.regex.set.x INVALID_EXPRESSION',
      'steps.sql.source UNKNOWN_SOURCE',
      'steps.sql.sql FORBIDDEN_SQL',
      'steps.inject.source UNKNOWN_SOURCE',
      'steps.inject.sql FORBIDDEN_SQL',
      'steps.unknown.type UNKNOWN_STEP_TYPE',
      'steps.field.witth UNKNOWN_FIELD',
      'steps.handler.handler UNKNOWN_HANDLER',
      'steps.role.role UNKNOWN_ROLE',
      'steps.lost.after.0 UNKNOWN_STEP',
      'steps.ｔemplate INVALID_NAME',
      'steps.returns.returns.requird INVALID_SCHEMA',
      'steps.circle CYCLE',
      'output.all UNKNOWN_STEP',
      'steps.dear.cost INVALID_VALUE',
      'steps.dear.retry.delay INVALID_DURATION',
      'steps.each.retry INVALID_VALUE',
      'steps.each.step.while INVALID_VALUE',
      'steps.each.step.step.after INVALID_VALUE',
      'steps.each.step.step.when INVALID_EXPRESSION',
      'steps.undo.compensate.type NOT_COMPENSATING',
      'steps.undo.onError.goto SELF_REFERENCE',
      'triggers.0.pattern INVALID_VALUE',
      'triggers.0.cost INVALID_TYPE',
      'triggers.1.name DUPLICATE',
      'triggers.1.pattern INVALID_VALUE',
      'triggers.2.cron INVALID_VALUE',
      'triggers.2.timezone INVALID_VALUE',
      'triggers.3.secret INVALID_NAME',
      'triggers.3.inputt UNKNOWN_FIELD',
      'triggers.4.type UNKNOWN_TRIGGER_TYPE',
      'concurrency.onLimit INVALID_VALUE',
      'concurrency.key UNKNOWN_STEP',
      'rate.0.per INVALID_DURATION',
      'rate.1.key INVALID_EXPRESSION',
      'priority INVALID_VALUE',
      'onFailure.flow INVALID_VALUE',
      'retention.payloads INVALID_DURATION',
      'cache.ttl INVALID_DURATION',
      'permissions.roles.0 INVALID_VALUE',
      'permissions.agents.0 UNKNOWN_ROLE',
      'timeout INVALID_DURATION',
    ].sort(),
  )
  expect((await api.run(owner, CREATE, { definition: PLANTED })).data.createFlow.__typename).toBe('ValidationProblem')
  expect(await api.database.query('select 1 from sluice.flows where owner_id = $1', [owner.id])).toEqual([])
})

test('the linter tells of what is valid and hardly meant: paths, types, bounds, what can never run', async () => {
  const definition = {
    name: 'doubtful',
    input: { type: 'object', properties: { list: { type: 'array', items: { type: 'integer' } }, name: { type: 'string' } } },
    steps: {
      typo: { type: 'transform', set: { x: '${{ input.nme }}' } },
      each: {
        type: 'map',
        over: '${{ input.list }}',
        step: { type: 'handler', handler: 'charge_card', timeout: 'PT1M', cost: 3 },
      },
      type: { type: 'transform', when: 'input.name', set: {} },
      wait: { type: 'signal', signals: ['paid'] },
      pick: { type: 'route', cases: [{ when: 'input.name == "a"', to: 'a' }], otherwise: 'b' },
      a: { type: 'transform', on: 'pick:a', set: {} },
      b: { type: 'transform', on: 'pick:b', set: {} },
      never: { type: 'transform', after: ['a', 'b'], set: {} },
    },
    timeout: 'PT1H',
  }
  const { data } = await api.run(owner, VALIDATE, { definition })
  expect(data.validateFlow).toMatchObject({ valid: true, issues: [], worstCase: { duration: 'PT1H', cost: 30_000 } })
  const told = data.validateFlow.warnings.map(({ code, path }: { code: string; path: string[] }) => `${path.join('.')} ${code}`)
  expect(told.sort()).toEqual([
    'steps.each.over UNBOUNDED',
    'steps.never UNREACHABLE',
    'steps.type.when TYPE_MISMATCH',
    'steps.typo.set.x UNKNOWN_PATH',
    'steps.wait UNBOUNDED',
    'timeout TOO_SHORT',
  ])
})

test('flows that call each other in a circle are told when one of them lets only so many run at once', async () => {
  const ann = await api.person()
  const calls = (name: string, flow: string, more: object = {}) => ({
    ...{ name, ...more },
    steps: { next: { type: 'map', over: [1], step: { type: 'flow', flow, timeout: 'PT1M' } } },
  })
  const create = (definition: object) => api.run(ann, CREATE, { definition })
  const told = async (definition: object, who = ann) =>
    (await api.run(who, VALIDATE, { definition })).data.validateFlow.warnings.filter(
      ({ code }: { code: string }) => code === 'DEADLOCK',
    )
  await create(calls('second', 'third'))
  await create(calls('third', `${ann.handle}/first`, { concurrency: { max: 1 } }))
  await create(calls('aside', 'third'))
  expect(await told(calls('first', 'second'))).toMatchObject([{ path: ['steps', 'next', 'step', 'flow'] }])
  expect(await told(calls('first', 'second'), owner)).toEqual([])
  expect(await told(calls('fourth', 'second', { concurrency: { max: 1 } }))).toEqual([])
  await create(calls('free', 'freer'))
  expect(await told(calls('freer', 'free'))).toEqual([])
  expect(await told(calls('freer', 'free', { concurrency: { max: 1 } }))).toHaveLength(1)
})

test('a version tells what it takes at the worst', async () => {
  const ask = {
    type: 'agent',
    role: 'ceo',
    subject: 'x',
    request: {},
    cost: 40,
    retry: { attempts: 2, delay: 'PT1S', jitter: 0 },
  }
  const definition = { name: 'costly', steps: { ask } }
  const created = await api.run(
    owner,
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
      ... on CreateFlowSuccess { flow { latestVersion { worstCase { duration cost } } } } } }`,
    { definition },
  )
  expect(created.data.createFlow.flow.latestVersion.worstCase).toEqual({ duration: 'PT2M1S', cost: 80 })
})
