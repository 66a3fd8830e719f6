/** Running a definition on a virtual clock: `simulateFlow`. */
import type { AskRow, StepRunRow } from '../engine/decide/draft.ts'
import { simulateFlow } from '../operations/flows/simulate-flow.ts'
import type { SimulatedFlow } from '../operations/flows/simulate-flow.ts'
import type { Difference } from '../simulation/compare.ts'
import type { SimulationProblem } from '../simulation/simulation.ts'
import { builder } from './builder.ts'
import { ExecutionStatus, Failure } from './execution.ts'
import { mutation } from './mutation.ts'
import { ExecutionEvent } from './refs.ts'
import { StepError, StepStatus } from './step-run.ts'

/** Counts as some requests: it may take a second of the server. */
const COST = 3_000

const SimulatedStep = builder.objectRef<StepRunRow>('SimulatedStep').implement({
  description: 'A step run that ended in a simulation.',
  fields: (t) => ({
    path: t.exposeString('path', { description: 'Where it is in the execution; the name, for a step that runs once.' }),
    name: t.exposeString('name', { description: 'The name that the definition gives it.' }),
    type: t.exposeString('type', { description: 'Its step type.' }),
    status: t.field({ type: StepStatus, description: 'How it ended.', resolve: ({ status }) => status }),
    attempt: t.exposeInt('attempt', { description: 'The number of the last attempt; 0 when it never began.' }),
    startedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When its last attempt began.',
      resolve: ({ startedAt }) => (startedAt === null ? null : new Date(startedAt)),
    }),
    finishedAt: t.field({ type: 'DateTime', description: 'When it ended.', resolve: ({ finishedAt }) => new Date(finishedAt) }),
    route: t.string({ nullable: true, description: 'The route that a router took.', resolve: ({ route }) => route }),
    input: t.field({ type: 'JSON', nullable: true, description: 'What it was called with.', resolve: ({ input }) => input }),
    output: t.field({ type: 'JSON', nullable: true, description: 'What came of it.', resolve: ({ output }) => output }),
    error: t.field({ type: StepError, nullable: true, description: 'Why it failed.', resolve: ({ error }) => error }),
  }),
})

const SimulatedQuestion = builder.objectRef<AskRow>('SimulatedQuestion').implement({
  description: 'A question or a notice that a simulated step would have sent.',
  fields: (t) => ({
    path: t.exposeString('path', { description: 'The step run that asks.' }),
    kind: t.exposeString('kind', { description: 'REQUEST asks an agent, APPROVAL people; NOTICE only tells.' }),
    role: t.exposeString('role', { description: 'Whom; empty for approvals, which the definition says.' }),
    subject: t.exposeString('subject', { description: 'What it is about.' }),
    body: t.expose('body', { type: 'JSON', nullable: true, description: 'What it says.' }),
  }),
})

const Problem = builder.objectRef<SimulationProblem>('SimulationProblem').implement({
  description: 'Why a simulation could not go on.',
  fields: (t) => ({
    code: t.exposeString('code', {
      description:
        'MISSING_RESULT: the case does not say what a step gets. WRONG_RESULT: what it says does not fit. LIMIT: it is too long.',
    }),
    message: t.exposeString('message', { description: 'For people.' }),
    path: t.string({ nullable: true, description: 'The step run it is about.', resolve: ({ path }) => path }),
  }),
})

const DifferenceType = builder.objectRef<Difference>('SimulationDifference').implement({
  description: 'Something that came out differently than the case expects.',
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Where in `expect`, key by key.' }),
    message: t.exposeString('message', { description: 'For people.' }),
  }),
})

const FlowSimulation = builder.objectRef<SimulatedFlow>('FlowSimulation').implement({
  description: 'What an execution would do, in the world that a case describes. Nothing of it was stored or done.',
  fields: (t) => ({
    status: t.field({
      type: ExecutionStatus,
      description: 'How it ended, or as far as it came.',
      resolve: ({ status }) => status,
    }),
    output: t.expose('output', { type: 'JSON', nullable: true, description: "The flow's output." }),
    error: t.field({ type: Failure, nullable: true, description: 'Why it failed.', resolve: ({ error }) => error }),
    reason: t.exposeString('reason', { nullable: true, description: 'Why it ended as it did.' }),
    duration: t.field({
      type: 'Duration',
      description: 'From its start to its last event, on the virtual clock.',
      resolve: ({ startedAt, endedAt }) => endedAt - startedAt,
    }),
    cost: t.exposeFloat('cost', { description: 'Tokens: what its steps say that an attempt costs, for each that began.' }),
    events: t.field({
      type: [ExecutionEvent],
      description: 'Its history.',
      resolve: ({ events }) =>
        events.map(({ at, step = null, path = null, attempt = null, data = null, ...rest }) => ({
          ...{ ...rest, at: new Date(at), step, path, attempt, data, redacted: [] },
        })),
    }),
    steps: t.field({ type: [SimulatedStep], description: 'The step runs that ended.', resolve: ({ steps }) => steps }),
    asked: t.field({ type: [SimulatedQuestion], description: 'What would have been asked.', resolve: ({ asked }) => asked }),
    problem: t.field({
      type: Problem,
      nullable: true,
      description: 'Why it could not go on; null when it ended.',
      resolve: ({ problem }) => problem,
    }),
    unusedResults: t.stringList({ description: 'Results of the case that nothing asked for.', resolve: ({ unused }) => unused }),
    passed: t.boolean({
      description: 'Whether all is as the case expects.',
      resolve: ({ differences }) => differences.length === 0,
    }),
    differences: t.field({
      type: [DifferenceType],
      description: 'What is not, at most 100.',
      resolve: ({ differences }) => differences,
    }),
  }),
})

mutation('simulateFlow', {
  description:
    'Runs a definition on a virtual clock, with the results that a case gives and without any effect: nothing is called, stored or audited. Issues of the definition and of the case have paths that lead into them.',
  scopes: { may: 'FLOWS_WRITE' },
  cost: COST,
  input: (t) => ({
    definition: t.field({ type: 'JSON', required: true, description: 'What the flow would do.' }),
    case: t.field({
      type: 'JSON',
      required: true,
      description: 'The input, what steps get from the world, what happens when, and what is expected: see docs/simulation.md.',
    }),
  }),
  resolve: (call, { definition, case: given }) => simulateFlow(call, { definition, given }),
  success: (t) => ({
    simulation: t.field({ type: FlowSimulation, description: 'What came of it.', resolve: ({ simulation }) => simulation }),
  }),
  problems: ['VALIDATION'],
})
