/** Answers many agent requests at once, each for itself: what one is refused stops no other. */
import { Fault, isProblem, problem } from '../../errors.ts'
import type { Issue, Problem, ProblemCode } from '../../errors.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { answerFound } from './answer-agent-request.ts'
import type { AnswerAgentRequest } from './answer-agent-request.ts'
import { findAnswerableRequests } from './find-answerable-request.ts'
import type { AnswerableRequest } from './find-answerable-request.ts'

/** What became of one answer, as agents are told it, whichever way they come. */
export interface AnswerResult {
  ok: boolean
  /** an earlier answer with the same idempotency key counted, and this one is like it */
  replayed?: boolean
  code?: ProblemCode | 'FORBIDDEN'
  message?: string
  issues?: readonly Issue[]
  retryAfterMs?: number
}

export const MOST_ANSWERS = 100

/** In the order of the answers. Problems: VALIDATION (none, too many, two to one request), for all of them. */
export async function answerAgentRequests(
  call: Call,
  answers: readonly AnswerAgentRequest[],
): Promise<{ results: (AnswerResult & { id: string })[] } | Problem> {
  if (answers.length < 1 || answers.length > MOST_ANSWERS) {
    const message = `There must be 1 to ${MOST_ANSWERS} of them.`
    return problem('VALIDATION', { issues: [{ code: 'INVALID_LENGTH', path: ['answers'], message }] })
  }
  const found = await findAnswerableRequests(
    call,
    answers.map(({ id }) => id),
  )
  const twice = checkTwice(answers, found)
  if (twice) return twice
  // they are committed together
  const settled = await Promise.allSettled(
    answers.map(async (answer) => ({ id: answer.id, ...(await resultOf(call, found.get(answer.id), answer)) })),
  )
  return {
    results: settled.map((one) => {
      if (one.status === 'rejected') throw one.reason
      return one.value
    }),
  }
}

/** Of one; throws what is no refusal. */
export async function resultOf(
  call: Call,
  request: AnswerableRequest | undefined,
  answer: AnswerAgentRequest,
): Promise<AnswerResult> {
  try {
    const answered = await answerFound(call, request, answer)
    if (!isProblem(answered)) return { ok: true, replayed: answered.replayed }
    const { problem: code, message, issues, retryAfterMs } = answered
    return { ok: false, code, message, ...(issues && { issues }), ...(retryAfterMs !== undefined && { retryAfterMs }) }
  } catch (error) {
    if (error instanceof Fault && error.code === 'FORBIDDEN') return { ok: false, code: 'FORBIDDEN', message: error.message }
    throw error
  }
}

/** Of two answers to one request it would be chance which counts. */
function checkTwice(answers: readonly AnswerAgentRequest[], found: ReadonlyMap<string, unknown>): Problem | undefined {
  const check = new ArgumentCheck()
  const seen = new Set<string>()
  for (const [at, { id }] of answers.entries()) {
    if (seen.has(id)) check.add('DUPLICATE', ['answers', String(at), 'id'], 'Another answer is to the same request.')
    if (found.has(id)) seen.add(id)
  }
  return check.problem
}
