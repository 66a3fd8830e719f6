/** Who started whom: the execution whose `flow` step or whose failure started one, and those that were started for it. */
import { listExecutions } from '../operations/executions/list-executions.ts'
import { builder } from './builder.ts'
import { connectionCost, readPage } from './connection.ts'
import { EXECUTION_CONNECTION } from './execution-list.ts'
import { loadersOf } from './loaders.ts'
import { Execution } from './refs.ts'

builder.objectFields(Execution, (t) => ({
  parent: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution whose `flow` step started it; null when somebody asked for it, or when you may not see that one.',
    resolve: ({ parentId }) => parentId,
  }),
  failureHandledBy: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution of the flow that its own names as `onFailure`, once it is started for its failure.',
    resolve: async ({ id }, _args, call) => (await loadersOf(call).failureFlows.load(id)).handledBy,
  }),
  failureOf: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution whose failure it was started for; null when there is none, or when you may not see it.',
    resolve: async ({ id }, _args, call) => (await loadersOf(call).failureFlows.load(id)).handles,
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
