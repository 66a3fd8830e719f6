/** Typed problems: what a refused mutation answers. One table maps each code of `src/errors.ts` to its GraphQL type. */
import { PROBLEM_CODES } from '../errors.ts'
import type { Issue, Problem, ProblemCode } from '../errors.ts'
import { builder } from './builder.ts'

const Code = builder.enumType('ProblemCode', {
  description: 'What kind of problem it is.',
  values: Object.fromEntries(Object.entries(PROBLEM_CODES).map(([code, description]) => [code, { description }])) as Record<
    ProblemCode,
    { description: string }
  >,
})

export const ProblemInterface = builder.interfaceRef<Problem>('Problem').implement({
  description: 'Why a mutation did nothing.',
  fields: (t) => ({
    code: t.field({ type: Code, description: 'What kind of problem it is.', resolve: (problem) => problem.problem }),
    message: t.exposeString('message', { description: 'For people; may change, so do not match on it.' }),
    path: t.exposeStringList('path', { nullable: true, description: 'The input field that it is about, key by key.' }),
  }),
})

export const IssueType = builder.objectRef<Issue>('Issue').implement({
  description: 'One mistake in something that was sent.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'Which rule it breaks.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    path: t.exposeStringList('path', { description: 'Where it is, key by key.' }),
    hint: t.exposeString('hint', { nullable: true, description: 'What was perhaps meant.' }),
  }),
})

const simple = (name: string, description: string) =>
  builder.objectRef<Problem>(name).implement({ description, interfaces: [ProblemInterface] })

/** Every code's type. Unions of mutations are made of these; a problem finds its type here. */
export const PROBLEM_TYPES = {
  VALIDATION: builder.objectRef<Problem>('ValidationProblem').implement({
    description: 'The input does not fit. Every mistake is listed at once.',
    interfaces: [ProblemInterface],
    fields: (t) => ({
      issues: t.field({ type: [IssueType], description: 'Every mistake.', resolve: (problem) => problem.issues ?? [] }),
    }),
  }),
  STALE_VERSION: builder.objectRef<Problem>('StaleVersionProblem').implement({
    description: 'Somebody changed it since you read it.',
    interfaces: [ProblemInterface],
    fields: (t) => ({
      currentVersion: t.exposeInt('currentVersion', { nullable: true, description: 'The version it has now.' }),
    }),
  }),
  LIMIT_REACHED: builder.objectRef<Problem>('LimitReachedProblem').implement({
    description: 'A limit is reached.',
    interfaces: [ProblemInterface],
    fields: (t) => ({
      retryAfterMs: t.exposeFloat('retryAfterMs', { nullable: true, description: 'When to come back, in milliseconds.' }),
    }),
  }),
  AMBIGUOUS: builder.objectRef<Problem>('AmbiguousProblem').implement({
    description: 'Several things have this name.',
    interfaces: [ProblemInterface],
    fields: (t) => ({
      candidates: t.stringList({ description: 'Names that are not ambiguous.', resolve: (problem) => problem.candidates ?? [] }),
    }),
  }),
  NOT_FOUND: simple('NotFoundProblem', 'There is no such thing, or none that you may see.'),
  IDEMPOTENCY_MISMATCH: simple('IdempotencyMismatchProblem', 'The idempotency key was used before, with another input.'),
  ILLEGAL_STATE: simple('IllegalStateProblem', 'Not possible in the present state.'),
  STATE_TOO_LARGE: simple('StateTooLargeProblem', 'The input or state is over its limit; the message names both.'),
  UNAUTHENTICATED: simple('UnauthenticatedProblem', 'The credentials are not valid.'),
} satisfies Record<ProblemCode, unknown>
