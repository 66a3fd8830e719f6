/** Moving executions to newer versions of their flows: the plan first, then the move. */
import { Fault, isProblem } from '../errors.ts'
import { MIGRATION_OBSTACLES } from '../engine/decide/migrate.ts'
import type { MigrationObstacle, MigrationObstacleCode } from '../engine/decide/migrate.ts'
import { migrateExecutions } from '../operations/executions/migrate-executions.ts'
import { planMigration } from '../operations/executions/plan-migration.ts'
import type { ExecutionMigration, MigrationChoice, MigrationPlan as Plan } from '../operations/executions/plan-migration.ts'
import { builder } from './builder.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, FlowVersion } from './refs.ts'

const Code = builder.enumType('MigrationObstacleCode', {
  description: 'Why an execution cannot move.',
  values: Object.fromEntries(Object.entries(MIGRATION_OBSTACLES).map(([code, description]) => [code, { description }])) as Record<
    MigrationObstacleCode,
    { description: string }
  >,
})

const Obstacle = builder.objectRef<MigrationObstacle>('MigrationObstacle').implement({
  description: 'Something that stands in the way of a move.',
  fields: (t) => ({
    code: t.field({ type: Code, description: 'What, for programs.', resolve: ({ code }) => code }),
    message: t.exposeString('message', { description: 'What, for people.' }),
    step: t.string({ nullable: true, description: 'The step that it is about.', resolve: ({ step }) => step }),
  }),
})

const Migration = builder.objectRef<ExecutionMigration>('ExecutionMigration').implement({
  description: 'Whether one execution can move, or has moved.',
  fields: (t) => ({
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'Which; null when you may not see it.',
      resolve: ({ executionId }) => executionId,
    }),
    possible: t.boolean({ description: 'Nothing stands in its way.', resolve: ({ obstacles }) => obstacles.length === 0 }),
    obstacles: t.field({ type: [Obstacle], description: 'All that does.', resolve: ({ obstacles }) => [...obstacles] }),
  }),
})

const MigrationPlan = builder.objectRef<Plan>('MigrationPlan').implement({
  description: 'Which executions can move to a version as they are now. It changes nothing.',
  fields: (t) => ({
    flowVersion: t.field({
      type: FlowVersion,
      nullable: true,
      description: 'Where to.',
      resolve: ({ flowVersionId }) => flowVersionId,
    }),
    executions: t.field({
      type: [Migration],
      description: 'Those that have not ended and run an older version, the oldest first.',
      complexity: { field: 1, multiplier: 10 },
      resolve: ({ executions }) => [...executions],
    }),
    more: t.exposeBoolean('more', { description: 'There are more: ask again after the last one.' }),
  }),
})

interface Args {
  flow: string
  to?: number | null | undefined
  from?: number | null | undefined
  executions?: readonly string[] | null | undefined
  first: number
  after?: string | null | undefined
}

const choiceOf = ({ flow, executions, after, ...rest }: Args): MigrationChoice => ({
  ...given({ to: rest.to, from: rest.from }),
  first: rest.first,
  flowId: uuidOf('flow', flow),
  ...(executions && { executions: executions.map((id) => uuidOf('execution', id)) }),
  ...(after != null && { after: uuidOf('execution', after) }),
})

const TEXTS = {
  flow: 'The flow, which you manage.',
  to: 'The number of the version to go on with; the newest unless given.',
  from: 'Only executions of the version with this number.',
  executions: 'Only these.',
  first: 'How many are looked at, 1 to 100.',
  after: 'Only those that began after this one.',
} as const

builder.queryField('planMigration', (t) =>
  t.field({
    type: MigrationPlan,
    nullable: true,
    authScopes: { may: 'FLOWS_READ' },
    complexity: 100,
    description: 'What `migrateExecutions` would do now; null when there is no such flow or version, or none that you may see.',
    args: {
      flow: t.arg.id({ required: true, description: TEXTS.flow }),
      to: t.arg.int({ description: TEXTS.to }),
      from: t.arg.int({ description: TEXTS.from }),
      executions: t.arg.idList({ description: TEXTS.executions }),
      first: t.arg.int({ required: true, defaultValue: 20, description: TEXTS.first }),
      after: t.arg.id({ description: TEXTS.after }),
    },
    resolve: async (_root, args, call) => {
      const plan = await planMigration(call, choiceOf(args))
      if (!isProblem(plan)) return plan
      const [issue] = plan.problem === 'VALIDATION' ? (plan.issues ?? []) : []
      if (issue) throw new Fault('BAD_REQUEST', `${issue.path.join('.')}: ${issue.message}`)
      return null
    },
  }),
)

mutation('migrateExecutions', {
  description:
    'Moves executions that wait, are paused or have not begun to a newer version of their flow, at once or not at all for each of them. Ask `planMigration` first which can.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    flow: t.id({ required: true, description: TEXTS.flow }),
    to: t.int({ description: TEXTS.to }),
    from: t.int({ description: TEXTS.from }),
    executions: t.idList({ description: TEXTS.executions }),
    first: t.int({ required: true, defaultValue: 20, description: TEXTS.first }),
    after: t.id({ description: TEXTS.after }),
  }),
  resolve: (call, input) => migrateExecutions(call, choiceOf(input)),
  success: (t) => ({
    executions: t.field({
      type: [Migration],
      description: 'Those that moved, and those that stay as they are, with why.',
      resolve: ({ executions }) => [...executions],
    }),
    more: t.exposeBoolean('more', { description: 'There are more: ask again after the last one.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'LIMIT_REACHED'],
})
