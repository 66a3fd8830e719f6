/** Answers one GraphQL request, whatever door it came through: limit, prepare, admit, execute, present. The order stands here and nowhere else. */
import { createSourceEventStream, execute } from 'graphql'
import type { ExecutionResult, GraphQLError, GraphQLSchema } from 'graphql'
import type { Caller, Calls } from '../api/context.ts'
import { FeedSource } from '../api/feed.ts'
import type { FaultCode } from '../errors.ts'
import type { LimitState } from '../fleet/limiter.ts'
import type { Logger } from '../log.ts'
import { auditReads } from '../operations/audit/audit-reads.ts'
import { admit, checkParameters, MAX_COST } from './admit.ts'
import type { Params, Way } from './admit.ts'
import { createFollower, resumeVariable } from './follow.ts'
import type { FeedAnswer } from './follow.ts'
import type { DoorMetrics } from './metrics.ts'
import { chooseDocument } from './persisted-operations.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { createPreparer } from './prepare.ts'
import type { Plan } from './prepare.ts'
import { presentErrors, presentThrown } from './refusal.ts'
import { pointsBeyond, rateLimited } from './request-limits.ts'
import type { RequestLimits } from './request-limits.ts'

/** Who asks through a door. */
export interface Visitor extends Caller {
  /** told the state of the limit, for headers */
  readonly onRate?: (state: LimitState) => void
}

/** `isOfFeed`: of a subscription that a socket asked for and that could not begin. */
export type Answer = (ExecutionResult & { readonly isOfFeed?: true }) | FeedAnswer
export type Answerer = (visitor: Visitor, params: Params, way: Way) => Promise<Answer>

/** Audits that a request was refused before it ran (A7). */
export type NoteRefusal = (caller: Caller, code: FaultCode) => void

/** What is refused for safety's sake; a malformed request is only malformed. */
const AUDITED: readonly unknown[] = ['RATE_LIMITED', 'TOO_COMPLEX', 'FORBIDDEN'] satisfies FaultCode[]

/** Told of each operation, before it is known whether it may run. */
export type NoteUse = (caller: Caller) => void

export interface AnswerOptions {
  readonly schema: GraphQLSchema
  readonly production: boolean
  readonly persisted: PersistedOperations
  readonly calls: Calls
  readonly limits: RequestLimits
  readonly noteRefusal: NoteRefusal
  readonly noteUse: NoteUse
  readonly metrics: DoorMetrics
  readonly log: Logger
}

/** The answerer never rejects: what is refused before it runs is an answer with `errors` and without `data`. */
export function createAnswerer(options: AnswerOptions): Answerer {
  const { schema, production, persisted, calls, limits, noteRefusal, noteUse, metrics, log } = options
  const prepare = createPreparer(schema, production)
  const follow = createFollower(schema, calls.makeFrameCall, log)

  async function takeRate(visitor: Visitor, points: number, detail?: string): Promise<LimitState> {
    const rate = await limits.take(visitor, points)
    visitor.onRate?.(rate)
    if (!rate.allowed) throw rateLimited(rate, detail)
    return rate
  }

  /** One request is what it is before anybody looks at it; what it costs beyond that is known once it is admitted. */
  async function takeCost(visitor: Visitor, cost: number, rate: LimitState): Promise<void> {
    const points = pointsBeyond(cost, rate)
    if (points > 0) await takeRate(visitor, points, `The operation costs ${cost}, which counts as ${points + 1} requests.`)
  }

  const refuse = ({ requestId }: Visitor, thrown: unknown): Answer => ({ errors: [presentThrown(thrown, { requestId, log })] })

  async function run(visitor: Visitor, params: Params, way: Way): Promise<Answer> {
    const present = (errors: readonly GraphQLError[]) => presentErrors(errors, { requestId: visitor.requestId, log })
    const rate = await takeRate(visitor, 1)
    checkParameters(params)
    const plan = prepare(chooseDocument(persisted, params))
    if (!('operation' in plan)) return { errors: present(plan) }
    const variables = resumed(plan, params.variables ?? {}, way)
    const call = calls.makeCall(visitor)
    const admitted = admit(call, plan, { ...params, variables }, way, { schema, production })
    if (typeof admitted !== 'number') return { errors: present(admitted) }
    await takeCost(visitor, admitted, rate)
    if (call.principal) call.services.security.count('UNUSUAL_REQUESTS', [call.principal])

    const { operation, document } = plan
    const args = { schema, document, variableValues: variables, contextValue: call }
    const presented = (result: ExecutionResult) => (result.errors ? { ...result, errors: present(result.errors) } : result)
    const withCost = (result: ExecutionResult) => ({
      ...presented(result),
      extensions: { cost: { requested: admitted, limit: MAX_COST } },
    })
    if (operation.operation !== 'subscription') {
      const result = await execute(args)
      await auditReads(call)
      return withCost(result)
    }

    const begin = async (): Promise<Answer> => {
      const source = await createSourceEventStream(args)
      // a feed that was opened and is not followed costs nothing
      await auditReads(call)
      return source instanceof FeedSource ? follow({ source, plan, variables, visitor }) : withCost(source as ExecutionResult)
    }
    if (way.door !== 'WEBSOCKET') return begin()
    const begun = await begin().catch((thrown: unknown) => refuse(visitor, thrown))
    return 'follow' in begun ? begun : { ...begun, isOfFeed: true }
  }

  function noteIfRefused(visitor: Visitor, answered: Answer): 'ok' | 'failed' | 'refused' {
    if ('follow' in answered || !answered.errors) return 'ok'
    const code = answered.errors[0]?.extensions['code']
    // what execution refused, the scopes have noted
    if (answered.data === undefined && !answered.extensions && AUDITED.includes(code)) noteRefusal(visitor, code as FaultCode)
    return answered.data === undefined ? 'refused' : 'failed'
  }

  return async (visitor, params, way) => {
    const startedAt = performance.now()
    noteUse(visitor)
    const answered = await run(visitor, params, way).catch((thrown: unknown) => refuse(visitor, thrown))
    metrics.operation(way.door, noteIfRefused(visitor, answered), (performance.now() - startedAt) / 1_000)
    return answered
  }
}

/** The variables of a subscription that goes on where its stream broke. */
function resumed(plan: Plan, variables: Record<string, unknown>, { resumesAt }: Way): Record<string, unknown> {
  const name = resumesAt === undefined ? undefined : resumeVariable(plan)
  return name === undefined ? variables : { ...variables, [name]: resumesAt }
}
