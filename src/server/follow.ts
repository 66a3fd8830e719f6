/** A subscription as a door follows it: each frame executed and written once for all who would get the same. */
import { execute, Kind, visit } from 'graphql'
import type { GraphQLSchema } from 'graphql'
import type { Caller, MakeFrameCall } from '../api/context.ts'
import type { FeedSource } from '../api/feed.ts'
import { canonicalJson } from '../canonical-json.ts'
import { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Sink } from '../live/member.ts'
import type { Plan } from './prepare.ts'
import { presentErrors } from './refusal.ts'

/** Larger answers would hold memory that others need: the doors refuse them as RESPONSE_TOO_LARGE. */
export const MAX_ANSWER_BYTES = 10_000_000

/** A subscription that was admitted: results come, as JSON texts, once somebody follows. */
export interface FeedAnswer {
  /** nothing is sent before it returns; call what it returns when the sink is gone */
  follow(sink: Sink<string>): () => void
}

export interface Subscribed {
  readonly source: FeedSource<unknown>
  readonly plan: Plan
  readonly variables: Readonly<Record<string, unknown>>
  readonly visitor: Caller
}

export function createFollower(schema: GraphQLSchema, makeFrameCall: MakeFrameCall, log: Logger) {
  return ({ source, plan, variables, visitor }: Subscribed): FeedAnswer => {
    const form = formOf(plan, variables)
    const { origin } = visitor
    return {
      follow: (sink) =>
        source.feed.follow(
          {
            form,
            async render(frame, who, viewerMatters) {
              const { context, lookedAtViewer } = makeFrameCall(who, viewerMatters, origin)
              const args = { schema, document: plan.document, variableValues: variables, contextValue: context, rootValue: frame }
              const result = await execute(args)
              const forViewer = lookedAtViewer()
              if (forViewer && !viewerMatters) return { rendered: '', forViewer }
              const { requestId } = context
              const presented = result.errors ? { ...result, errors: presentErrors(result.errors, { requestId, log }) } : result
              const rendered = JSON.stringify(presented)
              if (Buffer.byteLength(rendered) > MAX_ANSWER_BYTES) throw new Fault('RESPONSE_TOO_LARGE')
              return { rendered, forViewer }
            },
          },
          sink,
        ),
    }
  }
}

const FORMS = new WeakMap<Plan, { readonly text: string; readonly resumesBy: string | undefined }>()
let forms = 0

/** What is asked for, without where to begin: the document, and the variables but for the one that is `after` alone. */
function formOf(plan: Plan, variables: Readonly<Record<string, unknown>>): string {
  let form = FORMS.get(plan)
  if (!form) FORMS.set(plan, (form = { text: String((forms += 1)), resumesBy: resumeVariable(plan) }))
  const rest = Object.entries(variables).filter(([name]) => name !== form.resumesBy)
  return `${form.text} ${canonicalJson(Object.fromEntries(rest))}`
}

/** The variable that is given as `after` to the feed, and nowhere else. */
export function resumeVariable({ document, operation }: Plan): string | undefined {
  const [root] = operation.selectionSet.selections
  if (root?.kind !== Kind.FIELD) return undefined
  const given = root.arguments?.find(({ name }) => name.value === 'after')?.value
  if (given?.kind !== Kind.VARIABLE) return undefined
  let uses = 0
  visit(document, {
    VariableDefinition: () => false,
    Variable({ name }) {
      if (name.value === given.name.value) uses += 1
    },
  })
  return uses === 1 ? given.name.value : undefined
}
