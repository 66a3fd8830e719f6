/** Groups simultaneous questions into one statement, as group commit does with writes. */

interface Waiting<Question, Answer> {
  question: Question
  answer(answer: Answer): void
  fail(error: unknown): void
}

const MAX_TOGETHER = 500

export interface TogetherOptions {
  /** that go together, 500: fewer where answers may be large */
  readonly most?: number
  /** statements that run beside each other, 1: more where one that hangs should not hold up all others */
  readonly atOnce?: number
}

/**
 * Questions that arrive while statements run are asked together by the next one: no timer, no cache, no delay when idle; what
 * is answered was read after it was asked. `ask` gives an answer for each question, in their order; when it throws, each throws.
 */
export function together<Question, Answer>(
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>,
  { most = MAX_TOGETHER, atOnce = 1 }: TogetherOptions = {},
): (question: Question) => Promise<Answer> {
  const waiting: Waiting<Question, Answer>[] = []
  let running = 0

  async function askAll(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, most)
      try {
        const answers = await ask(group.map(({ question }) => question))
        for (const [index, one] of group.entries()) one.answer(answers[index]!)
      } catch (error) {
        for (const one of group) one.fail(error)
      }
    }
    running -= 1
  }

  return (question) =>
    new Promise((answer, fail) => {
      waiting.push({ question, answer, fail })
      // what is asked in the same turn of the event loop goes together too
      if (running < atOnce) {
        running += 1
        queueMicrotask(() => void askAll())
      }
    })
}
