/** One step compiled: its templates and conditions, its times, and the roles it names, checked against the allow-list (A1, A2). */
import { checkPool } from './around/pool.ts'
import { checkName } from './check-name.ts'
import { compileRetry } from './compile-retry.ts'
import { compileCondition } from './expressions.ts'
import { compileInputSchema, type InputSchema } from './input-schema.ts'
import type { IssueCode } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import { readDuration } from './read-duration.ts'
import { readStep } from './read-step.ts'
import type { StepBody, StepCompiler, StepContext } from './steps/step-language.ts'
import { languageOf, STEP_TYPES, type StepDefinition, type StepSpec } from './steps/step-types.ts'
import { compileTemplate, compileUrl, type TemplateContext } from './template.ts'
import type { Condition, Template } from './values.ts'

export function compileStep(step: StepDefinition, path: readonly string[], context: StepContext): StepBody<StepSpec> {
  const language = languageOf(step.type)
  const { otherwiseMs, mostMs = Number.POSITIVE_INFINITY } = language.timeout ?? {}
  const wish = step.timeout === undefined ? otherwiseMs : readDuration(step.timeout, [...path, 'timeout'], context, 1)
  const timeoutMs = wish === undefined || language.instant ? undefined : Math.min(wish, mostMs)
  const retry = compileRetry(step.retry, [...path, 'retry'], context, language.retry)
  const spec = language.compile(step, createCompiler(path, context))
  const returns = compileReturns(step, path, context)
  const pool = compilePool(step, path, context)
  const { cost } = step
  return {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...{ retry, spec },
    ...(returns && { returns }),
    ...(cost !== undefined && { cost }),
    ...(pool !== undefined && { pool }),
  }
}

/** undefined: it runs where its flow does. */
function compilePool({ pool, type }: StepDefinition, path: readonly string[], context: StepContext): string | undefined {
  if (pool === undefined) return undefined
  checkPool(pool, [...path, 'pool'], context)
  if (!languageOf(type).mayRunElsewhere) {
    const hint = type === 'map' || type === 'loop' ? 'move pool into `step`' : `the types that do are ${ELSEWHERE.join(', ')}`
    context.issues.add('INVALID_VALUE', [...path, 'pool'], `a step of type ${type} does not run in a pool of its own`, hint)
  }
  return pool === context.pool ? undefined : pool
}

const ELSEWHERE = STEP_TYPES.filter((type) => languageOf(type).mayRunElsewhere)

function compileReturns({ returns }: StepDefinition, path: readonly string[], { issues }: StepContext): InputSchema | undefined {
  if (!returns) return undefined
  const schema = compileInputSchema(returns, 'output')
  for (const { code, path: at, message, hint } of schema.issues)
    issues.add(code as IssueCode, [...path, 'returns', ...at.slice(1)], message, hint)
  return schema
}

function createCompiler(path: readonly string[], context: StepContext): StepCompiler {
  const compiler: StepCompiler = {
    ...context,
    path,
    template: (value, ...field) => compileTemplate(value, [...path, ...field], context),
    text: (value, ...field) => asText(compiler.template(value, ...field)),
    url: (value, ...field) => asText(compileUrl(value, [...path, ...field], context)),
    condition: (source, ...field) => compileWhen(source, [...path, ...field], context),
    seeing: (locals) => createCompiler(path, { ...context, locals: [...new Set([...(context.locals ?? []), ...locals])] }),
    durationMs: (text, field, minMs) => readDuration(text, [...path, field], context, minMs),
    checkName: (name, ...field) => checkName(name, [...path, ...field], context),
    checkRole: (role, ...field) => checkRole(role, [...path, ...field], context),
    checkRoles: (roles, ...field) => checkRoles(roles, [...path, ...field], context),
    step(value, ...field) {
      const { whole } = readStep(value, [...path, ...field], context.issues)
      return whole && compileInside(whole, [...path, ...field], context)
    },
  }
  return compiler
}

/** A step inside another: it has no place in the order of the flow, and is undone with what is around it. */
function compileInside(step: StepDefinition, path: readonly string[], context: StepContext): StepBody<StepSpec> {
  for (const field of ['after', 'on', 'compensate'] as const) {
    if (step[field] !== undefined)
      context.issues.add('INVALID_VALUE', [...path, field], 'a step inside another has no place of its own')
  }
  if (typeof step.onError === 'object')
    context.issues.add('INVALID_VALUE', [...path, 'onError'], 'a step inside another leads nowhere', 'write "continue" or "fail"')
  const when = step.when === undefined ? undefined : compileWhen(step.when, [...path, 'when'], context)
  return {
    ...compileStep(step, path, context),
    ...(when && { when }),
    ...(step.onError === 'continue' && { onError: step.onError }),
  }
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
  const compiled = compileCondition(source, context.stepNames, context.locals)
  if (!compiled.ok) {
    for (const { code, message, hint } of compiled.problems) context.issues.add(code, path, message, hint)
    return NEVER
  }
  for (const step of compiled.value.reads) context.onRead(step, path)
  context.onPlaces(compiled.value.places, path, compiled.value.isPath)
  return compiled.value.condition
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
