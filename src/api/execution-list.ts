/** Reading one execution, and listing many. */
import { isProblem } from '../errors.ts'
import { getExecution } from '../operations/executions/get-execution.ts'
import { listExecutions } from '../operations/executions/list-executions.ts'
import type { ExecutionFilter as Wanted } from '../operations/executions/list-executions.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { ExecutionStatus } from './execution.ts'
import { given } from './given.ts'
import { uuidOf } from './node-ids.ts'
import { orderType } from './order.ts'
import { Execution } from './refs.ts'

builder.queryField('execution', (t) =>
  t.field({
    type: Execution,
    nullable: true,
    authScopes: { may: 'EXECUTIONS_READ' },
    description: 'One execution; null when there is none, or none that you may see.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: async (_root, { id }, call) => {
      const execution = await getExecution(call, uuidOf('execution', id))
      return isProblem(execution) ? null : execution
    },
  }),
)

export const LabelInput = builder.inputType('LabelInput', {
  description: 'A key-value tag on an execution.',
  fields: (t) => ({
    key: t.string({ required: true, description: '1 to 63 characters.' }),
    value: t.string({ required: true, description: '1 to 255 characters.' }),
  }),
})

export const ExecutionFilter = builder.inputType('ExecutionFilter', {
  description: 'Which executions; all that is given must hold.',
  fields: (t) => ({
    status: t.field({ type: [ExecutionStatus], description: 'Any of these.' }),
    flow: t.string({ description: 'The id or the name of their flow.' }),
    initiator: t.id({ description: 'Who started them.' }),
    parent: t.id({ description: 'The execution whose `flow` steps started them.' }),
    label: t.field({ type: LabelInput, description: 'A label that they have.' }),
    createdAfter: t.field({ type: 'DateTime', description: 'Asked for at this time or later.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Asked for before this time.' }),
  }),
})

/** The filter in terms of use cases. */
export function filterOf(filter: typeof ExecutionFilter.$inferInput | null | undefined): Wanted {
  const { initiator, parent, ...rest } = given(filter)
  return {
    ...rest,
    ...(initiator !== undefined && { initiatorId: uuidOf('user', initiator) }),
    ...(parent !== undefined && { parentId: uuidOf('execution', parent) }),
  }
}

export const EXECUTION_CONNECTION = connectionTypes(Execution, 'Execution')

builder.queryField('executions', (t) =>
  t.connection(
    {
      type: Execution,
      authScopes: { may: 'EXECUTIONS_READ' },
      description: 'The executions that you may see: yours, and those of your flows.',
      complexity: connectionCost,
      args: {
        filter: t.arg({ type: ExecutionFilter, description: 'Which ones.' }),
        orderBy: t.arg({
          type: orderType('ExecutionOrder', 'executions'),
          required: true,
          defaultValue: 'NEWEST_FIRST',
          description: 'In which order.',
        }),
      },
      resolve: (_root, { filter, ...args }, call) => {
        const wanted = filterOf(filter)
        return readPage(
          'Execution',
          args,
          (page) => listExecutions(call, wanted, page),
          (execution) => execution.id,
          args.orderBy,
        )
      },
    },
    ...EXECUTION_CONNECTION,
  ),
)
