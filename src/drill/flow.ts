/** The flow of a drill: calls one after the other, side by side, over a list, and a wait; and what must come of it. Pure. */
import { defineFlow } from '../language/define-flow.ts'

/** Every step that calls, whatever happens to its worker, is made again until it succeeds. */
const CALL = {
  type: 'http' as const,
  method: 'POST' as const,
  url: '${{ input.witness }}',
  timeout: 'PT20S',
  retry: { attempts: 10, delay: 'PT0.2S', maxDelay: 'PT2S', on: ['HTTP_NETWORK', 'TIMEOUT', 'HTTP_BUSY', 'CIRCUIT_OPEN'] },
}

const ITEMS = [1, 2, 3]
/** Its executions are for the workers of drills, and those work for nobody else. */
export const DRILL_POOL = 'sluice_drill'

export const drillFlow = defineFlow({
  version: 1,
  name: 'sluice_drill',
  description: 'What `sluice drill` starts: it calls the witness of the drill, and nothing else.',
  input: {
    type: 'object',
    required: ['number', 'witness'],
    additionalProperties: false,
    properties: { number: { type: 'integer' }, witness: { type: 'string' } },
  },
  pool: DRILL_POOL,
  timeout: 'PT10M',
  steps: {
    begin: { type: 'transform', set: { doubled: '${{ input.number + input.number }}' } },
    left: { ...CALL, after: ['begin'] },
    right: { ...CALL, after: ['begin'] },
    rest: { type: 'wait', after: ['left', 'right'], duration: 'PT0.3S' },
    each: { type: 'map', after: ['rest'], over: `\${{ [${ITEMS.join(', ')}] }}`, step: CALL },
    end: {
      type: 'transform',
      after: ['each'],
      set: { sum: '${{ steps.begin.output.doubled + size(steps.each.output.items) }}' },
    },
  },
  output: { sum: '${{ steps.end.output.sum }}' },
})

/** What the witness is asked for each execution. */
export const CALLING_PATHS = ['left', 'right', ...ITEMS.map((_, index) => `each.items[${index}]`)]
/** What is recorded of each. */
export const RECORDED_PATHS = ['begin', 'rest', 'each', 'end', ...CALLING_PATHS]

export const expectedOutput = (number: number): { sum: number } => ({ sum: 2 * number + ITEMS.length })
