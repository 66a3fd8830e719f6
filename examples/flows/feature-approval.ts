/** A request for a feature: expensive ones go to the ceo, complex ones to the cto, all others are approved at once (A15). */
import { defineFlow } from '../../src/language/define-flow.ts'

const APPROVED =
  '${{ has(steps.ask_ceo.output) ? steps.ask_ceo.output.decision == "APPROVE"' +
  ' : has(steps.ask_cto.output) ? steps.ask_cto.output.decision == "APPROVE"' +
  ' : steps.auto.output.approved }}'
const DECIDED_BY = '${{ has(steps.ask_ceo.output) ? "ceo" : has(steps.ask_cto.output) ? "cto" : "rule" }}'

export const featureApproval = defineFlow({
  version: 1,
  name: 'feature_approval',
  description: 'Approves a feature by its cost and complexity, and tells everyone concerned.',
  participants: ['product_manager', 'senior_architect', 'ceo', 'cto'],
  input: {
    type: 'object',
    required: ['feature_name', 'estimated_cost'],
    additionalProperties: false,
    properties: {
      feature_name: { type: 'string', minLength: 1, maxLength: 200 },
      estimated_cost: { type: 'number', minimum: 0, description: 'In the currency of the budget.' },
      complexity: { type: 'number', minimum: 0, maximum: 10, description: 'Taken as 5 when it is missing.' },
      description: { type: 'string', maxLength: 10_000 },
    },
  },
  steps: {
    analyze: {
      type: 'transform',
      description: 'What the decision rests on.',
      set: {
        feature: '${{ input.feature_name }}',
        complexity: '${{ has(input.complexity) ? input.complexity : 5 }}',
      },
    },
    risk: {
      type: 'route',
      after: ['analyze'],
      cases: [
        { when: 'input.estimated_cost > 1000000', to: 'ceo_approval' },
        { when: 'steps.analyze.output.complexity > 8', to: 'cto_approval' },
      ],
      otherwise: 'auto_approve',
    },
    ask_ceo: {
      type: 'agent',
      on: 'risk:ceo_approval',
      role: 'ceo',
      subject: 'Approve the high-cost feature ${{ input.feature_name }}',
      request: { feature: '${{ input.feature_name }}', analysis: '${{ steps.analyze.output }}' },
      timeout: 'PT60S',
    },
    ask_cto: {
      type: 'agent',
      on: 'risk:cto_approval',
      role: 'cto',
      subject: 'Review the complex feature ${{ input.feature_name }}',
      request: { feature: '${{ input.feature_name }}', analysis: '${{ steps.analyze.output }}' },
      timeout: 'PT60S',
    },
    auto: {
      type: 'transform',
      on: 'risk:auto_approve',
      set: { approved: true },
    },
    tell: {
      type: 'notify',
      after: { any: ['ask_ceo', 'ask_cto', 'auto'] },
      roles: ['product_manager', 'senior_architect'],
      subject: 'Decided: ${{ input.feature_name }}',
      message: { feature: '${{ input.feature_name }}', approved: APPROVED, decided_by: DECIDED_BY },
    },
  },
  output: {
    approved: APPROVED,
    decided_by: DECIDED_BY,
    route: '${{ steps.risk.route }}',
    cost: '${{ input.estimated_cost }}',
    complexity: '${{ steps.analyze.output.complexity }}',
  },
})
