/** Prepares a document once: parsed, and checked by every rule that needs no variables. Both doors use it; there is no other list of rules. */
import { envelop, useEngine, useSchema } from '@envelop/core'
import { EnvelopArmor } from '@escape.tech/graphql-armor'
import { BREAK, execute, GraphQLError, Kind, parse, specifiedRules, subscribe, validate, visit } from 'graphql'
import type { DocumentNode, GraphQLSchema, OperationDefinitionNode, ValidationRule } from 'graphql'
import { LRUCache } from 'lru-cache'
import { Fault } from '../errors.ts'

/** A document that passed every check, good for any number of requests. */
export interface Plan {
  /** by name; the unnamed one is '' */
  readonly operations: ReadonlyMap<string, PlannedOperation>
}

export interface PlannedOperation {
  readonly definition: OperationDefinitionNode
  /** this operation alone, with the fragments: what runs and what is counted cannot be another one of the document */
  readonly document: DocumentNode
  readonly introspects: boolean
}

/** `execution { steps { items { edges { node { error { code }}}}}}` is 6 deep; GraphiQL's introspection is not counted. */
const MAX_DEPTH = 15
const MAX_ALIASES = 15
const MAX_DIRECTIVES = 20
/** The full introspection query has about 400. */
const MAX_TOKENS = 2_000
const MAX_LITERAL_COST = 20_000
/** graphql-js stops at 100, which is a long answer for a short question. */
const MAX_ERRORS = 20
/** Plans hold syntax trees: about 20 times their text. */
const MAX_CACHED_TEXT = 1_000_000

/**
 * `prepare(query)` gives the plan, or the errors that refuse it (never throws). Armor's cost rule sees literals only; `admit`
 * counts variables too. `hideSuggestions`: no "did you mean", which would tell what the schema holds.
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
      const errors = check(schema, document)
      if (errors.length > 0) return errors
      const plan = planOf(document)
      plans.set(query, plan)
      return plan
    } catch (error) {
      return [codedArmor(error)]
    }
  }
}

/** graphql-js's parse and validate with armor's rules, composed by envelop. */
function checks(schema: GraphQLSchema, hideSuggestions: boolean) {
  const armor = new EnvelopArmor({
    maxDepth: { n: MAX_DEPTH, flattenFragments: true },
    // armor's default lets any number of `__typename` aliases through
    maxAliases: { n: MAX_ALIASES, allowList: [] },
    maxDirectives: { n: MAX_DIRECTIVES },
    maxTokens: { n: MAX_TOKENS },
    costLimit: { maxCost: MAX_LITERAL_COST, depthCostFactor: 1.1, flattenFragments: true },
    blockFieldSuggestion: { enabled: hideSuggestions, mask: '' },
  })
  const engine = useEngine({
    parse,
    execute,
    subscribe,
    specifiedRules,
    validate: (of: GraphQLSchema, document: DocumentNode, rules?: readonly ValidationRule[]) =>
      validate(of, document, rules, { maxErrors: MAX_ERRORS }),
  })
  const { parse: parseText, validate: check } = envelop({ plugins: [engine, useSchema(schema), ...armor.protect().plugins] })({})
  return {
    parse: parseText as (query: string) => DocumentNode,
    validate: check as (of: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[],
  }
}

function planOf(document: DocumentNode): Plan {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
  const planned = operations.map((definition): PlannedOperation => {
    const alone: DocumentNode = { kind: Kind.DOCUMENT, definitions: [definition, ...fragments] }
    return { definition, document: alone, introspects: introspects(alone) }
  })
  return { operations: new Map(planned.map((operation) => [operation.definition.name?.value ?? '', operation])) }
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

/** Armor throws its refusals without a code, and calls them syntax errors: they are about size. */
function codedArmor(error: unknown): GraphQLError {
  const armor = error instanceof GraphQLError && /^Syntax Error: (.* limit of .* exceeded.*)$/.exec(error.message)
  if (armor) return new GraphQLError(armor[1]!, { originalError: new Fault('TOO_COMPLEX', armor[1]) })
  return error instanceof GraphQLError ? error : new GraphQLError('', { originalError: error as Error })
}
