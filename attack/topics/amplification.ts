/** Small documents that would make much work: width, depth, repetition, pages in pages, batches, introspection. */
import { getIntrospectionQuery } from 'graphql'
import { codeOf, expectCode } from '../trial.ts'
import type { Outcome, Topic } from '../trial.ts'

/** CPU time of the server that no document here may cost. */
const CPU_MS = 500
/** text that does nothing */
const MAY_PASS = new Set(['a comment', 'one literal'])
const TOO_MUCH = ['TOO_COMPLEX', 'BAD_REQUEST']

const repeated = (count: number, piece: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => piece(index)).join(' ')
/** fragment F0 { ...F1 ...F1 } fragment F1 { ...F2 ...F2 } ... */
const doubling = (levels: number): string =>
  `{ ...F0 } ${repeated(levels, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)} fragment F${levels} on Query { viewer { id } }`

const DOCUMENTS: Record<string, string> = {
  'aliases of a costly field': `{ ${repeated(100, (n) => `a${n}: executions(first: 100) { edges { node { id } } }`)} }`,
  'aliases of __typename': `{ ${repeated(5_000, (n) => `a${n}: __typename`)} }`,
  'one field many times': `{ viewer { ${repeated(3_000, () => 'id')} } }`,
  depth: `{ viewer { user { ${'user: __typename '.repeat(1)} } } node(id: "x") { ${'... on Execution { retryOf { '.repeat(40)} id ${'} } '.repeat(40)} } }`,
  'depth in fragments': `{ node(id: "x") { ...A } } ${repeated(30, (n) => `fragment ${n === 0 ? 'A' : `A${n}`} on Execution { retryOf { ...A${n + 1} } }`)} fragment A30 on Execution { id }`,
  'fragments that double': doubling(28),
  'fragments in a circle': '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }',
  'inline fragments': `{ ${'... on Query { '.repeat(500)} viewer { id } ${'} '.repeat(500)} }`,
  directives: `{ viewer { id ${'@include(if: true) '.repeat(500)} } }`,
  'directives everywhere': `{ ${repeated(100, (n) => `a${n}: viewer @skip(if: false) @include(if: true) { id }`)} }`,
  'pages in pages':
    '{ executions(first: 100) { edges { node { steps { items(first: 100) { edges { node { id } } } } events(first: 1000) { seq } } } } }',
  'nodes without end': `{ nodes(ids: [${'"x",'.repeat(5_000)}]) { id } }`,
  'one literal': `{ node(id: "${'x'.repeat(500_000)}") { id } }`,
  'a deep literal': `{ execution(id: ${'['.repeat(20_000)}${']'.repeat(20_000)}) { id } }`,
  'a comment': `{ viewer { id } } #${'x'.repeat(900_000)}`,
  'many errors': `{ ${repeated(600, (n) => `nothing${n}`)} }`,
  'many operations': repeated(300, (n) => `query q${n} { viewer { id } }`),
  'many variables': `query (${repeated(900, (n) => `$v${n}: ID`)}) { viewer { id } }`,
  'conflicting fields': `{ ${repeated(120, (n) => `a: node(id: "${n}") { id }`)} }`,
}

export const amplification: Topic = {
  name: 'amplification',
  about: 'aliases, depth, fragments, directives, pages, batches, introspection',
  async run({ world, attempt }) {
    const { client, attacker, viewer, target } = world
    const { token } = attacker
    for (const [what, document] of Object.entries(DOCUMENTS)) {
      await attempt(what, async () => {
        let outcome: Outcome
        const cpu = await target.cpuOf(async () => {
          const answer = await client.send(document, { token })
          if (!MAY_PASS.has(what)) outcome = expectCode(answer, ...TOO_MUCH)
        })
        return outcome ?? (cpu > CPU_MS ? `it took ${cpu} ms of CPU` : undefined)
      })
    }

    await attempt('pages by variables', async () => {
      const document =
        'query ($n: Int, $m: Int) { executions(first: $n) { edges { node { steps { items(first: $m) { edges { node { id } } } } } } } }'
      return expectCode(await client.send(document, { token, variables: { n: 100, m: 100 } }), ...TOO_MUCH)
    })
    await attempt('a page by last, hidden behind first', async () => {
      const document = '{ executions(first: 1, last: 100000) { edges { node { id } } } }'
      return codeOf(await client.send(document, { token })) === 'NONE' ? 'both were taken' : undefined
    })
    await attempt('a page that is too large, or none', async () => {
      for (const first of [101, 1_000_000, -1, 2 ** 31 - 1]) {
        const answer = await client.send('query ($n: Int) { executions(first: $n) { edges { node { id } } } }', {
          token,
          variables: { n: first },
        })
        if (codeOf(answer) === 'NONE') return `first: ${first} was taken`
      }
      return undefined
    })
    await attempt('a batch', async () => {
      const one = { query: '{ executions(first: 100) { edges { node { id steps { id } } } } }' }
      const { text, status } = await client.send('', { token, body: JSON.stringify(Array.from({ length: 2_000 }, () => one)) })
      return status < 400 && (JSON.parse(text) as unknown[]).length >= 2_000 ? 'all of 2,000 ran' : undefined
    })
    await attempt('a batch whose parts are cheap and whose sum is not', async () => {
      const one = { query: '{ executions(first: 100) { edges { node { id status events(first: 50) { seq } } } } }' }
      const { text } = await client.send('', { token, body: JSON.stringify(Array.from({ length: 10 }, () => one)) })
      const answers = JSON.parse(text) as { data?: unknown }[] | object
      return Array.isArray(answers) && answers.every(({ data }) => data) ? 'all of them ran' : undefined
    })
    for (const [who, asking] of [
      ['nobody', undefined],
      ['a viewer', viewer.token],
      ['a user', token],
    ] as const) {
      await attempt(`introspection by ${who}`, async () => {
        for (const document of [
          getIntrospectionQuery(),
          '{ __schema { types { name } } }',
          '{ __type(name: "User") { fields { name } } }',
          '{ ...A } fragment A on Query { s: __schema { queryType { name } } }',
        ]) {
          if (codeOf(await client.send(document, { token: asking })) === 'NONE') return `${document.slice(0, 40)} was answered`
        }
        return undefined
      })
    }
    await attempt('the schema by its hints', async () => {
      const { text } = await client.send('{ veiwer { emial } }', { token })
      return /did you mean/i.test(text) ? text : undefined
    })
  },
}
