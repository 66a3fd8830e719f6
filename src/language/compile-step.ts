/** One step compiled: its templates and conditions, its times, and the roles and handlers it names, checked against the allow-list (A1, A2). */
import { STEP_ERRORS } from '../errors.ts'
import { NAME, type Retry, type StepDefinition } from './definition.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { compileCondition } from './expressions.ts'
import { didYouMean } from './nearest-name.ts'
import type { AllowList, Condition, Json, RetryPolicy, StepSpec, Template } from './program.ts'
import { compileTemplate, type TemplateContext } from './template.ts'

const DEFAULT_AGENT_TIMEOUT_MS = 60_000
/** A6: a longer wish is capped, and the cap is shown as a warning. */
export const MAX_AGENT_TIMEOUT_MS = 600_000
const DEFAULT_HANDLER_TIMEOUT_MS = 300_000
export const NO_RETRY: RetryPolicy = { attempts: 1, firstDelayMs: 500, factor: 2, maxDelayMs: 60_000, jitter: 0.2 }

export interface StepContext extends TemplateContext {
  allow: AllowList
}

/** Steps that take no time: a timeout or a retry would never be used. */
export const INSTANT: ReadonlySet<string> = new Set(['transform', 'route', 'notify', 'fail'])

export function compileSpec(step: StepDefinition, path: readonly string[], context: StepContext): StepSpec {
  const template = (value: Json, ...field: string[]): Template => compileTemplate(value, [...path, ...field], context)
  const text = (value: string, field: string): Template => asText(template(value, field))
  switch (step.type) {
    case 'transform':
      return { type: 'transform', set: template(step.set, 'set') }
    case 'route':
      return compileRoute(step, path, context)
    case 'agent':
      checkRole(step.role, [...path, 'role'], context)
      return {
        type: 'agent',
        role: step.role,
        subject: text(step.subject, 'subject'),
        request: template(step.request, 'request'),
      }
    case 'notify':
      checkRoles(step.roles, [...path, 'roles'], context)
      return {
        type: 'notify',
        roles: step.roles,
        subject: text(step.subject ?? '', 'subject'),
        message: template(step.message, 'message'),
      }
    case 'wait':
      return compileWait(step, path, context)
    case 'handler': {
      const { handler, atMostOnce = false } = step
      if (!context.allow.handlers.has(handler)) {
        context.issues.add('UNKNOWN_HANDLER', [...path, 'handler'], undefined, () => didYouMean(handler, context.allow.handlers))
      }
      return {
        type: 'handler',
        handler,
        with: template(step.with ?? {}, 'with'),
        secrets: readSecrets(step, path, context),
        atMostOnce,
      }
    }
    case 'fail':
      return { type: 'fail', code: step.code ?? 'FLOW_FAILED', message: text(step.message, 'message') }
  }
}

/** Whose they are is not known here: `operations` asks that they exist, and a step gets them only if they still do. */
function readSecrets({ secrets = [] }: StepDefinition & { type: 'handler' }, path: readonly string[], context: StepContext) {
  for (const [i, secret] of secrets.entries()) {
    const at = [...path, 'secrets', String(i)]
    if (checkName(secret, at, context) && secrets.indexOf(secret) < i)
      context.issues.add('DUPLICATE', at, `${secret} is named twice`)
  }
  return secrets
}

function compileRoute(step: StepDefinition & { type: 'route' }, path: readonly string[], context: StepContext): StepSpec {
  const cases = step.cases.map(({ when, to }, i) => {
    checkName(to, [...path, 'cases', String(i), 'to'], context)
    return { when: compileWhen(when, [...path, 'cases', String(i), 'when'], context), to }
  })
  if (step.otherwise === undefined) return { type: 'route', cases }
  checkName(step.otherwise, [...path, 'otherwise'], context)
  return { type: 'route', cases, otherwise: step.otherwise }
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

function compileWait(step: StepDefinition & { type: 'wait' }, path: readonly string[], context: StepContext): StepSpec {
  const { duration, until } = step
  if ((duration === undefined) === (until === undefined)) {
    context.issues.add('INVALID_VALUE', path, 'a wait has either duration or until')
  }
  if (until === undefined) return { type: 'wait', durationMs: readDuration(duration ?? 'PT0S', [...path, 'duration'], context) }
  if (!until.includes('${{') && !(RFC_3339.test(until) && Date.parse(until))) {
    context.issues.add('INVALID_VALUE', [...path, 'until'], 'must be a date like 2030-01-31T09:00:00Z, or an expression')
  }
  return { type: 'wait', until: compileTemplate(until, [...path, 'until'], context) }
}

/** A template whose result is always a text. */
function asText(template: Template): Template {
  return {
    ...template,
    evaluate(scope) {
      const result = template.evaluate(scope)
      return !result.ok || typeof result.value === 'string' ? result : { ok: true, value: JSON.stringify(result.value) }
    },
  }
}

/** Stands in for a condition that could not be compiled; a definition with issues never runs. */
const NEVER: Condition = { evaluate: () => ({ ok: false, message: 'the condition cannot be compiled' }) }

export function compileWhen(source: string, path: readonly string[], context: TemplateContext): Condition {
  if (source.trimStart().startsWith('${{')) {
    context.issues.add('INVALID_EXPRESSION', path, 'conditions are expressions already', 'leave out the ${{ }}')
    return NEVER
  }
  if (context.issues.full) return NEVER
  const compiled = compileCondition(source, context.stepNames)
  if (!compiled.ok) {
    for (const { code, message, hint } of compiled.problems) context.issues.add(code, path, message, hint)
    return NEVER
  }
  for (const step of compiled.value.reads) context.onRead(step, path)
  return compiled.value.condition
}

/** The step's timeout in ms; undefined for what takes no time, and for a wait without one. */
export function compileTimeout(step: StepDefinition, path: readonly string[], context: TemplateContext): number | undefined {
  const wish = step.timeout === undefined ? undefined : readDuration(step.timeout, [...path, 'timeout'], context, 1)
  switch (step.type) {
    case 'agent':
      return Math.min(wish ?? DEFAULT_AGENT_TIMEOUT_MS, MAX_AGENT_TIMEOUT_MS)
    case 'handler':
      return wish ?? DEFAULT_HANDLER_TIMEOUT_MS
    case 'wait':
      return wish
    default:
      return undefined
  }
}

export function compileRetry(retry: Retry | undefined, path: readonly string[], context: TemplateContext): RetryPolicy {
  if (!retry) return NO_RETRY
  const time = (text: string | undefined, field: string, otherwise: number): number =>
    text === undefined ? otherwise : readDuration(text, [...path, field], context)
  for (const [i, code] of (retry.on ?? []).entries()) {
    if (Object.hasOwn(STEP_ERRORS, code)) continue
    const hint = (): string | undefined => didYouMean(code, Object.keys(STEP_ERRORS))
    context.issues.add('INVALID_VALUE', [...path, 'on', String(i)], 'there is no such step error', hint)
  }
  return {
    attempts: retry.attempts ?? NO_RETRY.attempts,
    firstDelayMs: time(retry.delay, 'delay', NO_RETRY.firstDelayMs),
    factor: retry.factor ?? NO_RETRY.factor,
    maxDelayMs: time(retry.maxDelay, 'maxDelay', NO_RETRY.maxDelayMs),
    jitter: retry.jitter ?? NO_RETRY.jitter,
    ...(retry.on && { on: retry.on }),
  }
}

/** Milliseconds; an issue, and 0, when the text is no duration or shorter than `minMs`. */
export function readDuration(text: string, path: readonly string[], context: Pick<TemplateContext, 'issues'>, minMs = 0): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= minMs) return ms
  if (ms === undefined) context.issues.add('INVALID_DURATION', path, undefined, 'like PT30S, PT1H30M or P7D; at most P3650D')
  else context.issues.add('INVALID_DURATION', path, `at least ${formatDuration(minMs)}`)
  return 0
}

/** Names of steps and routes; what only looks like one (NFKC) is told apart from what is none. */
export function checkName(name: string, path: readonly string[], { issues }: Pick<TemplateContext, 'issues'>): boolean {
  if (NAME.test(name)) return true
  const plain = name.normalize('NFKC')
  const hint = plain !== name && NAME.test(plain) ? `did you mean "${plain}"?` : undefined
  issues.add('INVALID_NAME', path, 'must be 1-64 letters, digits or _ (A-Z a-z 0-9 _)', hint)
  return false
}

export function checkRoles(roles: readonly string[], path: readonly string[], context: StepContext): void {
  const seen = new Set<string>()
  for (const [i, role] of roles.entries()) {
    if (seen.has(role)) context.issues.add('DUPLICATE', [...path, String(i)], `${role} is named twice`)
    else checkRole(role, [...path, String(i)], context)
    seen.add(role)
  }
}

function checkRole(role: string, path: readonly string[], { allow, issues }: StepContext): void {
  if (!allow.roles.has(role)) issues.add('UNKNOWN_ROLE', path, undefined, () => didYouMean(role, allow.roles))
}
