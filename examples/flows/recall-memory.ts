/** What an agent remembers about a question: rows of a source that the operator configured, found by PostgreSQL's full text search. */
import { defineFlow } from '../../src/language/define-flow.ts'

export const recallMemory = defineFlow({
  version: 1,
  name: 'recall_memory',
  description: 'Finds what an agent remembers about a question. Needs a source called memory (examples/sources/memory.sql).',
  // Grants say who may start it; this only narrows: nobody but these.
  permissions: { roles: ['ADMIN', 'USER'], agents: ['senior_architect', 'ceo'] },
  // The same question of the same person is answered again for a while, without asking the source.
  cache: { ttl: 'PT5M' },
  triggers: [
    {
      type: 'pattern',
      name: 'what_do_we_know',
      description: 'What do we know about transactions? / recall, as the ceo: why are transactions short',
      pattern:
        '(?i)^(?:what do (?:we|you) (?:know|remember) about|recall(?:,? as (?:the )?(?P<agent>ceo|senior_architect))?:?) (?P<question>[^?]{1,500})',
      kind: 'infrastructure',
      priority: 10,
      cost: 5,
      input: {
        agent: '${{ has(match.agent) ? match.agent.lowerAscii() : "senior_architect" }}',
        question: '${{ match.question }}',
      },
    },
  ],
  input: {
    type: 'object',
    required: ['agent', 'question'],
    additionalProperties: false,
    properties: {
      agent: { type: 'string', enum: ['senior_architect', 'ceo'] },
      question: { type: 'string', minLength: 1, maxLength: 500 },
      topic: { type: 'string', maxLength: 100 },
      limit: { type: 'integer', minimum: 1, maximum: 20, description: 'Taken as 5 when it is missing.' },
    },
  },
  steps: {
    recall: {
      type: 'query',
      description: 'The best matches first; words of the question are joined by "or" and by the language of the source.',
      source: 'memory',
      sql: `select id, topic, body, remembered_at as "rememberedAt", ts_rank(to_tsvector(body), asked) as score
        from memories, (select websearch_to_tsquery($1) as asked) as question
        where agent = $2 and topic = coalesce($3, topic) and to_tsvector(body) @@ asked
        order by score desc, id desc
        limit $4`,
      params: [
        '${{ input.question.split(" ").join(" or ") }}',
        '${{ input.agent }}',
        '${{ has(input.topic) ? dyn(input.topic) : null }}',
        '${{ has(input.limit) ? input.limit : 5 }}',
      ],
      maxRows: 20,
      timeout: 'PT5S',
      retry: { attempts: 3, delay: 'PT0.2S', on: ['QUERY_FAILED'] },
    },
    any: {
      type: 'route',
      after: ['recall'],
      cases: [{ when: 'steps.recall.output.count > 0', to: 'remembered' }],
      otherwise: 'forgotten',
    },
    answer: {
      type: 'transform',
      on: 'any:remembered',
      set: { best: '${{ steps.recall.output.rows[0].body }}', topics: '${{ steps.recall.output.rows.map(r, r.topic) }}' },
    },
    nothing: { type: 'transform', on: 'any:forgotten', set: { best: null, topics: [] } },
  },
  output: {
    best: '${{ has(steps.answer.output) ? dyn(steps.answer.output.best) : null }}',
    memories: '${{ steps.recall.output.rows }}',
  },
})
