/** The example `summarize_articles` through the API: a hundred articles side by side, and what comes together (D9). */
import { expect, test } from 'vitest'
import { summarizeArticles } from '../../examples/flows/summarize-articles.ts'
import { testApi } from '../harness/api.ts'

const api = await testApi({ handlersDirectory: `${import.meta.dirname}/../../examples/handlers` })
const owner = await api.person()

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }`
const START = `mutation ($articles: JSON!) {
  startExecution(input: { flow: "summarize_articles", input: $articles, waitMs: 30000 }) {
    ... on StartExecutionSuccess { execution {
      status output error { code message } completedSteps lastSeq
      steps { name status counts { total succeeded failed } items(first: 2) { edges { node { path status attempt } } } }
    } } ... on Problem { code message }
  }
}`

test('a hundred articles are looked at side by side, and come together in their order (D9)', async () => {
  const { data } = await api.run(owner, CREATE, { definition: summarizeArticles })
  expect(data.createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
  const articles = Array.from({ length: 100 }, (_, n) => ({ title: `No. ${n}`, text: `${'word '.repeat(n)}topic${n} topic${n}` }))
  const { execution } = (await api.run(owner, START, { articles: { articles } })).data.startExecution
  expect(execution).toMatchObject({ status: 'SUCCEEDED', error: null, completedSteps: ['summaries', 'digest'] })
  expect(execution.output).toMatchObject({ articles: 100, failed: 0, words: articles.map((_, n) => n + 2) })
  expect(execution.output.topics.slice(0, 4)).toEqual(['topic0', 'topic1', 'topic2', 'word'])
  expect(execution.steps[0]).toEqual({
    ...{ name: 'summaries', status: 'SUCCEEDED', counts: { total: 100, succeeded: 100, failed: 0 } },
    items: { edges: [0, 1].map((n) => ({ node: { path: `summaries.items[${n}]`, status: 'SUCCEEDED', attempt: 1 } })) },
  })
  // what a reader has to go through: begins and ends, and how far it was
  expect(execution.lastSeq).toBeLessThan(35)
})
