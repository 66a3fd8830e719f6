/** Traces without a server: nothing happens without an SDK; with one, what is stored leads back to the span it came from. */
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, expect, test } from 'vitest'
import { createLog } from '../src/log.ts'
import { createLoop } from '../src/loop.ts'
import {
  executionContext,
  isTracing,
  openSpan,
  openTracing,
  readTraceparent,
  rememberTrace,
  traced,
  traceExecution,
} from '../src/tracing.ts'

const exporter = new InMemorySpanExporter()

function register(): void {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  openTracing()
}

afterEach(() => {
  trace.disable()
  context.disable()
  exporter.reset()
  openTracing()
})

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('without an SDK there are no spans, nothing is stored, and what is asked for runs all the same', async () => {
  openTracing()
  expect(isTracing()).toBe(false)
  expect(await traced('a', async () => traceExecution('e'))).toBeUndefined()
  expect([openSpan('a'), readTraceparent(PARENT), executionContext('e')]).toEqual([undefined, undefined, undefined])
  await expect(traced('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
})

test('spans nest, go on with a trace that is told, and an error is told as an error without its text', async () => {
  register()
  const parent = readTraceparent(PARENT)
  const stored = await traced(
    'outer',
    () => traced('inner', async () => traceExecution('e')),
    () => ({ parent }),
  )
  await expect(traced('fails', () => Promise.reject(new Error('secret')))).rejects.toThrow('secret')
  const [inner, outer, fails] = exporter.getFinishedSpans()
  expect(outer!.spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c')
  expect([outer!.parentSpanContext?.spanId, inner!.parentSpanContext?.spanId]).toEqual([
    'b7ad6b7169203331',
    outer!.spanContext().spanId,
  ])
  expect(stored).toBe(`00-${inner!.spanContext().traceId}-${inner!.spanContext().spanId}-01`)
  expect(JSON.stringify([fails!.status, fails!.attributes, fails!.events])).not.toContain('secret')
})

test('a loop that is woken in a trace begins nothing in it', async () => {
  register()
  const ran = Promise.withResolvers<string | undefined>()
  const loop = createLoop({
    ...{ name: 'test', log: createLog('silent') },
    async runOnce() {
      ran.resolve(traceExecution('g'))
      return 1_000
    },
  })
  await traced('outer', async () => loop.start())
  expect(await ran.promise).toBeUndefined()
  await loop.stop()
})

test('what was stored is gone on with elsewhere; what is no trace is none', () => {
  register()
  rememberTrace('e', PARENT)
  openSpan('claim', { parent: executionContext('e') })!.end()
  expect(exporter.getFinishedSpans()[0]!.parentSpanContext).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true })
  for (const text of ['', 'x', `${PARENT}-more`, PARENT.toUpperCase(), `ff${PARENT.slice(2)}`])
    expect(readTraceparent(text)).toBeUndefined()
  rememberTrace('f', undefined)
  expect(executionContext('f')).toBeUndefined()
})
