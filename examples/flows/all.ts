/** The flows that a development server loads at its start: those whose sources are configured. */
import type { Definition } from '../../src/language/definition.ts'
import { campaign } from './campaign.ts'
import { documentReview } from './document-review.ts'
import { featureApproval } from './feature-approval.ts'
import { recallMemory } from './recall-memory.ts'
import { summarizeArticles } from './summarize-articles.ts'

export const exampleFlows: readonly Definition[] = [
  featureApproval,
  documentReview,
  campaign('http://localhost:8090'),
  recallMemory,
  summarizeArticles,
]
