/** One trace over two whole servers of a fleet, one that serves and one that works; and what they tell collectors (A9). */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

const { env, database } = await testDatabase()
const TRACE = '0af7651916cd43dd8448eb211c80319c'

test(
  'one trace goes from the request through the mutation, the commit, the claim and the step to the feed, over two processes (A9)',
  { timeout: 180_000 },
  async () => {
    const exporter = new InMemorySpanExporter()
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-traced-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const config = loadConfig({ ...env, SLUICE_DATA_DIR: dataDir, PORT: '0', SLUICE_LOG_LEVEL: 'fatal' }, { mode: 'start' })
    const onFatal = (error: Error): void => expect.unreachable(error.message)
    const options = { config, environment: {}, log: createLog('fatal'), onFatal }
    const api = await startApp({ ...options, serve: true, work: false })
    onTestFinished(() => api.stop())

    const ask = async (query: string, token?: string, more: Record<string, string> = {}) =>
      fetch(`${api.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }), ...more },
        body: JSON.stringify({ query }),
      })
    const data = async (answer: Response) => ((await answer.json()) as { data: Record<string, Record<string, unknown>> }).data
    const password = (await readFile(join(dataDir, 'admin-password'), 'utf8')).trim()
    const signIn = `mutation { signIn(input: { email: "admin@sluice.local", password: "${password}" }) { ... on SignInSuccess { accessToken } } }`
    const token = (await data(await ask(signIn)))['signIn']!['accessToken'] as string
    const steps = `{ up: { type: "handler", handler: "echo", with: { said: "a secret" } } }`
    await ask(`mutation { createFlow(input: { definition: { name: "traced", steps: ${steps} } }) { __typename } }`, token)
    exporter.reset()
    const start = `mutation { startExecution(input: { flow: "traced", input: {} }) {
      ... on StartExecutionSuccess { execution { id status } } } }`
    const began = await ask(start, token, { traceparent: `00-${TRACE}-b7ad6b7169203331-01` })
    const { id, status } = (await data(began))['startExecution']!['execution'] as { id: string; status: string }
    expect(status).toBe('PENDING')
    const uuid = decodeId('execution', id)!
    const stored = await database.query<{ traceparent: string }>(
      'select traceparent from sluice.execution_traces where execution_id = $1',
      [uuid],
    )
    expect(stored).toEqual([{ traceparent: expect.stringContaining(TRACE) }])

    // what the first process knows in memory is forgotten: the second one reads the row
    const metered = { ...config, server: { ...config.server, metricsPort: 0 } }
    const worker = await startApp({ ...options, config: metered, serve: false, work: true })
    onTestFinished(() => worker.stop())
    const feed = await ask(`subscription { executionFeed(id: "${id}") { __typename } }`, token, { accept: 'text/event-stream' })
    expect(await feed.text()).toContain('FeedEnd')

    const spans = exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === TRACE)
    const names = new Set(spans.map(({ name }) => name))
    expect([...names].toSorted()).toEqual(['claim', 'commit', 'feed', 'http /graphql', 'mutation startExecution', 'step handler'])
    const mutation = spans.find(({ name }) => name.startsWith('mutation'))!
    for (const name of ['claim', 'feed', 'commit', 'step handler'])
      expect(spans.find((span) => span.name === name)!.parentSpanContext?.spanId).toBe(mutation.spanContext().spanId)
    expect(spans.filter(({ name }) => name === 'commit').length).toBeGreaterThanOrEqual(2)
    const metrics = await (await fetch(worker.metricsUrl!)).text()
    for (const line of [
      ...['sluice_lease_held 1', 'sluice_claims_total 1', 'sluice_executions_ready{pool="default"} 0', 'sluice_feed_followers 0'],
      ...['sluice_commit_queue_transitions 0', 'sluice_triggers_waiting{type="webhook"} 0', 'nodejs_eventloop_lag_seconds'],
      ...[
        'sluice_schedule_firings_total{status="STARTED"} 0',
        'sluice_executions_total{status="SUCCEEDED"} 1',
        'sluice_executions_total{status="FAILED"} 0',
      ],
    ])
      expect(metrics).toContain(line)
    // ids and names, never contents
    expect(JSON.stringify(spans.map(({ name, attributes }) => [name, attributes]))).not.toMatch(/a secret|sluice\.local/)
  },
)
