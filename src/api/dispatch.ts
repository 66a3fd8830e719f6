/** Starting flows by what a text says: `dispatch`, and the query that tells what it would do. */
import { Fault, isProblem } from '../errors.ts'
import { dispatch } from '../operations/triggers/dispatch.ts'
import { getExecution } from '../operations/executions/get-execution.ts'
import { MAX_TEXT, matchPatterns } from '../operations/triggers/match-patterns.ts'
import type { PatternMatch, DISPATCH_MODES } from '../operations/triggers/match-patterns.ts'
import { PATTERN_KINDS } from '../language/triggers/pattern.ts'
import { builder } from './builder.ts'
import { LabelInput } from './execution-list.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { Execution, Flow, Trigger } from './refs.ts'

const MODES: Record<(typeof DISPATCH_MODES)[number], { description: string }> = {
  FAST: { description: 'Only patterns of kind INFRASTRUCTURE.' },
  BALANCED: { description: 'All but patterns of kind HYBRID that cost more than the installation sets.' },
  COMPREHENSIVE: { description: 'All patterns.' },
}
const DispatchMode = builder.enumType('DispatchMode', {
  description: 'How much may be spent on an answer.',
  values: MODES,
})

const KINDS: Record<(typeof PATTERN_KINDS)[number], string> = {
  infrastructure: 'Something that is there already answers.',
  agent: 'Agents are asked.',
  hybrid: 'Both.',
}
const PatternKind = builder.enumType('PatternKind', {
  description: 'What answers when a pattern matches.',
  values: Object.fromEntries(
    PATTERN_KINDS.map((kind) => [kind.toUpperCase(), { value: kind, description: KINDS[kind] }]),
  ) as Record<Uppercase<(typeof PATTERN_KINDS)[number]>, { value: (typeof PATTERN_KINDS)[number]; description: string }>,
})

const Match = builder.objectRef<PatternMatch>('PatternMatch').implement({
  description: 'A pattern that matches a text.',
  fields: (t) => ({
    trigger: t.field({
      type: Trigger,
      nullable: true,
      description: 'The pattern; null when you may start its flow but not see it.',
      resolve: ({ pattern }) => pattern.id,
    }),
    name: t.string({ description: 'Its name in its flow.', resolve: ({ pattern }) => pattern.definition.name }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'What it starts; null when you may start it but not see it.',
      resolve: ({ flow }) => flow.id,
    }),
    kind: t.field({ type: PatternKind, description: 'What answers.', resolve: ({ pattern }) => pattern.definition.kind }),
    priority: t.int({ description: 'The highest is taken.', resolve: ({ pattern }) => pattern.priority }),
    cost: t.int({ description: 'Tokens that a run takes.', resolve: ({ pattern }) => pattern.cost }),
    length: t.int({
      description: 'Of what matched, in UTF-16 units: the longest is taken.',
      resolve: ({ match }) => match.length,
    }),
    groups: t.field({ type: 'JSON', description: 'Its named groups.', resolve: ({ match }) => match.groups }),
  }),
})

const TEXT = `At most ${MAX_TEXT} characters.`

builder.queryField('matchPatterns', (t) =>
  t.field({
    type: [Match],
    authScopes: { may: 'EXECUTIONS_WRITE' },
    description: 'The patterns that match a text, of flows that you may start; `dispatch` takes the first. Starts nothing.',
    complexity: 50,
    args: {
      text: t.arg.string({ required: true, description: TEXT }),
      mode: t.arg({ type: DispatchMode, required: true, defaultValue: 'BALANCED', description: 'How much may be spent.' }),
    },
    resolve: async (_root, args, call) => {
      const matches = await matchPatterns(call, args)
      if (!isProblem(matches)) return matches.slice(0, MOST_MATCHES)
      throw new Fault('BAD_REQUEST', matches.issues?.[0]?.message ?? matches.message)
    },
  }),
)
const MOST_MATCHES = 20

mutation('dispatch', {
  description: 'Starts the flow whose pattern matches a text best: by priority, then the longest match, then by name.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    text: t.string({ required: true, description: TEXT }),
    mode: t.field({ type: DispatchMode, description: 'How much may be spent; BALANCED when not given.' }),
    idempotencyKey: t.string({
      description: 'Of two calls with the same key, text and mode only the first starts something. 1 to 200 characters.',
    }),
    labels: t.field({ type: [LabelInput], description: 'At most 20 tags to find the execution by.' }),
    waitMs: t.int({ description: 'Answer when it has ended, but after so many milliseconds at the latest: 0 to 30000.' }),
  }),
  resolve: async (call, { text, mode, ...rest }) => {
    const dispatched = await dispatch(call, { ...given(rest), text, mode: mode ?? 'BALANCED' })
    if (isProblem(dispatched)) return dispatched
    const execution = await getExecution(call, dispatched.executionId)
    return isProblem(execution) ? execution : { ...dispatched, execution }
  },
  success: (t) => ({
    execution: t.field({ type: Execution, description: 'The execution as it is now.', resolve: ({ execution }) => execution }),
    match: t.field({
      type: Match,
      nullable: true,
      description: 'The pattern that was taken; null when an earlier call with this idempotency key took it.',
      resolve: ({ match }) => match,
    }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key started it.' }),
    cached: t.exposeBoolean('cached', {
      description: 'It is an earlier execution with the same input, whose output is given again.',
    }),
    tokens: t.exposeInt('tokens', { description: 'What it takes, as the pattern says; 0 when nothing was started.' }),
    durationMs: t.exposeFloat('durationMs', {
      description: 'How long it took to find and to start, and to wait if you asked for it.',
    }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'STATE_TOO_LARGE', 'LIMIT_REACHED', 'IDEMPOTENCY_MISMATCH'],
})
