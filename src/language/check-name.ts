/** The names that definitions give and use (C3). */
import { NAME } from './any-step.ts'
import type { IssueList } from './issue-list.ts'

/** Names of steps and routes; what only looks like one (NFKC) is told apart from what is none. */
export function checkName(name: string, path: readonly string[], { issues }: { issues: IssueList }): boolean {
  if (NAME.test(name)) return true
  const plain = name.normalize('NFKC')
  const hint = plain !== name && NAME.test(plain) ? `did you mean "${plain}"?` : undefined
  issues.add('INVALID_NAME', path, 'must be 1-64 letters, digits or _ (A-Z a-z 0-9 _)', hint)
  return false
}
