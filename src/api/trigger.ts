/** Triggers: what starts a flow besides calls. */
import { encodeId } from '../ids.ts'
import type { TriggerType } from '../language/triggers/trigger-types.ts'
import type { TriggerName } from '../operations/triggers/load-triggers.ts'
import { MOST_EXECUTIONS } from '../operations/triggers/read-trigger-statistics.ts'
import type { TriggerStatistics } from '../operations/triggers/read-trigger-statistics.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { Execution, Flow, Trigger } from './refs.ts'
import { User } from './viewer.ts'

const TriggerTypeEnum = builder.enumType('TriggerType', {
  description: 'What makes a trigger fire.',
  values: {
    PATTERN: { value: 'pattern', description: 'A text that its regular expression matches, through `dispatch`.' },
    SCHEDULE: { value: 'schedule', description: 'A time: of a cron pattern, or of an interval.' },
    WEBHOOK: { value: 'webhook', description: 'A signed HTTP request.' },
  } as const satisfies Record<string, { value: TriggerType; description: string }>,
})

Trigger.implement({
  description: 'What starts a flow besides calls: one of the `triggers` of its newest version.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Unique among the triggers of its flow.' }),
    type: t.field({ type: TriggerTypeEnum, description: 'What makes it fire.', resolve: ({ type }) => type }),
    flow: t.field({ type: Flow, nullable: true, description: 'What it starts.', resolve: ({ flowId }) => flowId }),
    definition: t.field({
      type: 'JSON',
      description: 'It, as it stands in the definition.',
      resolve: ({ definition }) => definition as never,
    }),
    publishedBy: t.field({
      type: User,
      nullable: true,
      description:
        'Schedules and webhooks start the flow as this person, who published its newest version; of a pattern, who published it as it is. Null when the account is gone.',
      resolve: ({ publishedBy }) => publishedBy,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the flow got it.' }),
    changedAt: t.expose('changedAt', { type: 'DateTime', description: 'When it was published as it is.' }),
  }),
})

const rate = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

const Statistics = builder.objectRef<TriggerStatistics>('TriggerStatistics').implement({
  description: `What came of a trigger: of its newest executions, at most ${MOST_EXECUTIONS}; and of all that \`dispatch\` answered by it.`,
  fields: (t) => ({
    executions: t.exposeInt('executions', { description: 'Executions that it started, of those that are kept.' }),
    succeeded: t.exposeInt('succeeded', { description: 'Of these, those that succeeded.' }),
    successRate: t.float({
      nullable: true,
      description: 'Of those that have ended, the share that succeeded, from 0 to 1.',
      resolve: ({ succeeded, ended }) => rate(succeeded, ended),
    }),
    p50Ms: t.exposeFloat('p50Ms', { nullable: true, description: 'Half of them took at most so long, in milliseconds.' }),
    p95Ms: t.exposeFloat('p95Ms', { nullable: true, description: '95 of 100 took at most so long, in milliseconds.' }),
    answers: t.exposeFloat('answers', { description: 'How often `dispatch` answered by it.' }),
    cached: t.exposeFloat('cached', { description: 'Of these, how often with an output that was there already.' }),
    hitRate: t.float({
      nullable: true,
      description: 'The share of answers that were there already, from 0 to 1.',
      resolve: ({ cached, answers }) => rate(cached, answers),
    }),
    tokens: t.exposeFloat('tokens', { description: 'What its answers took, as it says what they cost.' }),
  }),
})

builder.objectField(Trigger, 'statistics', (t) =>
  t.field({
    type: Statistics,
    nullable: true,
    description: 'What came of it; null when you may not manage the flow.',
    complexity: 20,
    resolve: (trigger, _args, call) => loadersOf(call).triggerStatistics.load(trigger),
  }),
)

builder.objectField(Flow, 'triggers', (t) =>
  t.field({
    type: [Trigger],
    description: 'What starts it besides calls, by name.',
    complexity: 10,
    resolve: ({ id }, _args, call) => loadersOf(call).flowTriggers.load(id),
  }),
)

const ExecutionTrigger = builder.objectRef<TriggerName>('ExecutionTrigger').implement({
  description: 'What started an execution, when it was no call.',
  fields: (t) => ({
    id: t.id({ description: "The trigger's id.", resolve: ({ id }) => encodeId('trigger', id) }),
    type: t.field({ type: TriggerTypeEnum, description: 'What made it fire.', resolve: ({ type }) => type }),
    name: t.exposeString('name', { description: 'Its name among the triggers of the flow.' }),
  }),
})

builder.objectField(Execution, 'trigger', (t) =>
  t.field({
    type: ExecutionTrigger,
    nullable: true,
    description: 'The trigger that started it; null when it was a call.',
    resolve: ({ triggerId }, _args, call) => (triggerId == null ? null : loadersOf(call).triggerNames.load(triggerId)),
  }),
)
