/** Secrets in calls of `http` steps: services that give them back in all ways; then they are looked for everywhere (B9). */
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLog } from '../../src/log.ts'
import { MASK } from '../../src/masking/mark.ts'
import { formsOf } from '../../src/masking/secret-forms.ts'
import { testApi } from '../harness/api.ts'
import { startStubService } from '../harness/stub-service.ts'
import type { Asked } from '../harness/stub-service.ts'

const KEY = `sk_live_"Zq/9+v~7&hT=4%wL'mN2#?x`
const HOOK_PATH = 'services/T0AB12CD/B9XY87ZW/q1w2e3r4t5y6u7i8'

const WAYS: Record<string, (asked: Asked, response: ServerResponse) => unknown> = {
  echo: (asked, response) =>
    response.writeHead(200, { 'content-type': 'application/json', etag: `"${asked.path}"` }).end(JSON.stringify(asked)),
  text: (asked, response) => response.end(`you said ${asked.path} and ${asked.body} and ${JSON.stringify(asked.headers)}`),
  base64: (asked, response) => response.end(Buffer.from(JSON.stringify(asked)).toString('base64')),
  key: (_asked, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ [KEY]: [KEY] })),
  fails: (asked, response) => response.writeHead(500, `no ${encodeURIComponent(KEY)}`).end(asked.body),
  broken: (_asked, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"${KEY}`),
  gone: (_asked, response) => response.destroy(),
  away: (_asked, response) => response.writeHead(302, { location: `http://10.0.0.1/${encodeURIComponent(KEY)}` }).end(),
  elsewhere: (_asked, response) => response.writeHead(302, { location: `/echo?given=${encodeURIComponent(KEY)}` }).end(),
}
const logged: string[] = []
const log = createLog('trace', { write: (line: string) => void logged.push(line) })
const stub = await startStubService((asked, response) => {
  const way = asked.path.startsWith('/services') ? 'echo' : asked.path.split(/[/?]/)[1]!
  return WAYS[way]!(asked, response)
})
afterAll(() => stub.close())
const api = await testApi({ log, outbound: { allow: [stub.host] } })
const owner = await api.person()
const HOOK = `${stub.url}/${HOOK_PATH}`
const answers: unknown[] = []
const shown: Record<string, { status: string; output: unknown; error: { code: string } | null }> = {}

const RUN = `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: {}, waitMs: 20000 }) {
  ... on StartExecutionSuccess { execution {
    status state output reason error { code message } steps { input output error { message } } events(first: 100) { type data }
  } } ... on Problem { code message } } }`

async function run(name: string, step: object): Promise<void> {
  const definition = {
    name,
    steps: { call: { type: 'http', retry: { attempts: 2, delay: 'PT0.01S' }, ...step } },
    output: { all: '${{ steps.call.output }}' },
  }
  const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename ... on ValidationProblem { issues { code path message } } } }`
  expect((await api.run(owner, CREATE, { definition })).data.createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
  const ran = await api.run(owner, RUN, { flow: name })
  answers.push(ran)
  shown[name] = ran.data.startExecution.execution
}

beforeAll(async () => {
  const SET = `mutation ($name: String!, $value: String!) { setSecret(input: { name: $name, value: $value }) { __typename } }`
  for (const [name, value] of [
    ['key', KEY],
    ['hook', HOOK],
  ])
    answers.push(await api.run(owner, SET, { name, value }))
  for (const way of Object.keys(WAYS)) {
    await run(way, {
      url: `${stub.url}/${way}/\${{ secrets.key }}/x`,
      query: { key: '${{ secrets.key }}', also: 'a ${{ secrets.key }} b' },
      headers: { authorization: 'Bearer ${{ secrets.key }}' },
      body: { deep: [{ key: 'is ${{ secrets.key }}' }] },
      secrets: ['key'],
    })
  }
  await run('hook', { url: '${{ secrets.hook }}', body: {}, secrets: ['hook'] })
}, 60_000)

test('services got them as they are', () => {
  const [asked] = stub.asked
  const [, , ...path] = asked!.path.split('?')[0]!.split('/')
  expect(path.slice(0, -1).map(decodeURIComponent).join('/')).toBe(KEY)
  expect(new URL(asked!.path, stub.url).searchParams.get('also')).toBe(`a ${KEY} b`)
  expect(asked!.headers.authorization).toBe(`Bearer ${KEY}`)
  expect(JSON.parse(asked!.body)).toEqual({ deep: [{ key: `is ${KEY}` }] })
  expect(stub.asked.map((one) => one.path)).toContain(`/${HOOK_PATH}`)
})

test('calls end as they would without them', () => {
  const ends = Object.fromEntries(Object.entries(shown).map(([way, { status, error }]) => [way, error?.code ?? status]))
  expect(ends).toEqual({
    ...{ echo: 'SUCCEEDED', text: 'SUCCEEDED', base64: 'SUCCEEDED', key: 'SUCCEEDED', hook: 'SUCCEEDED', elsewhere: 'SUCCEEDED' },
    ...{ fails: 'HTTP_5XX', broken: 'HTTP_ANSWER', gone: 'HTTP_NETWORK', away: 'HTTP_REFUSED' },
  })
  expect(JSON.stringify(shown['echo'])).toContain(MASK)
})

const FORMS = [...formsOf(KEY), ...formsOf(HOOK_PATH)]
const found = (text: string): string[] => FORMS.filter((form) => text.includes(form))

test('no answer of the API, no row of any table and no line of the log has them (B9, C6)', async () => {
  expect(found(JSON.stringify(answers))).toEqual([])
  const tables = await api.ownerQuery<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  for (const { name } of tables) {
    for (const { text } of await api.ownerQuery<{ text: string }>(`select t::text as text from ${name} as t`)) {
      expect(found(text), name).toEqual([])
    }
  }
  expect(logged.length).toBeGreaterThan(0)
  expect(found(logged.join(''))).toEqual([])
})
