/** Who started whom: the execution whose `flow` step started one, and those that its own steps started. */
import { listExecutions } from '../operations/list-executions.ts'
import { builder } from './builder.ts'
import { connectionCost, readPage } from './connection.ts'
import { EXECUTION_CONNECTION } from './execution-list.ts'
import { Execution } from './refs.ts'

builder.objectFields(Execution, (t) => ({
  parent: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution whose `flow` step started it; null when somebody asked for it, or when you may not see that one.',
    resolve: ({ parentId }) => parentId,
  }),
  children: t.connection(
    {
      type: Execution,
      description: 'The executions that its `flow` steps started, of those that you may see; the oldest first.',
      complexity: connectionCost,
      resolve: ({ id }, args, call) =>
        readPage(
          'Execution',
          args,
          (page) => listExecutions(call, { parentId: id }, page),
          (execution) => execution.id,
          'OLDEST_FIRST',
        ),
    },
    ...EXECUTION_CONNECTION,
  ),
}))
