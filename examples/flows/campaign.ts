/** A campaign from a look at the market to what was learned of it: six calls to services, with a gate before anything is published (E7). */
import { defineFlow } from '../../src/language/define-flow.ts'
import type { Definition } from '../../src/language/definition.ts'

/** `services`: where they all are, such as `http://localhost:8090`. */
export const campaign = (services: string): Definition =>
  defineFlow({
    version: 1,
    name: 'campaign',
    description: 'Scans, plans, writes, checks, publishes and learns: each a call to a service. A critical finding stops it.',
    input: {
      type: 'object',
      required: ['topic'],
      additionalProperties: false,
      properties: {
        topic: { type: 'string', minLength: 1, maxLength: 200 },
        channels: { type: 'array', maxItems: 10, items: { type: 'string', maxLength: 50 } },
      },
    },
    steps: {
      radar_scan: {
        type: 'http',
        description: 'What is said of the topic.',
        url: `${services}/radar_scan`,
        query: { topic: '${{ input.topic }}' },
        timeout: 'PT10S',
      },
      strategy_gen: {
        type: 'http',
        after: ['radar_scan'],
        url: `${services}/strategy_gen`,
        body: { topic: '${{ input.topic }}', signals: '${{ steps.radar_scan.output.body.signals }}' },
        timeout: 'PT20S',
      },
      content_prod: {
        type: 'http',
        after: ['strategy_gen'],
        url: `${services}/content_prod`,
        body: {
          strategy: '${{ steps.strategy_gen.output.body }}',
          channels: '${{ has(input.channels) ? input.channels : ["web"] }}',
        },
      },
      quality_audit: {
        type: 'http',
        after: ['content_prod'],
        url: `${services}/quality_audit`,
        body: { content: '${{ steps.content_prod.output.body }}' },
      },
      gate: {
        type: 'route',
        description: 'Nothing with a critical finding is published.',
        after: ['quality_audit'],
        cases: [{ when: 'steps.quality_audit.output.body.findings.exists(f, f.severity == "critical")', to: 'rejected' }],
        otherwise: 'passed',
      },
      reject: {
        type: 'fail',
        on: 'gate:rejected',
        code: 'CRITICAL_FINDING',
        message: 'The audit has a critical finding in the content on ${{ input.topic }}.',
      },
      publish: {
        type: 'http',
        description: 'The services get the same Idempotency-Key at each attempt: nothing is published twice.',
        on: 'gate:passed',
        url: `${services}/publish`,
        body: { content: '${{ steps.content_prod.output.body }}' },
      },
      learn: {
        type: 'http',
        after: ['publish'],
        url: `${services}/learn`,
        body: {
          published: '${{ steps.publish.output.body.ids }}',
          findings: '${{ steps.quality_audit.output.body.findings }}',
        },
      },
    },
    output: {
      published: '${{ steps.publish.output.body.ids }}',
      findings: '${{ size(steps.quality_audit.output.body.findings) }}',
      learned: '${{ steps.learn.output.body.lesson }}',
    },
  })
