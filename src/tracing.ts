/**
 * Traces of OpenTelemetry, for operators who register an SDK (docs/operating.md): one trace goes from the request through the mutation, the
 * commit, the claim and the steps to the feeds, also over several processes. Without an SDK every call here is one look at a variable.
 */
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import { LRUCache } from 'lru-cache'

let tracer: Tracer | undefined
/** Of executions that happened here lately: what their spans belong to; null: they belong to nothing. */
const executions = new LRUCache<string, { context: Context | null }>({ max: 10_000 })

/** Looks whether an SDK is registered: at start, before anything runs. What was remembered of executions is forgotten. */
export function openTracing(): void {
  executions.clear()
  const found = trace.getTracer('sluice')
  // one that is not ended is told to nobody; without an SDK it has no id, not even when nothing is sampled
  const probe = found.startSpan('probe', { root: true }).spanContext()
  tracer = trace.isSpanContextValid(probe) ? found : undefined
}

export const isTracing = (): boolean => tracer !== undefined

export interface SpanOptions {
  /** ids, codes and counts: never contents */
  attributes?: Attributes
  /** what is running now, unless given */
  parent?: Context | undefined
  kind?: keyof typeof SpanKind
}

/** Runs `work` in a span, which is the parent of what it begins. An error that is thrown is the span's; its text is not told. */
export function traced<T>(name: string, work: () => Promise<T>, options?: () => SpanOptions): Promise<T> {
  if (!tracer) return work()
  const span = openSpan(name, options?.())!
  return span.run(work).then(
    (result) => {
      span.end()
      return result
    },
    (error: unknown) => {
      span.end('ERROR')
      throw error
    },
  )
}

export interface OpenSpan {
  /** what `work` begins belongs to the span */
  run<T>(work: () => T): T
  /** `failure`: why it came to nothing, as a code */
  end(failure?: string): void
}

/** Runs what does not belong to whoever happens to wake it, such as a loop: what it begins is in no trace of theirs. */
export const detached = <T>(work: () => T): T => (tracer ? context.with(ROOT_CONTEXT, work) : work())

/** For what does not end where it begins; undefined when nobody traces. */
export function openSpan(name: string, { attributes = {}, parent, kind = 'INTERNAL' }: SpanOptions = {}): OpenSpan | undefined {
  if (!tracer) return undefined
  const within = parent ?? context.active()
  const span: Span = tracer.startSpan(name, { attributes, kind: SpanKind[kind] }, within)
  return {
    run: (work) => context.with(trace.setSpan(within, span), work),
    end(failure) {
      if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure })
      span.end()
    },
  }
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** What a `traceparent` says; undefined when it is none, and when nobody traces. */
export function readTraceparent(text: unknown): Context | undefined {
  if (!tracer || typeof text !== 'string') return undefined
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? []
  if (!traceId || !spanId || !flags) return undefined
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true })
}

function writeTraceparent(of: Context): string | undefined {
  const span = trace.getSpanContext(of)
  if (!span || !trace.isSpanContextValid(span)) return undefined
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`
}

/** What is running now begins this execution: the `traceparent` to be stored with it. */
export function traceExecution(executionId: string): string | undefined {
  if (!tracer) return undefined
  const within = context.active()
  const text = writeTraceparent(within)
  if (text !== undefined) executions.set(executionId, { context: within })
  return text
}

/** What was stored with an execution that began elsewhere; undefined: nothing was. */
export function rememberTrace(executionId: string, traceparent: string | undefined): void {
  executions.set(executionId, { context: readTraceparent(traceparent) ?? null })
}

export const isTraceKnown = (executionId: string): boolean => executions.has(executionId)

/** What spans about this execution belong to, as far as it is known here. */
export function executionContext(executionId: string): Context | undefined {
  return tracer && (executions.get(executionId)?.context ?? undefined)
}
