/** `onFailure` of a definition: the flow that is started when an execution of this one has failed, or did not end in time. */
import { z } from 'zod'
import { name } from '../any-step.ts'
import type { IssueList } from '../issue-list.ts'

export interface OnFailure {
  /** `name` of the same owner, or `owner/name`; its input is { execution, flow, status, reason, error } */
  readonly flow: string
}

export const onFailure = z.strictObject({
  flow: name.describe('Its name, or "owner/name"; its input is { execution, flow, status, reason, error }.'),
})

export function checkOnFailure({ flow }: OnFailure, { issues }: { issues: IssueList }): void {
  const parts = flow.split('/')
  if (parts.length > 2 || parts.some((part) => part.trim() === ''))
    issues.add('INVALID_VALUE', ['onFailure', 'flow'], 'must be the name of a flow, or "owner/name"')
}
