/** Warnings about limits that a flow may wait for by itself: it holds a slot while a flow that it calls needs one of the same. */
import type { Definition } from './definition.ts'
import { flowCalls } from './flow-calls.ts'
import type { IssueList } from './issue-list.ts'

const WHAT_HAPPENS = {
  queue: 'it holds a slot and waits for an execution that waits for one',
  refuse: 'it holds a slot, so what it starts may be refused one',
  cancelOlder: 'what it starts may take its slot, and cancel it',
} as const

/** Which flows others call is not known here: only that it calls itself. */
export function warnAboutSlots(definition: Definition, warnings: IssueList): void {
  const { name, concurrency } = definition
  if (!concurrency) return
  const { max, key, onLimit = 'queue' } = concurrency
  const bound = max === 1 ? 'one slot' : `${max} slots`
  const shared = key === undefined ? `all executions of the flow share ${bound}` : `executions with the same key share ${bound}`
  for (const { flow, path } of flowCalls(definition)) {
    // the name of somebody else's flow has their handle before it; whose this is, is not known either
    if (flow.split('/').at(-1) !== name) continue
    const message = `${WHAT_HAPPENS[onLimit]}: ${shared}`
    warnings.add('DEADLOCK', [...path, 'flow'], message, 'call a flow without this limit, or give it a key that differs')
  }
}
