/** Prepares a document once: parsed, and checked by every rule that needs no variables. Both doors use it; there is no other list of rules. */
import { envelop, useEngine, useSchema } from '@envelop/core'
import { EnvelopArmor } from '@escape.tech/graphql-armor'
import { BREAK, execute, GraphQLError, Kind, parse, specifiedRules, subscribe, validate, visit } from 'graphql'
import type { DocumentNode, GraphQLSchema, OperationDefinitionNode, ValidationRule } from 'graphql'
import { LRUCache } from 'lru-cache'
import { Fault } from '../errors.ts'

/** A document that passed every check, good for any number of requests. It has one operation, so what was counted is what runs. */
export interface Plan {
  readonly operation: OperationDefinitionNode
  readonly document: DocumentNode
  readonly introspects: boolean
}

export const LIMITS = {
  /** `execution { steps { items { edges { node { error { code }}}}}}` is 6 deep; GraphiQL's introspection is not counted. */
  depth: 15,
  aliases: 15,
  directives: 20,
  /** The full introspection query has about 400. */
  tokens: 2_000,
  /** in one selection set: comparing repeated fields takes time by their number squared, a quarter of a second for 500 */
  selections: 150,
  /** seen in literals alone */
  cost: 20_000,
} as const
/** graphql-js stops at 100, which is a long answer for a short question; its last error says that there are more. */
export const MAX_ERRORS = 20
/** Plans hold syntax trees: about 20 times their text. */
const MAX_CACHED_TEXT = 1_000_000

/**
 * `prepare(query)` gives the plan, or the errors that refuse it, at most 20 (never throws). Armor's cost rule sees literals only;
 * `admit` counts variables too. `hideSuggestions`: no "did you mean", which would tell what the schema holds.
 */
export function createPreparer(
  schema: GraphQLSchema,
  hideSuggestions: boolean,
): (query: string) => Plan | readonly GraphQLError[] {
  const { parse: parseText, validate: check } = checks(schema, hideSuggestions)
  const plans = new LRUCache<string, Plan>({
    max: 1_000,
    maxSize: MAX_CACHED_TEXT,
    sizeCalculation: (_plan, query) => query.length + 1,
  })

  return (query) => {
    const known = plans.get(query)
    if (known) return known
    try {
      const document = parseText(query)
      checkWidth(document)
      const errors = check(schema, document)
      if (errors.length > 0) return errors.map((error) => coded(hideSuggestions ? withoutSuggestion(error) : error))
      const plan = planOf(document)
      plans.set(query, plan)
      return plan
    } catch (error) {
      return [coded(error)]
    }
  }
}

/** graphql-js's parse and validate with armor's rules, composed by envelop. */
function checks(schema: GraphQLSchema, hideSuggestions: boolean) {
  const armor = new EnvelopArmor({
    maxDepth: { n: LIMITS.depth, flattenFragments: true },
    // armor's default lets any number of `__typename` aliases through
    maxAliases: { n: LIMITS.aliases, allowList: [] },
    maxDirectives: { n: LIMITS.directives },
    maxTokens: { n: LIMITS.tokens },
    costLimit: { maxCost: LIMITS.cost, depthCostFactor: 1.1, flattenFragments: true },
    // graphql-js itself leaves them out, also from the errors of variables
    blockFieldSuggestion: { enabled: false },
  })
  const engine = useEngine({
    parse,
    execute,
    subscribe,
    specifiedRules,
    validate: (of: GraphQLSchema, document: DocumentNode, rules?: readonly ValidationRule[]) =>
      validate(of, document, rules, { maxErrors: MAX_ERRORS - 1, hideSuggestions }),
  })
  const { parse: parseText, validate: check } = envelop({ plugins: [engine, useSchema(schema), ...armor.protect().plugins] })({})
  return {
    parse: parseText as (query: string) => DocumentNode,
    validate: check as (of: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[],
  }
}

function planOf(document: DocumentNode): Plan {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
  const [operation] = operations
  if (!operation) throw new Fault('BAD_REQUEST', 'The document has no operation.')
  if (operations.length > 1)
    throw new Fault('BAD_REQUEST', 'The document has several operations: send each in a request of its own.')
  return { operation, document, introspects: introspects(document) }
}

function checkWidth(document: DocumentNode): void {
  visit(document, {
    SelectionSet({ selections }) {
      if (selections.length <= LIMITS.selections) return
      throw new Fault('TOO_COMPLEX', `One selection has ${selections.length} fields; at most ${LIMITS.selections} are allowed.`)
    },
  })
}

function introspects(document: DocumentNode): boolean {
  let found = false
  visit(document, {
    Field: ({ name }) => {
      if (name.value !== '__schema' && name.value !== '__type') return undefined
      found = true
      return BREAK
    },
  })
  return found
}

/** graphql-js hides those that it looks up; what is left is advice how to write a selection. */
function withoutSuggestion(error: GraphQLError): GraphQLError {
  return new GraphQLError(error.message.replace(/ Did you mean [^]*$/, ''), {
    nodes: error.nodes,
    originalError: error.originalError,
  })
}

/** Armor throws its refusals without a code, and calls them syntax errors; graphql-js gives up on what takes long: both are about size. */
function coded(error: unknown): GraphQLError {
  if (!(error instanceof GraphQLError)) return new GraphQLError((error as Error).message, { originalError: error as Error })
  const size =
    error.message === 'Validation aborted.'
      ? 'The document repeats too many fields.'
      : /^Syntax Error: (.* limit of .* exceeded.*)$/.exec(error.message)?.[1]
  return size === undefined ? error : new GraphQLError(size, { originalError: new Fault('TOO_COMPLEX', size) })
}
