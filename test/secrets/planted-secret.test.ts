/** A secret is planted; every handler that gets it shows it in all ways; then it is looked for everywhere. */
import { Registry } from 'prom-client'
import { beforeAll, expect, test } from 'vitest'
import { measureEngine } from '../../src/engine/metrics.ts'
import { createResourceMeter } from '../../src/engine/resource-meter.ts'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { MASK } from '../../src/masking/mark.ts'
import { formsOf } from '../../src/masking/secret-forms.ts'
import { testApi } from '../harness/api.ts'

const SECRET = 'sk_live_"Zq/9+vÄ~7&hT=4%wLmN2'
const FORMS = formsOf(SECRET)

const logged: string[] = []
const log = createLog('trace', { write: (line: string) => void logged.push(line) })
const api = await testApi({ handlersDirectory: `${import.meta.dirname}/handlers`, log })
const { database, engine } = api
const owner = await api.person()

/** Any of the forms of the secret, in a text or in the value that its JSON holds. */
const found = (text: string): string[] => FORMS.filter((form) => text.includes(form))

const SET = `mutation ($name: String!, $value: String!) {
  setSecret(input: { name: $name, value: $value }) {
    __typename ... on SetSecretSuccess { secret { id name version createdAt updatedAt } } ... on Problem { code message }
  }
}`
const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) {
    __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message hint } }
  }
}`
const START = `mutation ($flow: String!, $input: JSON!) {
  startExecution(input: { flow: $flow, input: $input, waitMs: 30000 }) {
    __typename ... on StartExecutionSuccess { execution { id } } ... on Problem { code message }
  }
}`
const READ = `query ($id: ID!) {
  node(id: $id) { ... on Execution {
    status input state output reason error { code message step }
    steps { name status input output error { code message } }
    events(first: 500) { seq type data }
  } }
}`

const definition = {
  name: 'leaks',
  input: { type: 'object', properties: { way: { type: 'string' } } },
  steps: {
    call: { type: 'handler', handler: 'leak', with: { way: '${{ input.way }}' }, secrets: ['stripe_key'], timeout: 'PT20S' },
    copy: { type: 'transform', after: ['call'], set: { all: '${{ steps.call.output }}' } },
    tell: { type: 'notify', after: ['copy'], roles: ['ceo'], message: { all: '${{ steps.copy.output.all }}' } },
    look: { type: 'handler', after: ['tell'], handler: 'look' },
  },
  output: { all: '${{ steps.copy.output }}' },
}

interface Shown {
  status: string
  output: { all: { all: Record<string, unknown> } } | null
  error: { code: string; message: string } | null
  reason: string | null
  steps: { name: string; status: string; output: Record<string, unknown> }[]
}
const shown: Record<string, Shown> = {}
const answers: unknown[] = []

async function leak(way: string): Promise<Shown> {
  const started = await api.run(owner, START, { flow: 'leaks', input: { way } })
  const { id } = started.data.startExecution.execution as { id: string }
  const feed = await api.feeds.openExecutionFeed({ principal: owner, executionId: decodeId('execution', id)!, after: undefined })
  answers.push(await feed.next())
  await feed.return()
  const read = await api.run(owner, READ, { id })
  answers.push(started, read)
  return (shown[way] = read.data.node as Shown)
}

beforeAll(async () => {
  answers.push(await api.run(owner, SET, { name: 'stripe_key', value: SECRET }))
  const created = await api.run(owner, CREATE, { definition })
  expect(created.data.createFlow.__typename).toBe('CreateFlowSuccess')
  for (const way of ['everything', 'throw', 'cut', 'log', 'stray', 'crash', 'other']) await leak(way)
}, 120_000)

test('what a handler returns is stored without the secret it was given, in whatever form (B9)', () => {
  const { status, output, steps } = shown['everything']!
  expect(status).toBe('SUCCEEDED')
  const all = output!.all.all
  expect(all).toMatchObject({ fine: 'nothing here', length: SECRET.length, [MASK]: 'as a key' })
  expect(all['headers']).toEqual({ authorization: MASK, 'x-custom': MASK })
  expect(all['url']).toBe(`https://api.example.com/v1?key=${MASK}&a=1`)
  expect(all['nested']).toEqual({ list: [1, { deep: [MASK] }] })
  expect(all['base64']).toContain(MASK)
  expect(steps.find(({ name }) => name === 'call')!.output).toEqual(all)
})

test('errors are shown without it, also where they were cut within it (B9)', () => {
  expect(shown['throw']!.error).toMatchObject({ code: 'STEP_FAILED', message: `the service refused the key ${MASK}` })
  expect(shown['cut']!.error!.message).toBe(`${'x'.repeat(1_990)}${MASK}`)
  expect(shown['stray']!.error).toMatchObject({ code: 'HANDLER_CRASHED', message: `Uncaught error: left behind: ${MASK}` })
  expect(shown['crash']!.error).toMatchObject({ code: 'HANDLER_CRASHED' })
})

test('a handler gets no secret but those that its step names (B9, A1)', () => {
  expect(shown['other']!.error!.message).toBe('The step does not name a secret "not_named".')
})

test('the secret is in no process but the one of the attempt: not in environments, arguments or what a later attempt finds (B9)', () => {
  const look = shown['everything']!.steps.find(({ name }) => name === 'look')!
  expect(look.status).toBe('SUCCEEDED')
  expect(found(JSON.stringify(look.output))).toEqual([])
})

test('no answer of the API and no frame of a feed has it (B9)', () => {
  expect(found(JSON.stringify(answers, (_key, value: unknown) => (value instanceof Map ? [...value] : value)))).toEqual([])
})

test('no row of any table has it, nor what it is sealed with (B9, C6)', async () => {
  const tables = await api.ownerQuery<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  expect(tables.length).toBeGreaterThan(10)
  let rows = 0
  for (const { name } of tables) {
    for (const { text } of await api.ownerQuery<{ text: string }>(`select t::text as text from ${name} as t`)) {
      rows++
      expect(found(text), name).toEqual([])
      // bytea is shown in hex
      expect(text.toLowerCase(), name).not.toContain(Buffer.from(SECRET).toString('hex'))
    }
  }
  expect(rows).toBeGreaterThan(50)
})

test('no line of the log has it, at any level (B9, C6)', () => {
  const lines = logged.join('')
  expect(lines).toContain(`calling with ${MASK}`)
  expect(found(lines)).toEqual([])
  // a message that was cut within the secret
  expect(lines).not.toContain(`..${SECRET.slice(0, 6)}`)
})

test('no metric has it (B9)', async () => {
  const registry = new Registry()
  measureEngine(engine, createResourceMeter({ database, log }), registry)
  expect(found(await registry.metrics())).toEqual([])
})

test('errors of GraphQL do not repeat it, whatever is wrong with what was sent (B9)', async () => {
  const wrong = [
    api.run(owner, SET, { name: 'other', value: { secret: SECRET } as unknown as string }),
    api.run(owner, SET, { name: SECRET, value: 'changeme' }),
    api.run(owner, SET, { name: 'stripe_key', value: SECRET }),
    api.run(undefined, SET, { name: 'other', value: SECRET }),
    api.run(await api.person('VIEWER'), SET, { name: 'other', value: SECRET }),
  ]
  const told = await Promise.all(wrong)
  expect(told.map(({ codes, data }) => codes[0] ?? data.setSecret.code)).toEqual([
    ...[expect.any(String), 'VALIDATION', 'STALE_VERSION', 'UNAUTHENTICATED', 'FORBIDDEN'],
  ])
  // the first is stopped by the doors, which quote nothing that was sent: their tests are test/server
  expect(found(JSON.stringify(told.slice(1)))).toEqual([])
})

test('every use is in the audit log, with what used it, and so is every refusal (C7, A7)', async () => {
  const rows = await database.query<{ metadata: { names: string[]; path: string }; flow_id: string; execution_id: string }>(
    `select metadata, flow_id, execution_id from sluice.audit_events where type = 'secret.used'`,
  )
  expect(rows).toHaveLength(Object.keys(shown).length)
  for (const { metadata, flow_id: flow, execution_id: execution } of rows) {
    expect(metadata).toMatchObject({ names: ['stripe_key'], path: 'call', attempt: 1 })
    expect([flow, execution]).not.toContain(null)
  }
  const about = await api.audited(owner.id)
  expect(about.map(({ type }) => type)).toContain('secret.set')
})
