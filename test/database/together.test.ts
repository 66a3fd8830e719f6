/** Questions that are asked together: each gets its own answer, however they come. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { together } from '../../src/database/together.ts'

test('each question gets its own answer, no more go together than may, and no more statements run at once', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }),
    fc.integer({ min: 1, max: 7 }),
    fc.integer({ min: 1, max: 3 }),
    async (turns, most, atOnce) => {
      let [running, widest, largest] = [0, 0, 0]
      const double = together(
        async (questions: readonly number[]) => {
          widest = Math.max(widest, (running += 1))
          largest = Math.max(largest, questions.length)
          for (let turn = 0; turn < questions.length % 3; turn++) await Promise.resolve()
          running -= 1
          if (questions.includes(13)) throw new Error('thirteen')
          return questions.map((question) => 2 * question)
        },
        { most, atOnce },
      )
      const answers = turns.map(async (turn, question) => {
        for (let wait = 0; wait < turn; wait++) await Promise.resolve()
        return double(question).catch(() => undefined)
      })
      for (const [question, answer] of (await Promise.all(answers)).entries()) {
        if (answer !== undefined) expect(answer).toBe(2 * question)
      }
      expect(widest).toBeLessThanOrEqual(atOnce)
      expect(largest).toBeLessThanOrEqual(most)
    },
  )
  await fc.assert(property)
})

test('a statement that hangs holds up its own questions alone', async () => {
  const never = new Promise<never>(() => undefined)
  const ask = together((questions: readonly string[]) => (questions.includes('slow') ? never : Promise.resolve(questions)), {
    atOnce: 2,
  })
  void ask('slow')
  await Promise.resolve()
  expect(await ask('quick')).toBe('quick')
  expect(await ask('again')).toBe('again')
})
