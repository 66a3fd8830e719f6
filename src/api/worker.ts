/** The workers of the fleet: `workers`, for administrators. */
import { encodeId } from '../ids.ts'
import { listWorkers, MOST_WORKERS } from '../operations/workers/list-workers.ts'
import type { WorkerRow } from '../operations/workers/list-workers.ts'
import { builder } from './builder.ts'

const Worker = builder.objectRef<WorkerRow>('Worker').implement({
  description: 'A process that runs executions, and steps of its pools.',
  fields: (t) => ({
    id: t.id({ description: 'Of this start of the process.', resolve: ({ id }) => encodeId('worker', id) }),
    name: t.string({
      description: 'For people: its first pool, and the end of its id. It tells no address.',
      resolve: ({ id, pools }) => `${pools[0] ?? 'none'}-${encodeId('worker', id).slice(-5)}`,
    }),
    pools: t.exposeStringList('pools', { description: 'The pools that it serves.' }),
    held: t.exposeInt('held', {
      nullable: true,
      description: 'Executions that it holds and steps of pools that it runs, when it last renewed its lease.',
    }),
    capacity: t.exposeInt('capacity', {
      nullable: true,
      description: 'The most that it takes at a time: `--concurrency`; 0 when it stops.',
    }),
    alive: t.exposeBoolean('alive', {
      description: 'Whether it has its lease; what a lost one held is taken over by others of its pools.',
    }),
    leaseExpiresAt: t.expose('leaseExpiresAt', { type: 'DateTime', description: 'When its lease is over, unless it renews it.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', description: 'When it started.' }),
    programVersion: t.exposeString('version', { nullable: true, description: 'Of the program that it runs.' }),
  }),
})

builder.queryField('workers', (t) =>
  t.field({
    type: [Worker],
    authScopes: { role: 'ADMIN' },
    description: 'The workers of the fleet: those that live first, then those that were lost lately.',
    complexity: ({ first }) => ({ field: 5, multiplier: Math.min(Math.max(first, 0), MOST_WORKERS) }),
    args: { first: t.arg.int({ required: true, defaultValue: 100, description: `How many; at most ${MOST_WORKERS}.` }) },
    resolve: (_root, { first }, call) => listWorkers(call, first),
  }),
)
