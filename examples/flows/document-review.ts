/** A document that two reviewers must agree on; what they reject comes back once, revised (B: shared and public flows, approvals). */
import { defineFlow } from '../../src/language/define-flow.ts'

export const documentReview = defineFlow({
  version: 1,
  name: 'document_review',
  description: 'Two of the reviewers whom the author names agree on a document; what they reject may come back revised, once.',
  participants: ['product_manager'],
  input: {
    type: 'object',
    required: ['title', 'text', 'reviewers'],
    additionalProperties: false,
    properties: {
      title: { type: 'string', minLength: 1, maxLength: 200 },
      text: { type: 'string', minLength: 1, maxLength: 100_000 },
      reviewers: {
        type: 'array',
        description: 'Handles or ids of people; the author is never among those who decide.',
        items: { type: 'string', maxLength: 100 },
        minItems: 2,
        maxItems: 10,
        uniqueItems: true,
      },
    },
  },
  timeout: 'P60D',
  steps: {
    review: {
      type: 'approval',
      subject: 'Publish "${{ input.title }}"',
      data: { title: '${{ input.title }}', text: '${{ input.text }}' },
      users: '${{ input.reviewers }}',
      quorum: 2,
      timeout: 'P14D',
    },
    verdict: {
      type: 'route',
      after: ['review'],
      cases: [{ when: 'steps.review.output.decision == "APPROVE"', to: 'accept' }],
      otherwise: 'revise',
    },
    accepted: {
      type: 'transform',
      on: 'verdict:accept',
      set: { text: '${{ input.text }}', votes: '${{ steps.review.output.votes }}' },
    },
    revision: {
      type: 'signal',
      description: 'The author sends `revised` with the new text, or `withdrawn`.',
      on: 'verdict:revise',
      signals: ['revised', 'withdrawn'],
      where: 'signal.name == "withdrawn" || size(signal.data.text) > 0',
      timeout: 'P30D',
    },
    second_review: {
      type: 'approval',
      after: ['revision'],
      when: '"revised" in steps.revision.output.received',
      subject: 'Publish "${{ input.title }}", revised',
      data: {
        title: '${{ input.title }}',
        text: '${{ steps.revision.output.signals.revised.data.text }}',
        objections: '${{ steps.review.output.votes.filter(vote, vote.decision == "REJECT").map(vote, vote.data) }}',
      },
      users: '${{ input.reviewers }}',
      quorum: 2,
      timeout: 'P14D',
    },
    accepted_revised: {
      type: 'transform',
      after: ['second_review'],
      when: 'steps.second_review.output.decision == "APPROVE"',
      set: {
        text: '${{ steps.revision.output.signals.revised.data.text }}',
        votes: '${{ steps.second_review.output.votes }}',
      },
    },
    tell: {
      type: 'notify',
      after: { any: ['accepted', 'accepted_revised'] },
      roles: ['product_manager'],
      subject: 'Published: ${{ input.title }}',
      message: { title: '${{ input.title }}' },
    },
  },
  output: {
    published: '${{ has(steps.accepted.output) || has(steps.accepted_revised.output) }}',
    text:
      '${{ has(steps.accepted.output) ? dyn(steps.accepted.output.text)' +
      ' : has(steps.accepted_revised.output) ? dyn(steps.accepted_revised.output.text) : null }}',
    votes:
      '${{ has(steps.accepted.output) ? dyn(steps.accepted.output.votes)' +
      ' : has(steps.accepted_revised.output) ? dyn(steps.accepted_revised.output.votes) : [] }}',
  },
})
