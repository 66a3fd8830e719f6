import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dataDirectory, postmasterOf, processesIn, signInTo, startServerProcess } from '../harness/server-process.ts'

const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) { ... on CreateFlowSuccess { flow { id } } ... on Problem { code message } }
}`
const START = `mutation ($flow: String!, $n: Int!) {
  startExecution(input: { flow: $flow, input: { n: $n } }) {
    ... on StartExecutionSuccess { execution { id status } } ... on Problem { code message }
  }
}`
const READ = `query ($id: ID!) { execution(id: $id) { status output error { code } events(first: 100) { seq type } } }`

const definition = {
  name: 'patient',
  steps: {
    first: { type: 'handler', handler: 'echo', with: { n: '${{ input.n }}' } },
    nap: { type: 'wait', after: ['first'], duration: 'PT3S' },
    last: { type: 'handler', handler: 'echo', after: ['nap'], with: { n: '${{ steps.first.output.n }}' } },
  },
  output: { n: '${{ steps.last.output.n }}' },
}

const dataDir = await dataDirectory()
type Run = Awaited<ReturnType<typeof signInTo>>

async function until<T>(what: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const found = await what().catch(() => undefined)
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const started: string[] = []
async function startSome(run: Run): Promise<void> {
  for (let n = 0; n < 5; n++) started.push((await run(START, { flow: 'patient', n })).startExecution.execution.id)
}

/** Every execution that was ever started here ends well, with a history without a gap. */
async function expectAllToEnd(run: Run): Promise<void> {
  for (const [index, id] of started.entries()) {
    const execution = await until(async () => {
      const { execution } = await run(READ, { id })
      return execution.status === 'SUCCEEDED' || execution.error ? execution : undefined
    })
    expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { n: index % 5 } })
    expect(execution.events.map(({ seq }: { seq: number }) => seq)).toEqual(
      execution.events.map((_: unknown, at: number) => at + 1),
    )
    expect(execution.events.filter(({ type }: { type: string }) => type === 'step.succeeded').length).toBe(3)
  }
}

test(
  'kill -9 of node, of PostgreSQL, of both: nothing is lost, and the next start recovers by itself',
  { timeout: 180_000 },
  async () => {
    let server = await startServerProcess(dataDir)
    let run = await signInTo(server.url, dataDir)
    expect((await run(CREATE, { definition })).createFlow).toHaveProperty('flow')

    await startSome(run)
    await server.end('SIGKILL')
    server = await startServerProcess(dataDir)
    run = await signInTo(server.url, dataDir)
    await expectAllToEnd(run)

    await startSome(run)
    process.kill(await postmasterOf(dataDir), 'SIGKILL')
    await until(async () => (await run('{ viewer { id } }')).viewer ?? undefined)
    await expectAllToEnd(run)

    await startSome(run)
    const postmaster = await postmasterOf(dataDir)
    const gone = server.end('SIGKILL')
    process.kill(postmaster, 'SIGKILL')
    await gone
    server = await startServerProcess(dataDir)
    run = await signInTo(server.url, dataDir)
    await expectAllToEnd(run)

    expect(await server.end('SIGTERM')).toBe(0)
    expect(await processesIn(dataDir)).toEqual([])
  },
)

test('a second server on the same data directory refuses to start and names the first', { timeout: 180_000 }, async () => {
  const server = await startServerProcess(dataDir)
  expect((await stat(join(dataDir, 'compile-cache'))).mode & 0o777, 'what handlers are compiled to').toBe(0o700)
  await expect(startServerProcess(dataDir)).rejects.toThrow(`pid ${server.process.pid}`)
  expect(await server.end('SIGINT')).toBe(0)
  expect(await processesIn(dataDir)).toEqual([])
})

test('in production nothing insecure starts, and every mistake is listed at once (B13)', { timeout: 180_000 }, async () => {
  const wrong = { NODE_ENV: 'production', PORT: 'http', SLUICE_LEASE_MS: 'soon', SLUICE_JWT_SECRET: 'changeme' }
  const failure = await startServerProcess(dataDir, wrong).catch((error: Error) => error.message)
  expect(failure).toMatch(/ended with 78/)
  for (const name of ['PORT', 'SLUICE_LEASE_MS', 'SLUICE_JWT_SECRET']) expect(failure).toContain(name)
  expect(failure).not.toContain('changeme')
})
