/** Checks the variables of a request against their types. Errors say where and why, never what was sent: it may be a password. */
import { getVariableValues, GraphQLError } from 'graphql'
import type { GraphQLSchema, VariableDefinitionNode } from 'graphql'
import { MAX_ERRORS } from './prepare.ts'

/** At most 20 errors; the last one then says that there are more. */
export function checkVariables(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
  variables: Record<string, unknown>,
  options: { readonly hideSuggestions: boolean },
): readonly GraphQLError[] {
  const { errors } = getVariableValues(schema, definitions, variables, { ...options, maxErrors: MAX_ERRORS - 1 })
  return (errors ?? []).map(withoutValue)
}

/** graphql-js writes `Variable "$input" got invalid value {...} at "input.age"; Int cannot represent non-integer value: "x"`. */
function withoutValue(error: GraphQLError): GraphQLError {
  const { originalError: reason, nodes, message } = error
  if (!(reason instanceof GraphQLError)) return error
  const before = message.slice(0, -reason.message.length)
  const name = /^Variable "\$(\w+)"/.exec(before)?.[1]
  const place = / at "(\w+(?:\.\w+|\[\d+\])*)"; $/.exec(before)?.[1] ?? name
  const why = reason.message.replace(/^([^:]* cannot represent [^:]*): [^]*$/, '$1.')
  return new GraphQLError(`Variable "$${name}" is not valid at "${place}": ${why}`, { nodes })
}
