/** What must be true of what is stored, and where it was not: `invariants`, for administrators. */
import type { Invariant } from '../engine/find-breaches.ts'
import { encodeId } from '../ids.ts'
import { listRepairs, readInvariantCheck } from '../operations/audit/read-invariants.ts'
import type { InvariantCheck, Repair as RepairRow } from '../operations/audit/read-invariants.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { Execution } from './refs.ts'

const InvariantName = builder.enumType('Invariant', {
  description: 'What must be true of all that is stored.',
  values: {
    SLOT_WITHOUT_HOLDER: { description: 'Whoever holds a slot, or waits for one, has not ended.' },
    CHILD_OF_ENDED_PARENT: { description: 'A child whose parent has ended is told to end.' },
    WAIT_WITHOUT_WAKER: { description: 'Whoever waits is woken: by a time, by the end of a child, or when it is handed a slot.' },
  } satisfies Record<Invariant, object>,
})

const Repair = builder.objectRef<RepairRow>('Repair').implement({
  description: 'A breach of an invariant that was found and mended.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When it was found, and mended.' }),
    invariant: t.field({ type: InvariantName, description: 'What was not true.', resolve: ({ invariant }) => invariant }),
    executionId: t.id({ description: 'Of which execution.', resolve: ({ executionId }) => encodeId('execution', executionId) }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'The execution; null when it is not there.',
      resolve: ({ executionId }) => executionId,
    }),
  }),
})

const [REPAIR_CONNECTION, REPAIR_EDGE] = connectionTypes(Repair, 'Repair')

const InvariantReport = builder.objectRef<InvariantCheck>('InvariantReport').implement({
  description: 'What the monitor of invariants looked at last, and what it found so far.',
  fields: (t) => ({
    checkedAt: t.expose('checkedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it had looked at everything that was active; null when it never has.',
    }),
    executions: t.exposeFloat('executions', { description: 'Executions that it looked at then.' }),
    slots: t.exposeFloat('slots', { description: 'Slots that it looked at then.' }),
    repairs: t.connection(
      {
        type: Repair,
        description: 'What it found and mended, the newest first.',
        complexity: connectionCost,
        resolve: (_report, args, call) =>
          readPage(
            'repairs',
            args,
            (page) => listRepairs(call, page),
            ({ id }) => id,
          ),
      },
      REPAIR_CONNECTION,
      REPAIR_EDGE,
    ),
  }),
})

builder.queryField('invariants', (t) =>
  t.field({
    type: InvariantReport,
    authScopes: { role: 'ADMIN' },
    description: 'Whether what must be true of all that is stored is true, and what was not.',
    resolve: (_root, _args, call) => readInvariantCheck(call),
  }),
)
