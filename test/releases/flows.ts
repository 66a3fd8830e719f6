/** What is under way when a release is kept: a flow for each way to wait or to run, and how its execution ends when the next release goes on. */

const hold = { type: 'handler', handler: 'hold', with: { a: 1 } } as const
const after = { type: 'transform', set: { done: '${{ true }}' } } as const
const signal = { type: 'signal', signals: ['go'], timeout: 'P3650D' } as const

interface KeptFlow {
  /** the status to be kept in */
  readonly kept: 'RUNNING' | 'WAITING' | 'PENDING' | 'PAUSED' | 'SUCCEEDED' | 'FAILED'
  readonly ends: 'SUCCEEDED' | 'FAILED'
  readonly definition: Record<string, unknown>
  readonly grants?: readonly { to: object; action: string }[]
  /** how many are started, 1 */
  readonly times?: number
}

/** By name. Children of `parents` and of `families` are of `signals` and `held`. */
export const KEPT_FLOWS: Readonly<Record<string, KeptFlow>> = {
  ended: {
    ...{ kept: 'SUCCEEDED', ends: 'SUCCEEDED', definition: { steps: { a: after } } },
    grants: [{ to: { user: 'ann' }, action: 'VIEW' }],
  },
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
    grants: [{ to: { agentRole: 'ceo' }, action: 'EXECUTE' }],
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
  /** by hand once, and by its schedule as soon as somebody does chores */
  scheduled: {
    kept: 'SUCCEEDED',
    ends: 'SUCCEEDED',
    definition: { triggers: [{ name: 'minutely', type: 'schedule', cron: '* * * * *' }], steps: { a: after } },
  },
  hooked: {
    kept: 'SUCCEEDED',
    ends: 'SUCCEEDED',
    definition: {
      triggers: [{ name: 'shop', type: 'webhook', secret: 'shop_webhook', input: { n: '${{ body.n }}' } }],
      steps: { a: { type: 'transform', set: { n: '${{ has(input.n) ? input.n : 0 }}' } } },
      output: { n: '${{ steps.a.output.n }}' },
    },
  },
  secretive: {
    kept: 'RUNNING',
    ends: 'SUCCEEDED',
    definition: {
      steps: { a: { type: 'handler', handler: 'tell', secrets: ['api_token'], with: {} } },
      output: { told: '${{ steps.a.output.sha256 }}' },
    },
  },
  notices: {
    kept: 'SUCCEEDED',
    ends: 'SUCCEEDED',
    definition: { steps: { a: { type: 'notify', roles: ['ceo'], message: { said: 'once' } } } },
  },
}

/** Sealed when the release is kept; of nobody's anything. */
export const KEPT_SECRETS = { api_token: 'only-ever-of-a-test-1', shop_webhook: 'only-ever-of-a-test-2' }
export const KEPT_PASSWORD = 'Correct-horse-1'
/** What a webhook brought that nobody has taken yet. */
export const KEPT_DELIVERY = { n: 17 }
