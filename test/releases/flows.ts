/** What is under way when a release is kept: a flow for each way to wait or to run, and how its execution ends when the next release goes on. */

const hold = { type: 'handler', handler: 'hold', with: { a: 1 } } as const
const after = { type: 'transform', set: { done: '${{ true }}' } } as const
const signal = { type: 'signal', signals: ['go'], timeout: 'P3650D' } as const

interface KeptFlow {
  /** the status to be kept in */
  readonly kept: 'RUNNING' | 'WAITING' | 'PENDING' | 'PAUSED' | 'SUCCEEDED' | 'FAILED'
  readonly ends: 'SUCCEEDED' | 'FAILED'
  readonly definition: Record<string, unknown>
  /** how many are started, 1 */
  readonly times?: number
}

/** By name. Children of `parents` and of `families` are of `signals` and `held`. */
export const KEPT_FLOWS: Readonly<Record<string, KeptFlow>> = {
  ended: { kept: 'SUCCEEDED', ends: 'SUCCEEDED', definition: { steps: { a: after } } },
  failed: { kept: 'FAILED', ends: 'FAILED', definition: { steps: { a: { type: 'fail', message: 'No.' } } } },
  held: { kept: 'RUNNING', ends: 'SUCCEEDED', definition: { steps: { a: hold, b: { ...after, after: ['a'] } } } },
  pooled: { kept: 'WAITING', ends: 'SUCCEEDED', definition: { steps: { a: { ...hold, pool: 'gpu' } } } },
  elsewhere: { kept: 'PENDING', ends: 'SUCCEEDED', definition: { pool: 'gpu', steps: { a: hold } } },
  maps: {
    kept: 'RUNNING',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'map', over: [1, 2, 3, 4], parallel: 2, step: hold } } },
  },
  loops: {
    kept: 'RUNNING',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'loop', times: 3, step: hold } } },
  },
  naps: {
    kept: 'WAITING',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'wait', duration: 'PT30S' }, b: { ...after, after: ['a'] } } },
  },
  signals: { kept: 'WAITING', ends: 'SUCCEEDED', definition: { steps: { a: signal } } },
  parents: {
    kept: 'WAITING',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'flow', flow: 'signals', timeout: 'P3650D' } } },
  },
  asks: {
    kept: 'WAITING',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'agent', role: 'ceo', subject: 'Well?', request: {}, timeout: 'PT600S' } } },
  },
  approvals: {
    kept: 'WAITING',
    ends: 'SUCCEEDED',
    definition: {
      steps: { a: { type: 'approval', roles: ['ADMIN'], subject: 'Well?', data: {}, selfApproval: true, timeout: 'P3650D' } },
    },
  },
  undone: {
    kept: 'RUNNING',
    ends: 'FAILED',
    definition: {
      steps: {
        a: { ...after, compensate: { type: 'handler', handler: 'hold', with: {} } },
        b: { type: 'fail', message: 'No.', after: ['a'] },
      },
    },
  },
  paused: { kept: 'PAUSED', ends: 'SUCCEEDED', definition: { steps: { a: signal } } },
  queued: {
    kept: 'RUNNING',
    ends: 'SUCCEEDED',
    times: 2,
    definition: { concurrency: { max: 1, onLimit: 'queue' }, steps: { a: hold } },
  },
  scheduled: {
    kept: 'SUCCEEDED',
    ends: 'SUCCEEDED',
    definition: { triggers: [{ name: 'yearly', type: 'schedule', cron: '0 0 1 1 *' }], steps: { a: after } },
  },
}
