/** Groups simultaneous questions into one statement, as group commit does with writes. */

interface Waiting<Question, Answer> {
  question: Question
  answer(answer: Answer): void
  fail(error: unknown): void
}

const MAX_TOGETHER = 500

/**
 * Questions that arrive while a statement runs are asked together by the next one: no timer, no cache, no delay when idle; what
 * is answered was read after it was asked. `ask` gives an answer for each question, in their order; when it throws, each throws.
 */
export function together<Question, Answer>(
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>,
): (question: Question) => Promise<Answer> {
  const waiting: Waiting<Question, Answer>[] = []
  let asking = false

  async function askAll(): Promise<void> {
    asking = true
    while (waiting.length > 0) {
      const group = waiting.splice(0, MAX_TOGETHER)
      try {
        const answers = await ask(group.map(({ question }) => question))
        for (const [index, one] of group.entries()) one.answer(answers[index]!)
      } catch (error) {
        for (const one of group) one.fail(error)
      }
    }
    asking = false
  }

  return (question) =>
    new Promise((answer, fail) => {
      waiting.push({ question, answer, fail })
      // what is asked in the same turn of the event loop goes together too
      if (!asking) {
        asking = true
        queueMicrotask(() => void askAll())
      }
    })
}
