/** Admits one request to a prepared document: what needs the caller and the variables. Both doors use it, before anything runs. */
import { complexityFromQuery } from '@pothos/plugin-complexity'
import type { GraphQLError, GraphQLSchema, OperationDefinitionNode } from 'graphql'
import { Fault } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import type { Call } from '../operations/call.ts'
import { checkVariables } from './check-variables.ts'
import type { Plan } from './prepare.ts'

export type Door = 'HTTP' | 'WEBSOCKET' | 'SSE'

/** What a client sent, of the right shape. */
export interface Params {
  readonly query?: string | null
  readonly operationName?: string | null
  readonly variables?: Record<string, unknown> | null
  readonly extensions?: Record<string, unknown> | null
  /** names a persisted operation */
  readonly documentId?: unknown
}

/** What the operations of one request may cost together: those of a batch share it. */
export interface Budget {
  left: number
}

/** The most that an operation may cost, counted with its variables: about 100 executions with all their steps. */
export const MAX_COST = 10_000

export interface AdmissionRules {
  readonly schema: GraphQLSchema
  /** production: only administrators may introspect, and no error says what else the schema has */
  readonly production: boolean
}

/** How a request came: a GET may only read. */
export interface Way {
  readonly door: Door
  readonly readsOnly?: boolean
  /** the cursor that a broken stream goes on after, before what the variables say */
  readonly resumesAt?: string
  readonly budget?: Budget
}

const PARAMETERS = new Set(['query', 'operationName', 'variables', 'extensions', 'documentId'] satisfies (keyof Params)[])

/** Throws BAD_REQUEST for a parameter that is misspelt or not ours; null is as good as nothing. */
export function checkParameters(params: Params): void {
  const unknown = Object.entries(params).some(([name, value]) => value !== null && !PARAMETERS.has(name as keyof Params))
  if (unknown) throw new Fault('BAD_REQUEST', `The parameters are ${[...PARAMETERS].join(', ')}.`)
  if (typeof (params.operationName ?? '') !== 'string') throw new Fault('BAD_REQUEST', '`operationName` is no text.')
}

/** Throws a `Fault`, or gives the errors of the variables, or the cost of what is admitted. */
export function admit(call: Call, plan: Plan, params: Params, way: Way, rules: AdmissionRules): number | readonly GraphQLError[] {
  const { operation, document, introspects } = plan
  checkOperation(operation, params.operationName, way)
  if (introspects && rules.production && !isAdministrator(call.principal)) {
    throw new Fault('FORBIDDEN', 'Introspection is for administrators.')
  }
  const { schema, production } = rules
  const variables = params.variables ?? {}
  const errors = checkVariables(schema, operation.variableDefinitions ?? [], variables, { hideSuggestions: production })
  if (errors.length > 0) return errors
  const { complexity: cost } = complexityFromQuery(document, { schema, ctx: call, variables })
  spend(cost, way.budget ?? { left: MAX_COST })
  return cost
}

/** Somebody who signed in: a key shows no more than its scopes, and there is none for the whole schema. */
const isAdministrator = (principal: Principal | undefined): boolean => principal?.kind === 'USER' && principal.role === 'ADMIN'

function checkOperation(
  { operation, name }: OperationDefinitionNode,
  wanted: string | null | undefined,
  { door, readsOnly }: Way,
): void {
  if (wanted && wanted !== name?.value) throw new Fault('BAD_REQUEST', 'The document has no operation of this name.')
  if (operation === 'subscription' && door === 'HTTP') {
    throw new Fault(
      'BAD_REQUEST',
      'Subscriptions go over WebSocket (graphql-transport-ws) or as server-sent events (accept: text/event-stream), at the same address.',
    )
  }
  if (operation === 'mutation' && readsOnly) throw new Fault('METHOD_NOT_ALLOWED', 'GET only reads: send this by POST.')
}

function spend(cost: number, budget: Budget): void {
  if (cost > budget.left) {
    const said =
      budget.left < MAX_COST ? `only ${budget.left} of ${MAX_COST} is left for this batch` : `at most ${MAX_COST} is allowed`
    throw new Fault('TOO_COMPLEX', `The operation costs ${cost}; ${said}. Ask for fewer items or fields.`, {
      extensions: { cost: { requested: cost, limit: MAX_COST } },
    })
  }
  budget.left -= cost
}
