/** A server that is killed while a service is being called: the call is made again, with the same key, and the execution goes on. */
import type { ServerResponse } from 'node:http'
import { afterAll, expect, test, vi } from 'vitest'
import { dataDirectory, signInTo, startServerProcess } from '../harness/server-process.ts'
import { startStubService } from '../harness/stub-service.ts'

const owed: ServerResponse[] = []
const stub = await startStubService((_asked, response) => owed.push(response))
afterAll(() => stub.close())
const until = (check: () => unknown): Promise<unknown> => vi.waitFor(check, { timeout: 30_000, interval: 50 })

const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) { ... on CreateFlowSuccess { flow { id } } ... on Problem { code message } }
}`
const START = `mutation ($flow: String!) {
  startExecution(input: { flow: $flow, input: {} }) { ... on StartExecutionSuccess { execution { id } } ... on Problem { code message } }
}`
const READ = `query ($id: ID!) { execution(id: $id) { status output error { code } steps { name attempt status } } }`

test(
  'kill -9 during a call: it is made again and recorded once; one that may be made at most once is not',
  { timeout: 180_000 },
  async () => {
    const dataDir = await dataDirectory()
    const environment = { SLUICE_OUTBOUND_ALLOW: stub.host }
    let server = await startServerProcess(dataDir, environment)
    let run = await signInTo(server.url, dataDir)
    const ids: string[] = []
    for (const [name, more] of [
      ['again', {}],
      ['once', { atMostOnce: true }],
    ] as const) {
      const call = { type: 'http', url: `${stub.url}/${name}`, body: { n: 1 }, ...more }
      const definition = { name, steps: { call }, output: { body: '${{ steps.call.output.body }}' } }
      expect((await run(CREATE, { definition })).createFlow).toHaveProperty('flow')
      ids.push((await run(START, { flow: name })).startExecution.execution.id)
    }
    await until(() => expect(stub.asked).toHaveLength(2))
    await server.end('SIGKILL')
    server = await startServerProcess(dataDir, environment)
    run = await signInTo(server.url, dataDir)
    await until(() => expect(stub.asked).toHaveLength(3))
    owed[2]!.end('done')

    const [again, once] = ids
    await until(async () => expect((await run(READ, { id: again })).execution).toMatchObject({ status: 'SUCCEEDED' }))
    expect((await run(READ, { id: again })).execution).toMatchObject({ output: { body: 'done' }, steps: [{ attempt: 1 }] })
    await until(async () => expect((await run(READ, { id: once })).execution).toMatchObject({ status: 'FAILED' }))
    expect((await run(READ, { id: once })).execution).toMatchObject({ error: { code: 'OUTCOME_UNKNOWN' } })
    const keys = stub.asked.map(({ path, headers }) => [path, headers['idempotency-key']])
    expect(keys.filter(([path]) => path === '/again')).toEqual([
      ['/again', `${again}/call`],
      ['/again', `${again}/call`],
    ])
    expect(keys.filter(([path]) => path === '/once')).toHaveLength(1)
    expect(await server.end('SIGTERM')).toBe(0)
  },
)
