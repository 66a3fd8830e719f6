/** A list of articles, each looked at by itself, many at once; then everything comes together in one digest (D9). */
import { defineFlow } from '../../src/language/define-flow.ts'

/** Those that could be looked at. */
const SUMMARIES = 'steps.summaries.output.items.filter(s, s != null)'

export const summarizeArticles = defineFlow({
  version: 1,
  name: 'summarize_articles',
  description: 'Counts the words of articles side by side, and makes a digest of what it found.',
  input: {
    type: 'object',
    required: ['articles'],
    additionalProperties: false,
    properties: {
      articles: {
        type: 'array',
        minItems: 1,
        maxItems: 1_000,
        items: {
          type: 'object',
          required: ['title', 'text'],
          properties: { title: { type: 'string', maxLength: 200 }, text: { type: 'string', maxLength: 100_000 } },
        },
      },
    },
  },
  steps: {
    summaries: {
      type: 'map',
      description: 'Ten at once; one in twenty may fail.',
      over: '${{ input.articles }}',
      parallel: 10,
      tolerate: '5%',
      step: {
        type: 'handler',
        handler: 'word_count',
        with: { text: '${{ item.text }}', top: 3 },
        timeout: 'PT10S',
        retry: { attempts: 3, on: ['TIMEOUT', 'HANDLER_CRASHED'] },
      },
    },
    digest: {
      type: 'transform',
      after: ['summaries'],
      set: {
        words: `\${{ ${SUMMARIES}.map(s, s.words) }}`,
        topics: `\${{ ${SUMMARIES}.filter(s, size(s.mostFrequent) > 0).map(s, s.mostFrequent[0].word) }}`,
        failed: '${{ steps.summaries.output.counts.failed }}',
      },
    },
  },
  output: {
    articles: '${{ size(input.articles) }}',
    words: '${{ steps.digest.output.words }}',
    topics: '${{ steps.digest.output.topics }}',
    failed: '${{ steps.digest.output.failed }}',
  },
})
