/** Starts an execution of a flow's newest version: for whoever calls, and for whoever published the trigger that fires. */
import { auditEntry } from '../../audit/record-audit.ts'
import type { StartOrder } from '../../engine/engine.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Principal } from '../../identity/principal.ts'
import type { StoredPrincipal } from '../../identity/stored-principals.ts'
import { MAX_PRIORITY } from '../../language/around/priority.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Program } from '../../language/program.ts'
import type { JsonObject } from '../../language/values.ts'
import type { Trigger } from '../../triggers/entities/trigger.ts'
import type { Call } from '../call.ts'
import { hashOf } from '../../canonical-json.ts'
import { findCached, rememberResult } from './cached-results.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import type { Label } from '../check-arguments.ts'
import { findFlowToStart } from '../flows/find-flow-to-start.ts'
import type { FlowToStart } from '../flows/find-flow-to-start.ts'
import { flowReference } from '../flows/find-flow.ts'
import { mayStartExecutions, requirePrincipal } from '../permissions.ts'
import { forbid, noteRefusal } from '../refuse.ts'

export interface StartExecution {
  /** id or name */
  flow: string
  input: unknown
  idempotencyKey?: string | undefined
  labels?: readonly Label[] | undefined
  /** -100..100, that of the flow or 0 unless said otherwise; higher is claimed first */
  priority?: number | undefined
  /** not started before */
  startAt?: Date | undefined
  /** answer when it has ended, or after this long: 0..30000 */
  waitMs?: number | undefined
}

/** Of whoever starts for others than a caller of `startExecution`. */
export interface StartMore {
  /** what starts it, when it is no call */
  trigger?: StartingTrigger
  /** instead of what the definition says; 0: it runs in any case */
  cacheTtlMs?: number | undefined
  /** what makes two calls the same, when it is not the flow and its input */
  sameAs?: Buffer
}

const MAX_WAIT_MS = 30_000

/**
 * Resolves when the execution is committed, and after `waitMs` or its end when that is asked. `replayed`: an earlier call with this
 * key started it. Problems: NOT_FOUND, AMBIGUOUS, VALIDATION, STATE_TOO_LARGE, LIMIT_REACHED, IDEMPOTENCY_MISMATCH. Throws FORBIDDEN.
 */
export async function startExecution(call: Call, args: StartExecution): Promise<Started | Problem> {
  const principal = requirePrincipal(call)
  const flow = await findFlowToStart(call, flowReference(args.flow))
  if (isProblem(flow)) return { ...flow, path: ['flow'] }
  return startFlow({ principal, origin: call.origin, services: call.services }, flow, args)
}

export interface Started {
  executionId: string
  /** an earlier call with this key started it */
  replayed: boolean
  /** it had ended before; its output is given again */
  cached?: true
}

/** Who starts: a caller, or somebody whose id was stored. */
export interface Starter extends Pick<Call, 'origin' | 'services'> {
  readonly principal: Principal | StoredPrincipal
}

/** What started it, when it was no call. */
export type StartingTrigger = Pick<Trigger, 'id' | 'type' | 'name'> & { executionId?: string }

/** The same when the flow has been found. */
export async function startFlow(
  call: Starter,
  flow: FlowToStart,
  args: Omit<StartExecution, 'flow'>,
  { trigger, cacheTtlMs, sameAs }: StartMore = {},
): Promise<Started | Problem> {
  const { engine, limits } = call.services
  const { principal } = call
  const flowVersionId = flow.newestVersionId
  const program = await engine.program(flowVersionId)
  if (!mayStartExecutions(principal, flow, isProblem(program) ? {} : program))
    return forbid(call, { type: 'execution.startRefused', flowId: flow.id })
  if (isProblem(program)) return { ...program, path: ['flow'] }
  const wrong = checkArguments(args)
  if (wrong) return wrong
  const checked = checkInput(program, args.input)
  if (isProblem(checked)) return checked

  const told = trigger && { metadata: { trigger: { type: trigger.type, name: trigger.name } } }
  const { idempotencyKey } = args
  const priority = args.priority ?? program.priority ?? 0
  const labels = args.labels?.length ? Object.fromEntries(args.labels.map(({ key, value }) => [key, value])) : undefined
  const startAt = args.startAt?.getTime()
  const idempotency = idempotencyKey !== undefined && {
    principalId: principal.actsAs,
    key: idempotencyKey,
    inputHash: sameAs ?? hashOf([flow.id, checked.input, labels ?? {}, args.priority ?? 0, startAt ?? null]),
  }
  const ttlMs = startAt === undefined ? (cacheTtlMs ?? program.cacheTtlMs) : undefined
  const question = ttlMs !== undefined &&
    ttlMs > 0 && { flowVersionId, principalId: principal.actsAs, inputHash: hashOf(checked.input), ttlMs }
  const executionId = question && (await findCached(call.services.database, question, idempotency || undefined))
  if (executionId) {
    const facts = { type: 'execution.reused', flowId: flow.id, executionId, ...told }
    await call.services.writeAudit(auditEntry(call, facts))
    return { executionId, replayed: false, cached: true }
  }
  const order: StartOrder = {
    ...{
      flowId: flow.id,
      flowVersionId,
      program,
      input: checked.input,
      inputText: checked.text,
      initiatorId: principal.actsAs,
      priority,
    },
    runningLimit: limits.runningPerInitiator,
    audit: [auditEntry(call, { type: 'execution.started', flowId: flow.id, ...told })],
    ...(trigger && { triggerId: trigger.id, ...(trigger.executionId && { id: trigger.executionId }) }),
    ...(labels && { labels }),
    ...(startAt !== undefined && { startAt }),
    ...(idempotency && { idempotency }),
  }
  const started = await begin(call, order)
  if (isProblem(started)) return started
  if (question && !started.replayed) await rememberResult(call.services.database, question, started.executionId)
  if (args.waitMs) await engine.ended(started.executionId, args.waitMs)
  return started
}

/** What every start ends in, also that of a retry: it is stored, or its refusal is audited. */
export async function begin(call: Starter, order: StartOrder): Promise<Started | Problem> {
  const started = await call.services.engine.start(order)
  if (isProblem(started)) return refused(call, order.flowId, started)
  if (!started.replayed) call.services.security.count('UNUSUAL_STARTS', [call.principal])
  return started
}

function checkArguments({
  idempotencyKey,
  labels,
  priority,
  startAt,
  waitMs,
}: Omit<StartExecution, 'flow'>): Problem | undefined {
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  check.labels(['labels'], labels)
  check.whole(['priority'], priority, -MAX_PRIORITY, MAX_PRIORITY)
  check.whole(['waitMs'], waitMs, 0, MAX_WAIT_MS)
  if (startAt && Number.isNaN(startAt.getTime())) check.add('INVALID_VALUE', ['startAt'], 'It is not a date.')
  return check.problem
}

/** An object, of the right size, that fits the flow's schema: in this order, cheapest first (A4, D5). */
export function checkInput(program: Program, input: unknown): { input: JsonObject; text: string } | Problem {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return invalidInput('INVALID_TYPE', 'The input must be a JSON object.')
  }
  const payload = checkPayload(input, MAX_STATE_BYTES)
  if (!payload.ok) {
    if (payload.code !== 'TOO_LARGE') return invalidInput(payload.code, payload.message)
    return problem('STATE_TOO_LARGE', { path: ['input'], message: `The input is too large: ${payload.message}.` })
  }
  const issues = program.checkInput(input as JsonObject)
  return issues.length > 0
    ? problem('VALIDATION', { path: ['input'], issues })
    : { input: input as JsonObject, text: payload.text }
}

const invalidInput = (code: string, message: string): Problem =>
  problem('VALIDATION', { path: ['input'], issues: [{ code, message, path: ['input'] }] })

async function refused(call: Starter, flowId: string, started: Problem): Promise<Problem> {
  if (started.problem === 'LIMIT_REACHED')
    await noteRefusal(call, { type: 'execution.startRefused', flowId, errorCode: started.problem })
  return started
}
