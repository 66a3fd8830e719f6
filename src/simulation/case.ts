/** A case of a simulation, as its author writes it: the input, what the world gives, what happens when, and what is expected to come of it. */
import { z } from 'zod'
import { STEP_ERRORS } from '../errors.ts'
import type { Issue, StepErrorCode } from '../errors.ts'
import { AGENT_DECISIONS, EXECUTION_STATUSES, STEP_STATUSES } from '../engine/states.ts'
import { parseDuration } from '../language/duration.ts'
import { IssueList } from '../language/issue-list.ts'
import { didYouMean } from '../language/nearest-name.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject } from '../language/values.ts'
import { addZodIssues } from '../language/zod-issues.ts'
import { stepOfKey } from './result-keys.ts'

const json = z.json() as z.ZodType<Json>
const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text)
  if (ms === undefined) context.addIssue({ code: 'custom', message: 'must be a duration, like PT30S or P7D' })
  return ms ?? 0
})
const codes = Object.keys(STEP_ERRORS) as [StepErrorCode, ...StepErrorCode[]]

/** Exactly one of these fields, beside those that may always be there. */
const oneOf =
  (names: readonly string[]) =>
  (value: object, context: z.RefinementCtx): void => {
    if (names.filter((name) => name in value).length !== 1)
      context.addIssue({ code: 'custom', message: `must have one of ${names.join(', ')}` })
  }

const Vote = z.strictObject({
  by: z.string(),
  decision: z.enum(['APPROVE', 'REJECT']),
  data: json.optional(),
  after: duration.optional(),
})
/** What an attempt of a step gets from the world. */
const Result = z
  .strictObject({
    after: duration.optional(),
    /** of an act */
    output: json.optional(),
    /** an act's fault */
    error: z
      .strictObject({
        code: z.enum(codes),
        message: z.string().optional(),
        kind: z.string().optional(),
        retryable: z.boolean().optional(),
        retryAfter: duration.optional(),
      })
      .optional(),
    /** of an agent or a person who is asked */
    answer: z.strictObject({ decision: z.enum(AGENT_DECISIONS), data: json.optional(), by: z.string().optional() }).optional(),
    /** of the people who are asked for approval; they come in this order */
    votes: z.array(Vote).min(1).max(100).optional(),
    /** nothing ever comes: the step's timeout ends it */
    never: z.literal(true).optional(),
  })
  .superRefine(oneOf(['output', 'error', 'answer', 'votes', 'never']))
export type Result = z.infer<typeof Result>

const Happening = z
  .strictObject({
    at: duration,
    signal: z.strictObject({ name: z.string(), data: json.optional(), from: z.string().optional() }).optional(),
    pause: z.string().optional(),
    resume: z.string().optional(),
    cancel: z.string().optional(),
  })
  .superRefine(oneOf(['signal', 'pause', 'resume', 'cancel']))
export type Happening = z.infer<typeof Happening>

const failure = z.strictObject({ code: z.string().optional(), message: z.string().optional(), step: z.string().optional() })
const Expectation = z.strictObject({
  status: z.enum(EXECUTION_STATUSES).optional(),
  output: json.optional(),
  error: failure.nullable().optional(),
  reason: z.string().nullable().optional(),
  /** from the start to the end, on the virtual clock */
  duration: duration.optional(),
  /** tokens, at the most */
  maxCost: z.number().min(0).optional(),
  steps: z
    .record(
      z.string(),
      z.strictObject({
        status: z.enum(STEP_STATUSES).optional(),
        attempt: z.number().optional(),
        route: z.string().optional(),
        input: json.optional(),
        output: json.optional(),
        error: failure.optional(),
      }),
    )
    .optional(),
  /** `step.succeeded pay` or `execution.paused`: they happen in this order, whatever happens between */
  events: z.array(z.string()).optional(),
  /** these never happen */
  noEvents: z.array(z.string()).optional(),
})
export type Expectation = z.infer<typeof Expectation>

/** By path, by path with `[*]` for every item, or by the step's name; a list has one for each attempt, the last stands for all further ones. */
const Results = z.record(z.string(), z.union([Result, z.array(Result).min(1).max(1_000)]))
const Timeline = z.array(Happening).max(1_000)
/** `timeline` counts from the start of each execution of it. */
const CalledFlow = z.strictObject({
  definition: z.record(z.string(), json),
  results: Results.optional(),
  timeline: Timeline.optional(),
})

/** Each is compiled for every case. */
const MOST_FLOWS = 20

const Case = z.strictObject({
  name: z.string().max(200).optional(),
  input: (z.record(z.string(), json) as unknown as z.ZodType<JsonObject>).optional(),
  /** when it starts, on the virtual clock */
  startAt: z.iso.datetime({ offset: true }).optional(),
  /** another seed, another jitter */
  seed: z.string().max(200).optional(),
  results: Results.optional(),
  timeline: Timeline.optional(),
  /** flows that steps call, by the names that these say; without a result for such a step they are simulated too */
  flows: z
    .record(z.string(), CalledFlow)
    .refine((flows) => Object.keys(flows).length <= MOST_FLOWS, `at most ${MOST_FLOWS} flows`)
    .optional(),
  expect: Expectation.optional(),
})
export type Case = Omit<z.infer<typeof Case>, 'flows'> & {
  /** by the name that a step says */
  flows?: undefined | ReadonlyMap<string, { program: Program; given: Pick<Case, 'results' | 'timeline'> }>
}
/** Compiles what a step calls, against what is allowed here. */
export type CompileFlow = (definition: JsonObject) => { program: Program } | { issues: Issue[] }

const NO_FLOWS: CompileFlow = () => ({
  issues: [{ code: 'INVALID_VALUE', message: 'Flows that are called cannot be given here.', path: [] }],
})

/** Everything that is wrong with it at once, as a case of this program; paths lead into the case. */
export function readCase(
  value: unknown,
  program: Program,
  compileFlow: CompileFlow = NO_FLOWS,
): { case: Case } | { issues: Issue[] } {
  const issues = new IssueList()
  const read = Case.safeParse(value)
  if (!read.success) {
    addZodIssues(flat(read.error), [], issues)
    return { issues: issues.issues }
  }
  const { flows, ...given } = read.data
  checkKeys(given.results, program, [], issues)
  for (const { path, ...issue } of program.checkInput(given.input ?? {})) issues.issues.push({ ...issue, path })
  const called = new Map<string, { program: Program; given: Pick<Case, 'results' | 'timeline'> }>()
  for (const [name, { definition, ...rest }] of Object.entries(flows ?? {})) {
    const made = compileFlow(definition)
    if ('program' in made) {
      checkKeys(rest.results, made.program, ['flows', name], issues)
      called.set(name, { program: made.program, given: rest })
    } else
      for (const { path, ...issue } of made.issues) issues.issues.push({ ...issue, path: ['flows', name, 'definition', ...path] })
  }
  return issues.empty ? { case: { ...given, flows: called } } : { issues: issues.issues }
}

function checkKeys(results: Case['results'], program: Program, path: readonly string[], issues: IssueList): void {
  for (const key of Object.keys(results ?? {})) {
    if (stepOfKey(program, key)) continue
    const names = program.steps.map(({ name }) => name)
    issues.add('UNKNOWN_STEP', [...path, 'results', key], undefined, () => didYouMean(key, names))
  }
}

/** Of a union, what is wrong with the branch that was meant: that of a list, or that of one. */
function flat(error: z.ZodError): z.ZodError {
  const issues = error.issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue]
    const meant = issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0 || inner.code !== 'invalid_type'))
    return (meant ?? issue.errors[0] ?? []).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
  })
  return new z.ZodError(issues)
}
