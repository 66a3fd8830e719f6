/** Admits one request to a prepared document: what needs the caller and the variables. Both doors use it, before anything runs. */
import { complexityFromQuery } from '@pothos/plugin-complexity'
import { getVariableValues } from 'graphql'
import type { GraphQLError, GraphQLSchema } from 'graphql'
import { Fault } from '../errors.ts'
import type { Call } from '../operations/call.ts'
import type { Plan, PlannedOperation } from './prepare.ts'

export type Door = 'HTTP' | 'WEBSOCKET'

/** What a client sent, of the right shape. */
export interface Params {
  readonly query: string
  readonly operationName?: string | null
  readonly variables?: Record<string, unknown> | null
}

export interface Admitted {
  readonly operation: PlannedOperation
  readonly cost: number
}

/** The most that an operation may cost, counted with its variables: about 100 executions with all their steps. */
export const MAX_COST = 10_000
const MAX_ERRORS = 20

export interface AdmissionRules {
  readonly schema: GraphQLSchema
  /** production: only administrators may introspect */
  readonly production: boolean
}

/** Throws a `Fault`, or gives the errors of the variables, or admits. */
export function admit(
  call: Call,
  plan: Plan,
  params: Params,
  door: Door,
  rules: AdmissionRules,
): Admitted | readonly GraphQLError[] {
  const operation = selectOperation(plan, params.operationName)
  if (operation.definition.operation === 'subscription' && door === 'HTTP') {
    throw new Fault('BAD_REQUEST', 'Subscriptions go over WebSocket (graphql-transport-ws), at the same address.')
  }
  if (operation.introspects && rules.production && call.principal?.role !== 'ADMIN') {
    throw new Fault('FORBIDDEN', 'Introspection is for administrators.')
  }
  const { schema } = rules
  const variables = params.variables ?? {}
  const { errors } = getVariableValues(schema, operation.definition.variableDefinitions ?? [], variables, {
    maxErrors: MAX_ERRORS,
  })
  if (errors) return errors
  const { complexity: cost } = complexityFromQuery(operation.document, { schema, ctx: call, variables })
  if (cost > MAX_COST) {
    throw new Fault(
      'TOO_COMPLEX',
      `The operation costs ${cost}; at most ${MAX_COST} is allowed. Ask for fewer items or fields.`,
      {
        extensions: { cost: { requested: cost, limit: MAX_COST } },
      },
    )
  }
  return { operation, cost }
}

function selectOperation({ operations }: Plan, name: string | null | undefined): PlannedOperation {
  const operation = name ? operations.get(name) : operations.size === 1 ? [...operations.values()][0] : undefined
  if (operation) return operation
  if (name) throw new Fault('BAD_REQUEST', 'The document has no operation of this name.')
  throw new Fault(
    'BAD_REQUEST',
    operations.size
      ? 'The document has several operations; `operationName` says which one to run.'
      : 'The document has no operation.',
  )
}
