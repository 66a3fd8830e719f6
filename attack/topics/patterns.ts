/** Regular expressions and expressions that would never end (ReDoS), in schemas, conditions and names. */
import type { Topic } from '../trial.ts'
import { waitingFlow } from '../world.ts'

const EVIL = [
  '^(a+)+$',
  '^(a|a)*$',
  '^(a|aa)+$',
  '(.*a){20}',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '^(\\w+\\s?)*$',
  '(a{1,100}){1,100}{1,100}',
  '(?=(a+))a*b\\1',
  '^(?:a?){50}a{50}$',
]
const SAID = `${'a'.repeat(50_000)}!`
/** Others may wait this long, and longer only on a machine that is busy with something else. */
const WITHIN_MS = 2_000

export const patterns: Topic = {
  name: 'patterns',
  about: 'regular expressions that backtrack, conditions and schemas without end',
  async run({ world, attempt }) {
    const { client, attacker, viewer, target } = world
    const { token } = attacker
    /** Runs it, while somebody else asks something small. */
    const beside = async (work: () => Promise<unknown>): Promise<string | undefined> => {
      let over = false
      const working = work().finally(() => (over = true))
      let slowest = 0
      const cpu = await target.cpuOf(async () => {
        while (!over) slowest = Math.max(slowest, (await client.send('{ viewer { id } }', { token: viewer.token })).ms)
        await working
      })
      return slowest > WITHIN_MS && cpu > WITHIN_MS ? `others waited ${slowest.toFixed(0)} ms` : undefined
    }
    const start = async (definition: object, input: object): Promise<unknown> => {
      const made = await client.mutate(token, 'createFlow', { definition }, 'flow { id }')
      if (made.__typename !== 'CreateFlowSuccess') return made
      return client.mutate(token, 'startExecution', { flow: made.flow.id, input, waitMs: 3_000 }, 'execution { status }')
    }
    const named = (): string => `p${Math.random().toString(36).slice(2)}`
    for (const pattern of EVIL) {
      await attempt(`a schema with ${pattern}`, () =>
        beside(() =>
          start(
            {
              ...waitingFlow(named()),
              input: { type: 'object', properties: { said: { type: 'string', pattern } }, patternProperties: { [pattern]: {} } },
            },
            { said: SAID },
          ),
        ),
      )
      await attempt(`a condition with ${pattern}`, () =>
        beside(() =>
          start(
            {
              version: 1,
              name: named(),
              input: { type: 'object' },
              steps: { one: { type: 'transform', set: { got: `\${{ input.said.matches(${JSON.stringify(pattern)}) }}` } } },
            },
            { said: SAID },
          ),
        ),
      )
    }
    const list = Array.from({ length: 20_000 }, (_, index) => index)
    for (const expression of [
      'input.list.map(x, input.list.map(y, x * y))',
      'input.list.filter(x, input.list.exists(y, y == -1))',
      'input.list.map(x, input.said)',
      `${'('.repeat(2_000)}1${')'.repeat(2_000)}`,
      `${'-'.repeat(3_000)}1`,
      `input.said${'+ input.said'.repeat(200)}`,
      Array.from({ length: 3_000 }, () => 'true').join(' && '),
    ]) {
      await attempt(`an expression: ${expression.slice(0, 50)}`, () =>
        beside(() =>
          start(
            {
              version: 1,
              name: named(),
              input: { type: 'object' },
              steps: { one: { type: 'transform', set: { got: `\${{ ${expression} }}` } } },
            },
            { said: 'x'.repeat(10_000), list },
          ),
        ),
      )
    }
    await attempt('a schema that refers to itself', () =>
      beside(() => start({ ...waitingFlow(named()), input: { $ref: '#', allOf: [{ $ref: '#' }, { $ref: '#' }] } }, {})),
    )
    await attempt('a schema elsewhere', async () => {
      for (const $ref of ['http://127.0.0.1:1/x', 'file:///etc/passwd', 'https://evil.example/schema']) {
        const made = await client.mutate(token, 'createFlow', { definition: { ...waitingFlow(named()), input: { $ref } } })
        if (made.__typename === 'CreateFlowSuccess') return `${$ref} was taken`
      }
      return undefined
    })
    await attempt('unique items and many combinations', () =>
      beside(() =>
        start(
          { ...waitingFlow(named()), input: { type: 'object', properties: { list: { type: 'array', uniqueItems: true } } } },
          { list: list.map((n) => ({ n })) },
        ),
      ),
    )
    await attempt('names of great length', () => beside(() => start(waitingFlow('a'.repeat(200_000)), {})))
    await attempt('a definition with thousands of steps', () =>
      beside(() =>
        start(
          {
            version: 1,
            name: named(),
            input: { type: 'object' },
            steps: Object.fromEntries(
              Array.from({ length: 5_000 }, (_, n) => [
                `s${n}`,
                { type: 'transform', set: {}, ...(n > 0 && { after: [`s${n - 1}`] }) },
              ]),
            ),
          },
          {},
        ),
      ),
    )
  },
}
