/** Queries through the API: what is refused, what comes back, and that nobody is held up by a slow one. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { recallMemory } from '../../examples/flows/recall-memory.ts'
import { SCOPES } from '../../src/identity/principal.ts'
import type { AgentPrincipal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { compile } from '../../src/language/compile.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { testApi } from '../harness/api.ts'
import { testSource } from '../harness/query-source.ts'

const source = await testSource(`${readFileSync('examples/sources/memory.sql', 'utf8')}
  create table numbers (n int primary key, hidden text);
  insert into numbers select generate_series(1, 3000), 'classified';`)
const memory = source.open({ name: 'memory' })
const slow = source.open({ name: 'slow', size: 1 })
const away = source.open({ name: 'away', connection: source.url.replace(/@[^/]*/, '@127.0.0.1:1') })
const api = await testApi({ sources: [memory, slow, away] })
const owner = await api.person()

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition, visibility: PUBLIC }) {
  __typename ... on CreateFlowSuccess { flow { id name } } ... on ValidationProblem { issues { code path message hint } } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) {
  __typename ... on Problem { code message } ... on StartExecutionSuccess { execution {
    id status output error { code message step } steps { name status attempt input output error { code message } } } } } }`
const GRANT = 'mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }'
const CANCEL = 'mutation ($id: ID!) { cancelExecution(input: { id: $id }) { __typename } }'
const READ = 'query ($id: ID!) { execution(id: $id) { status error { code } } }'

const create = async (definition: object) => (await api.run(owner, CREATE, { definition })).data.createFlow
const start = async (flow: string, input: object = {}, waitMs = 20_000, as: Parameters<typeof api.run>[0] = owner) =>
  api.run(as, START, { input: { flow, input, waitMs } })
let made = 0
/** A flow of this one query, run to its end. */
async function query(step: object, input: object = {}, more: object = {}) {
  const name = `query_${made++}`
  expect(await create({ name, steps: { q: { type: 'query', source: 'memory', ...step } }, ...more })).toMatchObject({
    flow: { name },
  })
  return (await start(name, input)).data.startExecution.execution
}
const ENDLESS =
  'with recursive c as (select n from numbers union all select c.n + n.n from c join numbers n on true) select count(*) as n from c'

const recall = await create(recallMemory)

test('the example recall_memory finds what fits best, of this agent and topic alone (C4)', async () => {
  const ask = async (input: object) => (await start('recall_memory', input)).data.startExecution.execution
  const found = await ask({ agent: 'senior_architect', question: 'why transactions and partitions', topic: 'database' })
  expect(found).toMatchObject({
    status: 'SUCCEEDED',
    output: {
      best: expect.stringMatching(/transactions|Partitions/),
      memories: [
        {
          id: expect.any(Number),
          topic: 'database',
          rememberedAt: expect.stringMatching(/^\d{4}-.*Z$/),
          score: expect.any(Number),
        },
        { topic: 'database' },
      ],
    },
  })
  expect((await ask({ agent: 'ceo', question: 'transactions' })).output).toEqual({ best: null, memories: [] })
  expect((await ask({ agent: 'senior_architect', question: 'cursor', limit: 1 })).output).toMatchObject({
    best: 'Feeds resume at a cursor; clients keep the last one.',
  })
})

test('a question in words is dispatched to recall_memory, and answered again from its cache (C5, C11)', async () => {
  const DISPATCH = `mutation ($text: String!) { dispatch(input: { text: $text, mode: FAST, waitMs: 20000 }) {
    __typename ... on Problem { code message } ... on DispatchSuccess {
      cached tokens match { name groups } execution { id status input output trigger { type name } } } } }`
  const ask = async (text: string) => (await api.run(owner, DISPATCH, { text })).data.dispatch
  const first = await ask('What do we know about cursors and feeds?')
  expect(first).toMatchObject({
    ...{ cached: false, tokens: 5, match: { name: 'what_do_we_know', groups: { question: 'cursors and feeds' } } },
    execution: {
      status: 'SUCCEEDED',
      input: { agent: 'senior_architect', question: 'cursors and feeds' },
      output: { best: 'Feeds resume at a cursor; clients keep the last one.' },
      trigger: { type: 'PATTERN', name: 'what_do_we_know' },
    },
  })
  expect(await ask('what do you REMEMBER about cursors and feeds?')).toEqual({
    ...{ ...first, cached: true, tokens: 0 },
  })
  expect(await ask('Recall, as the CEO: transactions')).toMatchObject({
    execution: { input: { agent: 'ceo', question: 'transactions' }, output: { best: null } },
  })
})

test('only those may start recall_memory whom its permissions name (C2)', async () => {
  const input = { agent: 'ceo', question: 'who decides' }
  const viewer = await api.person('VIEWER')
  expect((await start('recall_memory', input, 0, viewer)).codes).toEqual(['FORBIDDEN'])
  const agent = (role: string): AgentPrincipal => ({
    ...{ kind: 'AGENT', id: newUuid(), actsAs: newUuid(), ownerId: owner.id, role: 'VIEWER', agentRoles: [role] },
    ...{ scopes: new Set(SCOPES), expiresAt: Number.MAX_SAFE_INTEGER },
  })
  const grants = ['cto', 'ceo'].map((agentRole) => ({ to: { agentRole }, action: 'EXECUTE' }))
  await api.run(owner, GRANT, { input: { flowId: recall.flow.id, grants } })
  expect((await start('recall_memory', input, 0, agent('cto'))).codes).toEqual(['FORBIDDEN'])
  expect((await start('recall_memory', input, 20_000, agent('ceo'))).data.startExecution.execution.output).toMatchObject({
    best: 'Anything over a million is decided by the board.',
  })
})

test.each(["'; drop table memories; --", '$1', '${{ 7 }}', '" or "a"="a', 'é😀\\'])(
  'the text %j is found as it is, and does nothing else (B6, D3)',
  async (text) => {
    await source.ownerQuery('insert into memories (agent, topic, body) values ($1, $2, $3)', ['x', 'odd', text])
    const { status, output } = await query(
      { sql: 'select body from memories where body = $1', params: ['${{ input.text }}'] },
      { text },
      { output: { rows: '${{ steps.q.output.rows }}' } },
    )
    expect([status, output]).toEqual(['SUCCEEDED', { rows: [{ body: text }] }])
  },
)

test('wrong SQL, and sources that are not configured, are told before anything runs, each with its path (A1, C4)', async () => {
  const { issues } = await create({
    name: 'wrong',
    steps: {
      a: { type: 'query', source: 'memmory', sql: 'select n from numbers where n = $1', params: [1] },
      b: { type: 'query', source: 'memory', sql: "with d as (delete from numbers returning n) select n from d where 'a' = $1" },
      c: { type: 'query', source: 'memory', sql: 'select n from numbers where n = ${{ input.n }}' },
      d: { type: 'query', source: 'memory', sql: 'select n from numbers', params: ['${{ steps.zz.output }}'], maxRows: 0 },
    },
  })
  expect(issues.map(({ code, path }: { code: string; path: string[] }) => `${path.join('.')} ${code}`).sort()).toEqual([
    'steps.a.source UNKNOWN_SOURCE',
    'steps.b.sql FORBIDDEN_SQL',
    'steps.b.sql FORBIDDEN_SQL',
    'steps.b.sql INVALID_SQL',
    'steps.c.sql FORBIDDEN_SQL',
    'steps.d.maxRows INVALID_VALUE',
    'steps.d.params.0 UNKNOWN_STEP',
    'steps.d.sql INVALID_SQL',
  ])
  expect(issues.find(({ code }: { code: string }) => code === 'UNKNOWN_SOURCE').hint).toBe('did you mean "memory"?')
})

test('a flow whose source is not configured any more does not run (A1)', () => {
  const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set<string>() }
  expect(compile(recallMemory, allow)).toMatchObject({ issues: [{ code: 'UNKNOWN_SOURCE' }] })
  expect(compile(recallMemory, { ...allow, sources: new Set(['memory']) })).toHaveProperty('program')
})

test('more rows than wanted are left out, and it is said', async () => {
  const { steps } = await query({ sql: 'select n from numbers order by n', maxRows: 2 })
  expect(steps[0].output).toEqual({ rows: [{ n: 1 }, { n: 2 }], count: 2, truncated: true })
})

test('an answer that cannot be kept fails the step, and names the limit (A4)', async () => {
  const { error } = await query({ sql: 'select a.n, b.n as m from numbers a cross join numbers b', maxRows: 10_000 })
  expect(error).toBeNull()
  const large = await query({
    sql: 'select array_agg(a.n) as v from numbers a cross join numbers b group by b.n',
    maxRows: 10_000,
  })
  expect(large.error).toMatchObject({ code: 'STATE_TOO_LARGE', message: expect.stringContaining('2000000 bytes') })
})

test('what cannot succeed is not tried again; a source that is away is (E3)', async () => {
  const retry = { attempts: 2, delay: 'PT0.01S' }
  const wrong = await query({ sql: 'select m from numbers', retry })
  expect(wrong.error).toEqual({
    code: 'QUERY_FAILED',
    message: 'The source refused the query: column "m" does not exist',
    step: 'q',
  })
  expect(wrong.steps[0].attempt).toBe(1)
  const lost = await query({ source: 'away', sql: 'select n from numbers', retry })
  expect(lost.error).toMatchObject({ code: 'QUERY_FAILED', message: 'The source cannot be reached, or was lost.' })
  expect(lost.steps[0].attempt).toBe(2)
})

test('a query without end ends with its timeout, in the source too, while others run (C4, D4)', async () => {
  await create({ name: 'endless', steps: { q: { type: 'query', source: 'slow', sql: ENDLESS, timeout: 'PT0.5S' } } })
  const held = Array.from({ length: 3 }, () => start('endless'))
  const quick = await query({ sql: 'select n from numbers where n = $1', params: [7] })
  expect(quick.status).toBe('SUCCEEDED')
  // one connection: each waits its turn, and its time runs from then on
  for (const { data } of await Promise.all(held)) {
    expect(data.startExecution.execution).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT', step: 'q' } })
  }
  expect(await source.running()).toEqual([])
})

test('canceling ends a query in the source, also one that waits for its turn (A10)', async () => {
  await create({ name: 'patient', steps: { q: { type: 'query', source: 'slow', sql: ENDLESS, timeout: 'PT600S' } } })
  const started = await Promise.all([start('patient', {}, 0), start('patient', {}, 0)])
  const ids = started.map(({ data }) => data.startExecution.execution.id as string)
  while ((await source.running()).length === 0);
  for (const id of ids) await api.run(owner, CANCEL, { id })
  for (const id of ids) {
    const statusOf = async (): Promise<string> => (await api.run(owner, READ, { id })).data.execution.status
    while ((await statusOf()) !== 'CANCELED');
  }
  while ((await source.running()).length > 0);
  // the one connection is free again
  expect((await query({ source: 'slow', sql: 'select n from numbers where n = $1', params: [1] })).status).toBe('SUCCEEDED')
})

test('what is sensitive is masked where a query is given it and where it answers with it (B9)', async () => {
  const input = { type: 'object', properties: { token: { type: 'string', sensitive: true } } }
  const { steps } = await query(
    { sql: 'select $1::text as echo, hidden as password from numbers limit $2', params: ['${{ input.token }}', 1] },
    { token: 'a-very-private-thing' },
    { input },
  )
  expect(steps[0].output.rows).toEqual([{ echo: '[masked]', password: '[masked]' }])
  expect(JSON.stringify(steps)).not.toMatch(/a-very-private-thing|classified/)
})
